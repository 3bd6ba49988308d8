/** What the tests of the embedded store share: files of their own, a clock, other processes. */
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext } from 'node:test'
import { openSqliteArtifacts } from '#adapters/sqlite/index.ts'
import { type Clock, systemClock } from '#kernel/clock.ts'
import { isFault } from '#kernel/faults.ts'
import { silentLog } from '#kernel/log.ts'
import type { ArtifactStore } from '#kernel/ports.ts'
import { randomId, sha256 } from '#kernel/random.ts'
import { startProcess } from './processes.ts'

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
export const start = (t: TestContext, task: string, path: string, execPath?: string): ChildProcess =>
  startProcess(t, './sqlite-process.ts', [task, path], execPath)

export const unavailable = (reason: RegExp) => (error: unknown) =>
  isFault(error, 'store.unavailable') && reason.test(String(error.detail.reason))
