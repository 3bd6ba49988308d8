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
/** Wrong secrets for one account from one network: a stranger elsewhere must not be able to lock the owner out. */
const PER_PAIR = 10
/** For one account from everywhere, against guessing from many networks at once. */
const PER_ACCOUNT = 100
const PER_NETWORK = 100

export interface Attempts {
  /** Seconds until another try makes sense; undefined while there is room. */
  limited(who: { account: string; address: string }): Promise<number | undefined>
  /** Counts a wrong secret. */
  wrong(who: { account: string; address: string }): Promise<void>
  /** The secret was right: the typing errors before it are forgotten. */
  right(who: { account: string; address: string }): Promise<void>
}

/** @param kind what is guessed; each kind has counters of its own */
export const createAttempts = (
  store: ArtifactStore,
  clock: Clock,
  kind: string,
  { perPair = PER_PAIR, perAccount = PER_ACCOUNT, perNetwork = PER_NETWORK } = {},
): Attempts => {
  const buckets = ({ account, address }: { account: string; address: string }) => {
    const start = Math.floor(clock.now() / WINDOW)
    const network = networkOf(address)
    const bucket = (scope: string, name: string, most: number) => ({
      key: sha256(`attempts ${kind} ${scope} ${start} ${name}`),
      most,
    })
    return {
      end: (start + 1) * WINDOW,
      all: [
        bucket('pair', JSON.stringify([account, network]), perPair),
        bucket('account', account, perAccount),
        bucket('network', network, perNetwork),
      ] as const,
    }
  }
  return {
    async limited(who) {
      const { end, all } = buckets(who)
      const counts = await Promise.all(all.map(({ key }) => store.increment(key, 0, end)))
      return counts.some((count, index) => count >= (all[index]?.most ?? 0))
        ? Math.max(1, Math.ceil((end - clock.now()) / 1000))
        : undefined
    },
    async wrong(who) {
      const { end, all } = buckets(who)
      await Promise.all(all.map(({ key }) => store.increment(key, 1, end)))
    },
    async right(who) {
      const {
        end,
        all: [pair],
      } = buckets(who)
      const count = await store.increment(pair.key, 0, end)
      if (count <= 0) return
      // What was counted meanwhile stays counted; two right ones at once must not forgive twice.
      const left = await store.increment(pair.key, -count, end)
      if (left < 0) await store.increment(pair.key, Math.min(count, -left), end)
    },
  }
}
