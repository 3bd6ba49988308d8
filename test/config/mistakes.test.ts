import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mistakesIn, readGolden, writeGolden } from './golden.ts'

const path = new URL('./mistakes.golden', import.meta.url)
const cases = readGolden(path)
const env = { NUMBER_AS_TEXT: 'three thousand', HOST: '::1' }

if (process.env.UPDATE)
  writeGolden(
    path,
    cases.map((one) => ({ ...one, expected: mistakesIn(one.text, env) })),
  )

test('the table is whole', () => {
  assert.ok(cases.length >= 60)
  assert.equal(new Set(cases.map(({ name }) => name)).size, cases.length)
})

for (const { name, text, expected } of cases)
  test(name, () => {
    assert.notEqual(expected.length, 0, 'expects at least one mistake')
    const found = mistakesIn(text, env)
    assert.deepEqual(found, expected)
    for (const line of found) {
      assert.match(line, /^\S+: (found|missing)\b.*$/)
      assert.doesNotMatch(line, /hunter/, 'a secret is repeated')
    }
  })
