/** The ArtifactStore port over Redis: what is read, marked and counted; puts.ts has what is written. Read layout.ts first. */
import type { Clock } from '#kernel/clock.ts'
import type { ArtifactRow, ArtifactStore, Mark, Model, PutResult, Redeem } from '#kernel/ports.ts'
import { randomToken } from '#kernel/random.ts'
import { createRecent } from '#kernel/recent.ts'
import { Dump } from './dump.ts'
import type { Indexes } from './indexes.ts'
import { isLive, type Keys, type Place, parseMeta, timeToLive, toRow } from './layout.ts'
import type { Link, Until } from './link.ts'
import { Puts } from './puts.ts'
import { mastersOf, redeemed } from './scripts.ts'

type By = 'key' | 'uid' | 'userCode'

/** Rows of one tag that are looked at; of more, those that expire first. */
const TAGGED_ROWS = 2500
/** Rows that are asked for in one turn: more would hold up whoever else this process serves. */
const SLICE = 250
/** How many pointers are remembered, to fetch a row together with the pointer to it. */
const HINTS = 10_000

const includes = (tags: readonly Uint8Array[] | undefined, wanted: Buffer): boolean =>
  tags?.some((tag) => Buffer.compare(tag, wanted) === 0) === true

const inSlices = async <T, R>(all: readonly T[], ask: (one: T) => Promise<R>): Promise<R[]> => {
  const answers: R[] = []
  for (let from = 0; from < all.length; from += SLICE)
    answers.push(...(await Promise.all(all.slice(from, from + SLICE).map(ask))))
  return answers
}

export class RedisArtifacts implements ArtifactStore {
  readonly remote = true
  readonly #link: Link
  readonly #keys: Keys
  readonly #indexes: Indexes
  readonly #clock: Clock
  readonly #puts: Puts
  /** Pointer to the key that it led to last. A wrong one costs nothing but the try. */
  readonly #hints = createRecent<string, string>(HINTS)

  constructor(link: Link, keys: Keys, indexes: Indexes, clock: Clock) {
    this.#link = link
    this.#keys = keys
    this.#indexes = indexes
    this.#clock = clock
    const pointed = (pointer: string, key: string) => this.#hints.set(pointer, key)
    this.#puts = new Puts(link, keys, { indexes, clock, pointed })
  }

  put(model: Model, row: ArtifactRow, options?: { ifRevision?: number }): Promise<PutResult> {
    return this.#puts.put(model, row, options?.ifRevision)
  }

  async putOnce(model: Model, key: Uint8Array, expiresAt: number): Promise<boolean> {
    const now = this.#clock.now()
    const [place, nonce] = [this.#keys.marker(model, key), randomToken(9)]
    const ttl = timeToLive(expiresAt, now)
    const mark = (until: Until) =>
      this.#link.send(until, (client) => client.gatehouseMark(place, now, expiresAt, ttl, nonce))
    return (await this.#link.write(mark)) === 1
  }

  async get(model: Model, by: By, value: Uint8Array): Promise<ArtifactRow | undefined> {
    const wanted = Buffer.from(value)
    if (by === 'key') {
      const place = this.#keys.row(model, wanted)
      return this.#link.call((until) => this.#readRow(until, place))
    }
    const pointer = this.#keys.pointer(by, model, wanted)
    return this.#link.call(async (until) => {
      const hint = this.#hints.get(pointer)
      const [held, guess] = await Promise.all([
        this.#link.send(until, (client) => client.get(pointer)),
        hint === undefined ? undefined : this.#read(until, this.#keys.rowNamed(model, hint)),
      ])
      if (held === null) return undefined
      const key = held.slice(0, held.lastIndexOf(' '))
      this.#hints.set(pointer, key)
      const found = key === hint ? guess : await this.#read(until, this.#keys.rowNamed(model, key))
      const own = found?.row[by]
      return own && Buffer.compare(own, wanted) === 0 ? found.row : undefined
    })
  }

