/** A Redis with two replicas and three sentinels: the same contracts, and masters that are replaced, freeze or die. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { createRedisBus, openRedisArtifacts } from '#adapters/redis/index.ts'
import { systemClock } from '#kernel/clock.ts'
import { silentLog } from '#kernel/log.ts'
import { sha256 } from '#kernel/random.ts'
import { artifactStoreContract } from '#test/contracts/artifact-store.ts'
import { settled } from '#test/world/settled.ts'
import { type RedisProcess, startRedisSentinel } from '../../scripts/redis.ts'
import { atWork, lossOf } from './redis-load.ts'
import { redisRaces } from './redis-races.ts'
import { body, clock, emptyAt, isReady, missing, shared, skip, store, world } from './redis-world.ts'

const service = shared(startRedisSentinel)
const realTime = { clock: systemClock, log: silentLog }
/** ms: a sentinel that could not make a replica follow tries again after 10 s. */
const REPAIR = 30_000

const mastersNow = async (): Promise<RedisProcess[]> => {
  const { servers } = await service()
  const roles = await Promise.all(servers.map((server) => server.ask('ROLE').catch(() => '')))
  return servers.filter((_, i) => roles[i]?.includes('master'))
}

/** The master, once nobody else takes itself for one and a replica follows it. */
const onlyMaster = async (): Promise<RedisProcess> => {
  let masters: RedisProcess[] = []
  await settled(
    'there is one master, with a replica',
    async () => {
      masters = await mastersNow()
      const replication = masters.length === 1 ? await masters[0]?.ask('INFO replication') : undefined
      return /connected_slaves:[1-9]/.test(replication ?? '')
    },
    REPAIR,
  )
  const [master] = masters
  assert.ok(master)
  return master
}

describe('redis sentinel', { skip: missing }, () => {
  artifactStoreContract('redis sentinel', {
    open: async () => openRedisArtifacts(emptyAt(await service()), world),
    clock,
    skip: async (ms) => skip(ms),
    unswept: true,
  })
  redisRaces(service)

  for (const [how, replicas, fail] of [
    ['dies', 1, (master: RedisProcess) => master.kill()],
    ['freezes', 0, async (master: RedisProcess) => master.freeze()],
  ] as const)
    test(`the master ${how}, replicas=${replicas}: calls are refused in time, a replica takes over by itself`, async (t) => {
      const url = `${emptyAt(await service())}&replicas=${replicas}`
      const own = await store(t, url, realTime)
      const [here, there] = await Promise.all([createRedisBus(url, realTime), createRedisBus(url, realTime)])
      t.after(() => Promise.all([here.close(), there.close()]))
      const told: (string | undefined)[] = []
      there.onChange((_, id) => told.push(id))
      const master = await onlyMaster()
      const work = await atWork(own, async () => {
        await delay(500)
        await fail(master)
        await settled(
          'a replica has taken over',
          async () => (await mastersNow()).some((other) => other !== master),
          15_000,
        )
        await settled('the store is back', isReady(own), 15_000)
        await delay(500)
      })
      const loss = await lossOf(own, work)
      t.diagnostic(
        `put ${work.put.length}, refused ${work.refusals}, longest gap ${work.gap} ms, ${JSON.stringify(loss)}`,
      )
      // What was acknowledged in the last moment may be lost where replicas are not waited for: a handful, never more.
      const most = replicas > 0 ? 0 : 20
      assert.ok(loss.lost <= most && loss.revived <= most, JSON.stringify(loss))
      // While the last replica changes sides, nobody may be there to confirm a write.
      const put = () => own.put('Code', { key: sha256(how), body }).catch(() => 'refused')
      await settled('a write is taken', async () => (await put()) === 'stored', REPAIR)
      // The former master comes back as one, until the sentinels see it: nothing is read from it meanwhile.
      master.thaw()
      for (let round = 0; round < 10; round++) {
        assert.ok(await own.get('Code', 'key', sha256(how)))
        await delay(50)
      }
      await settled(
        'the change is told',
        async () => {
          await here.publish('client', how).catch(() => undefined)
          return told.includes(how)
        },
        5_000,
      )
    })
})
