/**
 * Empty stores of every kind that `stores` takes, each its own database or prefix. The servers are those that
 * scripts/test.ts started for the run, else this process starts its own and ends them with the last stores.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MongoClient } from 'mongodb'
import { randomId } from '#kernel/random.ts'
import { mongoMissing, openMongoServers } from '../../scripts/mongo.ts'
import { openRedis, redisMissing } from '../../scripts/redis.ts'
import { chosenPair, leftOut, type PairName } from '../../scripts/stores.ts'

export { type PairName, pairNames } from '../../scripts/stores.ts'

/** For where no file of SQLite is beside which one is kept. */
export const masterKey = Buffer.alloc(32, 7).toString('base64url')

export interface Pair {
  readonly name: PairName
  /** As a configuration has them; `masterKey` where it is required. */
  readonly settings: {
    readonly stores: { readonly artifacts: string; readonly directory: string }
    readonly masterKey?: string
  }
  /** Where the files of SQLite lie. */
  readonly folder: string
  /** Removes what lies there; after those who use it are closed. */
  close(): Promise<void>
}

/** Why a pair cannot be tested here, for a suite's `skip`. In CI nothing may be missing: then its servers fail to start. */
export const pairMissing = async (name: PairName): Promise<string | false> => {
  const kinds = (['redis', 'mongo'] as const).filter((kind) => name.includes(kind))
  const out = kinds.map(leftOut).find((reason) => reason !== undefined)
  if (out !== undefined || process.env.CI) return out ?? false
  const redisGone = name.includes('redis') && !process.env.REDIS_URL ? redisMissing() : undefined
  return redisGone ?? (name.includes('mongo') ? ((await mongoMissing()) ?? false) : false)
}

interface Server {
  /** An empty place on it. */
  place(): string
  close(): Promise<void>
}

const startRedis = async (): Promise<Server> => {
  const given = process.env.GATEHOUSE_TEST_REDIS
  const { url, close } = given ? { url: given, close: async () => {} } : await openRedis()
  return { place: () => `${url}${url.includes('?') ? '&' : '?'}prefix=${randomId()}`, close }
}

const startMongo = async (): Promise<Server> => {
  const name = () => `gatehouse_${randomId().replaceAll(/[^A-Za-z0-9]/g, 'x')}`
  const given = process.env.GATEHOUSE_TEST_MONGO
  if (given) return { place: () => given.replace('DATABASE', name()), close: async () => {} }
  const [server, ...others] = await openMongoServers()
  for (const other of others) await other.close()
  if (!server) throw new Error('no MongoDB server')
  return { place: () => server.database(name()), close: () => server.close() }
}

/** One server for all that use it at a time. */
const shared = (start: () => Promise<Server>) => {
  let running: Promise<Server> | undefined
  let users = 0
  return async (): Promise<{ at: string; leave(): Promise<void> }> => {
    users++
    running ??= start()
    const server = await running
    const leave = async () => {
      if (--users > 0) return
      running = undefined
      await server.close()
    }
    return { at: server.place(), leave }
  }
}

const redis = shared(startRedis)
const mongo = shared(startMongo)

const dropDatabase = async (url: string): Promise<void> => {
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 1000 })
  // A database that stays on a server of ours is thrown away with it.
  await client
    .db()
    .dropDatabase()
    .catch(() => undefined)
  await client.close()
}

const database = async () => {
  const { at, leave } = await mongo()
  return {
    at,
    async leave() {
      await dropDatabase(at)
      await leave()
    },
  }
}

/** @returns empty stores of this kind; unless told of the kind that the run is about (ON_STORES), which is SQLite by default */
export const emptyPair = async (name: PairName = chosenPair): Promise<Pair> => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-'))
  const file = (of: string) => ({ at: `sqlite:${folder}/${of}.db`, leave: async () => {} })
  const artifacts = name.startsWith('redis') ? await redis() : name === 'mongo' ? await database() : file('artifacts')
  const directory = name.endsWith('mongo') ? await database() : file('directory')
  const stores = { artifacts: artifacts.at, directory: directory.at }
  return {
    name,
    settings: { stores, ...(!name.includes('sqlite') && { masterKey }) },
    folder,
    async close() {
      await artifacts.leave()
      await directory.leave()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
