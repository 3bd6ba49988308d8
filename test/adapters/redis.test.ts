/** One Redis server: the contracts of its two ports, its keys, its round trips. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { createRedisBus, openRedisArtifacts } from '#adapters/redis/index.ts'
import { openSqliteDirectory } from '#adapters/sqlite/index.ts'
import { randomId, sha256 } from '#kernel/random.ts'
import { artifactStoreContract } from '#test/contracts/artifact-store.ts'
import { busContract } from '#test/contracts/bus.ts'
import { settled } from '#test/world/settled.ts'
import { openRedis, startRedis } from '../../scripts/redis.ts'
import { startProxy } from './redis-proxy.ts'
import { body, clock, emptyAt, key, missing, shared, skip, store, unavailable, world } from './redis-world.ts'

const service = shared(openRedis)
/** Nobody else's, whatever REDIS_URL says: its keys are counted. */
const own = shared(startRedis)
const folder = mkdtempSync(join(tmpdir(), 'gatehouse-redis-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const full = (name: string) => ({
  key: sha256(name),
  body,
  expiresAt: clock.now() + 60_000,
  uid: sha256(`u ${name}`),
  userCode: sha256(`c ${name}`),
  tags: [sha256('t'), sha256(`t ${name}`)],
  grant: sha256(`g ${name}`),
})

