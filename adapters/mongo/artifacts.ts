/**
 * The ArtifactStore port. Every promise rests on the atomicity of one document and the uniqueness of `_id`; no
 * transaction, change stream, collation or unique index. Read artifact-rows.ts first, then artifact-puts.ts.
 */
import { base64urlOf } from '#kernel/bytes.ts'
import type { Clock } from '#kernel/clock.ts'
import type { ArtifactRow, ArtifactStore, Mark, Model, PutResult, Redeem } from '#kernel/ports.ts'
import { ArtifactPuts, type Documents, ROUNDS } from './artifact-puts.ts'
import {
  type ArtifactDocument,
  counterId,
  expiry,
  fieldsOf,
  markerId,
  modelOf,
  rowId,
  scoped,
  toMark,
  tombstoneId,
  toRow,
} from './artifact-rows.ts'
import { type Deadline, Lanes } from './bounded.ts'
import type { Connection } from './connect.ts'
import { isDuplicate } from './faults.ts'

type By = 'key' | 'uid' | 'userCode'

const SLICE = 100
/** Rows that may have one uid or userCode: as many as were put with it at the same moment. */
const MOST_RIVALS = 20
/** Longer than a put can be under way: 2 s, and what clocks differ by. */
const DUE_MS = 15_000
const DUE_GRANTS = 100

export class MongoArtifacts implements ArtifactStore {
  readonly remote = true
  readonly #connection: Connection
  readonly #clock: Clock
  readonly #documents: Documents
  readonly #puts: ArtifactPuts
  readonly #lanes = new Lanes()
  readonly #stopSweeping: () => void

  /** `startSweeper` begins sweeping and answers the function that ends it. */
  constructor(connection: Connection, clock: Clock, startSweeper: (store: MongoArtifacts) => () => void) {
    this.#connection = connection
    this.#clock = clock
    this.#documents = connection.db.collection<ArtifactDocument>('artifacts')
    this.#puts = new ArtifactPuts(this.#documents, clock)
    this.#stopSweeping = startSweeper(this)
  }

  async put(model: Model, row: ArtifactRow, options: { ifRevision?: number } = {}): Promise<PutResult> {
    const fields = fieldsOf(model, row)
    return this.#inOrder(fields.id, (deadline) => this.#puts.put(fields, options.ifRevision, deadline))
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
    const now = this.#clock.now()
    if (by === 'key') {
      // Nothing but the `_id`: the quickest way that a server has.
      const found = await this.#connection.run(() => this.#documents.findOne({ _id: rowId(model, value) }))
      return found && found.expires > now ? toRow(found) : undefined
    }
    const live = { [by]: scoped(model, value), expires: { $gt: now } }
    const found = await this.#connection.run(() =>
      this.#documents.find(live, { limit: MOST_RIVALS, batchSize: MOST_RIVALS }).toArray(),
    )
    return found.length === 0 ? undefined : toRow(found.reduce(later))
  }

  async findTagged(model: Model, tag: Uint8Array, limit = 1000): Promise<ArtifactRow[]> {
    if (limit < 1) return []
    const filter = { tags: scoped(model, tag), expires: { $gt: this.#clock.now() } }
    const found = await this.#connection.run(() =>
      this.#documents.find(filter, { sort: { born: 1 }, limit, batchSize: limit }).toArray(),
    )
    return found.map(toRow)
  }

  /**
   * Compare-and-set; a resent command finds its own nonce and has won again. That it has is written, not read: a majority
   * confirms it anew, so that nobody is told of a win that a failover takes back.
   */
  async redeem(model: Model, key: Uint8Array, nonce: string, at: number): Promise<Redeem> {
    const id = rowId(model, key)
    return this.#inOrder(id, async () => {
      const { matchedCount } = await this.#documents.updateOne(
        { ...this.#puts.live(id), $or: [{ consumed: { $exists: false } }, { nonce }] },
        { $set: { nonce }, $min: { consumed: at }, $inc: { revision: 1 } },
      )
      if (matchedCount === 1) return 'won'
      return (await this.#documents.findOne(this.#puts.live(id), { projection: { _id: 1 } })) ? 'lost' : 'absent'
    })
  }

  async drop(model: Model, key: Uint8Array): Promise<void> {
    const _id = rowId(model, key)
    await this.#inOrder(_id, () => this.#documents.deleteOne({ _id }))
  }

  /** Counts what it took from the collection: expired rows that no sweep had found yet are among them. */
  async dropGrant(grant: Uint8Array, until: number): Promise<number> {
    const name = base64urlOf(grant)
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
        const before = await this.#documents.findOneAndUpdate(live, { $inc: { n: by } }, { returnDocument: 'before' })
        if (before) return (before.n ?? 0) + by
        if (await this.#startCounter(_id, by, expiresAt)) return by
      }
      throw new Error('a counter was started by others again and again')
    })
  }

  /** Drops rows of dropped grants once more where that is due, then expired documents of every sort. */
  async sweep(limit: number): Promise<number> {
    await this.#connection.run(() => this.#dropDueGrants())
    if (limit < 1) return 0
    return this.#connection.run(async (deadline) => {
      const expired = { expires: { $lte: this.#clock.now() } }
      const found = await this.#documents.find(expired, { projection: { _id: 1 }, limit, batchSize: limit }).toArray()
      if (found.length === 0) return 0
      deadline.check()
      return (await this.#documents.deleteMany({ _id: { $in: found.map(({ _id }) => _id) }, ...expired })).deletedCount
    })
  }

  async *scan(): AsyncGenerator<{ model: Model; row: ArtifactRow }> {
    for await (const document of this.#lettered('a')) yield { model: modelOf(document._id), row: toRow(document) }
  }

  async *marks(): AsyncGenerator<Mark> {
    for (const letter of ['o', 'g', 'n'] as const)
      for await (const document of this.#lettered(letter)) yield toMark(document)
  }

  async ready(): Promise<void> {
    await this.#connection.probe()
  }

  async close(): Promise<void> {
    this.#stopSweeping()
    await this.#connection.close()
  }

  /** What lives and has this first letter, in slices; none of them keeps a cursor open on the server. */
  async *#lettered(letter: 'a' | 'g' | 'n' | 'o'): AsyncGenerator<ArtifactDocument> {
    // A semicolon is what follows a colon.
    for (let after = `${letter}:`, last: ArtifactDocument | undefined; ; after = last._id) {
      const filter = { _id: { $gt: after, $lt: `${letter};` }, expires: { $gt: this.#clock.now() } }
      const found = await this.#connection.run(() =>
        this.#documents.find(filter, { sort: { _id: 1 }, limit: SLICE, batchSize: SLICE }).toArray(),
      )
      yield* found
      last = found.at(-1)
      if (!last) return
    }
  }

  /** Writes to one row leave in the order of their calls; the driver's connections keep none. */
  #inOrder<T>(id: string, work: (deadline: Deadline) => Promise<T>): Promise<T> {
    return this.#connection.run((deadline) =>
      this.#lanes.run(id, deadline, async () => {
        deadline.check()
        return work(deadline)
      }),
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

/** Of two rows with one uid or userCode, the one that has it. */
const later = (one: ArtifactDocument, two: ArtifactDocument): ArtifactDocument => {
  const [a, b] = [one.turn ?? 0, two.turn ?? 0]
  return b > a || (b === a && two._id > one._id) ? two : one
}

/** Of two upserts of one new `_id` the second may fail; its next try finds the first one's document. */
const upserted = async <T>(work: () => Promise<T>): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    if (!isDuplicate(error)) throw error
    return work()
  }
}
