/**
 * Registered clients whose time is over are refused at once by every node; this takes their records away, and with them
 * what people allowed to them. Several nodes may do it; a record is removed once.
 */
import { type Clock, epochSeconds } from '#kernel/clock.ts'
import type { Log } from '#kernel/log.ts'
import type { Clients } from './records.ts'

export interface ClientExpiry {
  /** One look at once; used by tests. @returns how many went */
  look(): Promise<number>
  close(): Promise<void>
}

const EVERY_MS = 60_000
const DAY = 86_400
/** Days that the first look goes back: so long may everything have been down. */
const LOOK_BACK = 400

export const startClientExpiry = (given: {
  readonly clients: Pick<Clients, 'expiringOn' | 'remove'>
  readonly clock: Clock
  readonly log: Log
  /** Told of each that went. */
  readonly removed: (clientId: string) => void
}): ClientExpiry => {
  const { clients, clock, log, removed } = given
  let from = epochSeconds(clock) - LOOK_BACK * DAY
  let running: Promise<number> | undefined
  let closed = false

  const removeOn = async (day: number): Promise<number> => {
    let count = 0
    for (;;) {
      const now = epochSeconds(clock)
      const over = (await clients.expiringOn(day)).filter(({ expires_at }) => Number(expires_at) <= now)
      for (const { client_id } of over)
        if (!closed && (await clients.remove(client_id))) {
          count += 1
          removed(client_id)
        }
      if (over.length === 0 || closed) return count
    }
  }
  const lookOnce = async (): Promise<number> => {
    const today = epochSeconds(clock)
    let count = 0
    for (let day = from; day <= today; day += DAY) count += await removeOn(day)
    // The last day of this look is not over yet.
    from = Math.max(from, today - DAY)
    return count
  }
  const look = (): Promise<number> => {
    running ??= lookOnce().finally(() => {
      running = undefined
    })
    return running
  }
  const later = () =>
    setTimeout(() => {
      look()
        .catch((cause: unknown) => log.warn('clients.look-failed', { cause }))
        .finally(() => {
          if (!closed) timer = later()
        })
    }, EVERY_MS).unref()
  let timer = later()

  return {
    look,
    async close() {
      closed = true
      clearTimeout(timer)
      await running?.catch(() => undefined)
    },
  }
}
