/** What the tests of the MongoDB store share: servers, databases of their own, a clock, other processes. */
import type { ChildProcess } from 'node:child_process'
import { after, type TestContext } from 'node:test'
import { type Db, MongoClient } from 'mongodb'
import { type Clock, systemClock } from '#kernel/clock.ts'
import { isFault } from '#kernel/faults.ts'
import { silentLog } from '#kernel/log.ts'
import { randomToken } from '#kernel/random.ts'
import { gradeLine, type MongoServer, mongoMissing, openMongoServers } from '../../scripts/mongo.ts'
import { leftOut } from '../../scripts/stores.ts'
import { startProcess } from './processes.ts'

/** Where there is no server: a loud line here, and no test; with CI set a failure. */
export const missing = await mongoMissing()
if (missing && process.env.CI && !leftOut('mongo')) throw new Error(`no MongoDB server: ${missing}`)
export const servers: readonly MongoServer[] = missing ? [] : await openMongoServers()
console.log(missing ? `MongoDB store NOT TESTED: ${missing}` : `MongoDB store tested on ${gradeLine(servers)}`)
/** On a server that is not thrown away. */
const guests: string[] = []
after(async () => {
  for (const url of guests) await drop(url)
  for (const server of servers) await server.close()
})

// Stands still unless moved, so that a case may stand one millisecond before an expiry.
let now = systemClock.now()
export const skip = async (ms: number): Promise<void> => {
  now += ms
}
export const clock: Clock = { now: () => now }
/** The stand-ins are slow: where speed is not what is asked, callers wait longer than in service. */
export const world = { clock, log: silentLog, waitMs: 20_000 }
/** For a store whose connection is taken away: the driver may not notice that before its time limit. */
export const doomed = { ...world, waitMs: 2500 }
/** As in service. */
export const hasty = { clock: systemClock, log: silentLog }

export const newDatabase = (server: MongoServer): string => {
  const url = server.database(`gatehouse_test_${randomToken(9).replaceAll(/[-_]/g, 'x')}`)
  if (!server.process) guests.push(url)
  return url
}

/** The database itself, past the store; dropped after the test. */
export const raw = async (t: TestContext, url: string): Promise<Db> => {
  const client = await new MongoClient(url, { serverSelectionTimeoutMS: 5000 }).connect()
  t.after(() => client.close())
  return client.db()
}

const drop = async (url: string): Promise<void> => {
  const client = await new MongoClient(url).connect()
  await client.db().dropDatabase()
  await client.close()
}

/** Another process at work on a database (mongo-process.ts). */
export const start = (t: TestContext, task: string, ...rest: string[]): ChildProcess =>
  startProcess(t, './mongo-process.ts', [task, ...rest])

export const unavailable =
  (reason = /./) =>
  (error: unknown) =>
    isFault(error, 'store.unavailable') && reason.test(String(error.detail.reason))
