/** Keeps one built thing in force and replaces it behind the back of those who use it (DESIGN 3.2). */
import type { Clock } from '#kernel/clock.ts'
import type { Log } from '#kernel/log.ts'

export interface Swap<T> {
  /** The one in force. */
  current(): T
  /** Builds and swaps; calls during a build lead to one more build. Throws when it fails; what is in force stays. */
  reload(): Promise<void>
  /** The same behind the caller: a failure is logged. */
  refresh(): void
  close(): Promise<void>
}

/** The longest that a Node timer takes, ms. */
const RETRY_MS = 5000
const LONGEST_TIMER = 2 ** 31 - 1

/**
 * Builds the first one.
 * @param given `nextChange`: epoch ms after `since` at which the same records lead to another result, if any
 */
export const createSwap = async <T>(given: {
  readonly build: () => Promise<T>
  readonly nextChange: (since: number) => Promise<number | undefined>
  readonly clock: Clock
  readonly log: Log
}): Promise<Swap<T>> => {
  const { build, nextChange, clock, log } = given
  const began = clock.now()
  let current = await build()
  let running: Promise<void> | undefined
  let again = false
  let closed = false
  let timer: NodeJS.Timeout | undefined

  const after = (ms: number) => {
    clearTimeout(timer)
    if (!closed) timer = setTimeout(refresh, Math.min(LONGEST_TIMER, Math.max(0, ms))).unref()
  }
  /** Seen from when the build began: a change that came during it, or a timer that was early, must not be slept through. */
  const wake = async (since: number) => {
    const at = await nextChange(since)
    clearTimeout(timer)
    if (at !== undefined) after(at - clock.now())
  }
  const rebuild = async () => {
    do {
      again = false
      const since = clock.now()
      current = await build()
      await wake(since)
    } while (again && !closed)
  }
  const reload = (): Promise<void> => {
    again = true
    running ??= rebuild().finally(() => {
      running = undefined
    })
    return running
  }
  const refresh = () => {
    if (closed) return
    reload().then(
      () => log.info('op.reloaded'),
      (cause: unknown) => {
        log.error('op.reload-failed', { cause })
        // A store that was away must not stop the rotation of keys.
        after(RETRY_MS)
      },
    )
  }

  await wake(began)
  return {
    current: () => current,
    reload,
    refresh,
    async close() {
      closed = true
      clearTimeout(timer)
      await running?.catch(() => undefined)
    },
  }
}
