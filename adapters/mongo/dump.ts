/**
 * Everything of the directory, for backup, in slices by `_id`. Kinds that claims make records of come first, so that a
 * link never comes without its account; an account that came to be after its kind had passed is given with its link.
 */
import type { Collection, Filter } from 'mongodb'
import type { Clock } from '#kernel/clock.ts'
import type { DirectoryPiece } from '#kernel/ports.ts'
import type { Audit } from './audit.ts'
import type { Connection } from './connect.ts'
import type { Epochs } from './epochs.ts'
import { kindOf, type RecordDocument, range, toPiece } from './record-rows.ts'

const SLICE = 100
/** Accounts younger than the dump's beginning less this are remembered: what clocks differ by. */
const MARGIN_MS = 60_000

export interface Sources {
  readonly connection: Connection
  readonly records: Collection<RecordDocument>
  readonly epochs: Epochs
  readonly audit: Audit
  readonly clock: Clock
}

async function* slices(
  { connection, records }: Sources,
  ids: { $gt: string; $lt?: string },
): AsyncGenerator<RecordDocument> {
  for (let after = ids.$gt, last: RecordDocument | undefined; ; after = last._id) {
    const filter: Filter<RecordDocument> = { _id: { ...ids, $gt: after }, pending: { $exists: false } }
    const found = await connection.run(() =>
      records.find(filter, { sort: { _id: 1 }, limit: SLICE, batchSize: SLICE }).toArray(),
    )
    yield* found
    last = found.at(-1)
    if (!last) return
  }
}

async function* recordsOf(sources: Sources): AsyncGenerator<RecordDocument> {
  const { connection, records, epochs, clock } = sources
  const since = clock.now() - MARGIN_MS
  const first = await connection.run(() => epochs.claimed())
  // Only of accounts as young as this dump: that is how far it grows.
  const given = new Set<string>()
  for (const kind of first)
    for await (const record of slices(sources, range(kind))) {
      if ((record.born ?? 0) >= since) given.add(record._id)
      yield record
    }
  for await (const record of slices(sources, { $gt: '' })) {
    if (first.includes(kindOf(record._id))) continue
    const account = record.claim?.account
    if (account !== undefined && (record.born ?? 0) >= since && !given.has(account)) {
      const late = await connection.run(() => records.findOne({ _id: account }))
      if (!late) continue
      given.add(account)
      yield late
    }
    yield record
  }
}

export async function* dump(sources: Sources): AsyncGenerator<DirectoryPiece> {
  for await (const record of recordsOf(sources)) yield toPiece(record)
  for (let after = ''; ; ) {
    const slice = await sources.connection.run(() => sources.audit.slice(after))
    for (const { event } of slice) yield { event }
    const last = slice.at(-1)
    if (!last) return
    after = last.at
  }
}
