/**
 * What a server that speaks MongoDB's protocol can do: tried on it, not read off its version. And its grade: `real` is what
 * says that it is MongoDB and keeps the promises that every MongoDB keeps; whatever else answers is a stand-in.
 */
import { type Db, type Document, Long, MongoClient, type MongoError } from 'mongodb'
import { randomToken } from '#kernel/random.ts'

/** In words, for the line that a run prints. Transactions, retryable writes and change streams need a replica set. */
export const capabilityNames = {
  ttl: 'TTL index',
  partialUnique: 'partial unique index',
  multikeyUnique: 'multikey unique index',
  transactions: 'transactions',
  retryableWrites: 'retryable writes',
  changeStreams: 'change streams',
} as const
export type Capability = keyof typeof capabilityNames

export interface Nature {
  readonly version: string
  readonly grade: 'real' | 'stand-in'
  readonly capabilities: ReadonlySet<Capability>
}

/** What one attempt may take on a busy machine, ms. */
const PATIENCE_MS = 5000

const isRefusedTwice = async (first: Promise<unknown>, second: () => Promise<unknown>): Promise<boolean> => {
  await first
  return second().then(
    () => false,
    (error: MongoError) => error.code === 11000,
  )
}

/** Each leaves what it likes behind in its collection; the whole database is dropped. Throwing means no. */
const attempts: Readonly<Record<Capability, (db: Db, client: MongoClient) => Promise<boolean>>> = {
  /** That it is accepted and listed: a server deletes by it once a minute, which nobody waits for here. */
  async ttl(db) {
    const rows = db.collection('ttl')
    await rows.createIndex({ at: 1 }, { expireAfterSeconds: 60 })
    return (await rows.listIndexes().toArray()).some(({ expireAfterSeconds }) => expireAfterSeconds === 60)
  },
  async partialUnique(db) {
    const rows = db.collection('partial')
    await rows.createIndex({ a: 1 }, { unique: true, partialFilterExpression: { b: { $exists: true } } })
    // Beside the filter two may be alike; within it they may not.
    await rows.insertOne({ a: 1 })
    await rows.insertOne({ a: 1 })
    return isRefusedTwice(rows.insertOne({ a: 2, b: 1 }), () => rows.insertOne({ a: 2, b: 2 }))
  },
  async multikeyUnique(db) {
    const rows = db.collection('multikey')
    await rows.createIndex({ 'e.k': 1 }, { unique: true })
    return isRefusedTwice(rows.insertOne({ e: [{ k: 1 }, { k: 2 }] }), () => rows.insertOne({ e: [{ k: 2 }] }))
  },
  async transactions(db, client) {
    const rows = db.collection<{ _id: string }>('transactions')
    await rows.insertOne({ _id: 'before' })
    await client.withSession(async (session) => {
      session.startTransaction()
      await rows.insertOne({ _id: 'taken back' }, { session })
      await session.abortTransaction()
    })
    return (await rows.countDocuments()) === 1
  },
  /** The same statement of the same session twice, as a driver sends it when it got no answer: done once, answered twice. */
  async retryableWrites(db, client) {
    const write = { update: 'retried', updates: [{ q: { _id: 1 }, u: { $inc: { n: 1 } }, upsert: true }] }
    await client.withSession(async (session) => {
      const statement = { ...write, txnNumber: Long.fromNumber(1) }
      await db.command(statement, { session })
      await db.command(statement, { session })
    })
    return (await db.collection('retried').findOne())?.n === 1
  },
  async changeStreams(db) {
    const rows = db.collection<{ _id: string }>('watched')
    await rows.insertOne({ _id: 'before' })
    const stream = rows.watch([], { maxAwaitTimeMS: 200 })
    const told = new Promise<boolean>((resolve) => {
      stream.on('change', () => resolve(true)).on('error', () => resolve(false))
    })
    // It begins some time after `watch`: what is changed before that is not told.
    let count = 0
    const timer = setInterval(() => rows.insertOne({ _id: `${count++}` }).catch(() => undefined), 50)
    try {
      return await told
    } finally {
      clearInterval(timer)
      await stream.close()
    }
  },
}

const bounded = (work: Promise<boolean>): Promise<boolean> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, PATIENCE_MS, false)
    const settle = (answer: boolean) => {
      clearTimeout(timer)
      resolve(answer)
    }
    work.then(settle, () => settle(false))
  })

/**
 * MongoDB's `buildInfo` names the commit that it was built from; FerretDB's says that it is FerretDB. The three promises
 * are those that no MongoDB lacks, whatever its topology.
 */
export const gradeOf = (buildInfo: Document, capabilities: ReadonlySet<Capability>): Nature['grade'] => {
  const named = /^[0-9a-f]{40}$/.test(String(buildInfo.gitVersion)) && Array.isArray(buildInfo.versionArray)
  const another = Object.keys(buildInfo).some((member) => /ferret|documentdb|cosmos/i.test(member))
  const kept = (['ttl', 'partialUnique', 'multikeyUnique'] as const).every((one) => capabilities.has(one))
  return named && !another && kept ? 'real' : 'stand-in'
}

/**
 * Tries a server in a database of its own, which is dropped.
 * @param database - the server's address with the name given in it
 */
export const natureOf = async (database: (name: string) => string): Promise<Nature> => {
  const name = `gatehouse_probe_${randomToken(9).replaceAll(/[-_]/g, 'x')}`
  const client = await new MongoClient(database(name), { serverSelectionTimeoutMS: 5000 }).connect()
  const db = client.db()
  try {
    const buildInfo = await db.admin().command({ buildInfo: 1 })
    const capabilities = new Set<Capability>()
    for (const [one, attempt] of Object.entries(attempts) as [Capability, (typeof attempts)[Capability]][])
      if (await bounded(attempt(db, client))) capabilities.add(one)
    return { version: String(buildInfo.version), grade: gradeOf(buildInfo, capabilities), capabilities }
  } finally {
    await db.dropDatabase().catch(() => undefined)
    await client.close(true)
  }
}

/** `has TTL index, …; lacks transactions, …`. */
export const capabilityLine = (capabilities: ReadonlySet<Capability>): string => {
  const names = Object.entries(capabilityNames) as [Capability, string][]
  const list = (has: boolean) => names.filter(([one]) => capabilities.has(one) === has).map(([, name]) => name)
  const parts = [
    ['has', list(true)],
    ['lacks', list(false)],
  ] as const
  return parts
    .filter(([, all]) => all.length > 0)
    .map(([word, all]) => `${word} ${all.join(', ')}`)
    .join('; ')
}
