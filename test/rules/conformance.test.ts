/** docs/conformance.md names tests: each of them is there, by its file and its words. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readText, trackedPaths } from '../../scripts/tree.ts'

const page = readText('docs/conformance.md')
const paths = new Set(trackedPaths())

interface Named {
  readonly file: string
  readonly words: readonly string[]
}

/** `engine/requests` “words”, “more words”; `flows/x` … */
const namedIn = (cell: string): Named[] =>
  Array.from(cell.matchAll(/`([a-z]+\/[a-z0-9-]+)`([^`]*)/g), ([, file = '', rest = '']) => ({
    file: `test/${file}.test.ts`,
    words: Array.from(rest.matchAll(/“([^”]+)”/g), (match) => match[1] ?? ''),
  }))

const rows = page
  .split('\n')
  .filter(
    (line) => line.startsWith('| ') && !line.startsWith('| ---') && !/^\| (section|specification|module) \|/.test(line),
  )
  .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '').trim()))

describe('docs/conformance.md', () => {
  test('every row says where, what and by which test', () => {
    assert.ok(rows.length > 20)
    for (const row of rows) {
      assert.equal(row.length, 3, row.join(' | '))
      assert.ok(
        row.every((cell) => cell !== ''),
        row.join(' | '),
      )
    }
  })

  for (const [where = '', , tests = ''] of rows)
    test(where, () => {
      for (const { file, words } of namedIn(tests)) {
        assert.ok(paths.has(file), `${file} is not there`)
        const text = readText(file).replaceAll("\\'", "'")
        for (const each of words) assert.ok(text.includes(each), `${file} has no test “${each}”`)
      }
    })
})
