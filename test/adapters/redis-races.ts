/** Races between two processes, for each way of running Redis. */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { openRedisArtifacts } from '#adapters/redis/index.ts'
import { systemClock } from '#kernel/clock.ts'
import { silentLog } from '#kernel/log.ts'
import { sha256 } from '#kernel/random.ts'
import { marked, redeemed } from '#test/contracts/single-use.ts'
import type { RedisService } from '../../scripts/redis.ts'
import { assertWonOnce, endContest, numbers } from './contention.ts'
import { message, together } from './processes.ts'
import { body, emptyAt, start } from './redis-world.ts'

const turns = async (count: number) => {
  for (let i = 0; i < count; i++) await turn()
}

const open = async (t: TestContext, url: string) => {
  const own = await openRedisArtifacts(url, { clock: systemClock, log: silentLog })
  t.after(() => own.close())
  return own
}

/** Two processes that contend as long as the test lasts. */
const contenders = async (t: TestContext, task: 'redeem' | 'mark', url: string) => {
  const children = [0, 1].map(() => start(t, task, url))
  await together(children)
  t.after(() => endContest(children))
  return children
}

/** Declares the cases. */
export const redisRaces = (service: () => Promise<RedisService>): void => {
  test('twenty contenders of two processes for each of 1,000 of every single-use kind: exactly 1,000 winners', async (t) => {
    const url = emptyAt(await service())
    const own = await open(t, url)
    const children = await contenders(t, 'redeem', url)
    for (const model of redeemed) {
      await Promise.all(numbers(1000).map((i) => own.put(model, { key: sha256(`${i}`), body })))
      await assertWonOnce(children, model, message)
    }
  })

  test('twenty contenders of two processes for each of 1,000 proofs of every kind: exactly 1,000 are first', async (t) => {
    const children = await contenders(t, 'mark', emptyAt(await service()))
    for (const model of marked) await assertWonOnce(children, model, message)
  })

  test('a row that several put under its grants while these are dropped does not outlive them', async (t) => {
    const url = emptyAt(await service())
    const stores = await Promise.all(numbers(3).map(() => open(t, url)))
    const someone = () => stores[randomInt(3)] as (typeof stores)[number]
    const expiresAt = systemClock.now() + 60_000
    for (let round = 0; round < 200; round++) {
      const key = sha256(`row ${round}`)
      const grants = numbers(1 + (round % 2)).map((i) => sha256(`grant ${round} ${i}`))
      const put = async (i: number) => {
        await turns(randomInt(4))
        const grant = grants[i % grants.length] as Buffer
        await someone().put('AccessToken', { key, body, expiresAt, grant, tags: [key], uid: key })
      }
      const drop = async (grant: Buffer) => {
        await turns(randomInt(4))
        await someone().dropGrant(grant, expiresAt)
      }
      await Promise.all([...numbers(4).map(put), ...grants.map(drop)])
      assert.equal(await someone().get('AccessToken', 'key', key), undefined)
      assert.equal(await someone().get('AccessToken', 'uid', key), undefined)
      assert.deepEqual(await someone().findTagged('AccessToken', key), [])
    }
  })

  test('whatever two processes put and drop at once: no row outlives its grant, none is lost to its look-ups', async (t) => {
    const url = emptyAt(await service())
    const own = await open(t, url)
    const dropped = new Set(((await together([0, 1].map(() => start(t, 'churn', url)))) as string[][]).flat())
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