describe('redis', { skip: missing }, () => {
  artifactStoreContract('redis', {
    open: async () => openRedisArtifacts(emptyAt(await service()), world),
    clock,
    skip: async (ms) => skip(ms),
    unswept: true,
  })

  test('replicas=1 where there is none: refused at once, with the reason', async () => {
    const { url } = await own()
    await assert.rejects(openRedisArtifacts(`${url}?replicas=1`, world), unavailable(/too few replicas/))
  })

  busContract('redis', {
    open: async (count) => {
      const path = join(folder, `${randomId()}.sqlite`)
      const url = emptyAt(await service())
      const node = async () => {
        const directory = await openSqliteDirectory(path, world)
        return { directory, bus: await createRedisBus(url, { directory, ...world }) }
      }
      return Promise.all(Array.from({ length: count }, node))
    },
  })

  describe('redis: bus without a directory', () => {
    const pair = async () => {
      const url = emptyAt(await own())
      const [here, there] = await Promise.all([createRedisBus(url, world), createRedisBus(url, world)])
      const told: { kind: string; id: string | undefined }[] = []
      there.onChange((kind, id) => told.push({ kind, id }))
      return { here, there, told, close: () => Promise.all([here.close(), there.close()]) }
    }

    test('a message comes with its id', async (t) => {
      const { here, told, close } = await pair()
      t.after(close)
      await here.publish('client', 'a')
      await settled('the change is told', () => told.some(({ kind, id }) => kind === 'client' && id === 'a'), 5_000)
    })

    test('what was published while messages are lost is told within a second, and messages come again', async (t) => {
      const { here, told, close } = await pair()
      t.after(close)
      const [server] = (await own()).servers
      // Redis refuses the channel to whoever listens, and ends those who do.
      await server?.ask('ACL SETUSER default resetchannels')
      t.after(() => server?.ask('ACL SETUSER default allchannels'))
      await here.publish('client', 'a').catch(() => undefined)
      await settled('the rebuild is told', () => told.some(({ kind }) => kind === 'client'), 1000)
      await server?.ask('ACL SETUSER default allchannels')
      await settled(
        'messages come again',
        async () => {
          await here.publish('mapping', 'b')
          return told.some(({ kind, id }) => kind === 'mapping' && id === 'b')
        },
        5_000,
      )
    })
  })

  describe('redis: keys', () => {
    const keysOf = async (): Promise<number> => {
      const [server] = (await own()).servers
      return Number((await server?.ask('DBSIZE'))?.slice(1))
    }

    test('nothing is left of a row that was dropped, and of one whose grant was dropped what ends soon', async (t) => {
      const artifacts = await store(t, emptyAt(await own()))
      const [server] = (await own()).servers
      await server?.ask('FLUSHALL')
      await artifacts.put('Session', full('a'))
      await artifacts.put('Session', full('a'))
      await artifacts.drop('Session', sha256('a'))
      await settled('no key is left', async () => (await keysOf()) === 0, 5_000)
      await artifacts.put('Session', full('b'))
      assert.equal(await artifacts.dropGrant(sha256('g b'), clock.now() + 1000), 1)
      await settled('two keys are left', async () => (await keysOf()) === 2, 5_000)
    })

    test('whatever expires has a time to live in Redis too', async (t) => {
      const prefix = randomId()
      const artifacts = await store(t, `${(await own()).url}?prefix=${prefix}`)
      const [server] = (await own()).servers
      await server?.ask('FLUSHALL')
      await artifacts.put('Session', full('a'))
      await artifacts.put('Session', { ...full('a'), expiresAt: clock.now() + 120_000 })
      await artifacts.putOnce('Replay', key, clock.now() + 60_000)
      await artifacts.increment(key, 1, clock.now() + 60_000)
      await artifacts.dropGrant(sha256('g'), clock.now() + 60_000)
      const found = (await server?.ask('KEYS *'))?.match(new RegExp(`${prefix}:gh1:\\S+`, 'g')) ?? []
      assert.ok(found.length >= 9, found.join('\n'))
      for (const name of found) {
        const ttl = Number((await server?.ask(`PTTL ${name}`))?.slice(1))
        assert.ok(ttl > 50_000 && ttl < 200_000, `${name} ${ttl}`)
      }
    })

    test('an index drops what has expired while it is used', async (t) => {
      const prefix = randomId()
      const artifacts = await store(t, `${(await own()).url}?prefix=${prefix}`)
      const [server] = (await own()).servers
      const tag = sha256('t')
      for (let round = 0; round < 10; round++) {
        const put = (_: unknown, i: number) =>
          artifacts.put('Trace', { key: sha256(`${round} ${i}`), body, tags: [tag], expiresAt: clock.now() + 1000 })
        await Promise.all(Array.from({ length: 100 }, put))
        skip(120_000)
      }
      const size = await server?.ask(`ZCARD ${prefix}:gh1:t:Trace:${tag.toString('base64url')}`)
      assert.ok(Number(size?.slice(1)) <= 200, size)
    })

    test('of more rows than asked for the oldest come, though another expires first', async (t) => {
      const artifacts = await store(t, emptyAt(await own()))
      for (let i = 0; i < 30; i++)
        await artifacts.put('Session', {
          key: sha256(`row ${i}`),
          body: Buffer.from(String(i)),
          tags: [key],
          expiresAt: clock.now() + 100_000 - i,
        })
      const found = await artifacts.findTagged('Session', key, 3)
      assert.deepEqual(
        found.map((row) => Buffer.from(row.body).toString()),
        ['0', '1', '2'],
      )
    })
  })

  test('redis: what a login does often is one round trip', async (t) => {
    const proxy = await startProxy((await own()).url)
    const artifacts = await openRedisArtifacts(emptyAt(proxy), world)
    t.after(async () => {
      await artifacts.close()
      await proxy.close()
    })
    const session = full('session')
    await artifacts.put('Session', session)
    // Scripts travel whole once.
    await artifacts.redeem('Code', key, 'n', 1)
    await artifacts.putOnce('Replay', sha256('first'), clock.now() + 1000)
    await artifacts.drop('Code', key)
    await artifacts.ready()
    const trips = async (work: Promise<unknown>): Promise<number> => {
      const before = proxy.sent()
      await work
      const sent = proxy.sent() - before
      // What is cleaned up behind the answer's back is no part of it.
      await artifacts.ready()
      return sent
    }
    const { grant, expiresAt } = session
    assert.equal(await trips(artifacts.put('Code', { key, body, grant, expiresAt })), 1, 'a code')
    assert.equal(await trips(artifacts.get('Code', 'key', key)), 1, 'a row by its key')
    assert.equal(await trips(artifacts.redeem('Code', key, 'nonce', 1)), 1, 'redeeming')
    assert.equal(await trips(artifacts.get('Session', 'uid', session.uid)), 1, 'a session by its uid')
    assert.equal(await trips(artifacts.putOnce('Replay', key, expiresAt)), 1, 'a marker')
    assert.equal(
      await trips(Promise.all(['a', 'b', 'c'].map((name) => artifacts.get('Session', 'key', sha256(name))))),
      1,
      'three rows at once',
    )
    assert.ok((await trips(artifacts.put('Session', session))) <= 2, 'a session again, and what follows the answer')
    assert.equal(await trips(artifacts.drop('Code', key)), 1, 'a drop')
  })
})
