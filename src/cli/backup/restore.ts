/**
 * Brings a verified backup into stores that are empty, or that belong to the same installation. Nothing is removed, what
 * is there already stays or becomes what the backup says, so any number of runs comes to the same. Order: a note that
 * keeps servers away, data keys, records, events, artifacts, marks; the note goes last.
 *
 * Nothing that was used up or revoked comes back: redeemed artifacts come as redeemed, marks of the backup and of the
 * store both count, keys and secrets that the store has stay as they are. What a backup cannot know is what was revoked
 * after it; sessions and tokens therefore come back only into empty stores and from a recent backup, or when asked for.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { adoptDataKeys, dataKeys, keyringKind, type RingKey, sameKey } from '#directory/keyring.ts'
import { noteRestoring, type Restoring, restored, restoringIn, restoringKind } from '#directory/restoring.ts'
import type { Clock } from '#kernel/clock.ts'
import { isFault } from '#kernel/faults.ts'
import type { ArtifactRow, Mark, Model, StoredRecord } from '#kernel/ports.ts'
import { CliError, type Stores } from '../seams.ts'
import type { Item } from './lines.ts'
import type { Summary } from './verify.ts'

/** A move from one store to another fits in; what was revoked in so short a time is at most as old. */
const RECENT_MS = 3_600_000
/** Written together: as many items, or as many bytes. */
const BATCH = 256
const BATCH_BYTES = 1024 * 1024
const MOST_TRIES = 10
const PAUSE_MS = 1000
/** Newer in the store than in any backup: keys that were retired stay retired. */
const staysAsIs = new Set(['key', 'secret'])
/** Artifacts that sign nobody in: traces, and what clients manage their own registration with, which comes with them. */
const harmless = new Set(['Trace', 'RegistrationAccessToken', 'InitialAccessToken'])

export interface Report {
  records: { created: number; replaced: number; same: number }
  events: number
  artifacts: { added: number; present: number; left: number }
  marks: number
  /** Records whose unique value another record of the store has: not restored. */
  conflicts: { kind: string; id: string; index: string }[]
  /** Why artifacts were left out, when they were. */
  left?: 'old' | 'not-empty'
}

const hasAny = async (items: AsyncIterable<unknown>): Promise<boolean> => {
  for await (const _ of items) return true
  return false
}

const hasData = async ({ directory, store }: Stores): Promise<boolean> => {
  for await (const piece of directory.dump())
    if (!('kind' in piece) || ![keyringKind, restoringKind].includes(piece.kind)) return true
  return (await hasAny(store.scan())) || hasAny(store.marks())
}

/** Whether the stores hold nothing. Throws CliError when they hold another installation. */
const isEmpty = async (stores: Stores, keys: readonly RingKey[]): Promise<boolean> => {
  const known = await dataKeys(stores.directory, stores.masterKeys)
  if (known.length === 0 && !(await hasData(stores))) return true
  if (known.some((one) => keys.some((key) => sameKey(one, key)))) return false
  throw new CliError(
    'The stores hold another installation, and two cannot be mixed: restore into empty stores. (A server that was started once has made its keys: then they are not empty.)',
  )
}

