/**
 * The limit on requests per network (CONTRACT 2). The counters live in the artifact store, so that all nodes share them;
 * one that is full is remembered here, so that whoever goes on costs the store nothing.
 */
import type { Clock } from '#kernel/clock.ts'
import { Fault, isFault } from '#kernel/faults.ts'
import { networkOf } from '#kernel/network.ts'
import type { ArtifactStore } from '#kernel/ports.ts'
import { sha256 } from '#kernel/random.ts'

export interface LimitOptions {
  readonly store: Pick<ArtifactStore, 'increment'>
  readonly clock: Clock
  readonly windowMs: number
  /** Requests within the window. */
  readonly max: number
}

/** Counts a request. Throws Fault `request.limited` with the seconds until there is room again. */
export type Limit = (address: string) => Promise<void>

/** Networks that are remembered as full. */
const MOST_FULL = 10_000

/** Windows begin at multiples of their length, so that every node knows when one ends. */
export const createLimit = ({ store, clock, windowMs, max }: LimitOptions): Limit => {
  let full = new Set<string>()
  let fullIn = 0

  const refuse = (end: number): never => {
    throw new Fault('request.limited', { retryAfter: (end - clock.now()) / 1000 })
  }

  return async (address) => {
    const window = Math.floor(clock.now() / windowMs)
    const end = (window + 1) * windowMs
    const network = networkOf(address)
    if (window !== fullIn) {
      full = new Set()
      fullIn = window
    }
    if (full.has(network)) return refuse(end)
    let count = 0
    try {
      count = await store.increment(sha256(`requests ${windowMs} ${window} ${network}`), 1, end)
    } catch (error) {
      // What needs the store says so itself; what does not need it (documents, pages without state) must not suffer.
      if (!isFault(error, 'store.unavailable')) throw error
    }
    if (count <= max) return
    if (window === fullIn && full.size < MOST_FULL) full.add(network)
    return refuse(end)
  }
}
