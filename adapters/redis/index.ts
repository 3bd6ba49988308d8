/**
 * Artifacts, replay markers, counters and the bus in Redis (7 or newer, Valkey likewise): one server, a Sentinel group or
 * a Cluster, by the address (url.ts). Never the directory: Redis has no unique values across keys and no durable write of
 * several keys. Its replication is asynchronous: what a failover can lose is in docs/scaling.md. Start at layout.ts.
 */
import type { Clock } from '#kernel/clock.ts'
import type { Log } from '#kernel/log.ts'
import type { ArtifactStore } from '#kernel/ports.ts'
import { RedisArtifacts } from './artifacts.ts'
import { openClient } from './connect.ts'
import { Indexes } from './indexes.ts'
import { Keys } from './layout.ts'
import { Link } from './link.ts'
import { parseAddress } from './url.ts'

export { createRedisBus } from './bus.ts'

/**
 * @param url see url.ts
 * @returns the store, connected and checked; throws Fault `store.unavailable` (the reason in detail) where it cannot be used
 */
export const openRedisArtifacts = async (url: string, world: { clock: Clock; log: Log }): Promise<ArtifactStore> => {
  const address = parseAddress(url)
  const connection = await openClient(address, world.log)
  const link = new Link(connection, address, world.log)
  const keys = new Keys(address.prefix)
  const store = new RedisArtifacts(link, keys, new Indexes(link, keys), world.clock)
  try {
    await store.ready()
  } catch (error) {
    await store.close()
    throw error
  }
  return store
}
