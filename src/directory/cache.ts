/**
 * A short memory of what a store answered. The bus tells it what changed; the hard time limit bounds the harm of a lost
 * hint. An answer that was under way when the record changed is handed out but not kept.
 */
import type { Clock } from '#kernel/clock.ts'
import { createRecent } from '#kernel/recent.ts'

const MOST_ENTRIES = 10_000
const HARD_LIMIT_MS = 30_000

export interface Cache<T> {
  /** What is remembered under the key, else what `load` answers. Concurrent callers share one load. */
  get(key: string, load: () => Promise<T>): Promise<T>
  /** Forgets one key, or everything. */
  forget(key?: string): void
}

export const createCache = <T>(clock: Clock, most = MOST_ENTRIES, limitMs = HARD_LIMIT_MS): Cache<T> => {
  const kept = createRecent<string, { value: T; until: number }>(most)
  const underWay = new Map<string, Promise<T>>()

  const begin = (key: string, load: () => Promise<T>): Promise<T> => {
    const loading = load().then(
      (value) => {
        // Forgotten meanwhile: another load may be under way under this key, or none.
        if (underWay.get(key) === loading) {
          underWay.delete(key)
          kept.set(key, { value, until: clock.now() + limitMs })
        }
        return value
      },
      (error: unknown) => {
        if (underWay.get(key) === loading) underWay.delete(key)
        throw error
      },
    )
    underWay.set(key, loading)
    return loading
  }

  return {
    async get(key, load) {
      const entry = kept.get(key)
      if (entry && entry.until > clock.now()) return entry.value
      kept.delete(key)
      return underWay.get(key) ?? begin(key, load)
    },
    forget(key) {
      if (key === undefined) {
        kept.clear()
        underWay.clear()
      } else {
        kept.delete(key)
        underWay.delete(key)
      }
    },
  }
}