/** Writes one item; safe to repeat. */
const createWriter = ({ store, directory }: Stores, note: Restoring, withTokens: boolean, clock: Clock) => {
  const report: Report = {
    records: { created: 0, replaced: 0, same: 0 },
    events: 0,
    artifacts: { added: 0, present: 0, left: 0 },
    marks: 0,
    conflicts: [],
  }
  const live = (until: number | undefined) => until === undefined || until > clock.now()

  const writeRecord = async (kind: string, record: StoredRecord): Promise<'created' | 'replaced' | 'same'> => {
    const now = await directory.read(kind, record.id)
    if (!now) {
      await directory.create(kind, record)
      return 'created'
    }
    if (staysAsIs.has(kind) || Buffer.compare(now.doc, record.doc) === 0) return 'same'
    await directory.replace(kind, record, now.revision)
    return 'replaced'
  }
  const record = async (kind: string, given: StoredRecord) => {
    for (let tries = 1; ; tries += 1) {
      try {
        report.records[await writeRecord(kind, given)] += 1
        return
      } catch (error) {
        const taken = isFault(error, 'directory.conflict') ? String(error.detail.index) : undefined
        if (taken !== undefined && taken !== 'id') {
          report.conflicts.push({ kind, id: given.id, index: taken })
          return
        }
        // Another writer was faster.
        if (tries >= MOST_TRIES || !(taken ?? isFault(error, 'directory.stale'))) throw error
      }
    }
  }

  /** A second id that a live row of the store has is not taken from it. */
  const holdsIdOf = async (model: Model, { uid, userCode }: ArtifactRow): Promise<boolean> => {
    if (note.empty) return false
    if (uid && (await store.get(model, 'uid', uid))) return true
    return userCode !== undefined && (await store.get(model, 'userCode', userCode)) !== undefined
  }
  const redeem = (model: Model, key: Uint8Array, at: number) => store.redeem(model, key, randomUUID(), at)
  const artifact = async (model: Model, row: ArtifactRow) => {
    if (!live(row.expiresAt)) return
    const comes = (withTokens || harmless.has(model)) && !(await holdsIdOf(model, row))
    const outcome = comes ? await store.put(model, row, { ifRevision: 0 }) : 'left'
    report.artifacts[outcome === 'stored' ? 'added' : outcome === 'stale' ? 'present' : 'left'] += 1
    if (outcome !== 'stored' && row.consumedAt !== undefined) await redeem(model, row.key, row.consumedAt)
  }
  const mark = async (given: Mark) => {
    report.marks += 1
    if ('once' in given) {
      const { model, key, expiresAt } = given.once
      if (live(expiresAt)) await store.putOnce(model, key, expiresAt)
    } else if ('revoked' in given) {
      if (live(given.revoked.until)) await store.dropGrant(given.revoked.grant, given.revoked.until)
    } else {
      const { key, count, expiresAt } = given.counter
      const now = live(expiresAt) ? await store.increment(key, 0, 0) : count
      if (now < count) await store.increment(key, count - now, expiresAt)
    }
  }

  const write = async (item: Item): Promise<void> => {
    if ('kind' in item) return record(item.kind, item.record)
    if ('row' in item) return artifact(item.model, item.row)
    if ('event' in item) {
      await directory.append(item.event, { unlessThere: true })
      report.events += 1
    } else if ('redeemed' in item) {
      const { model, key, at } = item.redeemed
      await redeem(model, key, at)
    } else if (!('dataKey' in item)) await mark(item)
  }
  return { write, report }
}

/** A store that is busy for a moment does not end a long restore. */
const patiently = async (work: () => Promise<void>): Promise<void> => {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work()
    } catch (error) {
      if (tries >= MOST_TRIES || !isFault(error, 'store.unavailable')) throw error
    }
    await delay(PAUSE_MS)
  }
}

const bytesOf = (item: Item): number => {
  if ('row' in item) return item.row.body.length
  return 'kind' in item ? item.record.doc.length : 0
}

/** @param items what the backup holds, in its order */
export const restore = async (
  stores: Stores,
  { header, keys }: Summary,
  items: AsyncIterable<Item>,
  { keepTokens, clock }: { keepTokens: boolean; clock: Clock },
): Promise<Report> => {
  const empty = await isEmpty(stores, keys)
  const before = await restoringIn(stores.directory)
  const note: Restoring = {
    at: before?.at ?? clock.now(),
    empty: before?.empty ?? empty,
    keepTokens: keepTokens || (before?.keepTokens ?? false),
  }
  const recent = note.at - header.createdAt <= RECENT_MS
  const withTokens = note.keepTokens || (note.empty && recent)
  await noteRestoring(stores.directory, note)
  await adoptDataKeys(stores.directory, stores.masterKeys, keys)

  const { write, report } = createWriter(stores, note, withTokens, clock)
  let batch: Item[] = []
  let bytes = 0
  const flush = async () => {
    await Promise.all(batch.map((item) => patiently(() => write(item))))
    batch = []
    bytes = 0
  }
  for await (const item of items) {
    batch.push(item)
    bytes += bytesOf(item)
    if (batch.length >= BATCH || bytes >= BATCH_BYTES) await flush()
  }
  await flush()
  await restored(stores.directory)
  return { ...report, ...(!withTokens && { left: note.empty ? 'old' : 'not-empty' }) }
}
