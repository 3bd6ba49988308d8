/**
 * A small HTTP cache (RFC 9111) for keys and metadata, used only by calls that ask for it. What was fetched with success
 * is also kept for times when the source is away (RFC 5861 4), so that a provider's hiccup does not stop logins.
 */
import type { Clock } from '../clock.ts'

export interface Stored {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  readonly body: Uint8Array<ArrayBuffer>
}

export interface Cache {
  fresh(key: string): Stored | undefined
  /** Fresh or not, while the source is away. */
  stale(key: string): Stored | undefined
  store(key: string, answer: Stored): void
}

const MOST_ENTRIES = 500
/** Milliseconds: without a word on caching; at most; and how long an old answer may stand in. */
const UNSAID = 5 * 60_000
const LONGEST = 24 * 3_600_000
const STALE = 24 * 3_600_000

/** RFC 9111 5.2.2. Milliseconds of freshness; undefined: must not be stored. */
export const freshness = (headers: Stored['headers']): number | undefined => {
  const said = headers
    .filter(([name]) => name === 'cache-control')
    .flatMap(([, value]) => value.toLowerCase().split(','))
    .map((directive) => directive.trim())
  if (said.includes('no-store')) return undefined
  if (said.includes('no-cache')) return 0
  const age = said.find((directive) => directive.startsWith('max-age='))?.slice('max-age='.length)
  const seconds = Number(age?.replaceAll('"', '') ?? Number.NaN)
  return Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds * 1000, LONGEST) : UNSAID
}

export const createCache = (clock: Clock): Cache => {
  const entries = new Map<string, { answer: Stored; storedAt: number; freshUntil: number }>()
  return {
    fresh(key) {
      const entry = entries.get(key)
      return entry && entry.freshUntil > clock.now() ? entry.answer : undefined
    },
    stale(key) {
      const entry = entries.get(key)
      return entry && entry.storedAt + STALE > clock.now() ? entry.answer : undefined
    },
    store(key, answer) {
      entries.delete(key)
      const ms = answer.status === 200 ? freshness(answer.headers) : undefined
      if (ms === undefined) return
      const now = clock.now()
      entries.set(key, { answer, storedAt: now, freshUntil: now + ms })
      const oldest = entries.size > MOST_ENTRIES ? entries.keys().next().value : undefined
      if (oldest !== undefined) entries.delete(oldest)
    },
  }
}
