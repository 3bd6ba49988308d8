/**
 * The Directory port. One document per record, compare-and-swap on its revision; what needs several documents (unique
 * values, the first-login race) stands in names.ts and claims.ts, the count of changes in epochs.ts.
 */
import type { Collection, Filter, Sort } from 'mongodb'
import type { Clock } from '#kernel/clock.ts'
import { Fault, isFault } from '#kernel/faults.ts'
import type { AuditEvent, Directory, DirectoryPiece, PageQuery, StoredRecord, VersionedRecord } from '#kernel/ports.ts'
import { randomToken } from '#kernel/random.ts'
import { Audit, type AuditQuery } from './audit.ts'
import type { Deadline } from './bounded.ts'
import { Claims } from './claims.ts'
import type { Connection } from './connect.ts'
import { dump } from './dump.ts'
import { Epochs } from './epochs.ts'
import { Names, ROUNDS } from './names.ts'
import {
  copyOf,
  entryOf,
  fieldsOf,
  type Held,
  heldBy,
  type RecordDocument,
  range,
  recordId,
  toDocument,
  toRecord,
} from './record-rows.ts'

const SEEN = { pending: { $exists: false } }
type Made = { owner: string; link: StoredRecord; accountKind: string; account: StoredRecord }

export class MongoDirectory implements Directory {
  readonly #connection: Connection
  readonly #clock: Clock
  readonly #records: Collection<RecordDocument>
  readonly #names: Names
  readonly #claims: Claims
  readonly #epochs: Epochs
  readonly #audit: Audit

  constructor(connection: Connection, clock: Clock) {
    const { db } = connection
    this.#connection = connection
    this.#clock = clock
    this.#records = db.collection('records')
    this.#names = new Names(db.collection('names'), this.#records, clock)
    this.#epochs = new Epochs(db.collection('epochs'), clock)
    this.#claims = new Claims(this.#records, this.#names, this.#epochs)
    this.#audit = new Audit(db.collection('audit'))
  }

  async read(kind: string, id: string): Promise<VersionedRecord | undefined> {
    const found = await this.#connection.run(() => this.#records.findOne({ _id: recordId(kind, id), ...SEEN }))
    return found ? toRecord(found) : undefined
  }

  async list(kind: string, { after, limit }: PageQuery): Promise<VersionedRecord[]> {
    return this.#page({ _id: range(kind, after) }, { _id: 1 }, limit)
  }

  async find(kind: string, index: string, value: string, { after, limit }: PageQuery): Promise<VersionedRecord[]> {
    return this.#page({ entries: entryOf(kind, index, value), id: { $gt: after ?? '' } }, { id: 1 }, limit)
  }

