/**
 * How a call reaches Redis: waited for at most PATIENCE, sent again while there is hope, and whatever else happens
 * answered with Fault `store.unavailable`. A connection that is lost comes back by itself (connect.ts).
 */
import { setTimeout as delay } from 'node:timers/promises'
import { Cluster, type Redis } from 'ioredis'
import type { Fault } from '#kernel/faults.ts'
import type { Log } from '#kernel/log.ts'
import { Confirmation } from './confirm.ts'
import type { Connection } from './connect.ts'
import { mayPass, toFault, unavailable } from './faults.ts'
import { type Client, mastersOf } from './scripts.ts'
import type { Address } from './url.ts'

/** ms that a caller waits; the port allows 2 s. */
const PATIENCE = 1900
/** ms between two looks for callers who have waited long enough: a timer for each would cost more than all else here. */
const LOOK = 50
const FIRST_PAUSE = 20

const monotonic = (): number => performance.now()

/** The end of one call's patience, `performance.now()`. */
export type Until = number

interface Waiting {
  readonly until: Until
  readonly reject: (fault: Fault) => void
  over: boolean
}

type Flow = Redis['stream']

const flowsOf = (client: Client): readonly Flow[] =>
  // There is none before the first connection, whatever the type says.
  mastersOf(client).flatMap(({ stream }: Partial<Redis>) => stream ?? [])

export class Link {
  readonly label: string
  /** Whether all keys are on one server. */
  readonly single: boolean
  readonly #client: Client
  /** Where replicas must have what is written. */
  readonly #confirmation: Confirmation | undefined
  readonly #disconnect: () => void
  /** Oldest first; those that are over stay until the next look. */
  readonly #waiting: Waiting[] = []
  #callers = 0
  #looking: NodeJS.Timeout | undefined
  /** Told when nobody waits any more. */
  #settled: (() => void) | undefined
  /** Since when there is no connection at all. */
  #awaySince: number | undefined
  #gathering = false
  #corked: readonly Flow[] = []
  #closed = false

  constructor({ client, close }: Connection, { label, replicas }: Pick<Address, 'label' | 'replicas'>, log: Log) {
    this.#client = client
    this.single = !(client instanceof Cluster)
    if (replicas > 0) this.#confirmation = new Confirmation(client, replicas)
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
    return new Promise<T>((resolve, reject) => {
      const waiting: Waiting = { until, reject, over: false }
      this.#waiting.push(waiting)
      this.#callers += 1
      this.#looking ??= setInterval(() => this.#look(), LOOK)
      work(until).then(
        (result) => {
          this.#leave(waiting)
          resolve(result)
        },
        (error: unknown) => {
          this.#leave(waiting)
          reject(toFault(this.label, error))
        },
      )
    })
  }

  /** As `call`, for work that writes: answers when as many replicas have it as the address says. */
  write<T>(work: (until: Until) => Promise<T>): Promise<T> {
    const confirmation = this.#confirmation
    if (!confirmation) return this.call(work)
    return this.call((until) =>
      confirmation.of(
        () => work(until),
        () => monotonic() > until,
      ),
    )
  }

  /** Work that nobody waits for, and whose failure only leaves something over. */
  background(work: (until: Until) => Promise<unknown>): void {
    this.call(work).catch(() => undefined)
  }

  /**
   * Sends a command, again while there is patience left, unless the server refused it. It may have been executed before:
   * every command of this room changes nothing the second time, and answers the same.
   */
  send<T>(until: Until, command: (client: Client) => Promise<T>, pause = FIRST_PAUSE): Promise<T> {
    this.#gather()
    return command(this.#client).catch(async (error: unknown) => {
      if (!mayPass(error) || this.#isLost() || monotonic() + pause > until) throw error
      if (this.#client instanceof Cluster) this.#client.refreshSlotsCache()
      await delay(pause)
      return this.send(until, command, pause * 2)
    })
  }

  /** Waits for calls under way, then disconnects. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    if (this.#callers > 0)
      await new Promise<void>((resolve) => {
        this.#settled = resolve
      })
    clearInterval(this.#looking)
    this.#disconnect()
  }

  #leave(waiting: Waiting): void {
    if (waiting.over) return
    waiting.over = true
    this.#callers -= 1
    if (this.#callers === 0) this.#settled?.()
  }

  #refuse(waiting: Waiting): void {
    if (waiting.over) return
    this.#leave(waiting)
    waiting.reject(unavailable(this.label, 'it did not answer in time'))
  }

  #look(): void {
    const now = monotonic()
    const first = this.#waiting.findIndex(({ over, until }) => !over && until > now)
    const past = this.#waiting.splice(0, first < 0 ? this.#waiting.length : first)
    // An answer that is here already, and was only not read since this process was busy, still counts.
    for (const waiting of past) if (!waiting.over) setImmediate(() => this.#refuse(waiting))
    if (this.#callers > 0) return
    clearInterval(this.#looking)
    this.#looking = undefined
  }

  /**
   * What one turn sends goes out in one piece. Cheaper than the pipelines that ioredis makes by itself; and those wait for
   * each other, so that what a request needs would wait for what happens to be under way.
   */
  #gather(): void {
    if (this.#gathering) return
    this.#gathering = true
    this.#corked = flowsOf(this.#client)
    for (const flow of this.#corked) flow.cork()
    setImmediate(this.#letGo)
  }

  readonly #letGo = (): void => {
    this.#gathering = false
    for (const flow of this.#corked) flow.uncork()
  }

  /** Away for so long that waiting helps nobody. */
  #isLost(): boolean {
    return this.#awaySince !== undefined && monotonic() - this.#awaySince > PATIENCE
  }
}
