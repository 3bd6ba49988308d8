/**
 * How a row is written and taken away. Read layout.ts first.
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
 * On one server a row is entered and written in one step, which is a case of the above: the entry or the tombstone,
 * whichever was there first. Only its pointers are set apart.
 */
import type { Clock } from '#kernel/clock.ts'
import type { ArtifactRow, Model, PutResult } from '#kernel/ports.ts'
import { randomToken } from '#kernel/random.ts'
import { isAcrossSlots } from './faults.ts'
import type { Indexes } from './indexes.ts'
import {
  describe,
  type Former,
  GRAVESTONE,
  type Keys,
  type Place,
  parseFormer,
  timeToLive,
  type Write,
} from './layout.ts'
import type { Link, Until } from './link.ts'
import { type Client, STALE, STANDS, STORED } from './scripts.ts'

/** Of gatehousePut. `gently`: not over a row with another descriptor. */
const argumentsOf = (write: Write, ifRevision: number | undefined, gently: boolean): (string | number | Buffer)[] => {
  const { now, expiresAt, order, consumed } = write
  const numbers = `${expiresAt ?? ''}:${timeToLive(expiresAt, now)}:${order}:${ifRevision ?? ''}:${gently ? '1' : ''}`
  return [now, `${numbers}:${consumed}`, write.body, write.described]
}

/** What a script's code other than STORED says. */
const refused = (code: number): PutResult => (code === STALE ? 'stale' : 'revoked')

export class Puts {
  readonly #link: Link
  readonly #keys: Keys
  readonly #indexes: Indexes
  readonly #clock: Clock
  /** Told where the pointers of a row that was written lead now. */
  readonly #pointed: (pointer: string, key: string) => void
  /** Whether a script may have keys of two slots: not in a Cluster, nor behind a proxy that hides one. */
  #together: boolean
  #lastOrder = 0
  /** Random characters for the names of writes, made in bulk: a call for each costs more than all else of a put. */
  #names = ''

  constructor(
    link: Link,
    keys: Keys,
    given: {
      readonly indexes: Indexes
      readonly clock: Clock
      readonly pointed: (pointer: string, key: string) => void
    },
  ) {
    this.#link = link
    this.#keys = keys
    this.#indexes = given.indexes
    this.#clock = given.clock
    this.#pointed = given.pointed
    this.#together = link.single
  }

  /** ArtifactStore's `put`. */
  async put(model: Model, row: ArtifactRow, ifRevision: number | undefined): Promise<PutResult> {
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
    return this.#link.write((until) => this.#put(until, write, ifRevision))
  }

  /** ArtifactStore's `drop`. */
  drop(place: Place): Promise<void> {
    return this.#link.write((until) => this.#take(until, place, ''))
  }

  #put(until: Until, write: Write, ifRevision: number | undefined): Promise<PutResult> {
    const isFoundOtherwise = write.entries.length > 0 || write.pointers.length > 0
    if (!isFoundOtherwise) return this.#putPlain(until, write, ifRevision)
    return this.#together ? this.#putTogether(until, write, ifRevision) : this.#putIndexed(until, write, ifRevision)
  }

  /** A row that is found by nothing but its key. */
  async #putPlain(until: Until, write: Write, ifRevision: number | undefined): Promise<PutResult> {
    const { code, former } = await this.#write(until, write, ifRevision, false)
    return code === STORED ? this.#settle(until, write, [], former) : refused(code)
  }

  /** A row and its entries in one step, where all are on one server. */
  async #putTogether(until: Until, write: Write, ifRevision: number | undefined): Promise<PutResult> {
    const { place, entries } = write
    const keys = [place.key, ...entries.map(({ key }) => key)]
    const given = [
      ...argumentsOf(write, ifRevision, false),
      ...entries.flatMap((entry) => this.#indexes.given(entry, write)),
    ]
    const put = (client: Client) => client.gatehousePutListedBuffer(keys.length, ...keys, ...given)
    try {
      const [held, [code, former]] = await Promise.all([this.#indexes.hold(until, write), this.#link.send(until, put)])
      return code === STORED ? await this.#settle(until, write, held, parseFormer(former)) : refused(code)
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
      this.#indexes.hold(until, write),
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
      return entered ? refused(code) : 'revoked'
    }
    return this.#settle(until, write, held, former)
  }

  /** What follows when the row stands: pointers to it, and the end of what led to the one before. */
  async #settle(until: Until, write: Write, held: readonly boolean[], former: Former | undefined): Promise<'stored'> {
    if (write.pointers.length > 0) await this.#indexes.point(until, write, held, former)
    if (former) this.#indexes.release([{ place: write.place, former }], write)
    for (const pointer of write.pointers) this.#pointed(pointer.key, write.place.name)
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

  #writeName(): string {
    if (this.#names === '') this.#names = randomToken(6 * 256)
    const first = this.#names.slice(0, 8)
    this.#names = this.#names.slice(8)
    return first
  }
}
