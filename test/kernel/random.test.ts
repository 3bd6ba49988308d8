/** Ids that we make are ids that a file may name: what `export` writes, `apply` reads (CONTRACT 3). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recordId } from '#kernel/kinds.ts'
import { randomId } from '#kernel/random.ts'

test('ids of ours are ids of the contract, and none looks like an option of a command', () => {
  for (const bytes of [16, 32]) {
    const made = Array.from({ length: 1000 }, () => randomId(bytes))
    for (const id of made) assert.equal(recordId.safeParse(id).success, true, id)
    assert.equal(new Set(made).size, made.length)
  }
})
