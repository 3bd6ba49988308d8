/** A Redis that freezes, dies, comes back, loses answers, is full or read-only: refused in time, never a false answer. */
import assert from 'node:assert/strict'
import { mkdirSync, rmSync } from 'node:fs'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { openRedisArtifacts } from '#adapters/redis/index.ts'
import { systemClock } from '#kernel/clock.ts'
import { silentLog } from '#kernel/log.ts'
import { sha256 } from '#kernel/random.ts'
import { settled } from '#test/world/settled.ts'
import { flushedAlways, type RedisProcess, startRedis } from '../../scripts/redis.ts'
import { atWork, lossOf } from './redis-load.ts'
import { startProxy } from './redis-proxy.ts'
import { body, isReady, key, missing, unavailable } from './redis-world.ts'

// Real time: Redis and Gatehouse go by the same here.
const world = { clock: systemClock, log: silentLog }
const PORT_LIMIT = 2000
/** For a machine that is busy with other tests. */
const TOLERANCE = 500

const open = async (t: TestContext, ...more: string[]) => {
  const service = await startRedis(...more)
  const store = await openRedisArtifacts(service.url, world)
  t.after(async () => {
    await store.close()
    await service.close()
  })
  const [server] = service.servers
  assert.ok(server)
  return { store, server, url: service.url }
}

const inTime = async <T>(work: () => Promise<T>): Promise<T> => {
  const began = performance.now()
  try {
    return await work()
  } finally {
    const took = performance.now() - began
    assert.ok(took < PORT_LIMIT + TOLERANCE, `${took} ms`)
  }
}

/** Through a proxy that can be told to misbehave. */
const openProxied = async (t: TestContext) => {
  const service = await startRedis()
  const proxy = await startProxy(service.url)
  const store = await openRedisArtifacts(proxy.url, world)
  t.after(async () => {
    await store.close()
    await proxy.close()
    await service.close()
  })
  return { store, proxy }
}

/** Info of a server that may not be there yet. */
const answers = (server: RedisProcess, text: string) =>
  server.ask('INFO replication').then(
    (info) => info.includes(text),
    () => false,
  )

