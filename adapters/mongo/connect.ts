/**
 * Connects so that every failure is one clear sentence, and bounds every call: at most 2 s, then Fault
 * `store.unavailable`. The only file that constructs a client. Writes are confirmed by a majority and its journals,
 * reads come from the primary, whatever the URL says.
 */
import { type Db, MongoClient, type MongoClientOptions, MongoNetworkError } from 'mongodb'
import type { Clock } from '#kernel/clock.ts'
import type { Fault } from '#kernel/faults.ts'
import type { Log } from '#kernel/log.ts'
import { type Deadline, monotonic, noticed, within } from './bounded.ts'
import { isPassing, toFault, unavailable } from './faults.ts'
import { FORM } from './url.ts'
import { watch } from './watch.ts'

/** What a store is opened with. */
export interface World {
  readonly clock: Clock
  readonly log: Log
  /** How long the sweeper rests when there is nothing left to sweep; 30 s unless told. */
  readonly sweepMs?: number
  /** How long a caller waits; 1.9 s unless told. */
  readonly waitMs?: number
}

const WAIT_MS = 1900
/** A server that just starts, or a slow network, is given this long at the opening. */
const OPEN_MS = 4000
/** For work that a lease guards, not a caller's patience: building an index over many documents. */
const PATIENT_MS = 600_000
/** However patient: a server that cannot be reached for so long is not there. */
const REACH_MS = 10_000
const DEFAULT_DATABASE = 'gatehouse'

/** What the URL may override, by the names that it uses there. */
const defaultsFor = (waitMs: number): MongoClientOptions => ({
  appName: 'gatehouse',
  serverSelectionTimeoutMS: Math.min(waitMs * 0.8, REACH_MS),
  connectTimeoutMS: Math.min(waitMs * 0.8, REACH_MS),
  waitQueueTimeoutMS: Math.min(waitMs * 0.8, REACH_MS),
  // After the caller's patience: frees the connection of an operation that was given up, when nobody answers.
  socketTimeoutMS: waitMs * 2,
})

const optionsFor = (url: string, waitMs: number): MongoClientOptions => {
  const told = new Set(Array.from(url.matchAll(/[?&]([a-z]+)=/gi), ([, name]) => name?.toLowerCase()))
  const defaults = Object.entries(defaultsFor(waitMs)).filter(([name]) => !told.has(name.toLowerCase()))
  return { ...Object.fromEntries(defaults), ignoreUndefined: true, promoteBuffers: true }
}

const INVALID = `the address is not a valid MongoDB URL: ${FORM}`

/** Whether a message of the driver's repeats anything that stands before the options of the URL. */
const repeats = (message: string, url: string): boolean => {
  const pieces = url.replace(/^[^/]*\/\/|\?.*$/gs, '').split(/[:@/,]/)
  return pieces.some((piece) => piece !== '' && message.includes(piece))
}

/** The client and the name of the database. Throws Fault; the driver's own message only where it tells no secret. */
const createClient = (url: string, waitMs: number): { client: MongoClient; name: string } => {
  const shape = /^mongodb(?:\+srv)?:\/\/[^/?]+(?:\/([^/?]*))?(?:\?.*)?$/i.exec(url)
  if (!shape) throw unavailable('mongodb', INVALID)
  try {
    return {
      client: new MongoClient(url, optionsFor(url, waitMs)),
      name: decodeURIComponent(shape[1] || DEFAULT_DATABASE),
    }
  } catch (cause) {
    // Not kept as a cause: its message may hold the password.
    const message = cause instanceof Error ? cause.message : ''
    throw unavailable('mongodb', repeats(message, url) ? INVALID : `the address is not a valid MongoDB URL: ${message}`)
  }
}

/** Until the server answers to a command, so that TLS, user and password are tried as well. */
const reach = async (client: MongoClient, name: string): Promise<void> => {
  const until = monotonic() + OPEN_MS
  for (;;) {
    try {
      await client.connect()
      await client.db(name).command({ ping: 1 })
      return
    } catch (error) {
      if (!isPassing(error) || monotonic() > until) throw error
    }
  }
}

export class Connection {
  readonly db: Db
  /** What faults and logs call it: no user, no password. */
  readonly path: string
  readonly #client: MongoClient
  readonly #waitMs: number
  readonly #late: () => Fault
  readonly #pending = new Set<Promise<unknown>>()
  readonly #stops = new Set<() => void>()
  readonly #log: Log
  #closed = false

  private constructor(client: MongoClient, name: string, waitMs: number, log: Log) {
    this.#log = log
    this.#client = client
    this.path = `mongodb://${client.options.hosts.join(',') || client.options.srvHost || ''}/${name}`
    this.db = client.db(name, { readPreference: 'primary', writeConcern: { w: 'majority', journal: true } })
    this.#waitMs = waitMs
    this.#late = () => unavailable(this.path, 'the database did not answer in time')
  }

  /** Throws Fault `store.unavailable`, the reason in detail. */
  static async open(url: string, world: World): Promise<Connection> {
    return Connection.#open(url, world.waitMs ?? WAIT_MS, world.log)
  }

  /** A second connection for work that takes as long as it takes, closed afterwards. */
  static async patiently<T>(url: string, log: Log, work: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await Connection.#open(url, PATIENT_MS, log)
    try {
      return await work(connection)
    } finally {
      await connection.close()
    }
  }

  static async #open(url: string, waitMs: number, log: Log): Promise<Connection> {
    const { client, name } = createClient(url, waitMs)
    const connection = new Connection(client, name, waitMs, log)
    try {
      await within(OPEN_MS + WAIT_MS, connection.#late, () => reach(client, name))
      return connection
    } catch (error) {
      void client.close().catch(() => {})
      throw toFault(connection.path, error)
    }
  }

  /** One call of a port, of one or several commands. Rejects with a Fault in time, whatever the server does. */
  async run<T>(work: (deadline: Deadline) => Promise<T>): Promise<T> {
    if (this.#closed) throw unavailable(this.path, 'the store is closed')
    const running = within(this.#waitMs, this.#late, work)
    this.#pending.add(running)
    try {
      return await running
    } catch (error) {
      if (error instanceof MongoNetworkError) await noticed()
      throw toFault(this.path, error)
    } finally {
      this.#pending.delete(running)
    }
  }

  /** Calls `listener` when a collection changes, where the server can tell; answers the function that ends it. */
  watch(collection: string, listener: () => void): () => void {
    const stop = watch(this.db.collection(collection), listener, this.#log)
    this.#stops.add(stop)
    return () => {
      this.#stops.delete(stop)
      stop()
    }
  }

  /** A read like any other: a server may answer to a ping and do nothing else. */
  async probe(): Promise<void> {
    await this.run(() => this.db.collection('meta').findOne({}, { projection: { version: 1 } }))
  }

  /** Lets what is under way end, then ends. Never waits longer than a caller would. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const stop of this.#stops) stop()
    await Promise.allSettled(this.#pending)
    await noticed()
    await within(WAIT_MS, this.#late, () => this.#client.close()).catch(() => {})
  }
}
