/**
 * How a row is put. A grant that is dropped meanwhile: the drop writes a tombstone (T), then deletes the rows (D). A put
 * writes its row (W), then looks for the tombstone (P), in one command whose statements the primary runs in order. Either
 * W is before D and D takes the row, or W is after D, hence after T, and P sees T: the put takes its row back and answers
 * `revoked`. A process that dies between W and that, or between T and D, is made up for by the sweeper of any node, which
 * drops the grant's rows once more when the tombstone is `due`.
 */
import type { Collection, Filter } from 'mongodb'
import type { Clock } from '#kernel/clock.ts'
import type { PutResult } from '#kernel/ports.ts'
import { type ArtifactDocument, beginning, type Fields, replacing, tombstoneId } from './artifact-rows.ts'
import type { Deadline } from './bounded.ts'
import { isDuplicate } from './faults.ts'

export type Documents = Collection<ArtifactDocument>
type Written = 'stored' | 'unmatched' | 'taken' | 'revoked'

/** Each round that is lost was won by another caller: nobody needs this many. */
export const ROUNDS = 20

/** A filter that no document passes: an upsert with it inserts, or meets the `_id` that stands. */
const NEVER = { revision: { $lt: 0 } }

export class ArtifactPuts {
  readonly #documents: Documents
  readonly #clock: Clock
  #births = 0

  constructor(documents: Documents, clock: Clock) {
    this.#documents = documents
    this.#clock = clock
  }

  live(_id: string, revision?: number): Filter<ArtifactDocument> {
    return { _id, expires: { $gt: this.#clock.now() }, ...(revision !== undefined && { revision }) }
  }

  /** Two that put one uid under different keys at the same moment may both carry it; readers agree on one of them. */
  async put(fields: Fields, ifRevision: number | undefined, deadline: Deadline): Promise<PutResult> {
    if (fields.claims.length === 0) return this.#write(fields, ifRevision, undefined, deadline)
    // A row that is written again has its look-ups already.
    if (ifRevision) {
      const kept = await this.#update(fields, { ...this.live(fields.id, ifRevision), ...wanted(fields) }, false)
      if (kept === 'stored' || kept === 'revoked') return kept
      deadline.check()
    }
    const holders = await this.#holders(fields)
    deadline.check()
    const turn = 1 + Math.max(0, ...holders.map((holder) => holder.turn ?? 0))
    const result = await this.#write(fields, ifRevision, turn, deadline)
    if (result === 'stored' && holders.length > 0) await this.#unseat(fields, turn)
    return result
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
      const filter = ifRevision === 0 ? { _id: fields.id, ...NEVER } : this.live(fields.id, ifRevision)
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
          { updateOne: { filter: this.live(tombstoneId(grant)), update: { $setOnInsert: { n: 0 } } } },
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
}

const wanted = ({ claims }: Fields): Filter<ArtifactDocument> =>
  Object.fromEntries(claims.map(({ field, value }) => [field, value]))
