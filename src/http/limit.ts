/**
 * The limit on requests per network (CONTRACT 2). The counters live in the artifact store, so that all nodes share them,
 * and every request is counted. Near the limit each one waits for its own number, so that the limit is exact however many
 * nodes there are; far from it the counts travel in groups behind the answers, and nobody waits for them.
 */
import type { Clock } from '#kernel/clock.ts'
import { Fault, isFault } from '#kernel/faults.ts'
import { networkOf } from '#kernel/network.ts'
import type { ArtifactStore } from '#kernel/ports.ts'
import { sha256 } from '#kernel/random.ts'
import { createRecent } from '#kernel/recent.ts'

export interface LimitOptions {
  readonly store: Pick<ArtifactStore, 'increment'>
  readonly clock: Clock
  readonly windowMs: number
  /** Requests within the window. */
  readonly max: number
}

/** Counts a request. Throws Fault `request.limited` with the seconds until there is room again. */
export type Limit = (address: string) => Promise<void>

/** Room that other nodes may use up before this one hears of it. */
const NEAR = 200
/** Requests that a node lets pass before it knows their numbers. */
const AHEAD = 50
/** ms that a count may lie here, and after which what the store said last is no longer believed. */
const REST_MS = 50
const STALE_MS = 1000
/** Networks that are remembered, those that ask forgotten last. */
const MOST_NETWORKS = 10_000

/** One network in one window: what the store counted, and what it was not told yet. */
class Counter {
  readonly #send: (by: number) => Promise<number>
  #known: { count: number; at: number } | undefined
  #gathered = 0
  #underWay = 0
  #flight: Promise<unknown> = Promise.resolve()
  #next: Promise<{ count: number; by: number }> | undefined
  #timer: NodeJS.Timeout | undefined

  /** @param send adds to the shared counter, answers its value */
  constructor(send: (by: number) => Promise<number>) {
    this.#send = send
  }

  /** What the store said last; it only ever grows. */
  get known(): number {
    return this.#known?.count ?? 0
  }

  /** Counts a request behind its answer, when that cannot exceed `max`. */
  pass(max: number): boolean {
    const ahead = this.#gathered + this.#underWay
    if (!this.#known || ahead >= AHEAD || this.#known.count + ahead + NEAR > max) return false
    if (performance.now() - this.#known.at > STALE_MS) return false
    this.#gathered++
    this.#timer ??= setTimeout(() => void this.#depart().catch(() => undefined), REST_MS).unref()
    return true
  }

  /** Counts a request; answers its number. */
  async number(): Promise<number> {
    const place = ++this.#gathered
    const { count, by } = await this.#depart()
    return count - by + place
  }

  /** What gathers while a group is under way leaves together when that has arrived. */
  #depart(): Promise<{ count: number; by: number }> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#next ??= this.#flight.then(() => {
      const by = this.#gathered
      this.#gathered = 0
      this.#underWay = by
      const sent = this.#next
      this.#next = undefined
      this.#flight = sent?.catch(() => undefined) ?? this.#flight
      return this.#arrive(by)
    })
    return this.#next
  }

  async #arrive(by: number): Promise<{ count: number; by: number }> {
    try {
      const count = await this.#send(by)
      this.#known = { count, at: performance.now() }
      return { count, by }
    } finally {
      this.#underWay = 0
    }
  }
}

/** Windows begin at multiples of their length, so that every node knows when one ends. */
export const createLimit = ({ store, clock, windowMs, max }: LimitOptions): Limit => {
  const counters = createRecent<string, Counter>(MOST_NETWORKS)
  let countedIn = 0

  const counterOf = (network: string, window: number, end: number): Counter => {
    if (window !== countedIn) {
      counters.clear()
      countedIn = window
    }
    const known = counters.get(network)
    if (known) return known
    const key = sha256(`requests ${windowMs} ${window} ${network}`)
    const counter = new Counter((by) => store.increment(key, by, end))
    counters.set(network, counter)
    return counter
  }

  return async (address) => {
    const window = Math.floor(clock.now() / windowMs)
    const end = (window + 1) * windowMs
    const counter = counterOf(networkOf(address), window, end)
    if (counter.pass(max)) return
    const number =
      counter.known >= max
        ? // Whoever goes on beyond the limit costs the store nothing.
          max + 1
        : await counter.number().catch((error: unknown) => {
            // What needs the store says so itself; what does not need it must not suffer.
            if (isFault(error, 'store.unavailable')) return 0
            throw error
          })
    if (number > max) throw new Fault('request.limited', { retryAfter: (end - clock.now()) / 1000 })
  }
}
