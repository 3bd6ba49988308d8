/**
 * From any stores to any others: what was backed up is there again, byte for byte, and a running installation that moves
 * keeps its people signed in and its tokens as they were (docs/backup.md).
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { moves, shellOn } from '#test/cli/backup-moving.ts'
import { contentOf, fill, MASTER, OTHER_MASTER } from '#test/cli/backup-world.ts'
import { pairMissing, pairNames } from '#test/world/stores.ts'

/** Both installations know the first one's key, so that no passphrase has to be stretched in each of the many steps. */
const KEYS = [OTHER_MASTER, MASTER]
const lock = { masterKeys: KEYS.map((key) => Buffer.from(key, 'base64url')) }

for (const from of pairNames)
  test(`a backup of ${from} is the same in every kind of stores`, { skip: await pairMissing(from) }, async (t) => {
    const here = await shellOn(t, from, { masterKey: MASTER })
    await fill(here)
    const file = join(here.folder, 'one.backup')
    const written = await here.run(['backup', file])
    assert.deepEqual([written.code, written.err], [0, ''])
    const content = await contentOf(file, lock)
    assert.ok(content.length > 20)
    for (const to of pairNames)
      await t.test(to, { skip: await pairMissing(to) }, async (t) => {
        const there = await shellOn(t, to, { masterKey: KEYS })
        const restored = await there.run(['restore', file])
        assert.deepEqual([restored.code, restored.err], [0, ''])
        const copy = join(there.folder, 'copy.backup')
        assert.equal((await there.run(['backup', copy])).code, 0)
        assert.deepEqual(await contentOf(copy, lock), content)
      })
  })

/** Out of every kind and into every kind; the first is the one that docs/backup.md walks through. */
const ways = [
  ['sqlite', 'redis+mongo'],
  ['redis+mongo', 'mongo'],
  ['mongo', 'redis+sqlite'],
  ['redis+sqlite', 'sqlite'],
] as const

for (const [from, to] of ways)
  test(
    `a running server moves from ${from} to ${to}`,
    { skip: (await pairMissing(from)) || (await pairMissing(to)) },
    (t) => moves(t, from, to),
  )
