/**
 * Unique values without a unique index: a document per value, whose `_id` is the value's hash. Each claim of names has a
 * token, and the document that is to have them carries that token before the first name is claimed (`pending` of a new
 * record or a link, `claiming` of one that is replaced). The write that makes the claim good is a compare-and-swap on
 * that token. So a name whose token no document carries or has can never come to life: it was left behind, and is taken
 * over by a compare-and-swap on the name. A claim under way is helped where everything needed stands in the document, and
 * otherwise called off when it is old; clocks decide how soon a left-behind value is free, never who has it.
 */
import type { Collection } from 'mongodb'
import type { Clock } from '#kernel/clock.ts'
import type { Deadline } from './bounded.ts'
import { isDuplicate } from './faults.ts'
import type { Held, RecordDocument } from './record-rows.ts'

export interface NameDocument {
  /** The hash of kind, index and value: `entryOf`. */
  readonly _id: string
  readonly token: string
  /** `_id` of the record that is to have it. */
  readonly record: string
  /** `_id` of the document that carries the token: the same, or the link that the record is claimed with. */
  readonly via: string
}

export interface Claimed {
  /** What this call inserted or took over: released if the rest fails. */
  readonly got: readonly Held[]
  /** The index whose value another record has. */
  readonly conflict?: string
}

/** Longer than a replace can be under way: 2 s, and what clocks differ by. */
const GRACE_MS = 10_000
/** Each round that is lost was won by another caller: nobody needs this many. */
export const ROUNDS = 20

export class Names {
  readonly #names: Collection<NameDocument>
  readonly #records: Collection<RecordDocument>
  readonly #clock: Clock

  constructor(names: Collection<NameDocument>, records: Collection<RecordDocument>, clock: Clock) {
    this.#names = names
    this.#records = records
    this.#clock = clock
  }

  /**
   * All or, after a conflict, what was got until then.
   * @param help completes or gives up the claim that a pending document carries
   */
  async claim(
    wanted: readonly Held[],
    claimant: { readonly record: string; readonly via: string },
    help: (pending: RecordDocument) => Promise<unknown>,
    deadline: Deadline,
  ): Promise<Claimed> {
    const got: Held[] = []
    for (const held of wanted) {
      const name = { _id: held.name, token: held.token, ...claimant }
      const outcome = await this.#claimOne(name, help, deadline)
      if (outcome === 'got') got.push(held)
      if (outcome === 'conflict') return { got, conflict: held.index }
    }
    return { got }
  }

  /** Only with its token: a name that somebody else has by now stays. */
  async release(held: readonly Held[]): Promise<void> {
    await Promise.all(held.map(({ name, token }) => this.#names.deleteOne({ _id: name, token })))
  }

  /** `had`: a helper of the same claim got it. */
  async #claimOne(
    name: NameDocument,
    help: (pending: RecordDocument) => Promise<unknown>,
    deadline: Deadline,
  ): Promise<'got' | 'had' | 'conflict'> {
    for (let round = 0; round < ROUNDS; round++) {
      deadline.check()
      if (await this.#insert(name)) return 'got'
      const found = await this.#names.findOne({ _id: name._id })
      if (!found) continue
      if (found.token === name.token) return 'had'
      // In this order: what the carrier has completed is in the holder.
      const carrier = await this.#records.findOne({ _id: found.via })
      const holder = found.record === found.via ? carrier : await this.#records.findOne({ _id: found.record })
      if (holder && !holder.pending && has(holder, found)) return 'conflict'
      if (carrier?.pending && carrier.claim?.token === found.token) await help(carrier)
      else if (carrier?.claiming?.token === found.token) {
        if (carrier.claiming.at > this.#clock.now() - GRACE_MS) return 'conflict'
        await this.#records.updateOne({ _id: carrier._id, 'claiming.token': found.token }, { $unset: { claiming: 1 } })
      } else if (await this.#takeOver(found, name)) return 'got'
    }
    throw new Error('a name was claimed by others again and again')
  }

  async #insert(name: NameDocument): Promise<boolean> {
    try {
      await this.#names.insertOne(name)
      return true
    } catch (error) {
      if (isDuplicate(error)) return false
      throw error
    }
  }

  async #takeOver(found: NameDocument, { _id, ...mine }: NameDocument): Promise<boolean> {
    const { matchedCount } = await this.#names.updateOne({ _id, token: found.token }, { $set: mine })
    return matchedCount === 1
  }
}

const has = ({ unique }: RecordDocument, { _id, token }: NameDocument): boolean =>
  unique.some((held) => held.name === _id && held.token === token)
