/**
 * The ArtifactStore port over Redis. Read layout.ts first.
 *
 * A row and what leads to it (the index of its grant, those of its tags, pointers) are different keys, in a Cluster on
 * different servers: nothing changes two of them at once. What holds all the same, and why:
 *
 * - A put sends its entries and its row together, one round trip, and answers `stored` only when all are there. Together
 *   is enough for a row that is new, since nobody knows its key before the answer, and for one that is entered already.
 *   In any other case the script leaves the row alone (STANDS) and it is written after the entries: index before row.
 * - A live row's entries stand, whatever happens at once: they carry the name of its write, and only who has seen that
 *   write replaced or dropped takes them back. Entries and pointers that are left over lead nowhere, since every look-up
 *   compares the row itself, and end with the row's expiry.
 * - dropGrant sets the tombstone in the grant's index and reads its entries in one step, then takes away each entry's
 *   row and leaves a gravestone there. A put whose entry came after the tombstone is refused by it, and takes its row
 *   back (by its write's name; nobody was told of it). A put whose entry came before has its row among the entries: if
 *   the row is written before the visit, the visit takes it; if after, the gravestone refuses it. There is no third case.
 *   Gravestones outlive every put: they stay for 2 minutes; a put is given up after 2 s, what it sent is gone soon after.
 *   A row of a grant whose key may be known beforehand (`ifRevision: 0`) is entered first and written then.
 *
 * On one server a row that has one entry and no pointers, as every token has, is entered and written in one step, which
 * is a case of the above: the entry or the tombstone, whichever was there first.
 */
import type { Clock } from '#kernel/clock.ts'
import type { ArtifactRow, ArtifactStore, Mark, Model, PutResult, Redeem } from '#kernel/ports.ts'
import { randomToken } from '#kernel/random.ts'
import { createRecent } from '#kernel/recent.ts'
import { Dump } from './dump.ts'
import { isAcrossSlots } from './faults.ts'
import type { Indexes } from './indexes.ts'
import {
  describe,
  type Entry,
  type Former,
  GRAVESTONE,
  isLive,
  type Keys,
  type Place,
  parseFormer,
  parseMeta,
  timeToLive,
  toRow,
  type Write,
} from './layout.ts'
import type { Link, Until } from './link.ts'
import { type Client, mastersOf, redeemed, STALE, STANDS, STORED } from './scripts.ts'

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

/** Of gatehousePut. `gently`: not over a row with another descriptor. */
const argumentsOf = (write: Write, ifRevision: number | undefined, gently: boolean): (string | number | Buffer)[] => {
  const { now, expiresAt, order, consumed } = write
  const numbers = `${expiresAt ?? ''}:${timeToLive(expiresAt, now)}:${order}:${ifRevision ?? ''}:${gently ? '1' : ''}`
  return [now, `${numbers}:${consumed}`, write.body, write.described]
}

export class RedisArtifacts implements ArtifactStore {
  readonly remote = true
  readonly #link: Link
  readonly #keys: Keys
  readonly #indexes: Indexes
  readonly #clock: Clock
  /** Whether a script may have keys of two slots: not in a Cluster, nor behind a proxy that hides one. */
  #together: boolean
  /** Pointer to the key that it led to last. A wrong one costs nothing but the try. */
  readonly #hints = createRecent<string, string>(HINTS)
  #lastOrder = 0
  /** Random characters for the names of writes, made in bulk: a call for each costs more than all else of a put. */
  #names = ''

  constructor(link: Link, keys: Keys, indexes: Indexes, clock: Clock) {
    this.#link = link
    this.#keys = keys
    this.#indexes = indexes
    this.#clock = clock
    this.#together = link.single
  }

  async put(model: Model, row: ArtifactRow, options?: { ifRevision?: number }): Promise<PutResult> {
    const now = this.#clock.now()
    this.#lastOrder = Math.max(this.#lastOrder + 1, now * 4096)
    // Bytes are copied: they belong to the caller again when this returns.
    const place = this.#keys.row(model, row.key)
    const own = this.#writeName()
    const write: Write = {
      place,
      now,
      name: own,
      order: this.#lastOrder,
      body: Buffer.from(row.body),
      described: describe(own, row),
      expiresAt: row.expiresAt,
      consumed: row.consumedAt === undefined ? '' : `${row.consumedAt}:`,
      isGranted: row.grant !== undefined,
      entries: this.#keys.entries(place, own, row),
      pointers: this.#keys.pointers(model, row),
    }
    return this.#link.write((until) => this.#put(until, write, options?.ifRevision))
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
    const place = this.#keys.row(model, key)
    return this.#link.write((until) => this.#take(until, place, ''))
  }

