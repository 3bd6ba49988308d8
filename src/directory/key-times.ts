/**
 * When a signing key is published, signs, only verifies and is gone (ENGINE 9). Pure: every node derives the same from the
 * same records and its clock. Keys of one algorithm form generations; a generation retires when a later one signs, so a
 * rotation writes one record and nothing else.
 */
import type { SigningKey } from './records.ts'

/** Seconds where nothing else is said. */
export interface KeySettings {
  readonly algorithms: readonly string[]
  readonly default: string
  /** A key signs for so long. */
  readonly rotateEvery: number
  /** A key is published so long before it signs, so that relying parties know it. */
  readonly publishBefore: number
  /** A key verifies for so long after it stopped signing. */
  readonly keepAfter: number
}

/** A key as it is stored. */
export interface KeyRecord {
  /** `<alg>:<generation>`: two nodes that make the next generation meet at this id, and one of them wins. */
  readonly id: string
  readonly generation: number
  readonly kid: string
  readonly alg: string
  readonly jwk: Readonly<Record<string, unknown>>
  /** Epoch ms. */
  readonly publishAt: number
  readonly activateAt: number
  /** Retired by hand, or because the settings no longer name its algorithm. */
  readonly retiredAt?: number
  /** Dropped by hand. */
  readonly droppedAt?: number
}

export type KeyState = 'waiting' | 'published' | 'active' | 'retired' | 'dropped'

const earliest = (...times: (number | undefined)[]): number | undefined => {
  const known = times.filter((time) => time !== undefined)
  return known.length > 0 ? Math.min(...known) : undefined
}

/** Withdrawn by hand before it ever signed: its predecessor goes on. */
const neverSigns = ({ activateAt, retiredAt, droppedAt }: KeyRecord): boolean => {
  const withdrawnAt = earliest(retiredAt, droppedAt)
  return withdrawnAt !== undefined && withdrawnAt < activateAt
}

/** The times of every key, those that other generations give it included. */
export const timesOf = (records: readonly KeyRecord[], settings: KeySettings): SigningKey[] =>
  records.map(({ id: _, generation, retiredAt, droppedAt, ...key }) => {
    const successors = records.filter(
      (other) => other.alg === key.alg && other.generation > generation && !neverSigns(other),
    )
    const retireAt = earliest(retiredAt, ...successors.map(({ activateAt }) => activateAt))
    if (retireAt === undefined) return { ...key, ...(droppedAt !== undefined && { dropAt: droppedAt }) }
    // A key that never signed has nothing to verify.
    const verifiesUntil = retireAt < key.activateAt ? retireAt : retireAt + settings.keepAfter * 1000
    return { ...key, retireAt, dropAt: earliest(droppedAt, verifiesUntil) }
  })

/** What a key does at a moment (epoch ms). */
export const stateAt = (key: SigningKey, now: number): KeyState => {
  if (key.dropAt !== undefined && key.dropAt <= now) return 'dropped'
  if (key.publishAt > now) return 'waiting'
  if (key.retireAt !== undefined && key.retireAt <= now) return 'retired'
  return key.activateAt <= now ? 'active' : 'published'
}

const rank: Record<KeyState, number> = { active: 0, published: 1, retired: 2, waiting: 3, dropped: 4 }

/** The keys of a JWKS at a moment: by algorithm as the settings list them, and within one the signing key first. */
export const publishedAt = (keys: readonly SigningKey[], now: number, settings: KeySettings): SigningKey[] => {
  const place = (alg: string) => (settings.algorithms.indexOf(alg) + 1 || settings.algorithms.length + 1) * 10
  return keys
    .filter((key) => !['waiting', 'dropped'].includes(stateAt(key, now)))
    .sort(
      (a, b) =>
        place(a.alg) + rank[stateAt(a, now)] - place(b.alg) - rank[stateAt(b, now)] || b.activateAt - a.activateAt,
    )
}

/** Until the last node shows a key that one of them made, ms. */
const SPREAD_MS = 2000

/** How long before it signs a key is made, so that every node has published it for the whole of `publishBefore`. */
export const leadOf = ({ publishBefore }: KeySettings): number => publishBefore * 1000 + SPREAD_MS

/** When the next generation of an algorithm must exist (epoch ms); undefined while it already does. */
export const successorDue = (
  keys: readonly SigningKey[],
  alg: string,
  settings: KeySettings,
): { dueAt: number; activateAt: number } | undefined => {
  const latest = keys.filter((key) => key.alg === alg && key.retireAt === undefined)
  if (latest.length === 0) return { dueAt: 0, activateAt: 0 }
  const activateAt = Math.max(...latest.map((key) => key.activateAt)) + settings.rotateEvery * 1000
  return { dueAt: activateAt - leadOf(settings), activateAt }
}

/** The next instant after `now` at which the published set or its order changes, or a key must be made. */
export const nextChangeAfter = (
  keys: readonly SigningKey[],
  now: number,
  settings: KeySettings,
): number | undefined => {
  const instants = keys.flatMap((key) => [key.publishAt, key.activateAt, key.retireAt, key.dropAt])
  const due = settings.algorithms.map((alg) => successorDue(keys, alg, settings)?.dueAt)
  return earliest(...[...instants, ...due].filter((time) => time !== undefined && time > now))
}
