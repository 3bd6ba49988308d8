/**
 * A MongoDB server for the tests, found or started in this order: MONGODB_URL, a mongod on PATH (or MONGOD); where there
 * is neither, both stand-ins, each of which has other gaps: nx-27017 and mongo-java-server. Neither stand-in is MongoDB:
 * they show that our commands are well-formed and that the logic over single documents is right, nothing about
 * durability, failover, indexes or speed. `node scripts/mongo.ts` prints what is found and its grade.
 */
import { JAVA, javaMissing, startJava } from './mongo/java.ts'
import { NX, nxMissing, startNx } from './mongo/nx.ts'
import type { ServerProcess } from './mongo/process.ts'
import { findMongod, startMongod, versionOf } from './mongo/real.ts'
import { leftOut } from './stores.ts'

export interface MongoServer {
  readonly name: string
  readonly grade: 'real' | 'stand-in'
  /** The address with a database's name in it. */
  database(name: string): string
  /** Absent for a server that is not ours to kill or freeze. */
  readonly process?: ServerProcess
  /** What was acknowledged is there after a kill. */
  readonly durable: boolean
  close(): Promise<void>
}

/** Puts a database's name where a MongoDB URL has it. */
const withDatabase = (url: string, name: string): string => {
  const [, address = '', options = ''] = /^([^/]+\/\/[^/?]+)[^?]*(\?.*)?$/.exec(url) ?? []
  return `${address}/${name}${options}`
}

type Started = { server: ServerProcess; close(): Promise<void> }
const own = (name: string, grade: MongoServer['grade'], durable: boolean, { server, close }: Started): MongoServer => ({
  name,
  grade,
  durable,
  process: server,
  database: (database) => withDatabase(server.url, database),
  close,
})

export const openNx = async (): Promise<MongoServer> => own(NX, 'stand-in', true, await startNx())
export const openJava = async (): Promise<MongoServer> => own(JAVA, 'stand-in', false, await startJava())

/** A real server: the one of MONGODB_URL, or a mongod of our own. */
export const openReal = async (): Promise<MongoServer | undefined> => {
  const url = process.env.MONGODB_URL
  if (url) {
    const name = `MongoDB ${await versionOf(url)} (MONGODB_URL)`
    return { name, grade: 'real', durable: true, database: (one) => withDatabase(url, one), close: async () => {} }
  }
  const program = findMongod()
  if (!program) return undefined
  const started = await startMongod(program)
  return own(`mongod ${await versionOf(started.server.url)}`, 'real', true, started)
}

/** Says what is missing, or undefined when there is a server to test on. */
export const mongoMissing = async (): Promise<string | undefined> => {
  const out = leftOut('mongo')
  if (out) return out
  if (process.env.MONGODB_URL || findMongod()) return undefined
  const missing = [await nxMissing(), await javaMissing()].filter((one) => one !== undefined)
  return missing.length === 0
    ? undefined
    : `MONGODB_URL, or mongod on PATH, or for the stand-ins: ${missing.join('; ')}`
}

/** One real server, or both stand-ins. Throws Error with what is missing. */
export const openMongoServers = async (): Promise<MongoServer[]> => {
  const missing = await mongoMissing()
  if (missing) throw new Error(`no MongoDB server: ${missing}`)
  const real = await openReal()
  return real ? [real] : Promise.all([openNx(), openJava()])
}

/** One line for the summary of a test run. */
export const gradeLine = (servers: readonly MongoServer[]): string =>
  servers.map(({ name, grade }) => `${name} (${grade})`).join(', ')

if (import.meta.main) {
  const missing = await mongoMissing()
  if (missing) console.log(`MongoDB: not here: ${missing}`)
  else {
    const servers = await openMongoServers()
    console.log(`MongoDB: ${gradeLine(servers)}`)
    for (const server of servers) await server.close()
  }
  process.exitCode = missing ? 1 : 0
}
