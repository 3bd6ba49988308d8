/** What leads to rows: the indexes of grants and tags, pointers. Read layout.ts and the head of puts.ts first. */
import type { Model } from '#kernel/ports.ts'
import {
  type Entry,
  type Former,
  GRAVESTONE,
  indexTimeToLive,
  type Keys,
  type Place,
  parseFormer,
  scoreOf,
  timeToLive,
  type Write,
} from './layout.ts'
import type { Link, Until } from './link.ts'

/** Rows of a dropped grant that are taken away in one turn. */
const SLICE = 250
/** One entry in so many looks for expired ones. */
const PRUNE_EVERY = 8

/** A row that is gone: of which write it was, and where that was entered. */
export interface Gone {
  readonly place: Place
  readonly former: Former
}
interface Burial {
  readonly index: string
  readonly grant: Buffer
  /** Until when the gravestones refuse. */
  readonly end: number
  readonly now: number
}

const separate = (held: string): { key: string; write: string } => {
  const at = held.lastIndexOf(' ')
  return { key: held.slice(0, at), write: held.slice(at + 1) }
}

export class Indexes {
  readonly #link: Link
  readonly #keys: Keys
  #entered = 0

  constructor(link: Link, keys: Keys) {
    this.#link = link
    this.#keys = keys
  }

  /** What gatehouseEnlist is told of an entry. */
  given({ member }: Entry, { now, expiresAt }: Write): [Buffer, string] {
    this.#entered = (this.#entered + 1) % PRUNE_EVERY
    const prune = this.#entered === 0 ? '1' : ''
    return [member, `${scoreOf(expiresAt)}:${indexTimeToLive(expiresAt, now)}:${prune}`]
  }

  /** Enters a write everywhere; false when its grant has a tombstone. */
  async enlist(until: Until, write: Write): Promise<boolean> {
    const { now, entries } = write
    if (entries.length === 0) return true
    const enter = (entry: Entry) =>
      this.#link.send(until, (client) => client.gatehouseEnlist(entry.key, now, ...this.given(entry, write)))
    const answers = await Promise.all(entries.map(enter))
    return answers.every((answer) => answer === 1)
  }

  /** Which of the row's pointers lead to its key already. They are made to last as long as it will. */
  async hold(until: Until, { now, name, place, pointers, expiresAt }: Write): Promise<boolean[]> {
    if (pointers.length === 0) return []
    const ttl = timeToLive(expiresAt, now)
    return Promise.all(
      pointers.map(
        async ({ key }) =>
          (await this.#link.send(until, (client) => client.gatehouseHold(key, place.name, name, ttl))) === 1,
      ),
    )
  }

  /**
   * Makes the row's pointers lead to it; the row that one led to loses the value. One that is held needs nothing, but
   * only if the row replaced one with the same: whoever dropped a row in between took its pointer away.
   */
  async point(until: Until, write: Write, held: readonly boolean[], former: Former | undefined): Promise<void> {
    const { now, name, place, pointers, expiresAt } = write
    const ttl = timeToLive(expiresAt, now)
    const had = new Set(former && this.#keys.pointers(place.model, former).map(({ key }) => key))
    await Promise.all(
      pointers.map(async ({ key, which }, index) => {
        if (held[index] && had.has(key)) return
        const before = await this.#link.send(until, (client) => client.gatehouseTake(key, place.name, name, ttl))
        if (before === '') return
        const other = separate(before)
        if (other.key === place.name) return
        const loser = this.#keys.rowNamed(place.model, other.key)
        await this.#link.send(until, (client) => client.gatehouseLose(loser.key, other.write, which))
      }),
    )
  }

  /** Takes back what led to rows that are gone; pointers of the row that replaced them stay. Nobody need wait for it. */
  release(gone: readonly Gone[], kept?: Write): void {
    const entries = gone.flatMap(({ place, former }) => this.#keys.entries(place, former.write, former))
    const stays = new Set(kept?.pointers.map(({ key }) => key))
    const pointers = gone.flatMap(({ place, former }) =>
      this.#keys
        .pointers(place.model, former)
        .filter(({ key }) => !stays.has(key))
        .map(({ key }) => ({ key, value: `${place.name} ${former.write}` })),
    )
    this.#remove(entries)
    if (pointers.length === 0) return
    this.#link.background((until) =>
      Promise.all(
        pointers.map(({ key, value }) => this.#link.send(until, (client) => client.gatehouseRelease(key, value))),
      ),
    )
  }

  /** Takes back the entries of a write that did not come about. */
  withdraw({ entries }: Write): void {
    this.#remove(entries)
  }

  /** Rows that a tag may have, live ones for certain, those that expire first. */
  async tagged(until: Until, model: Model, tag: Buffer, now: number, limit: number): Promise<Place[]> {
    const index = this.#keys.tag(model, tag)
    const members = await this.#link.send(until, (client) =>
      client.zrangebyscoreBuffer(index, now, '+inf', 'LIMIT', 0, limit),
    )
    const places = members.map((member) => this.#keys.ofTag(model, member))
    return [...new Map(places.map((place) => [place.name, place])).values()]
  }

  /** Slice by slice, each within one call's patience: what was done stays done when a later one fails. */
  async dropGrant(grant: Buffer, ends: number, now: number): Promise<number> {
    const burial: Burial = { index: this.#keys.grant(grant), grant, end: Math.min(ends, now + GRAVESTONE), now }
    const ttl = timeToLive(ends, now)
    let count = 0
    for (;;) {
      const found = await this.#link.write((until) =>
        this.#link.send(until, (client) => client.gatehouseBuryBuffer(burial.index, ends, ttl, SLICE)),
      )
      const members = found.filter(({ length }) => length > 0)
      if (members.length === 0) return count
      count += await this.#link.write((until) => this.#visit(until, burial, members))
    }
  }

  /** Takes away the rows of some entries, then the entries. Answers how many rows were live. */
  async #visit(until: Until, { index, grant, end, now }: Burial, members: readonly Buffer[]): Promise<number> {
    const places = new Map(members.map((member) => this.#keys.ofGrant(member)).map((place) => [place.key, place]))
    const visits = await Promise.all(
      [...places.values()].map(async (place) => {
        const [live, former] = await this.#link.send(until, (client) =>
          client.gatehouseBuryRowBuffer(place.key, now, grant, end, GRAVESTONE),
        )
        return { live, place, former: parseFormer(former) }
      }),
    )
    this.release(
      visits.flatMap(({ place, former }) => (former ? [{ place, former: { ...former, grant: undefined } }] : [])),
    )
    await this.#link.send(until, (client) => client.zrem(index, ...members))
    return visits.reduce((sum, { live }) => sum + live, 0)
  }

  #remove(entries: readonly Entry[]): void {
    if (entries.length === 0) return
    this.#link.background((until) =>
      Promise.all(
        [...Map.groupBy(entries, ({ key }) => key)].map(([key, own]) =>
          this.#link.send(until, (client) => client.zrem(key, ...own.map(({ member }) => member))),
        ),
      ),
    )
  }
}
