/** `make check`: types, format and lint, import directions, licences, and nothing that ties the tree to one machine. */
import { spawnSync } from 'node:child_process'
import { extname, join } from 'node:path'
import { addressMistakes } from './addresses.ts'
import { importMistakes } from './imports.ts'
import { type Lockfile, licenceMistakes } from './licences.ts'
import { readText, root, trackedPaths } from './tree.ts'

const binary = new Set(['.png', '.jpg', '.ico', '.woff2', '.db', '.p12'])

/** Runs a tool of node_modules; its output is the mistake when it fails. */
const tool = (name: string, ...args: string[]): string[] => {
  const run = spawnSync(join(root, 'node_modules/.bin', name), args, { cwd: root, encoding: 'utf8' })
  return run.status === 0 ? [] : [`${run.stdout}${run.stderr}${run.error?.message ?? ''}`.trim()]
}

const files = trackedPaths()
  .filter((path) => !binary.has(extname(path)))
  .map((path) => ({ path, text: readText(path) }))

/** What a merge that nobody finished leaves behind. */
const unfinishedMerges = (): string[] =>
  files.filter(({ text }) => /^(<{7}|>{7}) /m.test(text)).map(({ path }) => `${path}: has conflict markers`)

const checks: readonly [string, () => string[]][] = [
  ['types', () => [...tool('tsc', '-p', '.'), ...tool('tsc', '-p', 'tsconfig.browser.json')]],
  ['format and lint', () => tool('biome', 'check', '.', '--diagnostic-level=error', '--max-diagnostics=100')],
  ['import directions', () => importMistakes(files)],
  ['licences', () => licenceMistakes(JSON.parse(readText('package-lock.json')) as Lockfile)],
  ['no machine, no registry', () => addressMistakes(files)],
  ['no unfinished merge', unfinishedMerges],
]

let failed = false
for (const [name, check] of checks) {
  const mistakes = check()
  console.log(`${mistakes.length === 0 ? 'ok  ' : 'FAIL'} ${name}`)
  for (const mistake of mistakes) console.log(`     ${mistake.replaceAll('\n', '\n     ')}`)
  failed ||= mistakes.length > 0
}
process.exitCode = failed ? 1 : 0
