/** What the servers of a run keep their things in: SQLite files, a Redis, a MongoDB. Both sides use the same servers. */
import { join } from 'node:path'
import { mongoMissing, openMongoServers } from '../scripts/mongo.ts'
import { openRedis, redisMissing } from '../scripts/redis.ts'

export const storeNames = ['sqlite', 'redis', 'mongo'] as const
export type StoreName = (typeof storeNames)[number]

/** Where the bare server's adapter keeps artifacts. */
export type BareStore = { readonly kind: 'sqlite' } | { readonly kind: 'redis' | 'mongo'; readonly url: string }

export interface StorePlace {
  readonly name: StoreName
  /** What serves it, with its grade; for the report. */
  readonly said: string
  /** `stores` of Gatehouse, in a folder for what is SQLite of them. */
  settings(folder: string): { readonly artifacts: string; readonly directory: string }
  bare(name: string): BareStore
  /** CPU is not counted there, and memory neither; processes of ours, to be kept off the server's core. */
  readonly ports: readonly number[]
  close(): Promise<void>
}

/** Why a store cannot be measured here, or undefined. */
export const storeMissing = async (name: StoreName): Promise<string | undefined> => {
  if (name === 'redis') return process.env.REDIS_URL ? undefined : redisMissing()
  return name === 'mongo' ? mongoMissing() : undefined
}

const sqlite: StorePlace = {
  name: 'sqlite',
  said: 'SQLite',
  settings: (folder) => ({
    artifacts: `sqlite:${join(folder, 'artifacts.db')}`,
    directory: `sqlite:${join(folder, 'directory.db')}`,
  }),
  bare: () => ({ kind: 'sqlite' }),
  ports: [],
  close: async () => undefined,
}

/** Artifacts in Redis, the directory in SQLite: what the bare server has there too. */
const redis = async (): Promise<StorePlace> => {
  const { url, servers, close } = await openRedis()
  return {
    name: 'redis',
    said: servers.length > 0 ? 'redis-server, append-only file every second' : 'Redis of REDIS_URL',
    settings: (folder) => ({
      artifacts: `${url}${url.includes('?') ? '&' : '?'}prefix=bench-${process.pid}`,
      directory: `sqlite:${join(folder, 'directory.db')}`,
    }),
    bare: () => ({ kind: 'redis', url }),
    ports: servers.map(({ port }) => port),
    close,
  }
}

const mongo = async (): Promise<StorePlace> => {
  const [server, ...others] = await openMongoServers()
  for (const other of others) await other.close()
  if (!server) throw new Error('no MongoDB server')
  const database = (name: string) => server.database(`gatehouse_bench_${process.pid}_${name}`)
  return {
    name: 'mongo',
    said: `${server.name} (${server.grade})`,
    settings: () => ({ artifacts: database('artifacts'), directory: database('directory') }),
    bare: (name) => ({ kind: 'mongo', url: database(name) }),
    ports: [],
    close: () => server.close(),
  }
}

export const openStore = (name: StoreName): Promise<StorePlace> => {
  if (name === 'redis') return redis()
  return name === 'mongo' ? mongo() : Promise.resolve(sqlite)
}
