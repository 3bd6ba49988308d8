/**
 * How a call reaches Redis: waited for at most PATIENCE, sent again where that cannot do harm, and whatever else happens
 * answered with Fault `store.unavailable`. A connection that is lost comes back by itself (connect.ts).
 */
import { setTimeout as delay } from 'node:timers/promises'
import { Cluster } from 'ioredis'
import type { Log } from '#kernel/log.ts'
import type { Connection } from './connect.ts'
import { outcomeOf, toFault, unavailable } from './faults.ts'
import type { Client } from './scripts.ts'

/** ms that a caller waits; the port allows 2 s. */
export const PATIENCE = 1900
const FIRST_PAUSE = 20

const monotonic = (): number => performance.now()

/** The end of one call's patience, `performance.now()`. */
export type Until = number

/** Out of any pipeline: ioredis follows a Cluster's redirections of a single command only. */
const alone = <T>(client: Client, command: (client: Client) => Promise<T>): Promise<T> => {
  client.options.enableAutoPipelining = false
  try {
    return command(client)
  } finally {
    client.options.enableAutoPipelining = true
  }
}

export class Link {
  readonly label: string
  readonly #client: Client
  readonly #disconnect: () => void
  readonly #running = new Set<Promise<unknown>>()
  /** Since when there is no connection at all. */
  #awaySince: number | undefined
  #closed = false

  constructor({ client, close }: Connection, label: string, log: Log) {
    this.#client = client
    this.#disconnect = close
    this.label = label
    client.on('ready', () => {
      if (this.#awaySince !== undefined) log.info('store.back', { store: label })
      this.#awaySince = undefined
    })
    client.on('close', () => {
      if (this.#awaySince !== undefined || this.#closed) return
      this.#awaySince = monotonic()
      log.warn('store.away', { store: label })
    })
  }

  /** Runs the work of one call. Throws Fault `store.unavailable` when it fails or takes longer than PATIENCE. */
  call<T>(work: (until: Until) => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(unavailable(this.label, 'the store is closed'))
    const until = monotonic() + PATIENCE
    const bounded = new Promise<T>((resolve, reject) => {
      const refuse = () => reject(unavailable(this.label, 'it did not answer in time'))
      // An answer that is here already, and was only not read since this process was busy, still counts.
      const timer = setTimeout(() => setImmediate(refuse), PATIENCE)
      const done = () => {
        clearTimeout(timer)
        this.#running.delete(bounded)
      }
      work(until).then(
        (result) => {
          done()
          resolve(result)
        },
        (error: unknown) => {
          done()
          reject(toFault(this.label, error))
        },
      )
    })
    this.#running.add(bounded)
    return bounded
  }

  /** Work that nobody waits for, and whose failure only leaves something over. */
  background(work: (until: Until) => Promise<unknown>): void {
    this.call(work).catch(() => undefined)
  }

  /**
   * Sends a command, again while there is patience left: always when it was certainly not executed, and also when it may
   * have been, if it is `repeatable`: a second execution then changes nothing and answers the same.
   */
  async send<T>(until: Until, command: (client: Client) => Promise<T>, repeatable = true): Promise<T> {
    let issue = command
    for (let pause = FIRST_PAUSE; ; pause *= 2) {
      try {
        return await issue(this.#client)
      } catch (error) {
        const outcome = outcomeOf(error)
        const hopeless = outcome === 'refused' || (outcome === 'unknown' && !repeatable) || this.#isLost()
        if (hopeless || monotonic() + pause > until) throw error
      }
      if (this.#client instanceof Cluster) this.#client.refreshSlotsCache()
      await delay(pause)
      issue = (client) => alone(client, command)
    }
  }

  /** Waits for calls under way, then disconnects. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.allSettled(this.#running)
    this.#disconnect()
  }

  /** Away for so long that waiting helps nobody. */
  #isLost(): boolean {
    return this.#awaySince !== undefined && monotonic() - this.#awaySince > PATIENCE
  }
}
