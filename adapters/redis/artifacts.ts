/**
 * The ArtifactStore port over Redis. Read layout.ts first.
 *
 * A row and what leads to it (the index of its grant, those of its tags, pointers) are different keys, in a Cluster on
 * different servers: nothing changes two of them at once. What holds all the same, and why:
 *
 * - A put sends its index entries and its row together, one round trip, and answers `stored` only when all are there.
 *   Together is enough for a row that is new, whose key nobody knows before the answer, or whose entries stand already.
 *   In any other case the script leaves the row alone (STANDS) and it is written after the entries: index before row.
 * - dropGrant sets the tombstone in the grant's index and reads its members in one step, then takes away each member's
 *   row and leaves a gravestone there. A put whose entry came after the tombstone is refused by it, and takes its row
 *   back (by its write's name; nobody was told of it). A put whose entry came before has its row among the members: if
 *   the row is written before the visit, the visit takes it; if after, the gravestone refuses it. There is no third case.
 *   Gravestones outlive every put: they stay for 2 minutes, a put is given up after 2 s.
 *   A grant whose key may be known beforehand (`ifRevision: 0`) is entered first and written then: never seen for a moment.
 * - An entry or pointer is taken back only if it still carries the stamp of the write that is gone; one that is left
 *   over leads nowhere, since every look-up compares the row itself, and it ends with the row's expiry.
 */
import type { Clock } from '#kernel/clock.ts'
import type { ArtifactRow, ArtifactStore, Model, PutResult, Redeem } from '#kernel/ports.ts'
import { randomToken } from '#kernel/random.ts'
import type { Indexes } from './indexes.ts'
import { describe, type Former, type Keys, name, parseFormer, timeToLive, toRow } from './layout.ts'
import type { Link, Until } from './link.ts'
import { mastersOf, REVOKED, redeemed, STALE, STANDS } from './scripts.ts'

type By = 'key' | 'uid' | 'userCode'

const SCAN_ROWS = 200
/** Rows of one tag that are looked at; of more, those that expire first. */
const TAGGED_ROWS = 10_000
/** How many pointers are remembered, to fetch a row together with the pointer to it. */
const HINTS = 10_000
const READY_KEYS = 1000

/** A put under way, as bytes of its own: the caller may use its own again. */
export interface Write {
  readonly model: Model
  readonly row: ArtifactRow
  readonly key: string
  readonly body: Buffer
  readonly descriptor: Buffer
  readonly write: string
  readonly order: number
  readonly now: number
}

export class RedisArtifacts implements ArtifactStore {
  readonly #link: Link
  readonly #keys: Keys
  readonly #indexes: Indexes
  readonly #clock: Clock
  /** Pointer to the key that it led to last. Wrong ones cost nothing but the try. */
  readonly #hints = new Map<string, string>()
  #lastOrder = 0

  constructor(link: Link, keys: Keys, indexes: Indexes, clock: Clock) {
    this.#link = link
    this.#keys = keys
    this.#indexes = indexes
    this.#clock = clock
  }

  async put(model: Model, row: ArtifactRow, options?: { ifRevision?: number }): Promise<PutResult> {
    const now = this.#clock.now()
    this.#lastOrder = Math.max(this.#lastOrder + 1, now * 4096)
    const write: Write = {
      model,
      row,
      key: name(row.key),
      body: Buffer.from(row.body),
      descriptor: describe(row),
      write: randomToken(6),
      order: this.#lastOrder,
      now,
    }
    return this.#link.call((until) => this.#put(until, write, options?.ifRevision))
  }

  async putOnce(model: Model, key: Uint8Array, expiresAt: number): Promise<boolean> {
    const now = this.#clock.now()
    const [place, nonce] = [this.#keys.marker(model, key), randomToken(9)]
    const ttl = timeToLive(expiresAt, now)
    const mark = (until: Until) =>
      this.#link.send(until, (client) => client.gatehouseMark(place, now, expiresAt, ttl, nonce))
    return (await this.#link.call(mark)) === 1
  }

  async get(model: Model, by: By, value: Uint8Array): Promise<ArtifactRow | undefined> {
    if (by === 'key') {
      const key = Buffer.from(value)
      return this.#link.call((until) => this.#read(until, model, name(key), key))
    }
    const wanted = Buffer.from(value)
    const pointer = this.#keys.pointer(by, model, wanted)
    return this.#link.call(async (until) => {
      const hint = this.#hints.get(pointer)
      const [held, guess] = await Promise.all([
        this.#link.send(until, (client) => client.get(pointer)),
        hint === undefined ? undefined : this.#read(until, model, hint),
      ])
      const key = held?.slice(0, held.lastIndexOf(' '))
      this.#hint(pointer, key)
      if (key === undefined) return undefined
      const row = key === hint ? guess : await this.#read(until, model, key)
      const found = row?.[by]
      return found && Buffer.compare(found, wanted) === 0 ? row : undefined
    })
  }

  async findTagged(model: Model, tag: Uint8Array, limit = 1000): Promise<ArtifactRow[]> {
    const wanted = Buffer.from(tag)
    return this.#link.call(async (until) => {
      const found = await this.#indexes.members(until, this.#keys.tag(model, wanted), this.#clock.now(), TAGGED_ROWS)
      const rows = await Promise.all(found.map((key) => this.#readPlaced(until, model, key)))
      return rows
        .filter((one) => one?.row.tags?.some((own) => Buffer.compare(own, wanted) === 0) === true)
        .filter((one) => one !== undefined)
        .sort((a, b) => a.order - b.order)
        .slice(0, limit)
        .map(({ row }) => row)
    })
  }

