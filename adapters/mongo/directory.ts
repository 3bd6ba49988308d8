/**
 * The Directory port. One document per record, compare-and-swap on its revision; what needs several documents (unique
 * values, the first-login race) stands in names.ts and claims.ts, the count of changes in epochs.ts.
 */
import type { Collection, Filter } from 'mongodb'
import type { Clock } from '#kernel/clock.ts'
import { Fault, isFault } from '#kernel/faults.ts'
import type { AuditEvent, Directory, DirectoryPiece, PageQuery, StoredRecord, VersionedRecord } from '#kernel/ports.ts'
import { randomToken } from '#kernel/random.ts'
import { Audit, type AuditQuery } from './audit.ts'
import type { Deadline } from './bounded.ts'
import { type Advanced, Claims } from './claims.ts'
import type { Connection } from './connect.ts'
import { dump } from './dump.ts'
import { Epochs } from './epochs.ts'
import { Names } from './names.ts'
import { entryOf, fieldsOf, type Held, heldBy, type RecordDocument, range, recordId, toDocument, toRecord } from './record-rows.ts'

const SEEN = { pending: { $exists: false } }
/** Each round that is lost was won by another caller: nobody needs this many. */
const ROUNDS = 20

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
    this.#claims = new Claims(this.#records, this.#names)
    this.#epochs = new Epochs(db.collection('epochs'), clock)
    this.#audit = new Audit(db.collection('audit'))
  }

  async read(kind: string, id: string): Promise<VersionedRecord | undefined> {
    const found = await this.#connection.run(() => this.#records.findOne({ _id: recordId(kind, id), ...SEEN }))
    return found ? toRecord(found) : undefined
  }

  async list(kind: string, { after, limit }: PageQuery): Promise<VersionedRecord[]> {
    return this.#page({ _id: range(kind, after) }, limit)
  }

  async find(kind: string, index: string, value: string, { after, limit }: PageQuery): Promise<VersionedRecord[]> {
    return this.#page({ entries: entryOf(kind, index, value), _id: range(kind, after) }, limit)
  }

  async create(kind: string, record: StoredRecord): Promise<number> {
    const token = randomToken(9)
    const fresh = toDocument(kind, record, heldBy(kind, record, token))
    return this.#changing([kind], async (deadline) => {
      const alone = fresh.unique.length === 0
      const document = alone ? fresh : { ...fresh, claim: { token }, pending: { decided: false } }
      if (!(await this.#begin(document, deadline))) throw conflict(kind, record.id, 'id')
      const outcome = await this.#claims.advance(document, deadline)
      if (outcome === 'gone') throw conflict(kind, record.id, 'id')
      if (outcome !== 'done') throw conflict(kind, record.id, outcome.conflict)
      return { result: 1, changed: [kind] }
    })
  }

  async replace(kind: string, record: StoredRecord, ifRevision: number): Promise<number> {
    const _id = recordId(kind, record.id)
    const token = randomToken(9)
    const wanted = heldBy(kind, record, token)
    const fields = fieldsOf(kind, record, [])
    return this.#changing([kind], async (deadline) => {
      const expected = { _id, revision: ifRevision, ...SEEN }
      const before = await this.#records.findOne(expected, { projection: { unique: 1 } })
      if (!before) throw stale(kind, record.id)
      const kept = before.unique.filter(({ name }) => wanted.some((one) => one.name === name))
      const added = wanted.filter(({ name }) => !kept.some((one) => one.name === name))
      await this.#claimFor(kind, record.id, expected, added, token, deadline)
      deadline.check()
      const update = replaceWith(fields, [...kept, ...added])
      const claimed = added.length === 0 ? {} : { 'claiming.token': token }
      const { matchedCount } = await this.#records.updateOne({ ...expected, ...claimed }, update)
      const left = before.unique.filter((held) => !kept.includes(held))
      await this.#names.release(matchedCount === 1 ? left : added)
      if (matchedCount === 0) throw stale(kind, record.id)
      return { result: ifRevision + 1, changed: [kind] }
    })
  }

  async remove(kind: string, id: string, ifRevision?: number): Promise<boolean> {
    const _id = recordId(kind, id)
    return this.#changing([kind], async (deadline) => {
      for (let round = 0; round < ROUNDS; round++) {
        const found = await this.#records.findOne({ _id, ...SEEN }, { projection: { revision: 1, unique: 1 } })
        if (!found) return { result: false, changed: [] }
        if (ifRevision !== undefined && found.revision !== ifRevision) throw stale(kind, id)
        deadline.check()
        const { deletedCount } = await this.#records.deleteOne({ _id, revision: found.revision, ...SEEN })
        if (deletedCount === 0) continue
        await this.#names.release(found.unique)
        return { result: true, changed: [kind] }
      }
      throw new Error('a record was replaced by others again and again')
    })
  }

  async claim(linkKind: string, linkId: string, make: () => Made): Promise<{ owner: string; created: boolean }> {
    const _id = recordId(linkKind, linkId)
    const found = await this.#connection.run(() => this.#records.findOne({ _id }, { projection: { owner: 1, pending: 1 } }))
    if (found && !found.pending) return { owner: found.owner ?? '', created: false }
    let made: Made | undefined
    const makeOnce = () => {
      made ??= make()
      return made
    }
    // The helper of another one's claim cannot know the kind of its account before it has read it: it makes its own first.
    const { accountKind } = makeOnce()
    return this.#changing([linkKind, accountKind], (deadline) => this.#claim(linkKind, linkId, makeOnce(), deadline), accountKind)
  }

  async append(event: AuditEvent, { unlessThere = false }: { unlessThere?: boolean } = {}): Promise<void> {
    await this.#connection.run(() =>
      unlessThere ? this.#audit.appendUnlessThere(event) : this.#audit.append(event),
    )
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
    await this.#connection.ping()
  }

  async close(): Promise<void> {
    await this.#connection.close()
  }
}
