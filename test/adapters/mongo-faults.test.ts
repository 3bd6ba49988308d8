/** The MongoDB store when its server is frozen, killed or in trouble: refused within 2 s, never a false answer, back by itself. */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { createMongoBus, openMongoArtifacts, openMongoDirectory } from '#adapters/mongo/index.ts'
import { systemClock } from '#kernel/clock.ts'
import { sha256 } from '#kernel/random.ts'
import { settled } from '#test/world/settled.ts'
import { Middleman, type Verdict } from './mongo-middleman.ts'
import { hasty, newDatabase, raw, servers, skip, unavailable, world } from './mongo-world.ts'

const body = Buffer.from('body')
const key = sha256('a')

/** What waiting and being told may take together. */
const PATIENCE = 2400
/** From the server's return to the store's. */
const RECOVERY = 5000

const stores = async (t: TestContext, url: string) => {
  const artifacts = await openMongoArtifacts(url, hasty)
  const directory = await openMongoDirectory(url, hasty)
  t.after(async () => {
    await artifacts.close()
    await directory.close()
  })
  return { artifacts, directory }
}
type Stores = Awaited<ReturnType<typeof stores>>

/** One call of every sort; each is to be refused in time. */
const allRefused = async ({ artifacts, directory }: Stores): Promise<void> => {
  const began = performance.now()
  const calls = [
    artifacts.get('Session', 'key', key),
    artifacts.put('Session', { key, body }),
    artifacts.redeem('AuthorizationCode', sha256('code'), 'in the dark', 1),
    artifacts.putOnce('Replay', key, systemClock.now() + 60_000),
    artifacts.increment(key, 1, systemClock.now() + 60_000),
    artifacts.dropGrant(sha256('g2'), systemClock.now() + 60_000),
    artifacts.ready(),
    directory.read('client', 'a'),
    directory.find('account', 'username', 'alice', { limit: 1 }),
    directory.create('account', { id: 'late', doc: body, unique: { username: 'late' } }),
    directory.epoch(),
    directory.ready(),
  ]
  await Promise.all(calls.map((call) => assert.rejects(call, unavailable())))
  assert.ok(performance.now() - began < PATIENCE, `${performance.now() - began} ms`)
}

/** Until a call gets through; no store is opened anew. Answers how long it took, ms. */
const recovered = async (...parts: { ready(): Promise<void> }[]): Promise<number> => {
  const began = performance.now()
  for (;;) {
    try {
      await Promise.all(parts.map((part) => part.ready()))
      return performance.now() - began
    } catch (error) {
      assert.ok(unavailable()(error), String(error))
      assert.ok(performance.now() - began < RECOVERY, 'back within 5 s')
      await delay(50)
    }
  }
}

