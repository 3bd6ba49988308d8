/** A Redis Cluster of three masters and three replicas: the same contracts, and masters that move, freeze or die. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { createRedisBus, openRedisArtifacts } from '#adapters/redis/index.ts'
import { systemClock } from '#kernel/clock.ts'
import { silentLog } from '#kernel/log.ts'
import { randomId, sha256 } from '#kernel/random.ts'
import { artifactStoreContract } from '#test/contracts/artifact-store.ts'
import { settled } from '#test/world/settled.ts'
import { type RedisProcess, startRedisCluster } from '../../scripts/redis.ts'
import { atWork, lossOf } from './redis-load.ts'
import { redisRaces } from './redis-races.ts'
import { body, clock, emptyAt, isReady, missing, shared, skip, store, unavailable, world } from './redis-world.ts'

const service = shared(startRedisCluster)
const realTime = { clock: systemClock, log: silentLog }

const says = async (server: RedisProcess, command: string, text: string): Promise<boolean> =>
  (await server.ask(command).catch(() => '')).includes(text)

/** A master, one of its replicas. */
const pairOf = async () => {
  const { servers } = await service()
  for (const replica of servers) {
    const port = /master_port:(\d+)/.exec(await replica.ask('INFO replication'))?.[1]
    const master = servers.find((server) => String(server.port) === port)
    if (master && (await says(replica, 'INFO replication', 'master_link_status:up'))) return { master, replica }
  }
  throw new Error('no replica')
}

/** Every slot has a master again and every server its place. */
const whole = async (): Promise<void> => {
  const { servers } = await service()
  await settled(
    'the cluster is whole',
    async () => {
      const well = servers.map(async (server) => {
        const replication = await server.ask('INFO replication')
        return (
          /role:master|master_link_status:up/.test(replication) &&
          (await says(server, 'CLUSTER INFO', 'cluster_state:ok'))
        )
      })
      return (await Promise.all(well).catch(() => [false])).every(Boolean)
    },
    15_000,
  )
}

