/**
 * Sessions end by time too, and then nobody is there to say so: this looks every minute for those that are over, on any
 * store, by the time buckets that they are tagged with. Several nodes may do it; each session is ended by one.
 */
import { bucketOf } from '#artifacts/tags.ts'
import type { Clock } from '#kernel/clock.ts'
import type { Log } from '#kernel/log.ts'
import type { Sessions } from './ending.ts'

export interface Expiry {
  /** One look at once; used by tests. */
  look(): Promise<number>
  close(): Promise<void>
}

const EVERY_MS = 60_000
/** Sessions that ended so long ago may still be there (after everything was down), ms. */
const LOOK_BACK_MS = 24 * 3_600_000
/** What ended a moment ago is left for the next look, so the bucket before is looked at again. */
const AGAIN = 1

export const startExpiry = (given: { sessions: Pick<Sessions, 'expire'>; clock: Clock; log: Log }): Expiry => {
  const { sessions, clock, log } = given
  let from = bucketOf(clock.now() - LOOK_BACK_MS)
  let running: Promise<number> | undefined
  let closed = false

  const lookOnce = async (): Promise<number> => {
    let count = 0
    const last = bucketOf(clock.now())
    for (let bucket = from; bucket <= last && !closed; bucket++) {
      count += await sessions.expire(bucket)
      // Remembered only when it succeeded: a store that was away makes up for it.
      from = Math.max(from, bucket - AGAIN)
    }
    if (count > 0) log.info('sessions.expired', { count })
    return count
  }
  const look = (): Promise<number> => {
    running ??= lookOnce().finally(() => {
      running = undefined
    })
    return running
  }
  const later = (ms: number) =>
    setTimeout(() => {
      look()
        .catch((cause: unknown) => log.warn('sessions.look-failed', { cause }))
        .finally(() => {
          if (!closed) timer = later(EVERY_MS)
        })
    }, ms).unref()
  let timer = later(EVERY_MS)

  return {
    look,
    async close() {
      closed = true
      clearTimeout(timer)
      await running?.catch(() => undefined)
    },
  }
}
