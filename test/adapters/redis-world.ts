/** What the tests of the Redis store share: servers, a clock, stores under prefixes of their own, other processes. */
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import { after, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { openRedisArtifacts } from '#adapters/redis/index.ts'
import { type Clock, systemClock } from '#kernel/clock.ts'
import { isFault } from '#kernel/faults.ts'
import { silentLog } from '#kernel/log.ts'
import type { ArtifactStore } from '#kernel/ports.ts'
import { randomId, sha256 } from '#kernel/random.ts'
import { type RedisService, redisMissing } from '../../scripts/redis.ts'
import { leftOut } from '../../scripts/stores.ts'

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
export const start = (t: TestContext, task: string, url: string): ChildProcess => {
  const child = fork(new URL('./redis-process.ts', import.meta.url), [task, url], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  t.after(() => child.kill('SIGKILL'))
  return child
}
/** What it says next; a process that ends first says nothing any more. */
export const message = async (child: ChildProcess): Promise<unknown> => {
  const over = new AbortController()
  const { signal } = over
  const ended = once(child, 'exit', { signal }).then(([code]) => {
    throw new Error(`the other process ended with ${code}`)
  })
  try {
    return (await Promise.race([once(child, 'message', { signal }), ended]))[0]
  } finally {
    over.abort()
    ended.catch(() => undefined)
  }
}

/** A task in two processes, both ready to begin. */
export const pair = async (t: TestContext, task: string, url: string): Promise<ChildProcess[]> => {
  const children = [start(t, task, url), start(t, task, url)]
  await Promise.all(children.map(message))
  return children
}
export const begin = (children: readonly ChildProcess[]): void => {
  for (const [nth, child] of children.entries()) child.send(String(nth))
}

/** Runs a task in two processes that begin together; answers what each said. */
export const together = async (t: TestContext, task: string, url: string): Promise<unknown[]> => {
  const children = await pair(t, task, url)
  const answers = Promise.all(children.map(message))
  begin(children)
  return answers
}

/** For `until`. */
export const isReady = (store: ArtifactStore) => () =>
  store.ready().then(
    () => true,
    () => false,
  )

/** Looks again and again until it is so. */
export const until = async (fits: () => boolean | Promise<boolean>, ms = 5000): Promise<void> => {
  const late = AbortSignal.timeout(ms)
  while (!(await fits())) {
    assert.ok(!late.aborted, `not within ${ms} ms`)
    await delay(10)
  }
}

export const unavailable = (reason: RegExp) => (error: unknown) =>
  isFault(error, 'store.unavailable') && reason.test(String(error.detail.reason))
