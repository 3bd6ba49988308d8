/** The embedded store: the contracts of its three ports, how writes are grouped, how expired rows go. */
import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { describe, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { createLocalBus, openSqliteArtifacts, openSqliteDirectory } from '#adapters/sqlite/index.ts'
import { sha256 } from '#kernel/random.ts'
import { artifactStoreContract } from '#test/contracts/artifact-store.ts'
import { busContract } from '#test/contracts/bus.ts'
import { directoryContract } from '#test/contracts/directory.ts'
import { settled } from '#test/world/settled.ts'
import { body, clock, key, newPath, rowCount, skip, store, world } from './sqlite-world.ts'

artifactStoreContract('sqlite', {
  open: () => openSqliteArtifacts(newPath(), world),
  clock,
  skip: async (ms) => skip(ms),
})
directoryContract('sqlite', { open: () => openSqliteDirectory(newPath(), world) })
busContract('sqlite', {
  open: async (count) => {
    const path = newPath()
    return Promise.all(
      Array.from({ length: count }, async () => {
        const directory = await openSqliteDirectory(path, world)
        return { directory, bus: createLocalBus({ directory, pollMs: 250 }) }
      }),
    )
  },
})

test('sqlite bus: a node that published its change does not hear of it again', async (t) => {
  const path = newPath()
  const [here, there] = await Promise.all([openSqliteDirectory(path, world), openSqliteDirectory(path, world)])
  // No poll falls between a commit and the news of it, which would be told once more, as of somebody else.
  const { promise: written, resolve: goOn } = Promise.withResolvers<void>()
  let polls = 0
  const directory = new Proxy(here, {
    get(target, name) {
      if (name === 'epoch') return () => (polls++ === 0 ? here.epoch() : written.then(() => here.epoch()))
      const member: unknown = Reflect.get(target, name)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
  const bus = createLocalBus({ directory, pollMs: 20 })
  t.after(async () => {
    await bus.close()
    await Promise.all([here.close(), there.close()])
  })
  const told: (string | undefined)[][] = []
  const foreign = new Promise<void>((resolve) => {
    bus.onChange((kind, id) => {
      told.push([kind, id])
      if (kind === 'account') resolve()
    })
  })
  for (const id of ['a', 'b']) {
    await here.create('client', { id, doc: body })
    await bus.publish('client', id)
  }
  goOn()
  // The poll that tells of this one has counted the former too.
  await there.create('account', { id: 'c', doc: body })
  await foreign
  assert.deepEqual(told, [
    ['client', 'a'],
    ['client', 'b'],
    ['account', undefined],
  ])
})

describe('sqlite: groups and sweeps', () => {
  test('five hundred puts of one turn are few transactions', async (t) => {
    const own = await store(t)
    await own.ready()
    const before = own.transactions
    await Promise.all(Array.from({ length: 500 }, (_, i) => own.put('Session', { key: sha256(`row ${i}`), body })))
    assert.equal(await rowCount(own), 500)
    assert.ok(own.transactions - before <= 5, `${own.transactions - before} transactions`)
  })

  test('what arrives while a batch is away travels together', async (t) => {
    const own = await store(t)
    const before = own.transactions
    const puts: Promise<unknown>[] = []
    for (let i = 0; i < 300; i++) {
      puts.push(own.put('Session', { key: sha256(`row ${i}`), body }))
      await turn()
    }
    await Promise.all(puts)
    assert.ok(own.transactions - before < 150, `${own.transactions - before} transactions`)
  })

  test('an operation that cannot be run costs the others of its batch nothing', async (t) => {
    const own = await store(t)
    // No number breaks NOT NULL: the whole group rolls back and is run again singly.
    const results = await Promise.allSettled([
      own.put('Session', { key: sha256('a'), body }),
      own.increment(key, Number.NaN, clock.now() + 1000),
      own.put('Session', { key: sha256('c'), body }),
    ])
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    assert.ok(await own.get('Session', 'key', sha256('a')))
    assert.ok(await own.get('Session', 'key', sha256('c')))
    assert.equal(await own.increment(key, 0, 0), 0)
  })

  test('the sweeper works by itself, in batches of at most 200 rows', async (t) => {
    const path = newPath()
    const own = await openSqliteArtifacts(path, { ...world, sweepMs: 50 })
    t.after(() => own.close())
    const tags = [sha256('t')]
    const put = (i: number, expiresAt: number) => own.put('Session', { key: sha256(`row ${i}`), body, tags, expiresAt })
    await Promise.all(Array.from({ length: 1000 }, (_, i) => put(i, clock.now() + 60_000)))
    await put(1000, clock.now() + 3_600_000)
    const raw = new DatabaseSync(path, { timeout: 1000 })
    t.after(() => raw.close())
    // 'now' stands still during one statement: rows that went together have one time.
    raw.exec(`CREATE TABLE gone (at TEXT);
      CREATE TRIGGER note AFTER DELETE ON artifact BEGIN
        INSERT INTO gone VALUES (strftime('%Y-%m-%d %H:%M:%f', 'now'));
      END`)
    const rows = raw.prepare('SELECT count(*) AS n FROM artifact')
    skip(60_000)
    await own.ready()
    await settled('what is over is swept', () => rows.get()?.n === 1, 5000)
    const batches = raw.prepare('SELECT count(*) AS n FROM gone GROUP BY at').all()
    assert.deepEqual(
      batches.map(({ n }) => n),
      [200, 200, 200, 200, 200],
    )
    assert.deepEqual({ ...raw.prepare('SELECT count(*) AS n FROM tagged').get() }, { n: 1 })
  })

  test('a grant of many rows goes in slices: others write meanwhile, and nothing is put under it any more', async (t) => {
    const own = await store(t)
    const [grant, until] = [sha256('g'), clock.now() + 60_000]
    const put = (i: number) => own.put('AccessToken', { key: sha256(`row ${i}`), body, grant })
    await Promise.all(Array.from({ length: 3000 }, (_, i) => put(i)))
    const before = own.transactions
    let ended = false
    const dropped = own.dropGrant(grant, until).finally(() => {
      ended = true
    })
    await own.put('Session', { key, body })
    assert.equal(ended, false, 'the other write did not wait for all of it')
    assert.equal(await put(3000), 'revoked')
    assert.equal(await dropped, 3000)
    assert.ok(own.transactions - before >= 12, `${own.transactions - before} transactions`)
    assert.equal(await rowCount(own), 1)
  })

  test('nothing is left of rows that were dropped, revoked or swept', async (t) => {
    const path = newPath()
    const own = await store(t, path)
    const expiresAt = clock.now() + 1000
    const full = (name: string) => ({
      key: sha256(name),
      body,
      expiresAt,
      tags: [sha256('t')],
      uid: sha256(`u ${name}`),
    })
    await own.put('Session', { ...full('a'), grant: sha256('g') })
    await own.put('Session', full('b'))
    await own.put('Session', full('c'))
    await own.putOnce('Replay', key, expiresAt)
    await own.increment(key, 1, expiresAt)
    await own.dropGrant(sha256('g'), expiresAt)
    await own.drop('Session', sha256('b'))
    skip(1000)
    await own.sweep(100)
    const raw = new DatabaseSync(path, { readOnly: true })
    t.after(() => raw.close())
    for (const table of ['artifact', 'tagged', 'marker', 'counter', 'tombstone'])
      assert.deepEqual({ ...raw.prepare(`SELECT count(*) AS n FROM ${table}`).get() }, { n: 0 }, table)
  })
})
