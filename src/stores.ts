/**
 * Which adapter an address names, which bus goes with a pair of stores, and what a store's trouble at start is called.
 * Adapters are loaded when they are needed: who uses SQLite pays for no other driver. Only wire and the commands use it.
 */
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { addressMistake as mongoMistake } from '#adapters/mongo/url.ts'
import { addressMistake as redisMistake } from '#adapters/redis/url.ts'
import type { Settings } from '#config/settings.ts'
import { type StoreKind, storeKind, storePath } from '#config/store-address.ts'
import type { Clock } from '#kernel/clock.ts'
import { Fault, isFault } from '#kernel/faults.ts'
import type { Log } from '#kernel/log.ts'
import type { ArtifactStore, Bus, Directory } from '#kernel/ports.ts'

type Addresses = Settings['stores']
interface World {
  readonly clock: Clock
  readonly log: Log
}

const sqlite = () => import('#adapters/sqlite/index.ts')
const redis = () => import('#adapters/redis/index.ts')
const mongodb = () => import('#adapters/mongo/index.ts')

/** ms between two looks for other processes' changes, where no message tells of them. */
const POLL = 250

/** What is wrong with an address behind its scheme, beginning with "must"; nothing is contacted. */
export const storeMistake = (address: string): string | undefined => {
  const kind = storeKind(address)
  if (kind === 'redis') return redisMistake(address)
  return kind === 'mongodb' ? mongoMistake(address) : undefined
}

/** The path of a SQLite file, its folder made: as the default's has to be. What prevents that, the adapter says. */
const housed = async (address: string): Promise<string> => {
  const path = storePath(address)
  await mkdir(dirname(path), { recursive: true }).catch(() => undefined)
  return path
}

const artifactsOf: Readonly<Record<StoreKind, (address: string, world: World) => Promise<ArtifactStore>>> = {
  sqlite: async (address, world) => (await sqlite()).openSqliteArtifacts(await housed(address), world),
  redis: async (address, world) => (await redis()).openRedisArtifacts(address, world),
  mongodb: async (address, world) => (await mongodb()).openMongoArtifacts(address, world),
}

const directoryOf: Readonly<
  Record<Exclude<StoreKind, 'redis'>, (address: string, world: World) => Promise<Directory>>
> = {
  sqlite: async (address, world) => (await sqlite()).openSqliteDirectory(await housed(address), world),
  mongodb: async (address, world) => (await mongodb()).openMongoDirectory(address, world),
}

/** A store's fault at start says which setting it is about. */
const named = async <T>(setting: keyof Addresses, opening: Promise<T>): Promise<T> => {
  try {
    return await opening
  } catch (error) {
    if (!isFault(error)) throw error
    throw new Fault(error.code, { setting: `stores.${setting}`, ...error.detail }, error.cause)
  }
}

/** Opens both, or neither. Throws Fault `store.*` with the setting and the reason in its detail. */
export const openPair = async (
  { artifacts, directory }: Addresses,
  world: World,
): Promise<{ store: ArtifactStore; directory: Directory }> => {
  const kind = storeKind(directory)
  if (kind === 'redis') throw new TypeError('Redis cannot hold the directory')
  const [store, records] = await Promise.allSettled([
    named('artifacts', artifactsOf[storeKind(artifacts)](artifacts, world)),
    named('directory', directoryOf[kind](directory, world)),
  ])
  if (store.status === 'fulfilled' && records.status === 'fulfilled')
    return { store: store.value, directory: records.value }
  for (const one of [store, records]) if (one.status === 'fulfilled') await one.value.close().catch(() => undefined)
  throw [store, records].find((one) => one.status === 'rejected')?.reason
}

/** Messages where a server can carry them; everywhere the directory's epochs are looked at. Throws Fault `store.unavailable`. */
export const openBus = async (
  { artifacts, directory: address }: Addresses,
  directory: Directory,
  world: World,
): Promise<Bus> => {
  if (storeKind(artifacts) === 'redis')
    return named('artifacts', (await redis()).createRedisBus(artifacts, { ...world, directory }))
  if (storeKind(address) === 'mongodb') return (await mongodb()).createMongoBus({ directory })
  return (await sqlite()).createLocalBus({ directory, pollMs: POLL })
}

/** What `ready` found of one store. */
export interface Readiness {
  readonly kind: StoreKind
  readonly ready: boolean
}

/** Asks both stores; never throws. */
export const readiness = async (
  addresses: Addresses,
  { store, directory }: { readonly store: ArtifactStore; readonly directory: Directory },
): Promise<Readonly<Record<keyof Addresses, Readiness>>> => {
  const ask = async (address: string, { ready }: { ready(): Promise<void> }): Promise<Readiness> => ({
    kind: storeKind(address),
    ready: await ready().then(
      () => true,
      () => false,
    ),
  })
  const [artifacts, records] = await Promise.all([
    ask(addresses.artifacts, { ready: () => store.ready() }),
    ask(addresses.directory, { ready: () => directory.ready() }),
  ])
  return { artifacts, directory: records }
}
