/** What the tests of the Redis store share: servers, a clock, stores under prefixes of their own, other processes. */
import type { ChildProcess } from 'node:child_process'
import { after, type TestContext } from 'node:test'
import { openRedisArtifacts } from '#adapters/redis/index.ts'
import { type Clock, systemClock } from '#kernel/clock.ts'
import { isFault } from '#kernel/faults.ts'
import { silentLog } from '#kernel/log.ts'
import type { ArtifactStore } from '#kernel/ports.ts'
import { randomId, sha256 } from '#kernel/random.ts'
import { type RedisService, redisMissing } from '../../scripts/redis.ts'
import { leftOut } from '../../scripts/stores.ts'
import { startProcess } from './processes.ts'

/** For a suite's `skip`: what is missing here; in CI it is no excuse. */
export const missing: string | false = leftOut('redis') ?? (process.env.CI ? false : (redisMissing() ?? false))

// Stands still unless moved, so that a case may stand one millisecond before an expiry.
let now = systemClock.now()
export const skip = (ms: number): void => {
  now += ms
}
export const clock: Clock = { now: () => now }
export const world = { clock, log: silentLog }
export const body = Buffer.from('body')
export const key = sha256('a')

/** A service that is started by the first who asks and closed after the last test of the file. */
export const shared = (start: () => Promise<RedisService>): (() => Promise<RedisService>) => {
  let running: Promise<RedisService> | undefined
  after(async () => (await running)?.close())
  return () => {
    running ??= start()
    return running
  }
}

/** The address with a prefix that nobody else has: an empty store. */
export const emptyAt = ({ url }: Pick<RedisService, 'url'>): string =>
  `${url}${url.includes('?') ? '&' : '?'}prefix=${randomId()}`

export const store = async (t: TestContext, url: string, more: Partial<typeof world> = {}) => {
  const opened = await openRedisArtifacts(url, { ...world, ...more })
  t.after(() => opened.close())
  return opened
}

/** Another process at work on a store (redis-process.ts). */
export const start = (t: TestContext, task: string, url: string): ChildProcess =>
  startProcess(t, './redis-process.ts', [task, url])

/** For `settled`. */
export const isReady = (store: ArtifactStore) => () =>
  store.ready().then(
    () => true,
    () => false,
  )

export const unavailable = (reason: RegExp) => (error: unknown) =>
  isFault(error, 'store.unavailable') && reason.test(String(error.detail.reason))
