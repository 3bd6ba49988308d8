/**
 * The ArtifactStore port. Every promise rests on the atomicity of one document and the uniqueness of `_id`; no
 * transaction, change stream, collation or unique index. Read artifact-rows.ts first.
 *
 * A dropped grant against a put of one of its rows: the drop writes a tombstone (T), then deletes the rows (D). A put
 * writes its row (W), then looks for the tombstone (P), in one command whose statements the primary runs in order. Either
 * W is before D and D takes the row, or W is after D, hence after T, and P sees T: the put takes its row back and answers
 * `revoked`. A process that dies between W and that, or between T and D, is made up for by the sweeper of any node, which
 * drops the grant's rows once more when the tombstone is `due`.
 */
import type { Collection, Filter } from 'mongodb'
import type { Clock } from '#kernel/clock.ts'
import type { ArtifactRow, ArtifactStore, Model, PutResult, Redeem } from '#kernel/ports.ts'
import {
  type ArtifactDocument,
  beginning,
  counterId,
  expiry,
  type Fields,
  fieldsOf,
  markerId,
  modelOf,
  replacing,
  rowId,
  scoped,
  text,
  tombstoneId,
  toRow,
} from './artifact-rows.ts'
import { type Deadline, Lanes } from './bounded.ts'
import type { Connection } from './connect.ts'
import { isDuplicate } from './faults.ts'

type By = 'key' | 'uid' | 'userCode'
type Written = 'stored' | 'unmatched' | 'taken' | 'revoked'
type Documents = Collection<ArtifactDocument>

const SCAN_ROWS = 100
/** Longer than a put can be under way: 2 s, and what clocks differ by. */
const DUE_MS = 15_000
const DUE_GRANTS = 100
/** Each round that is lost was won by another caller: nobody needs this many. */
const ROUNDS = 20

/** A filter that no document passes: an upsert with it inserts, or meets the `_id` that stands. */
const NEVER = { revision: { $lt: 0 } }

export class MongoArtifacts implements ArtifactStore {
  readonly #connection: Connection
  readonly #clock: Clock
  readonly #documents: Documents
  readonly #lanes = new Lanes()
  readonly #stopSweeping: () => void
  #births = 0

  /** `startSweeper` begins sweeping and answers the function that ends it. */
  constructor(connection: Connection, clock: Clock, startSweeper: (store: MongoArtifacts) => () => void) {
    this.#connection = connection
    this.#clock = clock
    this.#documents = connection.db.collection<ArtifactDocument>('artifacts')
    this.#stopSweeping = startSweeper(this)
  }

