/* biome-ignore-all lint/suspicious/noTemplateCurlyInString: placeholders of the configuration are what is tested */
/** Whatever is written, the answer is a configuration or lines of mistakes: never another error, never a secret. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ConfigurationError, configurationSchema, loadConfiguration } from '#config/load.ts'
import { alternativesAt, keysOf } from '#config/schema-walk.ts'
import { mistakesIn, rooms } from './golden.ts'

const schema = configurationSchema(rooms)
const names = keysOf(alternativesAt(schema, []))
const nested = names.flatMap((name) => keysOf(alternativesAt(schema, [name])))
const members = names.flatMap((name) => keysOf(alternativesAt(schema, [name, 0])))
const key = fc.oneof(fc.constantFrom(...names, ...nested, ...members), fc.string({ maxLength: 12 }))
const word = fc.constantFrom('PT1H', 'RS256', 'oidc', 'https://id.example.org', 'acme', 'basic', '/x', '')
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof({ maxDepth: 5 }, word, fc.jsonValue({ maxDepth: 1 }), tie('list'), tie('section')),
  list: fc.array(tie('tree'), { maxLength: 4 }),
  section: fc.dictionary(key, tie('tree'), { maxKeys: 5 }),
}))

const onlyMistakes = (attempt: () => unknown): string => {
  try {
    attempt()
    return ''
  } catch (error) {
    assert.ok(error instanceof ConfigurationError, String(error))
    assert.ok(error.mistakes.length > 0)
    for (const { path, message } of error.mistakes) {
      assert.notEqual(path, '')
      assert.match(message, /^(found|missing)\b/)
    }
    return error.message
  }
}

test('values of any shape', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...names), tree, { maxKeys: 6 }), (written) => {
      onlyMistakes(() => loadConfiguration({ ...rooms, written, env: {} }))
    }),
    { numRuns: 300 },
  )
})

test('texts of any kind', () => {
  const piece = fc.constantFrom(
    'a: ',
    '- ',
    '{',
    '}',
    '[',
    ']',
    '"',
    '${A}',
    '${',
    '*x',
    '&x ',
    '\n',
    '  ',
    '---\n',
    ': ',
    '#',
    '|\n',
    '!!binary ',
    '<<: ',
    '?',
  )
  fc.assert(
    fc.property(fc.array(fc.oneof(piece, fc.string({ maxLength: 5 })), { maxLength: 20 }), (pieces) => {
      for (const line of mistakesIn(pieces.join(''))) assert.ok(line.includes(': '))
    }),
    { numRuns: 500 },
  )
})

test('variables of any name and content', () => {
  const segment = fc.oneof(
    fc.constantFrom(...[...names, ...nested].map((name) => name.toUpperCase())),
    fc.stringMatching(/^[A-Z0-9_]{0,8}$/),
  )
  const variable = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => `GATEHOUSE__${parts.join('__')}`)
  fc.assert(
    fc.property(fc.dictionary(variable, fc.oneof(word, fc.string(), fc.json()), { maxKeys: 4 }), (env) => {
      onlyMistakes(() => loadConfiguration({ ...rooms, env }))
    }),
    { numRuns: 300 },
  )
})

test('a secret in any wrong form is never repeated', () => {
  const marker = 'hunter2hunter2'
  const wrong = fc.constantFrom<(secret: string) => unknown>(
    (secret) => [secret],
    (secret) => ({ value: secret }),
    (secret) => ({ file: 5, other: secret }),
    (secret) => [[secret]],
    (secret) => `${secret} `,
  )
  const places = fc.constantFrom<(value: unknown) => Record<string, unknown>>(
    (value) => ({ masterKey: value }),
    (value) => ({ registration: { initialAccessToken: value, enabled: 'x' } }),
    (value) => ({ subjects: { pairwiseKey: value, pairwiseSalt: value, default: 'x' } }),
    (value) => ({ clients: [{ client_id: 'a', client_secret: value }] }),
    (value) => ({ clients: { client_secret: value } }),
    (value) => ({ clients: [value], accounts: value }),
    (value) => ({ accounts: [{ username: 'a', password: value, passwordHash: value }] }),
    (value) => ({ identityProviders: [{ id: 'a', protocol: 'oidc', oidc: { client_secret: value } }] }),
    (value) => ({ identityProviders: [{ id: 'a', protocol: 'oauth1', oauth1: { consumerSecret: value } }] }),
    (value) => ({ stores: { artifacts: `redis://:${String(value)}@` } }),
    (value) => ({ mail: { smtpUrl: value }, unknown: value }),
  )
  fc.assert(
    fc.property(wrong, places, (form, place) => {
      const told = onlyMistakes(() => loadConfiguration({ ...rooms, written: place(form(marker)), env: {} }))
      assert.notEqual(told, '')
      assert.equal(told.includes(marker), false, told)
    }),
  )
})