  async findTagged(model: Model, tag: Uint8Array, limit = 1000): Promise<ArtifactRow[]> {
    const wanted = Buffer.from(tag)
    return this.#link.call(async (until) => {
      let places = await this.#indexes.tagged(until, model, wanted, this.#clock.now(), TAGGED_ROWS)
      if (places.length > limit) places = await this.#oldest(until, places, wanted, limit)
      const found = await inSlices(places, (place) => this.#read(until, place))
      return found
        .filter((one) => one !== undefined)
        .filter(({ row }) => includes(row.tags, wanted))
        .sort((a, b) => a.order - b.order)
        .map(({ row }) => row)
    })
  }

  async redeem(model: Model, key: Uint8Array, nonce: string, at: number): Promise<Redeem> {
    const { key: place } = this.#keys.row(model, key)
    const now = this.#clock.now()
    const redeem = (until: Until) => this.#link.send(until, (client) => client.gatehouseRedeem(place, now, nonce, at))
    return redeemed[await this.#link.write(redeem)]
  }

  async drop(model: Model, key: Uint8Array): Promise<void> {
    return this.#puts.drop(this.#keys.row(model, key))
  }

  async dropGrant(grant: Uint8Array, until: number): Promise<number> {
    return this.#indexes.dropGrant(Buffer.from(grant), until, this.#clock.now())
  }

  async increment(key: Uint8Array, by: number, expiresAt: number): Promise<number> {
    const place = this.#keys.counter(key)
    const now = this.#clock.now()
    if (by !== 0) {
      const [ttl, nonce] = [timeToLive(expiresAt, now), randomToken(9)]
      return this.#link.write((until) =>
        this.#link.send(until, (client) => client.gatehouseCount(place, now, by, expiresAt, ttl, nonce)),
      )
    }
    return this.#link.call(async (until) => {
      const [expires, n] = (await this.#link.send(until, (client) => client.get(place)))?.split(':') ?? []
      return Number(expires) > now ? Number(n) : 0
    })
  }

  /** Redis removes expired keys by itself. */
  async sweep(): Promise<number> {
    return 0
  }

  scan(): AsyncGenerator<{ model: Model; row: ArtifactRow }> {
    return new Dump(this.#link, this.#keys, this.#clock).rows()
  }

  marks(): AsyncGenerator<Mark> {
    return new Dump(this.#link, this.#keys, this.#clock).marks()
  }

  /** Every master answers, and one of them takes a write. */
  async ready(): Promise<void> {
    await this.#link.write((until) =>
      Promise.all([
        this.#link.send(until, (client) => Promise.all(mastersOf(client).map((server) => server.ping()))),
        this.#link.send(until, (client) => client.set(this.#keys.ready, '1', 'PX', 1000)),
      ]),
    )
  }

  close(): Promise<void> {
    return this.#link.close()
  }

  #read(until: Until, place: Place) {
    return this.#fields(until, place).then((fields) => this.#toRow(place, fields))
  }

  #readRow(until: Until, place: Place) {
    return this.#fields(until, place).then((fields) => this.#toRow(place, fields)?.row)
  }

  #fields(until: Until, { key }: Place) {
    return this.#link.send(until, (client) => client.hmgetBuffer(key, 'p', 'm', 'c'))
  }

  #toRow({ name }: Place, fields: readonly (Buffer | null)[]) {
    return toRow(Buffer.from(name, 'base64url'), fields, this.#clock.now())
  }

  /** The oldest live rows of a tag, found without their bodies. */
  async #oldest(until: Until, places: readonly Place[], tag: Buffer, limit: number): Promise<Place[]> {
    const now = this.#clock.now()
    const metas = await inSlices(places, async (place) => {
      const bytes = await this.#link.send(until, (client) => client.hgetBuffer(place.key, 'm'))
      return { place, meta: bytes ? parseMeta(bytes) : undefined }
    })
    return metas
      .filter(({ meta }) => meta && isLive(meta, now) && includes(meta.tags, tag))
      .sort((a, b) => (a.meta?.order ?? 0) - (b.meta?.order ?? 0))
      .slice(0, limit)
      .map(({ place }) => place)
  }
}