  /** Concurrent puts of one uid under different keys: the one that looked last has it, both may carry it for a while. */
  async put(model: Model, row: ArtifactRow, { ifRevision }: { ifRevision?: number } = {}): Promise<PutResult> {
    const fields = fieldsOf(model, row)
    return this.#inOrder(fields.id, async (deadline) => {
      if (fields.claims.length === 0) return this.#write(fields, ifRevision, undefined, deadline)
      // A row that is written again has its look-ups already.
      if (ifRevision) {
        const kept = await this.#update(fields, { ...this.#live(fields.id, ifRevision), ...wanted(fields) }, false)
        if (kept !== 'unmatched') return kept === 'revoked' ? kept : 'stored'
        deadline.check()
      }
      const holders = await this.#holders(fields)
      deadline.check()
      const turn = 1 + Math.max(0, ...holders.map((holder) => holder.turn ?? 0))
      const result = await this.#write(fields, ifRevision, turn, deadline)
      if (result === 'stored' && holders.length > 0) await this.#unseat(fields, turn)
      return result
    })
  }

  async putOnce(model: Model, key: Uint8Array, expiresAt: number): Promise<boolean> {
    const _id = markerId(model, key)
    return this.#connection.run(async (deadline) => {
      try {
        await this.#documents.insertOne({ _id, ...expiry(expiresAt) })
        return true
      } catch (error) {
        if (!isDuplicate(error)) throw error
      }
      deadline.check()
      const expired = { _id, expires: { $lte: this.#clock.now() } }
      const { matchedCount } = await this.#documents.updateOne(expired, { $set: expiry(expiresAt) })
      return matchedCount === 1
    })
  }

  async get(model: Model, by: By, value: Uint8Array): Promise<ArtifactRow | undefined> {
    const filter = by === 'key' ? { _id: rowId(model, value) } : { [by]: scoped(model, value) }
    const live = { ...filter, expires: { $gt: this.#clock.now() } }
    const found = await this.#connection.run(() =>
      this.#documents.findOne(live, by === 'key' ? {} : { sort: { turn: -1, _id: -1 } }),
    )
    return found ? toRow(found) : undefined
  }

  async findTagged(model: Model, tag: Uint8Array, limit = 1000): Promise<ArtifactRow[]> {
    const filter = { tags: scoped(model, tag), expires: { $gt: this.#clock.now() } }
    const found = await this.#connection.run(() =>
      this.#documents.find(filter, { sort: { born: 1 }, limit, batchSize: limit }).toArray(),
    )
    return found.map(toRow)
  }

  /** Compare-and-set; a resent command finds its own nonce and has won again. */
  async redeem(model: Model, key: Uint8Array, nonce: string, at: number): Promise<Redeem> {
    const id = rowId(model, key)
    return this.#inOrder(id, async () => {
      const { matchedCount } = await this.#documents.updateOne(
        { ...this.#live(id), consumed: { $exists: false } },
        { $set: { consumed: at, nonce }, $inc: { revision: 1 } },
      )
      if (matchedCount === 1) return 'won'
      const row = await this.#documents.findOne(this.#live(id), { projection: { nonce: 1 } })
      if (!row) return 'absent'
      return row.nonce === nonce ? 'won' : 'lost'
    })
  }

  async drop(model: Model, key: Uint8Array): Promise<void> {
    const _id = rowId(model, key)
    await this.#inOrder(_id, () => this.#documents.deleteOne({ _id }))
  }

  /** Counts what it took from the collection: expired rows that no sweep had found yet are among them. */
  async dropGrant(grant: Uint8Array, until: number): Promise<number> {
    const name = text(grant)
    return this.#connection.run(async (deadline) => {
      const { expires, ttl } = expiry(until)
      await upserted(() =>
        this.#documents.updateOne(
          { _id: tombstoneId(name) },
          { $max: { expires, ttl }, $set: { due: this.#clock.now() + DUE_MS } },
          { upsert: true },
        ),
      )
      deadline.check()
      return (await this.#documents.deleteMany({ grant: name })).deletedCount
    })
  }

  async increment(key: Uint8Array, by: number, expiresAt: number): Promise<number> {
    const _id = counterId(key)
    return this.#connection.run(async (deadline) => {
      const live = { _id, expires: { $gt: this.#clock.now() } }
      if (by === 0) return (await this.#documents.findOne(live))?.n ?? 0
      for (let round = 0; round < ROUNDS; round++) {
        deadline.check()
        const counted = await this.#documents.findOneAndUpdate(live, { $inc: { n: by } }, { returnDocument: 'after' })
        if (counted) return counted.n ?? 0
        if (await this.#startCounter(_id, by, expiresAt)) return by
      }
      throw new Error('a counter was started by others again and again')
    })
  }

  /** Drops rows of dropped grants once more where that is due, then expired documents of every sort. */
  async sweep(limit: number): Promise<number> {
    await this.#connection.run(() => this.#dropDueGrants())
    return this.#connection.run(async (deadline) => {
      const expired = { expires: { $lte: this.#clock.now() } }
      const found = await this.#documents.find(expired, { projection: { _id: 1 }, limit, batchSize: limit }).toArray()
      if (found.length === 0) return 0
      deadline.check()
      return (await this.#documents.deleteMany({ _id: { $in: found.map(({ _id }) => _id) }, ...expired })).deletedCount
    })
  }

  /** In slices; none of them keeps a cursor open on the server. */
  async *scan(): AsyncGenerator<{ model: Model; row: ArtifactRow }> {
    let after = 'a:'
    for (;;) {
      const filter = { _id: { $gt: after, $lt: 'a;' }, expires: { $gt: this.#clock.now() } }
      const found = await this.#connection.run(() =>
        this.#documents.find(filter, { sort: { _id: 1 }, limit: SCAN_ROWS, batchSize: SCAN_ROWS }).toArray(),
      )
      for (const document of found) yield { model: modelOf(document._id), row: toRow(document) }
      const last = found.at(-1)
      if (!last) return
      after = last._id
    }
  }

  async ready(): Promise<void> {
    await this.#connection.ping()
  }

  async close(): Promise<void> {
    this.#stopSweeping()
    await this.#connection.close()
  }

  /** Writes to one row leave in the order of their calls; the driver's connections keep none. */
  #inOrder<T>(id: string, work: (deadline: Deadline) => Promise<T>): Promise<T> {
    return this.#connection.run((deadline) =>
      this.#lanes.run(id, async () => {
        deadline.check()
        return work(deadline)
      }),
    )
  }

  #live(_id: string, revision?: number): Filter<ArtifactDocument> {
    return { _id, expires: { $gt: this.#clock.now() }, ...(revision !== undefined && { revision }) }
  }

  /** Sorts by time, then by the order of calls. */
  #stamp(): string {
    this.#births = (this.#births + 1) % 36 ** 6
    return this.#clock.now().toString(36).padStart(9, '0') + this.#births.toString(36).padStart(6, '0')
  }

  async #write(
    fields: Fields,
    ifRevision: number | undefined,
    turn: number | undefined,
    deadline: Deadline,
  ): Promise<PutResult> {
    for (let round = 0; round < ROUNDS; round++) {
      const filter = ifRevision === 0 ? { _id: fields.id, ...NEVER } : this.#live(fields.id, ifRevision)
      const written = await this.#update(fields, filter, !ifRevision, turn)
      if (written === 'unmatched') return 'stale'
      if (written !== 'taken') return written
      deadline.check()
      const expired = { _id: fields.id, expires: { $lte: this.#clock.now() } }
      const begun = await this.#update(fields, expired, false, turn, beginning)
      if (begun !== 'unmatched' && begun !== 'taken') return begun
      if (ifRevision === 0) return 'stale'
      deadline.check()
    }
    throw new Error('a row was put by others again and again')
  }

  /** One command: the row and, where it belongs to a grant, the look for that grant's tombstone. */
  async #update(
    fields: Fields,
    filter: Filter<ArtifactDocument>,
    upsert: boolean,
    turn?: number,
    form = replacing,
  ): Promise<Written> {
    const { grant, id } = fields
    const update = form(fields, turn, this.#stamp())
    try {
      if (grant === undefined) {
        const { matchedCount, upsertedCount } = await this.#documents.updateOne(filter, update, { upsert })
        return matchedCount + upsertedCount === 1 ? 'stored' : 'unmatched'
      }
      const { matchedCount, modifiedCount, upsertedCount } = await this.#documents.bulkWrite(
        [
          { updateOne: { filter, update, upsert } },
          // Changes nothing: it is there to be matched.
          { updateOne: { filter: this.#live(tombstoneId(grant)), update: { $setOnInsert: { n: 0 } } } },
        ],
        { ordered: true },
      )
      const rows = modifiedCount + upsertedCount
      if (matchedCount + upsertedCount === rows) return rows === 1 ? 'stored' : 'unmatched'
    } catch (error) {
      if (isDuplicate(error)) return 'taken'
      throw error
    }
    await this.#documents.deleteOne({ _id: id, grant })
    return 'revoked'
  }

  async #holders({ id, claims }: Fields): Promise<ArtifactDocument[]> {
    const found = claims.map(({ field, value }) =>
      this.#documents.find({ [field]: value }, { projection: { turn: 1 } }).toArray(),
    )
    return (await Promise.all(found)).flat().filter(({ _id }) => _id !== id)
  }

  async #unseat({ id, claims }: Fields, turn: number): Promise<void> {
    for (const { field, value } of claims)
      await this.#documents.updateMany(
        { [field]: value, turn: { $lt: turn }, _id: { $ne: id } },
        { $unset: { [field]: 1 } },
      )
  }

  async #startCounter(_id: string, by: number, expiresAt: number): Promise<boolean> {
    try {
      await this.#documents.insertOne({ _id, n: by, ...expiry(expiresAt) })
      return true
    } catch (error) {
      if (!isDuplicate(error)) throw error
    }
    const expired = { _id, expires: { $lte: this.#clock.now() } }
    const { matchedCount } = await this.#documents.updateOne(expired, { $set: { n: by, ...expiry(expiresAt) } })
    return matchedCount === 1
  }

  async #dropDueGrants(): Promise<void> {
    const due = { due: { $lte: this.#clock.now() } }
    const found = await this.#documents.find(due, { projection: { _id: 1 }, limit: DUE_GRANTS }).toArray()
    if (found.length === 0) return
    await this.#documents.deleteMany({ grant: { $in: found.map(({ _id }) => _id.slice(2)) } })
    await this.#documents.updateMany({ _id: { $in: found.map(({ _id }) => _id) }, ...due }, { $unset: { due: 1 } })
  }
}

const wanted = ({ claims }: Fields): Filter<ArtifactDocument> =>
  Object.fromEntries(claims.map(({ field, value }) => [field, value]))

/** Of two upserts of one new `_id` the second may fail; its next try finds the first one's document. */
const upserted = async <T>(work: () => Promise<T>): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    if (!isDuplicate(error)) throw error
    return work()
  }
}
