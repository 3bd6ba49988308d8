/** What is used stays, what is not goes, and there is never more than was allowed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRecent } from '#kernel/recent.ts'

const kept = (recent: { get(key: number): number | undefined }, keys: Iterable<number>) =>
  [...keys].filter((key) => recent.get(key) !== undefined)
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

test('the newest half is there for certain, and no more than the limit in all', () => {
  for (const count of [4, 5, 7, 8, 100, 103]) {
    const recent = createRecent<number, number>(8)
    for (const key of range(0, count)) recent.set(key, key)
    const newest = range(count - 4, count)
    assert.deepEqual(
      newest.map((key) => recent.get(key)),
      newest,
    )
    assert.ok(kept(recent, range(0, count)).length <= 8)
  }
})

test('what is asked for again and again outlives what is not', () => {
  const recent = createRecent<number, number>(8)
  recent.set(-1, 1)
  for (const key of range(0, 100)) {
    recent.set(key, key)
    assert.equal(recent.get(-1), 1)
  }
  assert.equal(recent.get(0), undefined)
})

test('writing a key again replaces its value; what is deleted or cleared is gone from both halves', () => {
  const recent = createRecent<number, number>(8)
  for (const key of range(0, 6)) recent.set(key, key)
  recent.set(0, 10)
  assert.equal(recent.get(0), 10)
  recent.delete(0)
  recent.delete(1)
  assert.deepEqual(kept(recent, [0, 1, 5]), [5])
  recent.clear()
  assert.deepEqual(kept(recent, range(0, 6)), [])
})
