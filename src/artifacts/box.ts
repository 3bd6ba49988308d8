/**
 * Short-lived JSON under plain string ids for every room that is not the engine: trips, arrivals, journeys.
 * Hashing and sealing happen here, so that no id and no plaintext reaches a store (DESIGN 3.4).
 * Ids must carry 128 bits of entropy or name nothing secret; guessable secrets need an HMAC first.
 */
import { base64urlOf } from '#kernel/bytes.ts'
import type { Clock } from '#kernel/clock.ts'
import type { ArtifactRow, ArtifactStore, PutResult } from '#kernel/ports.ts'
import { randomToken, sha256 } from '#kernel/random.ts'
import type { Sealer } from '#kernel/seal.ts'

export interface BoxOptions {
  /** Seconds; absent: never expires. */
  readonly ttl?: number
  /** Non-unique look-ups for `findTagged`. */
  readonly tags?: readonly string[]
  /** A second unique id for `getByUid`. */
  readonly uid?: string
  /** Writes only when the row still has this revision; the answer is `stale` otherwise. */
  readonly ifRevision?: number
}

export interface Boxed<T> {
  readonly value: T
  readonly revision: number
  /** Epoch ms. */
  readonly expiresAt?: number
  /** Epoch ms of `take`. */
  readonly consumedAt?: number
}

export interface Box {
  /** Creates or replaces. */
  put(model: string, id: string, value: unknown, options?: BoxOptions): Promise<PutResult>
  /** The value, taken before or not; undefined when absent or expired. */
  get<T>(model: string, id: string): Promise<T | undefined>
  getByUid<T>(model: string, uid: string): Promise<T | undefined>
  /** The value with what is known of its row: for compare-and-swap, and to tell a replay from an unknown id. */
  look<T>(model: string, id: string): Promise<Boxed<T> | undefined>
  /** The value for exactly one caller, however many race; undefined for all others, and when absent. */
  take<T>(model: string, id: string): Promise<T | undefined>
  /** True for the first caller within `ttl` seconds, false afterwards. */
  putOnce(model: string, id: string, ttl: number): Promise<boolean>
  drop(model: string, id: string): Promise<void>
  /** Oldest first. */
  findTagged<T>(model: string, tag: string, limit?: number): Promise<T[]>
}

/** Where a sealed value belongs: a row moved to another model or key does not open. */
export const placeOf = (model: string, key: Uint8Array): string => `${model}:${base64urlOf(key)}`

/** @param given the store, the artifact sealer, the clock */
export const createBox = ({ store, sealer, clock }: { store: ArtifactStore; sealer: Sealer; clock: Clock }): Box => {
  const open = <T>(model: string, row: ArtifactRow): T =>
    JSON.parse(sealer.open(row.body, placeOf(model, row.key)).toString()) as T
  const read = (model: string, id: string) => store.get(model, 'key', sha256(id))

  return {
    put(model, id, value, { ttl, tags, uid, ifRevision } = {}) {
      const key = sha256(id)
      const row: ArtifactRow = {
        key,
        body: sealer.seal(JSON.stringify(value), placeOf(model, key)),
        ...(ttl !== undefined && { expiresAt: clock.now() + ttl * 1000 }),
        ...(tags && { tags: tags.map((tag) => sha256(tag)) }),
        ...(uid !== undefined && { uid: sha256(uid) }),
      }
      return store.put(model, row, ifRevision === undefined ? undefined : { ifRevision })
    },
    async get<T>(model: string, id: string) {
      const row = await read(model, id)
      return row && open<T>(model, row)
    },
    async getByUid<T>(model: string, uid: string) {
      const row = await store.get(model, 'uid', sha256(uid))
      return row && open<T>(model, row)
    },
    async look<T>(model: string, id: string) {
      const row = await read(model, id)
      if (!row) return undefined
      return {
        value: open<T>(model, row),
        revision: row.revision ?? 0,
        ...(row.expiresAt !== undefined && { expiresAt: row.expiresAt }),
        ...(row.consumedAt !== undefined && { consumedAt: row.consumedAt }),
      }
    },
    async take<T>(model: string, id: string) {
      const row = await read(model, id)
      if (!row || row.consumedAt !== undefined) return undefined
      const outcome = await store.redeem(model, row.key, randomToken(12), clock.now())
      return outcome === 'won' ? open<T>(model, row) : undefined
    },
    putOnce: (model, id, ttl) => store.putOnce(model, sha256(id), clock.now() + ttl * 1000),
    drop: (model, id) => store.drop(model, sha256(id)),
    async findTagged<T>(model: string, tag: string, limit?: number) {
      const rows = await store.findTagged(model, sha256(tag), limit)
      return rows.map((row) => open<T>(model, row))
    },
  }
}
