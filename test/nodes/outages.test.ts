/**
 * Redis and MongoDB frozen, killed, slow, full, failing over while a server answers requests on them: 503 with
 * Retry-After within the time, never a hang and never a false refusal; /readyz names the store; it goes on by itself.
 * SQLite: test/faults/store.test.ts.
 */
import assert from 'node:assert/strict'
import { after, describe, type TestContext, test } from 'node:test'
import { emptyPair, masterKey, pairMissing } from '#test/world/stores.ts'
import { type MongoServer, openMongoServers } from '../../scripts/mongo.ts'
import {
  flushedAlways,
  type RedisService,
  startRedis,
  startRedisCluster,
  startRedisSentinel,
} from '../../scripts/redis.ts'
import {
  asks,
  goesOn,
  type Held,
  health,
  judge,
  prepare,
  readyz,
  type Server,
  spends,
  startOn,
  unknowns,
  until,
} from './outage.ts'

const closing: (() => Promise<void>)[] = []
after(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** Whatever cannot be answered without artifacts. */
const needsArtifacts = ['client credentials', 'introspect', 'par', 'userinfo', 'authorize', 'login page']

/** A store is away between `leave` and `back`. */
const outage = async (
  server: Server,
  away: readonly string[],
  leave: () => Promise<unknown> | unknown,
  back: () => Promise<unknown> | unknown,
): Promise<void> => {
  const held = await prepare(server)
  assert.equal((await readyz(server)).status, 200, 'control')
  await leave()
  let spent: string[]
  try {
    const [refused, kept, ready, alive] = await Promise.all([
      judge(asks(server, held)),
      judge(spends(server, held)),
      readyz(server),
      health(server),
    ])
    if (away.includes('artifacts')) {
      for (const name of needsArtifacts) assert.ok(refused.includes(name), `${name} was answered: ${refused}`)
      assert.deepEqual(kept, ['code', 'refresh', 'login form'])
      assert.deepEqual(await judge(unknowns(server, held)), Object.keys(unknowns(server, held)))
    }
    spent = Object.keys(spends(server, held)).filter((name) => !kept.includes(name))
    assert.deepEqual(ready, { status: 503, away })
    assert.equal(alive.status, 200)
  } finally {
    await back()
  }
  await goesOn(server, held, spent)
}

/** Requests that go on all the time while something happens; answers how many were refused, each honestly. */
const meanwhile = async (server: Server, held: Held, happens: () => Promise<void>) => {
  let over = false
  let [served, refused] = [0, 0]
  const steady = asks(server, held)
  const worker = async () => {
    while (!over) {
      const count = (await judge(steady)).length
      refused += count
      served += Object.keys(steady).length - count
    }
  }
  const working = worker()
  try {
    await happens()
  } finally {
    over = true
    await working
  }
  return { served, refused }
}

describe('Redis for the artifacts', { skip: await pairMissing('redis+sqlite') }, () => {
  const open = async (t: TestContext) => {
    const redis = await startRedis(...flushedAlways)
    const { settings, close } = await emptyPair('sqlite')
    closing.push(close, () => redis.close())
    const [process] = redis.servers
    assert.ok(process)
    t.diagnostic(redis.url)
    const server = await startOn({ ...settings, stores: { ...settings.stores, artifacts: redis.url } })
    return { process, server }
  }

  test('frozen, killed, out of memory, slow', async (t) => {
    const { process, server } = await open(t)
    await t.test('frozen', () =>
      outage(
        server,
        ['artifacts'],
        () => process.freeze(),
        () => process.thaw(),
      ),
    )
    await t.test('killed and started again', () =>
      outage(
        server,
        ['artifacts'],
        () => process.kill(),
        () => process.start(),
      ),
    )
    await t.test('out of memory: what only reads is served', async () => {
      const held = await prepare(server)
      await process.ask('CONFIG SET maxmemory 1')
      try {
        const refused = await judge(asks(server, held))
        for (const name of ['client credentials', 'par', 'authorize']) assert.ok(refused.includes(name), name)
        for (const name of ['introspect', 'userinfo']) assert.ok(!refused.includes(name), name)
        assert.deepEqual(await judge(spends(server, held)), ['code', 'refresh', 'login form'])
        assert.equal((await health(server)).status, 200)
      } finally {
        await process.ask('CONFIG SET maxmemory 0')
      }
      await goesOn(server, held, [])
    })
    await t.test('slow: everybody waits, nobody is refused', async () => {
      const held = await prepare(server)
      await process.ask('CLIENT PAUSE 700 ALL')
      assert.deepEqual(await judge(asks(server, held)), [])
      await process.ask('CLIENT PAUSE 700 ALL')
      assert.deepEqual(await judge(spends(server, held)), [])
    })
  })
})

describe('a Redis group that fails over', { skip: await pairMissing('redis+sqlite') }, () => {
  const groups: Readonly<Record<string, () => Promise<RedisService>>> = {
    Sentinel: startRedisSentinel,
    Cluster: startRedisCluster,
  }
  for (const [name, startGroup] of Object.entries(groups))
    test(`${name}: its master is killed under requests`, async () => {
      const redis = await startGroup()
      const { settings, close } = await emptyPair('sqlite')
      closing.push(close, () => redis.close())
      const server = await startOn({ ...settings, stores: { ...settings.stores, artifacts: redis.url } })
      const held = await prepare(server)
      const { served } = await meanwhile(server, held, async () => {
        await redis.servers[0]?.kill()
        await until('away', async () => (await readyz(server)).status === 503).catch(() => undefined)
        await until('taken over', async () => (await readyz(server)).status === 200, 30_000)
      })
      assert.ok(served > 0)
      await goesOn(server, held, [])
    })
})

describe('MongoDB', { skip: await pairMissing('mongo') }, () => {
  let running: MongoServer | undefined
  const mongo = async (): Promise<MongoServer> => {
    if (running) return running
    const [first, ...others] = await openMongoServers()
    for (const other of others) await other.close()
    assert.ok(first)
    closing.push(() => first.close())
    running = first
    return first
  }

  test('for both: frozen, killed', async (t) => {
    const { process, database, durable } = await mongo()
    if (!process) return t.skip('MONGODB_URL names a server that is not ours to freeze')
    const url = database('gatehouse_outages')
    const server = await startOn({ stores: { artifacts: url, directory: url }, masterKey })
    await t.test('frozen', () =>
      outage(
        server,
        ['artifacts', 'directory'],
        () => process.freeze(),
        () => process.thaw(),
      ),
    )
    await t.test('killed and started again', { skip: !durable }, () =>
      outage(
        server,
        ['artifacts', 'directory'],
        () => process.kill(),
        () => process.start(),
      ),
    )
  })

  test('for the directory, beside Redis: frozen, killed', async (t) => {
    const { process, database, durable } = await mongo()
    if (!process) return t.skip('MONGODB_URL names a server that is not ours to freeze')
    const redis = await startRedis(...flushedAlways)
    closing.push(() => redis.close())
    const stores = { artifacts: redis.url, directory: database('gatehouse_directory') }
    const server = await startOn({ stores, masterKey })
    await t.test('frozen', () =>
      outage(
        server,
        ['directory'],
        () => process.freeze(),
        () => process.thaw(),
      ),
    )
    await t.test('killed and started again', { skip: !durable }, () =>
      outage(
        server,
        ['directory'],
        () => process.kill(),
        () => process.start(),
      ),
    )
  })
})
