/** The catalogues: same keys, same placeholders, every fault named, every key that a page uses present and none unused. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { claimText, createMessages, faultSentence, type MessageKey, scopeTexts } from '#http/messages.ts'
import { type FaultCode, faults } from '#kernel/faults.ts'

const root = join(import.meta.dirname, '../..')
const load = (lang: string) =>
  JSON.parse(readFileSync(join(root, `messages/${lang}.json`), 'utf8')) as Record<string, string>
const catalogues = { en: load('en'), de: load('de') }
const messages = createMessages(join(root, 'messages'), { default: 'en', available: ['en', 'de'] })

const placeholders = (text: string | undefined) =>
  [...(text ?? '').matchAll(/\{(\w+)/g)].map((match) => match[1]).sort()

test('both catalogues have the same keys and placeholders, and no empty text', () => {
  assert.deepEqual(Object.keys(catalogues.de).sort(), Object.keys(catalogues.en).sort())
  for (const [key, text] of Object.entries(catalogues.en)) {
    assert.deepEqual(placeholders(catalogues.de[key]), placeholders(text), key)
    assert.ok(text.trim() && catalogues.de[key]?.trim(), key)
  }
})

test('every text is well-formed ICU', () => {
  for (const [lang, catalogue] of Object.entries(catalogues))
    for (const [key, text] of Object.entries(catalogue)) {
      const values = Object.fromEntries(placeholders(text).map((name) => [name, 'X']))
      assert.equal(
        messages
          .texts(lang)(key as MessageKey, values)
          .includes('{'),
        false,
        `${lang} ${key}`,
      )
    }
})

test('every fault has its sentence in both languages', () => {
  const missing = Object.keys(faults).filter(
    (code) => !messages.texts('de').has(`fault.${code}`) || !messages.texts('en').has(`fault.${code}`),
  )
  assert.deepEqual(missing, [], 'add fault.<code> to messages/en.json and messages/de.json')
  const known = new Set(Object.keys(faults).map((code) => `fault.${code}`))
  assert.deepEqual(
    Object.keys(catalogues.en).filter((key) => key.startsWith('fault.') && !known.has(key)),
    [],
    'no such fault',
  )
  assert.equal(
    faultSentence(messages.texts('de'), 'login.wrong' satisfies FaultCode),
    catalogues.de['fault.login.wrong'],
  )
})

const views = globSync('views/**/*.ejs', { cwd: root }).filter((file) => !file.includes('demo'))
const sources = [...views, ...globSync('src/**/*.ts', { cwd: root })].map((file) => ({
  file,
  text: readFileSync(join(root, file), 'utf8'),
}))

test('every key that a view names exists', () => {
  let found = 0
  for (const { file, text } of sources.filter(({ file }) => file.endsWith('.ejs')))
    for (const [, call = ''] of text.matchAll(/\bt\(((?:[^()]|\([^()]*\))*)\)/g))
      for (const [, key = ''] of call.matchAll(/'([a-z-]+\.[a-z_.-]+)'/g)) {
        found++
        assert.ok(key in catalogues.en, `${file}: ${key}`)
      }
  assert.ok(found > 40)
})

test('no key is unused', () => {
  const made = /^(?:fault|oauth|claim|scope|method|way|title\.[a-z]+)\./
  const all = sources.map(({ text }) => text).join('\n')
  const unused = Object.keys(catalogues.en).filter((key) => !made.test(key) && !all.includes(`'${key}'`))
  assert.deepEqual(unused, [])
})

test('scopes and claims are named, unknown ones by their own name', () => {
  const t = messages.texts('de')
  assert.equal(scopeTexts(t, 'email').displayName, 'Ihre E-Mail-Adresse sehen')
  assert.deepEqual(scopeTexts(t, 'transaction:42'), { displayName: 'transaction:42' })
  assert.deepEqual(scopeTexts(t, '__proto__'), { displayName: '__proto__' })
  assert.equal(claimText(t, 'birthdate'), 'Geburtsdatum')
  assert.equal(claimText(t, 'shoe_size'), 'shoe_size')
})

test('a language without a catalogue is refused at start', () => {
  assert.throws(() => createMessages(join(root, 'messages'), { default: 'en', available: ['en', 'xx'] }))
})
