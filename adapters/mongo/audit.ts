/** The audit trail: one document per event, in the order of the events' times and then of the calls. */
import type { Collection, Sort } from 'mongodb'
import type { AuditEvent } from '#kernel/ports.ts'
import { randomToken } from '#kernel/random.ts'

export interface AuditDocument {
  readonly _id: string
  /** Equal to `_id`, for indexes that end with it. */
  readonly place: string
  readonly at: number
  readonly type: string
  readonly account?: string
  readonly client?: string
  readonly provider?: string
  readonly reference?: string
  /** JSON: names in it are data, dots and dollar signs included. */
  readonly detail?: string
}
export interface AuditQuery {
  readonly reference?: string
  readonly account?: string
  readonly type?: string
  readonly limit: number
}

const SLICE = 500
/** Nine digits of base 36 reach beyond the year 5000. */
const time = (at: number): string => Math.max(0, Math.floor(at)).toString(36).padStart(9, '0')
const members = ['account', 'client', 'provider', 'reference'] as const

const toFields = ({
  at,
  type,
  account,
  client,
  provider,
  reference,
  detail,
}: AuditEvent): Omit<AuditDocument, '_id' | 'place'> => ({
  at,
  type,
  account,
  client,
  provider,
  reference,
  detail: detail && JSON.stringify(detail),
})

const toEvent = (document: AuditDocument): AuditEvent => {
  const given = members.filter((name) => document[name] !== undefined).map((name) => [name, document[name]])
  const detail = document.detail === undefined ? {} : { detail: JSON.parse(document.detail) }
  return { at: document.at, type: document.type, ...Object.fromEntries(given), ...detail }
}

export class Audit {
  readonly #events: Collection<AuditDocument>
  #calls = 0

  constructor(events: Collection<AuditDocument>) {
    this.#events = events
  }

  async append(event: AuditEvent): Promise<void> {
    this.#calls = (this.#calls + 1) % 36 ** 5
    const place = time(event.at) + this.#calls.toString(36).padStart(5, '0') + randomToken(6)
    await this.#events.insertOne({ _id: place, place, ...toFields(event) })
  }

  /** Looks first; two that restore the same event at the same moment may both add it. */
  async appendUnlessThere(event: AuditEvent): Promise<void> {
    const wanted = JSON.stringify(toFields(event))
    const sameTime = { _id: { $gte: time(event.at), $lt: time(event.at + 1) } }
    for await (const document of this.#events.find(sameTime))
      if (JSON.stringify(toFields(toEvent(document))) === wanted) return
    await this.append(event)
  }

  /** The newest first. */
  async find({ limit, ...query }: AuditQuery): Promise<AuditEvent[]> {
    if (limit < 1) return []
    const asked = Object.entries(query).filter(([, value]) => value !== undefined)
    const sort: Sort = asked.length === 0 ? { _id: -1 } : { place: -1 }
    const found = this.#events.find(Object.fromEntries(asked), { sort, limit, batchSize: limit })
    return (await found.toArray()).map(toEvent)
  }

  /** At most SLICE events after the one with this `_id`, the oldest first. */
  async slice(after: string): Promise<{ event: AuditEvent; at: string }[]> {
    const found = this.#events.find({ _id: { $gt: after } }, { sort: { _id: 1 }, limit: SLICE, batchSize: SLICE })
    return (await found.toArray()).map((document) => ({ event: toEvent(document), at: document._id }))
  }
}
