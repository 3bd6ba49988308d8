/** The documentation names what is there: links lead somewhere, tables are complete. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import { doors, roomOf } from '../../scripts/imports.ts'
import { readText, root, trackedPaths } from '../../scripts/tree.ts'

const paths = trackedPaths()
const sources = paths.filter((path) => /^src\/.*\.ts$/.test(path)).map((path) => ({ path, text: readText(path) }))
const pages = paths.filter((path) => path.endsWith('.md'))

/** Values that a pattern's first group finds in the sources. */
const namedInSources = (pattern: RegExp): Set<string> =>
  new Set(sources.flatMap(({ text }) => Array.from(text.matchAll(pattern), (match) => match[1] ?? '')))

const tick = (name: string) => `\`${name}\``

describe('documentation', () => {
  for (const page of pages)
    test(`links of ${page} lead somewhere`, () => {
      const targets = Array.from(readText(page).matchAll(/\]\((?!https?:|#)([^)#\s]+)/g), (match) => match[1] ?? '')
      const dead = targets.filter((target) => !existsSync(join(root, dirname(page), target)))
      assert.deepEqual(dead, [])
    })

  test('the README has exactly two set-up commands', () => {
    const blocks = readText('README.md').match(/```sh\n[\s\S]*?```/g) ?? []
    const commands = blocks
      .join('\n')
      .match(/^(?!```)\S.*$/gm)
      ?.map((line) => line.replace(/\s*#.*/, ''))
    assert.deepEqual(commands, ['make run', 'make test'])
  })

  test('every room has its line', () => {
    const text = readText('docs/architecture.md')
    const rooms = new Set(sources.map(({ path }) => (path.split('/').length > 2 ? `src/${roomOf(path)}/` : path)))
    assert.deepEqual(
      [...rooms].filter((room) => !text.includes(tick(room))),
      [],
    )
  })

  test('every run-time dependency has its line and its door', () => {
    const text = readText('docs/dependencies.md')
    const manifest = JSON.parse(readText('package.json')) as Record<string, Record<string, string>>
    const runtime = Object.keys(manifest.dependencies ?? {})
    assert.deepEqual(
      runtime.filter((name) => !new RegExp(`^\\| \`${name}\``, 'm').test(text)),
      [],
    )
    assert.deepEqual(
      runtime.filter((name) => !(name in doors)),
      [],
    )
    const all = Object.keys({ ...manifest.optionalDependencies, ...manifest.devDependencies })
    assert.deepEqual(
      all.filter((name) => !name.startsWith('@types/') && !text.includes(tick(name))),
      [],
    )
  })

  test('every trace step and audit type is explained', () => {
    const text = readText('docs/trace.md')
    const steps = namedInSources(/\btrace\.add\(\s*[^,]+,\s*'([\w.-]+)'/g)
    const types = namedInSources(/\baudit\(\{\s*type: '([\w.-]+)'/g)
    assert.ok(steps.size > 5 && types.size > 3, 'they are found')
    assert.deepEqual(
      [...steps, ...types].filter((name) => !text.includes(tick(name))),
      [],
    )
  })

  test('every target of the Makefile explains itself', () => {
    const targets = Array.from(readText('Makefile').matchAll(/^([a-z]+):(.*)$/gm))
    assert.deepEqual(
      targets.filter(([, , rest]) => !rest?.includes('## ')).map(([, name]) => name),
      [],
    )
  })
})
