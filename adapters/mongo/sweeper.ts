/** Takes expired documents away, a few at a time; every node does, and none waits for another. */
import type { Log } from '#kernel/log.ts'

const REST_MS = 30_000
/** Between two batches while there is more. */
const BREATH_MS = 50
const BATCH = 200

/** Begins; answers the function that ends it. `sweep` answers how many it took. */
export const startSweeper = (sweep: (limit: number) => Promise<number>, log: Log, restMs = REST_MS): (() => void) => {
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  const next = (ms: number) => {
    if (!stopped) timer = setTimeout(round, ms).unref()
  }
  const round = async () => {
    try {
      next((await sweep(BATCH)) < BATCH ? restMs : BREATH_MS)
    } catch (error) {
      log.warn('store.sweep-failed', { error })
      next(restMs)
    }
  }
  next(restMs)
  return () => {
    stopped = true
    clearTimeout(timer)
  }
}