  async dropGrant(grant: Uint8Array, until: number): Promise<number> {
    return this.#indexes.dropGrant(Buffer.from(grant), until, this.#clock.now())
  }

  async increment(key: Uint8Array, by: number, expiresAt: number): Promise<number> {
    const place = this.#keys.counter(key)
    const now = this.#clock.now()
    const [ttl, nonce] = [timeToLive(expiresAt, now), this.#writeName()]
    if (by !== 0)
      return this.#link.write((until) =>
        this.#link.send(until, (client) => client.gatehouseCount(place, now, by, expiresAt, ttl, nonce)),
      )
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

  #put(until: Until, write: Write, ifRevision: number | undefined): Promise<PutResult> {
    const isFoundOtherwise = write.entries.length > 0 || write.pointers.length > 0
    if (!isFoundOtherwise) return this.#putPlain(until, write, ifRevision)
    const [entry] = write.entries
    const isListed = this.#together && write.entries.length === 1 && write.pointers.length === 0
    return entry && isListed
      ? this.#putListed(until, write, entry, ifRevision)
      : this.#putIndexed(until, write, ifRevision)
  }

  /** A row that is found by nothing but its key. */
  async #putPlain(until: Until, write: Write, ifRevision: number | undefined): Promise<PutResult> {
    return this.#settle(write, await this.#write(until, write, ifRevision, false))
  }

  #settle(write: Write, { code, former }: { code: number; former: Former | undefined }): PutResult {
    if (code !== STORED) return code === STALE ? 'stale' : 'revoked'
    if (former) this.#indexes.release([{ place: write.place, former }], write)
    return 'stored'
  }

  /** A row with one entry, both on one server. */
  async #putListed(until: Until, write: Write, entry: Entry, ifRevision: number | undefined): Promise<PutResult> {
    const given = [...argumentsOf(write, ifRevision, false), ...this.#indexes.given(entry, write)]
    const put = (client: Client) => client.gatehousePutListedBuffer(write.place.key, entry.key, ...given)
    try {
      const [code, former] = await this.#link.send(until, put)
      return this.#settle(write, { code, former: parseFormer(former) })
    } catch (error) {
      if (!isAcrossSlots(error)) throw error
      this.#together = false
      return this.#putIndexed(until, write, ifRevision)
    }
  }

  async #putIndexed(until: Until, write: Write, ifRevision: number | undefined): Promise<PutResult> {
    const careful = write.isGranted && ifRevision === 0
    if (careful && !(await this.#indexes.enlist(until, write))) return 'revoked'
    const [entered, held, first] = await Promise.all([
      careful || this.#indexes.enlist(until, write),
      write.pointers.length > 0 ? this.#indexes.hold(until, write) : [],
      this.#write(until, write, ifRevision, write.entries.length > 0),
    ])
    if (!entered && first.code === STORED) {
      // The tombstone stood before the entry: the row goes again, with the one that it may have replaced.
      await this.#take(until, write.place, write.name)
      return 'revoked'
    }
    const again = entered && first.code === STANDS
    const { code, former } = again ? await this.#write(until, write, ifRevision, false) : first
    if (code !== STORED) {
      this.#indexes.withdraw(write)
      return entered && code === STALE ? 'stale' : 'revoked'
    }
    if (write.pointers.length > 0) await this.#indexes.point(until, write, held, former)
    if (former) this.#indexes.release([{ place: write.place, former }], write)
    for (const pointer of write.pointers) this.#hints.set(pointer.key, write.place.name)
    return 'stored'
  }

  /** `gently`: not over a row with another descriptor. */
  async #write(until: Until, write: Write, ifRevision: number | undefined, gently: boolean) {
    const given = argumentsOf(write, ifRevision, gently)
    const put = (client: Client) => client.gatehousePutBuffer(write.place.key, ...given)
    const [code, former] = await this.#link.send(until, put)
    return { code, former: parseFormer(former) }
  }

  /** Removes a row, of one write only unless that is '', and what led to it. */
  async #take(until: Until, place: Place, write: string): Promise<void> {
    const drop = (client: Client) => client.gatehouseDropBuffer(place.key, write, GRAVESTONE)
    const former = parseFormer(await this.#link.send(until, drop))
    if (former) this.#indexes.release([{ place, former }])
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

  #writeName(): string {
    if (this.#names === '') this.#names = randomToken(6 * 256)
    const first = this.#names.slice(0, 8)
    this.#names = this.#names.slice(8)
    return first
  }
}
