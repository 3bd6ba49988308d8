/** The examples of the README and of docs/ work as they are written: configurations load, commands exist. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse, stringify } from 'yaml'
import { run } from '#cli/cli.ts'
import { readText as readPage, trackedPaths } from '../../scripts/tree.ts'
import { loadText } from './golden.ts'

const pages = trackedPaths().filter((path) => path === 'README.md' || /^docs\/[^/]+\.md$/.test(path))
const blocks = (page: string, language: string): string[] =>
  Array.from(
    readPage(page).matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm')),
    ([, text]) => text ?? '',
  )

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-examples-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const secret = join(folder, 'secret')
writeFileSync(join(folder, 'hook.ts'), 'export default () => undefined\n')
writeFileSync(secret, 'AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE')

/** What examples may take for granted: an issuer, and the provider and client that they speak of. */
const given = {
  issuer: 'https://id.example.org',
  trustProxy: true,
  masterKey: 'AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE',
  identityProviders: [
    { id: 'acme', protocol: 'oidc', oidc: { issuer: 'https://login.acme.org', client_id: 'g', client_secret: 's' } },
  ],
}
const env = new Proxy({}, { get: () => 'value', has: () => true, ownKeys: () => [] }) as Record<string, string>

for (const page of pages)
  for (const [index, text] of blocks(page, 'yaml').entries())
    test(`${page}: configuration ${index + 1}`, () => {
      const written = parse(
        text.replaceAll(/\/run\/secrets\/[\w-]+/g, secret).replace('./hooks/', `${folder}/`),
      ) as Record<string, unknown>
      loadText(stringify({ ...given, ...written }), env)
    })

/** What a command's help says, of the commands themselves. */
const gatehouse = async (...args: string[]): Promise<string> => {
  const said: string[] = []
  const io = { out: (text: string) => said.push(text), err: () => undefined, read: async () => '' }
  const never = () => assert.fail('help does nothing')
  await run(args, {}, io, { serve: never, open: never, stores: never })
  return said.join('')
}

test('every command that is written down exists, with its options', async () => {
  const lines = pages.flatMap((page) => blocks(page, 'sh').flatMap((text) => text.split('\n')))
  const inText = pages.flatMap((page) =>
    Array.from(readPage(page).matchAll(/`\.\/gatehouse ([^`]+)`/g), ([, line]) => `./gatehouse ${line}`),
  )
  const words = [...lines, ...inText]
    .filter((line) => line.startsWith('./gatehouse '))
    .map((line) =>
      line
        .replace(/\s+#.*/, '')
        .split(/\s+/)
        .slice(1),
    )
  assert.ok(words.length > 20, String(words.length))
  const help = new Map<string, string>()
  const helpOf = async (path: readonly string[]): Promise<string> => {
    const key = path.join(' ')
    const text = help.get(key) ?? (await gatehouse(...path, '--help'))
    help.set(key, text)
    return text
  }
  const missing: string[] = []
  for (const line of words) {
    const path: string[] = []
    for (const word of line) {
      if (!new RegExp(`^  ${word}\\b`, 'm').test((await helpOf(path)).split('\nCommands:')[1] ?? '')) break
      path.push(word)
    }
    const text = await helpOf(path)
    if (path.length === 0) missing.push(line.join(' '))
    for (const option of line.filter((word) => word.startsWith('--')))
      if (!new RegExp(`${option}\\b`).test(text)) missing.push(`${line.join(' ')}: ${option}`)
  }
  assert.deepEqual(missing, [])
})
