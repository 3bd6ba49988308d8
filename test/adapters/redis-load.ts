/** Logins at work while servers fail: what was acknowledged, what was refused, for how long nothing went. */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { systemClock } from '#kernel/clock.ts'
import type { ArtifactStore } from '#kernel/ports.ts'
import { randomId, sha256 } from '#kernel/random.ts'
import { body, unavailable } from './redis-world.ts'

const PORT_LIMIT = 2000
/** For a machine that is busy with other tests. */
const TOLERANCE = 700

export interface Work {
  /** Names of rows that were put; of those, of which it is known that they were redeemed. */
  readonly put: readonly string[]
  readonly redeemed: readonly string[]
  /** Failures of calls; each is a Fault `store.unavailable` and came in time. */
  readonly refusals: number
  /** ms, the longest time in which no call of a lane succeeded. */
  readonly gap: number
}

/** Puts, reads and redeems rows from several lanes until `during` is done. A false answer fails the test at once. */
export const atWork = async (store: ArtifactStore, during: () => Promise<void>): Promise<Work> => {
  const [put, redeemed]: [string[], string[]] = [[], []]
  let [refusals, gap, done] = [0, 0, false]
  const expiresAt = systemClock.now() + 600_000
  const call = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    const began = performance.now()
    try {
      return await work()
    } catch (error) {
      assert.ok(unavailable(/./)(error), String(error))
      assert.ok(performance.now() - began < PORT_LIMIT + TOLERANCE, `refused after ${performance.now() - began} ms`)
      refusals++
      return undefined
    }
  }
  const lane = async () => {
    let last = performance.now()
    while (!done) {
      const name = randomId()
      const key = sha256(name)
      const stored = await call(() => store.put('Code', { key, body, expiresAt, grant: sha256(`grant ${name}`) }))
      assert.ok(stored === 'stored' || stored === undefined)
      if (stored) {
        put.push(name)
        gap = Math.max(gap, performance.now() - last)
        last = performance.now()
        const won = await call(() => store.redeem('Code', key, name, 1))
        if (won === 'won') redeemed.push(name)
      }
      await delay(5)
    }
  }
  const lanes = Array.from({ length: 8 }, lane)
  try {
    await during()
  } finally {
    done = true
  }
  await Promise.all(lanes)
  return { put, redeemed, refusals, gap: Math.round(gap) }
}

/** How many acknowledged rows are gone, and how many that were used are usable again: what the last moment cost. */
export const lossOf = async (store: ArtifactStore, { put, redeemed }: Work) => {
  const rows = await Promise.all(put.map((name) => store.get('Code', 'key', sha256(name))))
  const again = await Promise.all(redeemed.map((name) => store.redeem('Code', sha256(name), 'another', 2)))
  return {
    lost: rows.filter((row) => row === undefined).length,
    revived: again.filter((outcome) => outcome === 'won').length,
  }
}