  async create(kind: string, record: StoredRecord): Promise<number> {
    const token = randomToken(9)
    const fresh = toDocument(kind, copyOf(record), heldBy(kind, record, token))
    return this.#connection.run(async (deadline) => {
      if (fresh.unique.length === 0)
        return this.#changing(kind, nothing, async () => {
          if (!(await this.#claims.begin(fresh, deadline))) throw conflict(kind, record.id, 'id')
          return { result: 1, changed: true }
        })
      const pending = { ...fresh, claim: { token }, pending: { decided: false } }
      const outcome = (await this.#claims.begin(pending, deadline))
        ? await this.#claims.advance(pending, deadline)
        : 'gone'
      if (outcome !== 'done') throw conflict(kind, record.id, outcome === 'gone' ? 'id' : outcome.conflict)
      return 1
    })
  }

  async replace(kind: string, record: StoredRecord, ifRevision: number): Promise<number> {
    const copy = copyOf(record)
    const expected = { _id: recordId(kind, record.id), revision: ifRevision, ...SEEN }
    const find = () => this.#records.findOne(expected, { projection: { unique: 1 } })
    return this.#connection.run((deadline) =>
      this.#changing(kind, find, async (before) => {
        if (!before) throw stale(kind, record.id)
        const token = randomToken(9)
        const wanted = heldBy(kind, record, token)
        const kept = before.unique.filter(({ name }) => wanted.some((one) => one.name === name))
        const added = wanted.filter(({ name }) => !kept.some((one) => one.name === name))
        if (added.length > 0) await this.#claimNames(kind, record.id, expected, added, deadline)
        deadline.check()
        const { matchedCount } = await this.#records.updateOne(
          added.length === 0 ? expected : { ...expected, 'claiming.token': token },
          { $set: fieldsOf(kind, copy, [...kept, ...added]), $inc: { revision: 1 }, $unset: { claiming: 1 } },
        )
        await this.#names.release(matchedCount === 0 ? added : before.unique.filter((held) => !kept.includes(held)))
        if (matchedCount === 0) throw stale(kind, record.id)
        return { result: ifRevision + 1, changed: true }
      }),
    )
  }

  async remove(kind: string, id: string, ifRevision?: number): Promise<boolean> {
    const seen = { _id: recordId(kind, id), ...SEEN }
    const find = () => this.#records.findOne(seen, { projection: { revision: 1, unique: 1 } })
    return this.#connection.run((deadline) =>
      this.#changing(kind, find, async (first) => {
        for (let round = 0, found = first; round < ROUNDS; round++, found = await find()) {
          if (!found) return { result: false, changed: false }
          if (ifRevision !== undefined && found.revision !== ifRevision) throw stale(kind, id)
          deadline.check()
          const { deletedCount } = await this.#records.deleteOne({ ...seen, revision: found.revision })
          if (deletedCount === 0) continue
          await this.#names.release(found.unique)
          return { result: true, changed: true }
        }
        throw new Error('a record was replaced by others again and again')
      }),
    )
  }

  /** `make` runs at most once, and only when the link is absent. */
  async claim(linkKind: string, linkId: string, make: () => Made): Promise<{ owner: string; created: boolean }> {
    const _id = recordId(linkKind, linkId)
    return this.#connection.run(async (deadline) => {
      let pending: RecordDocument | undefined
      for (let round = 0; round < ROUNDS; round++) {
        const found = await this.#records.findOne({ _id })
        if (found && !found.pending) return { owner: found.owner ?? '', created: false }
        if (found) {
          await this.#claims.advance(found, deadline)
          continue
        }
        pending ??= this.#pendingLink(linkKind, linkId, make())
        if (!(await this.#claims.begin(pending, deadline))) continue
        const outcome = await this.#claims.advance(pending, deadline)
        if (outcome === 'done') return { owner: pending.owner ?? '', created: true }
        if (outcome !== 'gone') throw conflict(linkKind, linkId, outcome.conflict)
      }
      throw new Error('a link was claimed and given up by others again and again')
    })
  }

  async append(event: AuditEvent, { unlessThere = false }: { unlessThere?: boolean } = {}): Promise<void> {
    await this.#connection.run(() => (unlessThere ? this.#audit.appendUnlessThere(event) : this.#audit.append(event)))
  }

  async audit(query: AuditQuery): Promise<AuditEvent[]> {
    return this.#connection.run(() => this.#audit.find(query))
  }

  dump(): AsyncGenerator<DirectoryPiece> {
    const sources = { connection: this.#connection, records: this.#records, epochs: this.#epochs }
    return dump({ ...sources, audit: this.#audit, clock: this.#clock })
  }

  async epoch(): Promise<Record<string, number>> {
    return this.#connection.run(() => this.#epochs.read())
  }

  /** Tells which epochs this process's own changes got; answers the function that ends it. */
  onOwnChange(listener: (kind: string, epoch: number) => void): () => void {
    return this.#epochs.onOwnChange(listener)
  }

  /** Calls when another node may have changed something, where the server can tell; answers the function that ends it. */
  watch(listener: () => void): () => void {
    return this.#connection.watch('epochs', listener)
  }

  async ready(): Promise<void> {
    await this.#connection.probe()
  }

  async close(): Promise<void> {
    await this.#connection.close()
  }

  async #page(filter: Filter<RecordDocument>, sort: Sort, limit: number): Promise<VersionedRecord[]> {
    // To the server no limit is what 0 means.
    if (limit < 1) return []
    const found = await this.#connection.run(() =>
      this.#records.find({ ...filter, ...SEEN }, { sort, limit, batchSize: limit }).toArray(),
    )
    return found.map(toRecord)
  }

  /**
   * Counts the change. One that fails otherwise than by a refusal may have happened: it stays open and is counted later.
   * `read` may go on while the change is opened, `work` may write.
   */
  async #changing<R, T>(
    kind: string,
    read: () => Promise<R>,
    work: (found: R) => Promise<{ result: T; changed: boolean }>,
  ): Promise<T> {
    const [opening, found] = await Promise.all([this.#epochs.open([kind]), read()])
    try {
      const { result, changed } = await work(found)
      await this.#epochs.close(opening, changed ? [kind] : [])
      return result
    } catch (error) {
      if (isFault(error, 'directory.conflict') || isFault(error, 'directory.stale'))
        await this.#epochs.close(opening, [])
      throw error
    }
  }

  /** The values that a replace adds. The record says first which claim they belong to. */
  async #claimNames(
    kind: string,
    id: string,
    expected: Filter<RecordDocument> & { _id: string },
    added: readonly Held[],
    deadline: Deadline,
  ): Promise<void> {
    const { _id } = expected
    const token = added[0]?.token ?? ''
    const claiming = { token, at: this.#clock.now() }
    const { matchedCount } = await this.#records.updateOne(expected, { $set: { claiming } })
    if (matchedCount === 0) throw stale(kind, id)
    const help = (pending: RecordDocument) => this.#claims.advance(pending, deadline)
    const claimed = await this.#names.claim(added, { record: _id, via: _id }, help, deadline)
    if (claimed.conflict === undefined) return
    await this.#names.release(claimed.got)
    await this.#records.updateOne({ _id, 'claiming.token': token }, { $unset: { claiming: 1 } })
    throw conflict(kind, id, claimed.conflict)
  }

  #pendingLink(linkKind: string, linkId: string, { owner, link, accountKind, account }: Made): RecordDocument {
    const token = randomToken(9)
    const born = this.#clock.now()
    const made = toDocument(accountKind, copyOf(account), heldBy(accountKind, account, token))
    const linked = copyOf({ ...link, id: linkId })
    return {
      ...toDocument(linkKind, linked, heldBy(linkKind, link, token)),
      owner,
      born,
      claim: { token, account: made._id },
      pending: { decided: false, account: { ...made, born } },
    }
  }
}

const nothing = async (): Promise<void> => {}
/** `index` names what is taken, never its value. */
const conflict = (kind: string, id: string, index: string): Fault =>
  new Fault('directory.conflict', { kind, id, index })
const stale = (kind: string, id: string): Fault => new Fault('directory.stale', { kind, id })