describe('redis: trouble', { skip: missing }, () => {
  test('frozen: every call is refused in time, readiness too; thawed, it is used again', async (t) => {
    const { store, server } = await open(t)
    await store.put('Code', { key, body })
    server.freeze()
    const calls: Record<string, () => Promise<unknown>> = {
      put: () => store.put('Code', { key: sha256('b'), body, grant: key, tags: [key], uid: key }),
      get: () => store.get('Code', 'key', key),
      uid: () => store.get('Code', 'uid', key),
      tagged: () => store.findTagged('Code', key),
      redeem: () => store.redeem('Code', key, 'mine', 1),
      once: () => store.putOnce('Replay', key, systemClock.now() + 60_000),
      count: () => store.increment(key, 1, systemClock.now() + 60_000),
      dropGrant: () => store.dropGrant(sha256('g'), systemClock.now() + 60_000),
      ready: () => store.ready(),
    }
    await Promise.all(
      Object.values(calls).map((call) => inTime(() => assert.rejects(call(), unavailable(/did not answer/)))),
    )
    // Whoever comes while the first ones are refused waits no longer than they.
    await inTime(() => assert.rejects(store.ready(), unavailable(/./)))
    server.thaw()
    await settled('the store is back', isReady(store), 5_000)
    // Refused, though Redis may have done it since: whoever tries again with another nonce must not win then.
    const late = await store.get('Code', 'key', key)
    const again = await store.redeem('Code', key, 'another', 2)
    assert.equal(again, late?.consumedAt === undefined ? 'won' : 'lost')
    assert.equal(await store.redeem('Code', key, 'third', 3), 'lost')
  })

  test('closing does not wait for a frozen server', async (t) => {
    const { store, server } = await open(t)
    server.freeze()
    const waiting = assert.rejects(store.get('Code', 'key', key), unavailable(/./))
    await inTime(() => store.close())
    await waiting
    server.thaw()
  })

  test('killed with an append-only file: what was acknowledged stays, what was used stays used', async (t) => {
    const { store, server } = await open(t, ...flushedAlways)
    const written: number[] = []
    const redeemed: number[] = []
    const dropped: number[] = []
    const refused: unknown[] = []
    let killed = false
    const lane = async (first: number) => {
      for (let i = first; !killed && i < 100_000; i += 8) {
        try {
          const expiresAt = systemClock.now() + 600_000
          await store.put('Code', { key: sha256(`code ${i}`), body, expiresAt, grant: sha256(`grant ${i}`) })
          written.push(i)
          if (i % 3 === 0 && (await store.redeem('Code', sha256(`code ${i}`), 'n', 1)) === 'won') redeemed.push(i)
          if (i % 5 === 0) {
            await store.dropGrant(sha256(`grant ${i}`), expiresAt)
            dropped.push(i)
          }
        } catch (error) {
          refused.push(error)
          return
        }
      }
    }
    const lanes = Array.from({ length: 8 }, (_, nth) => lane(nth))
    await settled('500 rows are written', () => written.length > 500, 15_000)
    await server.kill()
    const died = performance.now()
    await inTime(() => Promise.all(lanes))
    killed = true
    assert.ok(refused.length > 0 && refused.every(unavailable(/./)))
    await inTime(() => assert.rejects(store.ready(), unavailable(/./)))
    await server.start()
    const started = performance.now()
    await settled('the store is back', isReady(store), 5_000)
    assert.ok(performance.now() - started < 3000, `ready ${performance.now() - started} ms after the start`)
    assert.ok(started > died)
    const gone = new Set(dropped)
    for (const i of written) {
      const row = await store.get('Code', 'key', sha256(`code ${i}`))
      // What was under way when it died is unknown: it may be gone already.
      if (!gone.has(i) && i % 5 !== 0) assert.ok(row, `code ${i}`)
      if (gone.has(i)) assert.equal(row, undefined)
    }
    for (const i of redeemed.filter((i) => !gone.has(i) && i % 5 !== 0))
      assert.equal(await store.redeem('Code', sha256(`code ${i}`), 'other', 2), 'lost', `code ${i}`)
    const [buried] = dropped
    assert.ok(buried !== undefined && redeemed.length > 0)
    assert.equal(await store.put('Code', { key, body, grant: sha256(`grant ${buried}`) }), 'revoked')
  })

  test('killed and started again five times under load: nothing acknowledged is lost, nothing used is usable', async (t) => {
    const { store, server } = await open(t, ...flushedAlways)
    const work = await atWork(store, async () => {
      for (let round = 0; round < 5; round++) {
        await delay(200)
        await server.kill()
        await server.start()
        const started = performance.now()
        await settled('the store is back', isReady(store), 5_000)
        const took = Math.round(performance.now() - started)
        assert.ok(took < 3000, `ready ${took} ms after the start`)
      }
    })
    t.diagnostic(`put ${work.put.length}, used ${work.redeemed.length}, refused ${work.refusals}`)
    assert.ok(work.put.length > 100 && work.redeemed.length > 100)
    assert.deepEqual(await lossOf(store, work), { lost: 0, revived: 0 })
  })

  test('slow: what is slow is done, what is too slow is refused in time', async (t) => {
    const { store, proxy } = await openProxied(t)
    const row = { key, body, expiresAt: systemClock.now() + 60_000, uid: key, tags: [key], grant: key }
    await store.put('Code', row)
    proxy.slowDown(400)
    assert.equal(await inTime(() => store.put('Code', row)), 'stored')
    assert.ok(await inTime(() => store.get('Code', 'uid', key)))
    assert.equal((await inTime(() => store.findTagged('Code', key))).length, 1)
    assert.equal(await inTime(() => store.redeem('Code', key, 'mine', 1)), 'won')
    await inTime(() => store.ready())
    proxy.slowDown(3000)
    for (const call of [() => store.get('Code', 'key', key), () => store.redeem('Code', key, 'yours', 1)])
      await inTime(() => assert.rejects(call(), unavailable(/./)))
    proxy.slowDown(0)
    await settled('the store is back', isReady(store), 5_000)
    assert.equal((await store.get('Code', 'key', key))?.consumedAt, 1)
  })

  test('it cannot save to its disk: writes are refused with the reason, reads work, a disk heals', async (t) => {
    const { store, server, url } = await open(t, '--enable-protected-configs', 'yes')
    await store.put('Code', { key, body })
    const folder = /\r\n(\/[^\r]+)/.exec(await server.ask('CONFIG GET dir'))?.[1] ?? ''
    rmSync(folder, { recursive: true })
    await server.ask('CONFIG SET save "3600 1"')
    await server.ask('BGSAVE')
    await settled(
      'the snapshot has failed',
      async () => (await server.ask('INFO persistence')).includes('rdb_last_bgsave_status:err'),
      5_000,
    )
    const unsaved = unavailable(/cannot save to its disk/)
    await assert.rejects(store.put('Code', { key: sha256('b'), body }), unsaved)
    await assert.rejects(store.redeem('Code', key, 'n', 1), unsaved)
    await assert.rejects(store.putOnce('Replay', key, systemClock.now() + 1000), unsaved)
    await assert.rejects(store.ready(), unsaved)
    await assert.rejects(openRedisArtifacts(url, world), unsaved)
    assert.equal((await store.get('Code', 'key', key))?.consumedAt, undefined)
    mkdirSync(folder)
    await server.ask(`CONFIG SET dir ${folder}`)
    await server.ask('BGSAVE')
    await settled(
      'the snapshot has succeeded',
      async () => (await server.ask('INFO persistence')).includes('rdb_last_bgsave_status:ok'),
      5_000,
    )
    await store.ready()
    assert.equal(await store.redeem('Code', key, 'n', 1), 'won')
  })

  test('an answer that is lost: the call is sent again, once in effect', async (t) => {
    const { store, proxy } = await openProxied(t)
    const losing = <T>(work: () => Promise<T>): Promise<T> => {
      proxy.loseNextAnswer()
      return inTime(work)
    }
    const expiresAt = systemClock.now() + 60_000
    const row = { key, body, expiresAt, uid: key, tags: [key] }
    assert.equal(await losing(() => store.put('Code', row, { ifRevision: 0 })), 'stored')
    assert.equal((await store.get('Code', 'uid', key))?.revision, 1)
    assert.equal(await losing(() => store.put('Code', row, { ifRevision: 1 })), 'stored')
    assert.equal((await store.get('Code', 'key', key))?.revision, 2)
    assert.equal(await losing(() => store.redeem('Code', key, 'mine', 1)), 'won')
    assert.equal(await store.redeem('Code', key, 'yours', 2), 'lost')
    assert.equal(await losing(() => store.putOnce('Replay', key, expiresAt)), true)
    assert.equal(await store.putOnce('Replay', key, expiresAt), false)
    assert.equal((await losing(() => store.get('Code', 'key', key)))?.consumedAt, 1)
    assert.equal(await losing(() => store.increment(key, 1, expiresAt)), 1)
    assert.equal(await store.increment(key, 0, expiresAt), 1)
  })

  test('forgotten scripts are brought again', async (t) => {
    const { store, server } = await open(t)
    await store.put('Code', { key, body })
    await server.ask('SCRIPT FLUSH')
    assert.equal(await store.put('Code', { key, body, tags: [key] }), 'stored')
    assert.equal(await store.redeem('Code', key, 'n', 1), 'won')
  })

  test('full: writes are refused with the reason and change nothing, reads and drops work, room heals', async (t) => {
    const { store, server } = await open(t)
    await store.put('Code', { key, body, tags: [key] })
    await server.ask('CONFIG SET maxmemory 1')
    const full = unavailable(/out of memory/)
    await assert.rejects(store.put('Code', { key, body: Buffer.from('other') }), full)
    await assert.rejects(store.redeem('Code', key, 'n', 1), full)
    await assert.rejects(store.putOnce('Replay', key, systemClock.now() + 1000), full)
    await assert.rejects(store.ready(), full)
    const row = await store.get('Code', 'key', key)
    assert.equal(Buffer.from(row?.body ?? []).toString(), 'body')
    assert.equal(row?.consumedAt, undefined)
    assert.equal((await store.findTagged('Code', key)).length, 1)
    await store.drop('Code', key)
    assert.equal(await store.get('Code', 'key', key), undefined)
    await server.ask('CONFIG SET maxmemory 0')
    assert.equal(await store.put('Code', { key, body }), 'stored')
    await store.ready()
  })

  test('made a replica: writes are refused, made a master again they are not', async (t) => {
    const { store, server } = await open(t)
    await server.ask('REPLICAOF 127.0.0.1 1')
    await inTime(() => assert.rejects(store.put('Code', { key, body }), unavailable(/./)))
    await server.ask('REPLICAOF NO ONE')
    assert.ok(await answers(server, 'role:master'))
    await settled('the store is back', isReady(store), 5_000)
    assert.equal(await store.put('Code', { key, body }), 'stored')
  })

  test('a connection that is cut is made anew without anybody noticing', async (t) => {
    const { store, server } = await open(t)
    for (let round = 0; round < 5; round++) {
      const puts = Array.from({ length: 50 }, (_, i) => store.put('Code', { key: sha256(`${round} ${i}`), body }))
      await server.ask('CLIENT KILL TYPE normal SKIPME yes')
      assert.deepEqual(new Set(await inTime(() => Promise.all(puts))), new Set(['stored']))
    }
  })
})