  async redeem(model: Model, key: Uint8Array, nonce: string, at: number): Promise<Redeem> {
    const place = this.#keys.row(model, name(key))
    const now = this.#clock.now()
    const redeem = (until: Until) => this.#link.send(until, (client) => client.gatehouseRedeem(place, now, nonce, at))
    return redeemed[await this.#link.call(redeem)]
  }

  async drop(model: Model, key: Uint8Array): Promise<void> {
    const encoded = name(key)
    return this.#link.call((until) => this.#take(until, model, encoded, ''))
  }

  async dropGrant(grant: Uint8Array, until: number): Promise<number> {
    return this.#indexes.dropGrant(Buffer.from(grant), until, this.#clock.now())
  }

  async increment(key: Uint8Array, by: number, expiresAt: number): Promise<number> {
    const place = this.#keys.counter(key)
    const now = this.#clock.now()
    const ttl = timeToLive(expiresAt, now)
    return this.#link.call(async (until) => {
      // Sent twice it would count twice.
      if (by !== 0) return this.#link.send(until, (client) => client.gatehouseCount(place, now, by, expiresAt, ttl), false)
      const [expires, n] = (await this.#link.send(until, (client) => client.get(place)))?.split(':') ?? []
      return Number(expires) > now ? Number(n) : 0
    })
  }

  /** Redis removes expired keys by itself. */
  async sweep(): Promise<number> {
    return 0
  }

  /** Server by server, in slices. A row that comes twice, while Redis resizes its table, is the same row. */
  async *scan(): AsyncGenerator<{ model: Model; row: ArtifactRow }> {
    for (const server of await this.#link.call((until) => this.#link.send(until, async (client) => mastersOf(client)))) {
      let cursor = '0'
      do {
        const from = cursor
        const [next, keys] = await this.#link.call((until) =>
          this.#link.send(until, () => server.scan(from, 'MATCH', this.#keys.rows, 'COUNT', SCAN_ROWS)),
        )
        cursor = next
        for (const found of await this.#link.call((until) => Promise.all(keys.map((key) => this.#readKey(until, key)))))
          if (found) yield found
      } while (cursor !== '0')
    }
  }

  /** Every master answers, and one of them takes a write. */
  async ready(): Promise<void> {
    await this.#link.call((until) =>
      Promise.all([
        this.#link.send(until, (client) => Promise.all(mastersOf(client).map((server) => server.ping()))),
        this.#link.send(until, (client) => client.set(this.#keys.ready, '1', 'PX', READY_KEYS)),
      ]),
    )
  }

  close(): Promise<void> {
    return this.#link.close()
  }

  async #put(until: Until, write: Write, ifRevision: number | undefined): Promise<PutResult> {
    const { model, row, key, now } = write
    const entries = this.#indexes.entriesOf(model, key, row)
    const careful = row.grant !== undefined && ifRevision === 0
    if (careful && !(await this.#indexes.enlist(until, entries, write))) return 'revoked'
    const [entered, held, answer] = await Promise.all([
      careful || this.#indexes.enlist(until, entries, write),
      this.#indexes.hold(until, write),
      this.#write(until, write, ifRevision, entries.length > 0),
    ])
    let { code, former } = answer
    if (!entered) {
      if (code !== STANDS && former === undefined) await this.#take(until, model, key, write.write)
      return 'revoked'
    }
    if (code === STANDS) ({ code, former } = await this.#write(until, write, ifRevision, false))
    if (code === REVOKED) return 'revoked'
    if (code === STALE) return 'stale'
    const lost = await this.#indexes.takePointers(until, write, held)
    await Promise.all([
      ...lost.map(({ key: other, write: theirs, which }) =>
        this.#link.send(until, (client) => client.gatehouseLose(this.#keys.row(model, other), theirs, which)),
      ),
      former && this.#indexes.release(until, model, key, former, row),
    ])
    for (const pointer of this.#indexes.pointersOf(model, row)) this.#hint(pointer.place, key)
    void now
    return 'stored'
  }

  async #write(until: Until, given: Write, ifRevision: number | undefined, gently: boolean) {
    const { model, row, key, now } = given
    const [code, former] = await this.#link.send(until, (client) =>
      client.gatehousePutBuffer(
        this.#keys.row(model, key),
        now,
        given.body,
        row.expiresAt ?? '',
        timeToLive(row.expiresAt, now),
        given.write,
        given.order,
        given.descriptor,
        row.consumedAt === undefined ? '' : `${row.consumedAt}:`,
        ifRevision ?? '',
        row.grant ? Buffer.from(row.grant) : '',
        gently ? '1' : '',
      ),
    )
    return { code, former: parseFormer(former) }
  }

  /** Removes a row, of one write only unless that is '', and what led to it. */
  async #take(until: Until, model: Model, key: string, write: string): Promise<void> {
    const place = this.#keys.row(model, key)
    const former = parseFormer(await this.#link.send(until, (client) => client.gatehouseDropBuffer(place, write)))
    if (former) await this.#indexes.release(until, model, key, former)
  }

  async #read(until: Until, model: Model, key: string, bytes?: Buffer): Promise<ArtifactRow | undefined> {
    return (await this.#readPlaced(until, model, key, bytes))?.row
  }
}
