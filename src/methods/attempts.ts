/**
 * Limits on guessing: wrong secrets are counted per account and network, per account, and per network, in the artifact
 * store, so that all nodes share them. A right one forgives the wrong ones before it for this account from this network
 * only: whoever knows the secret of one account must not win tries at another, and a stranger who guesses from elsewhere
 * (or from the same network, beside the owner) stays under the account's own limit.
 * HAZARDS 2: never a bucket per spelling of a name or of an IPv6 address.
 */
import type { Clock } from '#kernel/clock.ts'
import { networkOf } from '#kernel/network.ts'
import type { ArtifactStore } from '#kernel/ports.ts'
import { sha256 } from '#kernel/random.ts'

/** Milliseconds; windows begin at multiples of it. */
const WINDOW = 15 * 60_000
const DAY = 24 * 60 * 60_000
/** Wrong secrets for one account from one network: a stranger elsewhere must not be able to lock the owner out. */
const PER_PAIR = 10
/** For one account from everywhere, against guessing from many networks at once. */
const PER_ACCOUNT = 100
const PER_NETWORK = 100

/** Counters of names that nobody has must not differ by spelling either. */
export const unknownName = (login: string): string =>
  `name ${login.slice(0, 1024).normalize('NFKC').trim().toLowerCase().slice(0, 255)}`

interface Who {
  readonly account: string
  readonly address: string
}

export interface Standing {
  /** Seconds until another try makes sense; undefined while there is room. */
  readonly wait: number | undefined
  /** Wrong secrets for this account from this network: what `right` would forgive. */
  readonly wrong: number
}

export interface Attempts {
  standing(who: Who): Promise<Standing>
  /** Counts a wrong secret. */
  wrong(who: Who): Promise<void>
  /**
   * Counts a try before it is judged, so that parallel ones cannot overtake the count: for secrets that are checked too
   * quickly to stand in a queue. Seconds to wait when there is no room; it counted nothing then.
   */
  begin(who: Who): Promise<number | undefined>
  /** The secret was right: the typing errors before it are forgotten, and the try itself where it was counted by `begin`. */
  right(who: Who, options?: { begun?: boolean }): Promise<void>
}

/** Wrong tries that are let through; the window is 15 minutes unless the name says otherwise. */
export interface Limits {
  readonly perPair?: number
  readonly perAccount?: number
  readonly perNetwork?: number
  readonly perAccountAndDay?: number
}

interface Bucket {
  readonly key: Buffer
  readonly most: number
  /** Epoch ms. */
  readonly end: number
}

const bucketsOf =
  (clock: Clock, kind: string, limits: Limits) =>
  ({ account, address }: Who): readonly [pair: Bucket, ...Bucket[]] => {
    const { perPair = PER_PAIR, perAccount = PER_ACCOUNT, perNetwork = PER_NETWORK, perAccountAndDay } = limits
    const network = networkOf(address)
    const bucket = (scope: string, name: string, most: number, window = WINDOW): Bucket => {
      const start = Math.floor(clock.now() / window)
      return { key: sha256(`attempts ${kind} ${scope} ${start} ${name}`), most, end: (start + 1) * window }
    }
    return [
      bucket('pair', JSON.stringify([account, network]), perPair),
      bucket('account', account, perAccount),
      bucket('network', network, perNetwork),
      ...(perAccountAndDay === undefined ? [] : [bucket('day', account, perAccountAndDay, DAY)]),
    ]
  }

/** @param kind what is guessed; each kind has counters of its own */
export const createAttempts = (store: ArtifactStore, clock: Clock, kind: string, limits: Limits = {}): Attempts => {
  const buckets = bucketsOf(clock, kind, limits)
  const add = (all: readonly Bucket[], by: number) =>
    Promise.all(all.map(({ key, end }) => store.increment(key, by, end)))
  /** @param room how many more there must be room for */
  const waitFor = (all: readonly Bucket[], counts: readonly number[], room: number): number | undefined => {
    const full = all.filter(({ most }, index) => (counts[index] ?? 0) + room > most)
    if (full.length === 0) return undefined
    return Math.max(1, ...full.map(({ end }) => Math.ceil((end - clock.now()) / 1000)))
  }

  return {
    async standing(who) {
      const all = buckets(who)
      const counts = await add(all, 0)
      return { wait: waitFor(all, counts, 1), wrong: counts[0] ?? 0 }
    },
    async wrong(who) {
      await add(buckets(who), 1)
    },
    async begin(who) {
      const all = buckets(who)
      const wait = waitFor(all, await add(all, 1), 0)
      if (wait !== undefined) await add(all, -1)
      return wait
    },
    async right(who, { begun = false } = {}) {
      const [pair, ...others] = buckets(who)
      if (begun) await add(others, -1)
      const count = await store.increment(pair.key, 0, pair.end)
      if (count <= 0) return
      // What was counted meanwhile stays counted; two right ones at once must not forgive twice.
      const left = await store.increment(pair.key, -count, pair.end)
      if (left < 0) await store.increment(pair.key, Math.min(count, -left), pair.end)
    },
  }
}