for (const server of servers) {
  const { process: ours } = server
  if (!ours) continue
  describe(`${server.name}: trouble`, () => {
    test('frozen: refused within 2 s, back by itself, and what was given up is no false answer', async (t) => {
      const url = newDatabase(server)
      const both = await stores(t, url)
      const { artifacts, directory } = both
      const bus = createMongoBus({ directory })
      t.after(() => bus.close())
      await artifacts.put('AuthorizationCode', { key: sha256('code'), body })
      await ours.freeze()
      t.after(() => ours.thaw())
      await allRefused(both)
      await allRefused(both)
      ours.thaw()
      t.diagnostic(`back after ${(await recovered(artifacts, directory)).toFixed()} ms`)
      // The redemption may have been applied when the server went on. Whoever was refused has not won.
      const results = await Promise.all(
        ['one', 'two'].map((nonce) => artifacts.redeem('AuthorizationCode', sha256('code'), nonce, 2)),
      )
      assert.ok(results.filter((result) => result === 'won').length <= 1)
      assert.ok(results.every((result) => result !== 'absent'))
      const told = new Promise<string>((resolve) => void bus.onChange(resolve))
      const other = await openMongoDirectory(url, hasty)
      t.after(() => other.close())
      await other.create('client', { id: 'b', doc: body })
      assert.ok(await told)
    })

    test('slow: waited for as long as callers may wait, refused after that, and no answer is made up', async (t) => {
      let slowness = 0
      const middleman = await Middleman.open(t, ours.port, () => (slowness ? delay(slowness, 'pass', lost) : 'pass'))
      const over = new AbortController()
      const lost = { signal: over.signal, ref: false }
      const both = await stores(t, middleman.url(newDatabase(server)))
      const { artifacts, directory } = both
      await artifacts.put('AuthorizationCode', { key: sha256('code'), body })
      await directory.create('account', { id: 'a', doc: body, unique: { username: 'alice' } })
      slowness = 300
      assert.ok(await artifacts.get('AuthorizationCode', 'key', sha256('code')))
      assert.equal(await artifacts.redeem('AuthorizationCode', sha256('code'), 'mine', 1), 'won')
      assert.equal((await directory.find('account', 'username', 'alice', { limit: 1 })).length, 1)
      slowness = 60_000
      await allRefused(both)
      slowness = 0
      t.diagnostic(`back after ${(await recovered(artifacts, directory)).toFixed()} ms`)
      assert.equal(await artifacts.redeem('AuthorizationCode', sha256('code'), 'yours', 2), 'lost')
      assert.ok(await directory.read('account', 'a'))
    })

    test('killed and started again: what was acknowledged is there, where the server keeps anything', async (t) => {
      const both = await stores(t, newDatabase(server))
      const { artifacts, directory } = both
      const until = systemClock.now() + 3_600_000
      const codes = Array.from({ length: 40 }, (_, i) => sha256(`code ${i}`))
      await Promise.all(
        codes.map((code) => artifacts.put('AuthorizationCode', { key: code, body, grant: sha256('g') })),
      )
      await artifacts.put('AccessToken', { key, body, grant: sha256('gone') })
      await artifacts.redeem('AuthorizationCode', sha256('code 0'), 'mine', 1)
      await artifacts.dropGrant(sha256('gone'), until)
      await artifacts.putOnce('Replay', key, until)
      await directory.create('account', { id: 'a', doc: body, unique: { username: 'alice' } })
      await ours.kill()
      await allRefused(both)
      await ours.start()
      t.diagnostic(`back after ${(await recovered(artifacts, directory)).toFixed()} ms`)
      if (!server.durable) {
        assert.equal(await artifacts.put('Session', { key, body }), 'stored')
        return
      }
      for (const code of codes) assert.ok(await artifacts.get('AuthorizationCode', 'key', code))
      assert.equal(await artifacts.redeem('AuthorizationCode', sha256('code 0'), 'yours', 2), 'lost')
      assert.equal(await artifacts.redeem('AuthorizationCode', sha256('code 0'), 'mine', 2), 'won')
      assert.equal(await artifacts.get('AccessToken', 'key', key), undefined)
      assert.equal(await artifacts.put('AccessToken', { key, body, grant: sha256('gone') }), 'revoked')
      assert.equal(await artifacts.putOnce('Replay', key, until), false)
      assert.equal((await directory.find('account', 'username', 'alice', { limit: 9 })).length, 1)
    })

    test('what the server answers in trouble is a Fault with its reason, and the next call may succeed', async (t) => {
      let verdict: Verdict = 'pass'
      const middleman = await Middleman.open(t, ours.port, () => verdict)
      const { artifacts } = await stores(t, middleman.url(newDatabase(server)))
      await artifacts.put('AuthorizationCode', { key, body })
      const troubles: readonly [Verdict, RegExp][] = [
        [{ ok: 0, code: 14031, codeName: 'OutOfDiskSpace', errmsg: 'no space' }, /disk .* full/],
        [{ ok: 0, code: 13, codeName: 'Unauthorized', errmsg: 'not authorized' }, /readWrite/],
        [{ ok: 0, code: 10107, codeName: 'NotWritablePrimary', errmsg: 'not primary' }, /not the primary/],
        [{ ok: 0, code: 91, codeName: 'ShutdownInProgress', errmsg: 'bye' }, /shutting down/],
        [{ ok: 0, code: 50, codeName: 'MaxTimeMSExpired', errmsg: 'too long' }, /too long/],
        [{ ok: 0, errmsg: 'what is this' }, /what is this/],
        [
          { ok: 1, n: 1, nModified: 1, writeConcernError: { code: 64, errmsg: 'waiting for replication timed out' } },
          /majority/,
        ],
      ]
      for (const [trouble, reason] of troubles) {
        verdict = trouble
        await assert.rejects(artifacts.redeem('AuthorizationCode', key, 'mine', 1), unavailable(reason))
        await assert.rejects(artifacts.putOnce('Replay', key, systemClock.now() + 60_000), unavailable(reason))
        verdict = 'pass'
        await recovered(artifacts)
      }
      assert.equal(await artifacts.redeem('AuthorizationCode', key, 'yours', 1), 'won')
    })

    test('the sweeper works by itself, and only takes what has expired', async (t) => {
      const url = newDatabase(server)
      const store = await openMongoArtifacts(url, { ...world, sweepMs: 20 })
      t.after(() => store.close())
      const documents = (await raw(t, url)).collection('artifacts')
      const soon = world.clock.now() + 60_000
      const puts = Array.from({ length: 250 }, (_, i) =>
        store.put('Session', { key: sha256(`row ${i}`), body, uid: sha256(`u ${i}`), tags: [key], expiresAt: soon }),
      )
      await Promise.all([...puts, store.putOnce('Replay', key, soon), store.increment(key, 1, soon)])
      await store.dropGrant(key, soon)
      await store.put('Session', { key, body, expiresAt: soon + 1 })
      assert.equal(await documents.countDocuments({}), 254)
      await skip(60_000)
      await settled('what is over is swept', async () => (await documents.countDocuments({})) <= 1)
      assert.ok(await store.get('Session', 'key', key))
    })
  })
}
