/** What the tests of the embedded store share: files of their own, a clock, other processes. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { after, type TestContext } from 'node:test'
import { openSqliteArtifacts } from '#adapters/sqlite/index.ts'
import { type Clock, systemClock } from '#kernel/clock.ts'
import { isFault } from '#kernel/faults.ts'
import { silentLog } from '#kernel/log.ts'
import type { ArtifactStore } from '#kernel/ports.ts'
import { randomId, sha256 } from '#kernel/random.ts'

export const folder = mkdtempSync(join(tmpdir(), 'gatehouse-sqlite-'))
after(() => rmSync(folder, { recursive: true, force: true }))
export const newPath = () => join(folder, `${randomId()}.sqlite`)

// Stands still unless moved, so that a case may stand one millisecond before an expiry.
let now = systemClock.now()
export const skip = (ms: number): void => {
  now += ms
}
export const clock: Clock = { now: () => now }
export const world = { clock, log: silentLog }
export const body = Buffer.from('body')
export const key = sha256('a')

export const store = async (t: TestContext, path = newPath()) => {
  const opened = await openSqliteArtifacts(path, world)
  t.after(() => opened.close())
  return opened
}

export const rowCount = async (own: ArtifactStore): Promise<number> => {
  let count = 0
  for await (const _ of own.scan()) count++
  return count
}

/** Another process at work on a file (sqlite-process.ts). */
export const start = (t: TestContext, task: string, path: string, execPath = process.execPath): ChildProcess => {
  const child = fork(new URL('./sqlite-process.ts', import.meta.url), [task, path], {
    execPath,
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  t.after(() => child.kill('SIGKILL'))
  return child
}
export const message = async (child: ChildProcess): Promise<unknown> => (await once(child, 'message'))[0]

/** Tells all at once to begin; answers what each said. */
export const goAll = (children: readonly ChildProcess[], go: (nth: number) => string): Promise<unknown[]> => {
  const answers = Promise.all(children.map(message))
  for (const [nth, child] of children.entries()) child.send(go(nth))
  return answers
}

/** Runs a task in several processes that begin together; answers what each said. */
export const together = async (t: TestContext, task: string, path: string, count: number): Promise<unknown[]> => {
  const children = Array.from({ length: count }, () => start(t, task, path))
  await Promise.all(children.map(message))
  return goAll(children, String)
}

export const unavailable = (reason: RegExp) => (error: unknown) =>
  isFault(error, 'store.unavailable') && reason.test(String(error.detail.reason))