describe('redis cluster', { skip: missing }, () => {
  artifactStoreContract('redis cluster', {
    open: async () => openRedisArtifacts(emptyAt(await service()), world),
    clock,
    skip: async (ms) => skip(ms),
    unswept: true,
  })
  redisRaces(service)

  test('its address must say that it is one', async () => {
    const [server] = (await service()).servers
    await assert.rejects(openRedisArtifacts(`redis://127.0.0.1:${server?.port}`, world), unavailable(/redis\+cluster:/))
  })

  test('the bus reaches every node of Gatehouse', async (t) => {
    const url = emptyAt(await service())
    const [here, there] = await Promise.all([createRedisBus(url, world), createRedisBus(url, world)])
    t.after(() => Promise.all([here.close(), there.close()]))
    const told: (string | undefined)[] = []
    there.onChange((_, id) => told.push(id))
    await here.publish('client', 'a')
    await settled('the change is told', () => told.includes('a'), 5_000)
  })

  test('a slot that moves to another server while it is used: no call is refused', async (t) => {
    const { url, servers } = await service()
    // With braces all keys of this store are in one slot.
    const prefix = `{${randomId()}}`
    const own = await store(t, `${url}?prefix=${prefix}`, realTime)
    const keys = Array.from({ length: 300 }, (_, i) => sha256(`row ${i}`))
    await Promise.all(keys.map((key) => own.put('Code', { key, body, tags: [key] })))
    const [first] = servers
    assert.ok(first)
    const slot = (await first.ask(`CLUSTER KEYSLOT ${prefix}`)).slice(1).trim()
    const count = async (server: RedisProcess) => Number((await server.ask(`CLUSTER COUNTKEYSINSLOT ${slot}`)).slice(1))
    const masters = await Promise.all(servers.map((server) => says(server, 'ROLE', 'master')))
    const sources = await Promise.all(
      servers.map(async (server, i) => masters[i] === true && (await count(server)) > 0),
    )
    const source = servers[sources.indexOf(true)]
    const target = servers.find((server, i) => masters[i] && server !== source)
    assert.ok(source && target)
    const id = async (server: RedisProcess) => /[0-9a-f]{40}/.exec(await server.ask('CLUSTER MYID'))?.[0]
    // Some rows here, some there already: in one turn, one is found and another redirected.
    const reading = async () => {
      for (const rows of await Promise.all(keys.map((key) => own.findTagged('Code', key)))) assert.equal(rows.length, 1)
    }
    const work = await atWork(own, async () => {
      await target.ask(`CLUSTER SETSLOT ${slot} IMPORTING ${await id(source)}`)
      await source.ask(`CLUSTER SETSLOT ${slot} MIGRATING ${await id(target)}`)
      for (let left = await count(source); left > 0; left = await count(source)) {
        // Keys of earlier tests may be in this slot too.
        const found = (await source.ask(`CLUSTER GETKEYSINSLOT ${slot} 40`)).match(/^[^*$\s]\S*/gm) ?? []
        await source.ask(`MIGRATE 127.0.0.1 ${target.port} "" 0 1000 KEYS ${found.join(' ')}`)
        await reading()
      }
      for (const server of [target, source]) await server.ask(`CLUSTER SETSLOT ${slot} NODE ${await id(target)}`)
    })
    assert.ok(work.put.length > 50)
    assert.equal(work.refusals, 0)
    assert.deepEqual(await lossOf(own, work), { lost: 0, revived: 0 })
    await reading()
  })

  test('a planned change of masters: no call is refused, nothing is lost', async (t) => {
    const own = await store(t, emptyAt(await service()), realTime)
    const { replica } = await pairOf()
    const work = await atWork(own, async () => {
      await replica.ask('CLUSTER FAILOVER')
      await settled('the replica has taken over', () => says(replica, 'ROLE', 'master'), 5_000)
      await delay(500)
    })
    assert.ok(work.put.length > 50)
    assert.equal(work.refusals, 0)
    assert.deepEqual(await lossOf(own, work), { lost: 0, revived: 0 })
    await whole()
  })

  test('masters that are killed and started again under load, replicas=1: nothing acknowledged is lost', async (t) => {
    // One that takes its time to start is replaced meanwhile.
    const own = await store(t, `${emptyAt(await service())}&replicas=1`, realTime)
    const { servers } = await service()
    const work = await atWork(own, async () => {
      for (const server of servers) {
        if (!(await says(server, 'ROLE', 'master'))) continue
        await delay(100)
        await server.kill()
        await server.start()
        await whole()
      }
    })
    t.diagnostic(`put ${work.put.length}, refused ${work.refusals}, longest gap ${work.gap} ms`)
    assert.ok(work.put.length > 20)
    assert.deepEqual(await lossOf(own, work), { lost: 0, revived: 0 })
  })

  for (const replicas of [0, 1])
    test(`a master dies whose replica lags behind, replicas=${replicas}: ${replicas ? 'nothing' : 'the lag'} is lost`, async (t) => {
      const own = await store(t, `${emptyAt(await service())}&replicas=${replicas}`, realTime)
      const { master, replica } = await pairOf()
      const work = await atWork(own, async () => {
        await delay(500)
        replica.freeze()
        await master.ask('CLIENT KILL TYPE replica')
        await delay(300)
        await master.kill()
        replica.thaw()
        await settled('the replica has taken over', () => says(replica, 'ROLE', 'master'), 15_000)
        // With replicas=1 nobody confirms its writes before it has one itself.
        await master.start()
        await whole()
        await settled('the store is back', isReady(own), 15_000)
        await delay(200)
      })
      const loss = await lossOf(own, work)
      t.diagnostic(
        `put ${work.put.length}, refused ${work.refusals}, longest gap ${work.gap} ms, ${JSON.stringify(loss)}`,
      )
      assert.ok(work.put.length > 50 && work.redeemed.length > 50)
      if (replicas > 0) assert.deepEqual(loss, { lost: 0, revived: 0 })
      else assert.ok(loss.lost > 0, 'nothing shows that the case is one')
    })

  for (const [how, fail, heal] of [
    ['dies', (master: RedisProcess) => master.kill(), (master: RedisProcess) => master.start()],
    ['freezes', async (master: RedisProcess) => master.freeze(), async (master: RedisProcess) => master.thaw()],
  ] as const)
    test(`a master ${how}: calls are refused in time, its replica takes over without a restart of ours`, async (t) => {
      const own = await store(t, emptyAt(await service()), realTime)
      const { master, replica } = await pairOf()
      const work = await atWork(own, async () => {
        await delay(500)
        await fail(master)
        await settled('the replica has taken over', () => says(replica, 'ROLE', 'master'), 15_000)
        await settled('the store is back', isReady(own), 15_000)
        await delay(500)
      })
      const loss = await lossOf(own, work)
      t.diagnostic(
        `put ${work.put.length}, refused ${work.refusals}, longest gap ${work.gap} ms, ${JSON.stringify(loss)}`,
      )
      // What was acknowledged in the last moment may be lost, since replication does not wait: a handful, never more.
      assert.ok(loss.lost <= 20 && loss.revived <= 20, JSON.stringify(loss))
      await heal(master)
      await whole()
      assert.equal(await own.put('Code', { key: sha256('after'), body }), 'stored')
    })
})
