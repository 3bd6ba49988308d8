/** Everything that lives, for backup: server by server, in slices. What comes twice, while Redis resizes its table, is the same. */
import type { Clock } from '#kernel/clock.ts'
import type { ArtifactRow, Mark, Model } from '#kernel/ports.ts'
import { type Keys, toRow } from './layout.ts'
import type { Link } from './link.ts'
import { mastersOf } from './scripts.ts'

const SLICE = 200

export class Dump {
  readonly #link: Link
  readonly #keys: Keys
  readonly #clock: Clock

  constructor(link: Link, keys: Keys, clock: Clock) {
    this.#link = link
    this.#keys = keys
    this.#clock = clock
  }

  async *rows(): AsyncGenerator<{ model: Model; row: ArtifactRow }> {
    for await (const found of this.#slices(this.#keys.rows)) {
      const places = found.map((key) => this.#keys.parseRow(key))
      const rows = await this.#link.call((until) =>
        Promise.all(
          places.map(({ key }) => this.#link.send(until, (client) => client.hmgetBuffer(key, 'p', 'm', 'c'))),
        ),
      )
      for (const [index, place] of places.entries()) {
        const live = toRow(Buffer.from(place.name, 'base64url'), rows[index] ?? [], this.#clock.now())
        if (live) yield { model: place.model, row: live.row }
      }
    }
  }

  async *marks(): AsyncGenerator<Mark> {
    for await (const found of this.#slices(this.#keys.marks)) {
      const marks = await this.#link.call((until) =>
        Promise.all(found.map((key) => this.#link.send(until, (client) => this.#keys.readMark(client, key)))),
      )
      const now = this.#clock.now()
      for (const mark of marks) if (mark && endOf(mark) > now) yield mark
    }
  }

  async *#slices(glob: string): AsyncGenerator<string[]> {
    const servers = await this.#link.call((until) => this.#link.send(until, async (client) => mastersOf(client)))
    for (const server of servers) {
      let cursor = '0'
      do {
        const from = cursor
        const [next, found] = await this.#link.call((until) =>
          this.#link.send(until, () => server.scan(from, 'MATCH', glob, 'COUNT', SLICE)),
        )
        cursor = next
        if (found.length > 0) yield [...new Set(found)]
      } while (cursor !== '0')
    }
  }
}

const endOf = (mark: Mark): number => {
  if ('once' in mark) return mark.once.expiresAt
  return 'revoked' in mark ? mark.revoked.until : mark.counter.expiresAt
}
