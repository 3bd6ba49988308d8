/**
 * The version of what stands in the database, and how it comes to the present one: numbered, idempotent steps under a
 * lease, so that of several nodes that start together one migrates, and another goes on where a killed one stopped.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Collection, Db, IndexDescription } from 'mongodb'
import type { Clock } from '#kernel/clock.ts'
import { Fault } from '#kernel/faults.ts'
import type { Log } from '#kernel/log.ts'
import { randomId } from '#kernel/random.ts'
import { monotonic, noticed, within } from './bounded.ts'
import { Connection, type World } from './connect.ts'
import { isDuplicate, isRefusal, unavailable } from './faults.ts'

/** Step n brings a database from version n to n + 1. It may run again after a crash half-way; never edited once released. */
export interface Schema {
  readonly name: 'artifacts' | 'directory'
  readonly steps: readonly ((db: Db, log: Log) => Promise<void>)[]
}

interface Meta {
  readonly _id: string
  readonly version: number
  readonly lease: { readonly by: string; readonly until: number }
  /** When a node opened it last; epoch ms. */
  readonly opened?: number
}

const LEASE_MS = 30_000
const RELEASE_MS = 2000
/** How long a node waits for another one that migrates. */
const WAIT_MS = 60_000

const index = (name: string, key: IndexDescription['key'], more: Partial<IndexDescription> = {}): IndexDescription => ({
  name,
  key,
  ...more,
})

/**
 * Expiry is honoured by `expires` and our own sweep. The TTL index is for what no node is there to sweep: a day after the
 * expiry, so that a server whose clock is wrong by hours takes nothing that lives.
 */
const TTL_AFTER_SECONDS = 86_400

const ttl = async (db: Db, log: Log): Promise<void> => {
  try {
    await db
      .collection('artifacts')
      .createIndexes([index('ttl', { ttl: 1 }, { expireAfterSeconds: TTL_AFTER_SECONDS })])
  } catch (error) {
    if (!isRefusal(error)) throw error
    log.info('store.no-ttl', { reason: error instanceof Error ? error.message : String(error) })
  }
}

export const artifactSchema: Schema = {
  name: 'artifacts',
  steps: [
    async (db, log) => {
      await db
        .collection('artifacts')
        .createIndexes([
          index('expires', { expires: 1 }),
          index('grant', { grant: 1 }, { sparse: true }),
          index('uid', { uid: 1 }, { sparse: true }),
          index('userCode', { userCode: 1 }, { sparse: true }),
          index('tags', { tags: 1, born: 1 }, { sparse: true }),
          index('due', { due: 1 }, { sparse: true }),
        ])
      await ttl(db, log)
    },
  ],
}

export const directorySchema: Schema = {
  name: 'directory',
  steps: [
    async (db) => {
      await db.collection('records').createIndexes([index('entries', { entries: 1, id: 1 })])
      await db
        .collection('audit')
        .createIndexes([
          index('type', { type: 1, place: -1 }),
          index('account', { account: 1, place: -1 }),
          index('reference', { reference: 1, place: -1 }),
        ])
    },
  ],
}

const ensure = async (metas: Collection<Meta>, name: string): Promise<Meta> => {
  const found = await metas.findOne({ _id: name })
  if (found) return found
  const fresh = { _id: name, version: 0, lease: { by: '', until: 0 } }
  try {
    await metas.insertOne(fresh)
    return fresh
  } catch (error) {
    if (!isDuplicate(error)) throw error
    return ensure(metas, name)
  }
}

const refuseNewer = (path: string, { version }: Meta, schema: Schema): void => {
  const known = schema.steps.length
  if (version <= known) return
  throw new Fault('store.newer', {
    path,
    version,
    known,
    reason: `${path} has ${schema.name} of schema version ${version}, this Gatehouse knows versions up to ${known}: start the newer Gatehouse, or restore the backup made before the upgrade`,
  })
}

/** Runs what is missing while it holds the lease; does nothing when another node was quicker. */
const migrate = async (connection: Connection, schema: Schema, { clock, log }: World): Promise<void> => {
  const metas = connection.db.collection<Meta>('meta')
  const by = randomId()
  const hold = () => ({ $set: { lease: { by, until: clock.now() + LEASE_MS } } })
  const taken = await metas.updateOne({ _id: schema.name, 'lease.until': { $lte: clock.now() } }, hold())
  if (taken.matchedCount === 0) return
  const renewing = setInterval(() => {
    metas.updateOne({ _id: schema.name, 'lease.by': by }, hold()).catch(() => {})
  }, LEASE_MS / 3)
  try {
    // Read again under the lease: the node that held it before may have done all.
    const { version } = await ensure(metas, schema.name)
    for (const [nth, step] of schema.steps.entries()) {
      if (nth < version) continue
      await step(connection.db, log)
      const kept = await metas.updateOne({ _id: schema.name, 'lease.by': by }, { $set: { version: nth + 1 } })
      if (kept.matchedCount === 0) return
      log.info('store.migrated', { path: connection.path, schema: schema.name, version: nth + 1 })
    }
  } finally {
    clearInterval(renewing)
    // Where this fails the lease ends by itself.
    const release = () =>
      metas.updateOne({ _id: schema.name, 'lease.by': by }, { $set: { lease: { by: '', until: 0 } } })
    await within(RELEASE_MS, () => unavailable(connection.path, 'the lease was not given back'), release).catch(noticed)
  }
}

/**
 * One confirmed write: a user who may only read, a secondary, a full disk or a set without a majority are to be told of
 * when a node starts, not when somebody signs in.
 */
const prove = async (connection: Connection, { name }: Schema, clock: Clock): Promise<void> => {
  const metas = connection.db.collection<Meta>('meta')
  await connection.run(() => metas.updateOne({ _id: name }, { $set: { opened: clock.now() } }))
}

/** Brings the database to the present schema, or waits while another node does. Throws Fault `store.newer` or `store.unavailable`. */
export const prepare = async (url: string, connection: Connection, schema: Schema, world: World): Promise<void> => {
  const metas = connection.db.collection<Meta>('meta')
  const until = monotonic() + WAIT_MS
  for (;;) {
    const meta = await connection.run(() => ensure(metas, schema.name))
    refuseNewer(connection.path, meta, schema)
    if (meta.version === schema.steps.length) return prove(connection, schema, world.clock)
    if (monotonic() > until)
      throw unavailable(connection.path, 'another node migrates the schema and does not come to an end')
    if (meta.lease.until > world.clock.now()) await delay(100)
    else await Connection.patiently(url, world.log, (patient) => patient.run(() => migrate(patient, schema, world)))
  }
}
