/** Waiting for what becomes true by itself, in bounded time. */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'

/**
 * Looks again and again until it is so; fails when it is not so in time.
 * @param what for the message
 */
export const settled = async (what: string, holds: () => boolean | Promise<boolean>, ms = 10_000): Promise<void> => {
  for (const end = performance.now() + ms; !(await holds()); ) {
    assert.ok(performance.now() < end, `${what}: not within ${ms} ms`)
    await delay(20)
  }
}
