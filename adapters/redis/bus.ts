/**
 * The bus between nodes. A message is quick but may be lost with its connection; what is sure is counted: the directory's
 * epochs, or where none is given, a number for each kind in Redis. Both are looked at all the time.
 */
import { type Counts, type OwnChanges, Told } from '#kernel/changes.ts'
import type { Clock } from '#kernel/clock.ts'
import type { Log } from '#kernel/log.ts'
import type { Bus, Directory } from '#kernel/ports.ts'
import { randomId } from '#kernel/random.ts'
import { openClient } from './connect.ts'
import { reasonOf } from './faults.ts'
import { Keys } from './layout.ts'
import { Link } from './link.ts'
import type { Client } from './scripts.ts'
import { parseAddress } from './url.ts'

/** ms between two looks at the counts; a change must be in force on every node within a second. */
const POLL = 400
/** Every so many looks it is made sure that messages come. */
const LISTEN_EVERY = 12

export interface RedisBusOptions {
  /** Its epochs are the guarantee. */
  readonly directory?: Directory & Partial<OwnChanges>
  readonly clock: Clock
  readonly log: Log
}
type Listener = (kind: string, id?: string) => void
interface Message {
  readonly from: string
  readonly kind: string
  readonly id: string
}

const isMessage = (value: unknown): value is Message =>
  typeof value === 'object' &&
  value !== null &&
  ['from', 'kind', 'id'].every((name) => typeof (value as Record<string, unknown>)[name] === 'string')

const parseMessage = (text: string): Message | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return isMessage(value) ? value : undefined
  } catch {
    return undefined
  }
}

class RedisBus implements Bus {
  readonly #link: Link
  readonly #keys: Keys
  readonly #directory: RedisBusOptions['directory']
  readonly #log: Log
  readonly #name = randomId()
  readonly #told = new Told()
  readonly #listeners = new Set<Listener>()
  readonly #stopWatching: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined
  #ears: 'deaf' | 'opening' | 'open' = 'deaf'
  #closed = false

  constructor(link: Link, keys: Keys, { directory, log }: RedisBusOptions) {
    this.#link = link
    this.#keys = keys
    this.#directory = directory
    this.#log = log
    this.#stopWatching = directory?.onOwnChange?.((kind, epoch) => this.#told.own(kind, epoch))
  }

  /** Listens; what is counted at this moment counts as told. */
  async start(client: Client): Promise<void> {
    client.on('message', (channel: string, text: string) => {
      const message = channel === this.#keys.channel ? parseMessage(text) : undefined
      if (message && message.from !== this.#name) this.#tell(message.kind, message.id)
    })
    client.on('close', () => {
      this.#ears = 'deaf'
    })
    await this.#listen()
    await this.#look()
    const again = async (nth: number) => {
      if (this.#ears === 'deaf' || (nth % LISTEN_EVERY === 0 && this.#ears !== 'opening'))
        this.#listen().catch(() => undefined)
      // Whoever uses the stores is told that one is away; what is missed now is seen by the next look that succeeds.
      await this.#look().catch(() => undefined)
      if (!this.#closed) this.#timer = setTimeout(again, POLL, nth + 1).unref()
    }
    this.#timer = setTimeout(again, POLL, 1).unref()
  }

  /** Without a directory the count in Redis is the guarantee: then a Fault is thrown when it cannot be written. */
  async publish(kind: string, id: string): Promise<void> {
    if (this.#closed) return
    this.#tell(kind, id)
    const message = JSON.stringify({ from: this.#name, kind, id } satisfies Message)
    try {
      if (!this.#directory) await this.#count(kind)
      await this.#link.call((until) => this.#link.send(until, (client) => client.publish(this.#keys.channel, message)))
    } catch (error) {
      if (!this.#directory) throw error
      this.#log.warn('bus.unheard', { kind, reason: reasonOf(error) })
    }
  }

  onChange(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#stopWatching?.()
    this.#listeners.clear()
    await this.#link.close()
  }

  /** One too many is a look too many, no more: this may be sent twice. */
  async #count(kind: string): Promise<void> {
    const count = await this.#link.call((until) =>
      this.#link.send(until, (client) => client.hincrby(this.#keys.versions, kind, 1)),
    )
    this.#told.own(kind, count)
  }

  /** Subscribing twice is once. */
  async #listen(): Promise<void> {
    this.#ears = 'opening'
    try {
      await this.#link.call((until) => this.#link.send(until, (client) => client.subscribe(this.#keys.channel)))
      this.#ears = 'open'
    } catch (error) {
      this.#ears = 'deaf'
      throw error
    }
  }

  async #look(): Promise<void> {
    for (const kind of this.#told.foreign(await this.#counts())) this.#tell(kind)
  }

  async #counts(): Promise<Counts> {
    if (this.#directory) return this.#directory.epoch()
    const counts = await this.#link.call((until) =>
      this.#link.send(until, (client) => client.hgetall(this.#keys.versions)),
    )
    return Object.fromEntries(Object.entries(counts).map(([kind, count]) => [kind, Number(count)]))
  }

  #tell(kind: string, id?: string): void {
    for (const listener of [...this.#listeners]) listener(kind, id)
  }
}

/**
 * @param url as for openRedisArtifacts; a connection of its own
 * @returns the bus, connected; throws Fault `store.unavailable` (the reason in detail) where it cannot be used
 */
export const createRedisBus = async (url: string, options: RedisBusOptions): Promise<Bus> => {
  const address = parseAddress(url)
  const connection = await openClient(address, options.log)
  const link = new Link(connection, { ...address, replicas: 0 }, options.log)
  const bus = new RedisBus(link, new Keys(address.prefix), options)
  try {
    await bus.start(connection.client)
  } catch (error) {
    await bus.close()
    throw error
  }
  return bus
}
