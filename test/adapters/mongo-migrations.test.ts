/** How a MongoDB database comes to a newer schema: forward only, one node at a time, resumable, safe beside the version before. */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { Connection } from '#adapters/mongo/connect.ts'
import { openMongoArtifacts } from '#adapters/mongo/index.ts'
import { artifactSchema, prepare, type Schema } from '#adapters/mongo/schema.ts'
import { isFault } from '#kernel/faults.ts'
import { sha256 } from '#kernel/random.ts'
import { Middleman } from './mongo-middleman.ts'
import { doomed, newDatabase, raw, servers, skip, world } from './mongo-world.ts'

const body = Buffer.from('body')
const session = (name: string) => ({ key: sha256(name), body })

/** The present schema and what a next version might add; tells how often its step began. */
const nextVersion = (during: () => Promise<void> = async () => {}) => {
  const told = { runs: 0 }
  const mark: Schema['steps'][number] = async (db) => {
    told.runs++
    await db.collection('artifacts').updateMany({ next: { $exists: false } }, { $set: { next: true } })
    await during()
    await db.collection('artifacts').createIndexes([{ name: 'next', key: { next: 1 } }])
  }
  return { told, schema: { name: 'artifacts', steps: [...artifactSchema.steps, mark] } satisfies Schema }
}

const open = async (t: TestContext, url: string, given: typeof world = world): Promise<Connection> => {
  const connection = await Connection.open(url, given)
  t.after(() => connection.close())
  return connection
}

for (const server of servers) {
  const { process: ours } = server

  /** A database of the present version with a row in it, and a node that goes on using it. */
  const inUse = async (t: TestContext) => {
    const url = newDatabase(server)
    const present = await openMongoArtifacts(url, world)
    t.after(() => present.close())
    await present.put('Session', session('before'))
    const database = await raw(t, url)
    const state = async () => ({
      version: (await database.collection('meta').findOne({}))?.version,
      marked: await database.collection('artifacts').countDocuments({ next: true }),
      indexed: (await database.collection('artifacts').indexes()).some(({ key }) => 'next' in key),
    })
    return { url, present, state }
  }
  const migrated = { version: artifactSchema.steps.length + 1, marked: 1, indexed: true }

  describe(`${server.name}: migrations`, () => {
    test('nodes of a new version that start together: one of them migrates, and the old ones go on until they end', async (t) => {
      const { url, present, state } = await inUse(t)
      const { told, schema } = nextVersion()
      const nodes = await Promise.all([0, 1, 2].map(() => open(t, url)))
      await Promise.all(nodes.map((node) => prepare(url, node, schema, world)))
      assert.equal(told.runs, 1)
      assert.deepEqual(await state(), migrated)
      assert.ok(await present.get('Session', 'key', sha256('before')))
      assert.equal(await present.put('Session', session('after')), 'stored')
      await prepare(url, await open(t, url), schema, world)
      assert.equal(told.runs, 1)
      await assert.rejects(
        openMongoArtifacts(url, world),
        (error) => isFault(error, 'store.newer') && /start the newer Gatehouse/.test(String(error.detail.reason)),
      )
    })

    test('a step that fails stops the start, and the next start runs it again', async (t) => {
      const { url, state } = await inUse(t)
      const broken = nextVersion(() => Promise.reject(new Error('no index today')))
      await assert.rejects(
        prepare(url, await open(t, url), broken.schema, world),
        (error) => isFault(error, 'store.unavailable') && /no index today/.test(String(error.detail.reason)),
      )
      assert.deepEqual(await state(), { ...migrated, version: migrated.version - 1, indexed: false })
      await prepare(url, await open(t, url), nextVersion().schema, world)
      assert.deepEqual(await state(), migrated)
    })

    if (!ours) return

    test('a node that dies anywhere in a migration: the next one ends it', async (t) => {
      for (let nth = 1, died = true; died; nth++) {
        assert.ok(nth < 20)
        const { url, state } = await inUse(t)
        let left = Number.POSITIVE_INFINITY
        const middleman = await Middleman.open(t, ours.port, () => (--left === 0 ? 'cut' : 'pass'))
        const dying = await open(t, middleman.url(url), { ...doomed, waitMs: 1200 })
        left = nth
        died = await prepare(middleman.url(url), dying, nextVersion().schema, doomed).then(
          () => false,
          () => true,
        )
        middleman.cut()
        const waiting = prepare(url, await open(t, url), nextVersion().schema, world)
        await skip(60_000)
        await waiting
        assert.deepEqual(await state(), migrated)
      }
    })

    test('a node that lost its lease while it stalled leaves the version to the one that has it', async (t) => {
      const { url, state } = await inUse(t)
      const { promise: stalled, resolve: stall } = Promise.withResolvers<void>()
      const { promise: released, resolve: release } = Promise.withResolvers<void>()
      t.after(() => release())
      const slow = nextVersion(() => {
        stall()
        return released
      })
      const late = prepare(url, await open(t, url), slow.schema, world)
      await stalled
      await skip(60_000)
      const quick = nextVersion()
      await prepare(url, await open(t, url), quick.schema, world)
      assert.equal(quick.told.runs, 1)
      assert.deepEqual(await state(), migrated)
      release()
      await late
      assert.deepEqual(await state(), migrated)
      assert.equal(slow.told.runs, 1)
    })
  })
}
