/** Races between two processes, for each way of running Redis. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openRedisArtifacts } from '#adapters/redis/index.ts'
import { systemClock } from '#kernel/clock.ts'
import { silentLog } from '#kernel/log.ts'
import { sha256 } from '#kernel/random.ts'
import type { RedisService } from '../../scripts/redis.ts'
import { body, emptyAt, together } from './redis-world.ts'

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

const open = async (t: TestContext, url: string) => {
  const own = await openRedisArtifacts(url, { clock: systemClock, log: silentLog })
  t.after(() => own.close())
  return own
}

/** Each number was won once, and both took part. */
const assertShared = (won: readonly unknown[], count: number): void => {
  const lists = won as number[][]
  assert.ok(lists.every(({ length }) => length > 0))
  assert.deepEqual(
    lists.flat().sort((a, b) => a - b),
    numbers(count),
  )
}

/** Declares the cases. */
export const redisRaces = (service: () => Promise<RedisService>): void => {
  test('twenty contenders of two processes for each of 1,000 codes: exactly 1,000 winners', async (t) => {
    const url = emptyAt(await service())
    const own = await open(t, url)
    await Promise.all(numbers(1000).map((i) => own.put('AuthorizationCode', { key: sha256(`code ${i}`), body })))
    assertShared(await together(t, 'redeem', url), 1000)
  })

  test('twenty contenders of two processes for each of 1,000 markers: exactly 1,000 are first', async (t) => {
    assertShared(await together(t, 'mark', emptyAt(await service())), 1000)
  })

  test('whatever two processes put and drop at once: no row outlives its grant, none is lost to its look-ups', async (t) => {
    const url = emptyAt(await service())
    const own = await open(t, url)
    const dropped = new Set(((await together(t, 'churn', url)) as string[][]).flat())
    assert.ok(dropped.size >= 6, `${dropped.size} grants dropped`)
    const buried = new Set([...dropped].map((name) => sha256(name).toString('hex')))
    const grants = new Map<string, number>()
    let rows = 0
    for await (const { model, row } of own.scan()) {
      rows++
      for (const tag of row.tags ?? []) {
        const found = await own.findTagged(model, tag)
        assert.ok(found.some(({ key }) => Buffer.compare(key, row.key) === 0))
      }
      if (row.uid) {
        const found = await own.get(model, 'uid', row.uid)
        assert.deepEqual(Buffer.from(found?.key ?? []), Buffer.from(row.key))
      }
      if (!row.grant) continue
      const grant = Buffer.from(row.grant).toString('hex')
      assert.ok(!buried.has(grant), 'of a dropped grant')
      grants.set(grant, (grants.get(grant) ?? 0) + 1)
    }
    assert.ok(rows > 0 && grants.size > 0)
    for (const [grant, count] of grants)
      assert.equal(await own.dropGrant(Buffer.from(grant, 'hex'), systemClock.now() + 60_000), count)
  })
}
