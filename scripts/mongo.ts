/**
 * A MongoDB server for the tests, found or started in this order: MONGODB_URL, a mongod on PATH (or MONGOD), one that was
 * downloaded before, with `--download` one that is downloaded now; where there is none, both stand-ins, each of which has
 * other gaps: nx-27017 and mongo-java-server. Neither stand-in is MongoDB: they show that our commands are well-formed and
 * that the logic over single documents is right, nothing about durability, failover, indexes or speed. What MONGODB_URL
 * names is graded by what it can do. `node scripts/services.ts mongodb` prints what is found, its grade and that.
 */
import { type Capability, capabilityLine, capabilityNames, type Nature, natureOf } from './mongo/capabilities.ts'
import { downloadMongod } from './mongo/download.ts'
import { JAVA, javaMissing, startJava } from './mongo/java.ts'
import { NX, nxMissing, startNx } from './mongo/nx.ts'
import type { ServerProcess } from './mongo/process.ts'
import { findMongod, startMongod } from './mongo/real.ts'
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
  /** What it can do, tried once on first call. */
  capabilities(): Promise<ReadonlySet<Capability>>
  close(): Promise<void>
}

/** Puts a database's name where a MongoDB URL has it. */
const withDatabase = (url: string, name: string): string => {
  const [, address = '', options = ''] = /^([^/]+\/\/[^/?]+)[^?]*(\?.*)?$/.exec(url) ?? []
  return `${address}/${name}${options}`
}

type Started = { server: ServerProcess; close(): Promise<void> }
const own = (name: string, durable: boolean, { server, close }: Started, nature?: Nature): MongoServer => {
  const database = (one: string) => withDatabase(server.url, one)
  let tried = nature && Promise.resolve(nature)
  return {
    name,
    grade: nature?.grade ?? 'stand-in',
    durable,
    process: server,
    database,
    async capabilities() {
      tried ??= natureOf(database)
      return (await tried).capabilities
    },
    close,
  }
}

export const openNx = async (): Promise<MongoServer> => own(NX, true, await startNx())
/** `oplog`: with change streams. */
export const openJava = async ({ oplog = false } = {}): Promise<MongoServer> =>
  own(oplog ? `${JAVA} with an oplog` : JAVA, false, await startJava(undefined, { oplog }))

/** The server of MONGODB_URL, or a mongod of our own. */
export const openReal = async (): Promise<MongoServer | undefined> => {
  const url = process.env.MONGODB_URL
  if (url) {
    const database = (one: string) => withDatabase(url, one)
    const { version, grade, capabilities } = await natureOf(database)
    const name = grade === 'real' ? `MongoDB ${version} (MONGODB_URL)` : `MONGODB_URL, which says ${version}`
    return { name, grade, durable: true, database, capabilities: async () => capabilities, close: async () => {} }
  }
  const program = findMongod()
  if (!program) return undefined
  const started = await startMongod(program)
  const nature = await natureOf((one) => withDatabase(started.server.url, one))
  return own(`mongod ${nature.version}`, true, started, nature)
}

/** Says what is missing, or undefined when there is a server to test on. */
export const mongoMissing = async (): Promise<string | undefined> => {
  const out = leftOut('mongo')
  if (out) return out
  if (process.env.MONGODB_URL || findMongod()) return undefined
  const missing = [await nxMissing(), await javaMissing()].filter((one) => one !== undefined)
  return missing.length === 0
    ? undefined
    : `MONGODB_URL, or mongod on PATH, or --download to fetch one, or for the stand-ins: ${missing.join('; ')}`
}

/** One real server, or both stand-ins. Throws Error with what is missing. */
export const openMongoServers = async (): Promise<MongoServer[]> => {
  const missing = await mongoMissing()
  if (missing) throw new Error(`no MongoDB server: ${missing}`)
  const real = await openReal()
  return real ? [real] : Promise.all([openNx(), openJava()])
}

/** With `--download`: fetches a real server, unless one is here; from then on it is found. Throws Error when it cannot. */
export const fetchMongo = async (): Promise<void> => {
  if (leftOut('mongo') || process.env.MONGODB_URL || findMongod()) return
  await downloadMongod()
}

/** One line for the summary of a test run. */
export const gradeLine = (servers: readonly MongoServer[]): string =>
  servers.map(({ name, grade }) => `${name} (${grade})`).join(', ')

/** A line for each server: what it can do and what it cannot. */
export const capabilityLines = (servers: readonly MongoServer[]): Promise<string[]> =>
  Promise.all(servers.map(async (one) => `${one.name} (${one.grade}) ${capabilityLine(await one.capabilities())}`))

/** Why a test that needs these capabilities cannot run on this server, for its `skip`; false where it can. */
export const lacks = async (server: MongoServer, needs: readonly Capability[]): Promise<string | false> => {
  const capabilities = await server.capabilities()
  const missing = needs.filter((one) => !capabilities.has(one))
  return missing.length > 0 && `${server.name} lacks ${missing.map((one) => capabilityNames[one]).join(', ')}`
}
