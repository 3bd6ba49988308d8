/**
 * Records that come to be in several steps: one with unique values, and a link together with its account (the first-login
 * race). No transaction is needed, because the record's own document is the intent: inserted first, unseen, with all that
 * completes it. Whoever meets it helps, so that a process that dies half-way is made up for by the next caller. Each step
 * is safe to be done twice:
 *   1. insert the record, pending, with the account's document in it   (`_id` is unique: one claim at a time)
 *   2. claim the names of both under the claim's token                 (a taken one: give up, as long as undecided)
 *   3. `pending.decided`: false → true                                 (from here on it only goes forward)
 *   4. insert the account                                              (there already: a helper did it)
 *   5. take `pending` away: the record is seen
 */
import type { Collection } from 'mongodb'
import type { Deadline } from './bounded.ts'
import type { Epochs } from './epochs.ts'
import { isDuplicate } from './faults.ts'
import { type Claimed, type Names, ROUNDS } from './names.ts'
import { kindOf, type RecordDocument } from './record-rows.ts'

/** `gone`: somebody else gave it up. */
export type Advanced = 'done' | 'gone' | { readonly conflict: string }

export class Claims {
  readonly #records: Collection<RecordDocument>
  readonly #names: Names
  readonly #epochs: Epochs

  constructor(records: Collection<RecordDocument>, names: Names, epochs: Epochs) {
    this.#records = records
    this.#names = names
    this.#epochs = epochs
  }

  /** Step 1, after helping whoever is at it already. False: there is a record with this `_id`. */
  async begin(record: RecordDocument, deadline: Deadline): Promise<boolean> {
    for (let round = 0; round < ROUNDS; round++) {
      deadline.check()
      if (await this.#insert(record)) return true
      const other = await this.#records.findOne({ _id: record._id })
      if (other && !other.pending) return false
      if (other) await this.advance(other, deadline)
    }
    throw new Error('a record was begun and given up by others again and again')
  }

  /** Steps 2 to 5 of a pending record, by its initiator or a helper. `record` as it was read or inserted. */
  async advance(record: RecordDocument, deadline: Deadline): Promise<Advanced> {
    const { _id, claim, pending } = record
    if (!claim || !pending) return 'done'
    const accountKind = pending.account && kindOf(pending.account._id)
    const kinds = accountKind === undefined ? [kindOf(_id)] : [kindOf(_id), accountKind]
    // Nothing of it is seen before it is decided: until then the change may be opened.
    const [opening, outcome] = await Promise.all([
      this.#epochs.open(kinds, accountKind),
      pending.decided ? ('decided' as const) : this.#decide(record, claim.token, deadline),
    ])
    if (outcome !== 'decided') {
      await this.#epochs.close(opening, [])
      return outcome
    }
    deadline.check()
    if (pending.account) await this.#insert(pending.account)
    const { matchedCount } = await this.#records.updateOne(
      { _id, 'claim.token': claim.token, 'pending.decided': true },
      { $unset: { pending: 1 } },
    )
    await this.#epochs.close(opening, matchedCount === 1 ? kinds : [])
    return 'done'
  }

  async #decide(record: RecordDocument, token: string, deadline: Deadline): Promise<Advanced | 'decided'> {
    const { _id, pending } = record
    const undecided = { _id, 'claim.token': token, 'pending.decided': false }
    const [{ got, conflict }, there] = await Promise.all([
      this.#claimNames(record, deadline),
      this.#isThere(pending?.account),
    ])
    const taken = conflict ?? (there ? 'id' : undefined)
    deadline.check()
    if (taken === undefined) {
      const { matchedCount } = await this.#records.updateOne(undecided, { $set: { 'pending.decided': true } })
      if (matchedCount === 1) return 'decided'
    } else if ((await this.#records.deleteOne(undecided)).deletedCount === 1) {
      await this.#names.release(got)
      return { conflict: taken }
    }
    // Somebody else was quicker: the same way, or the other.
    const now = await this.#records.findOne({ _id })
    if (now?.claim?.token === token) return now.pending ? 'decided' : 'done'
    await this.#names.release(got)
    return 'gone'
  }

  async #claimNames(record: RecordDocument, deadline: Deadline): Promise<Claimed> {
    const help = (other: RecordDocument) => this.advance(other, deadline)
    const got: Claimed['got'][number][] = []
    for (const one of [record, record.pending?.account]) {
      if (!one) continue
      const claimed = await this.#names.claim(one.unique, { record: one._id, via: record._id }, help, deadline)
      got.push(...claimed.got)
      if (claimed.conflict !== undefined) return { got, conflict: claimed.conflict }
    }
    return { got }
  }

  async #isThere(account: RecordDocument | undefined): Promise<boolean> {
    return account !== undefined && (await this.#records.findOne({ _id: account._id })) !== null
  }

  async #insert(record: RecordDocument): Promise<boolean> {
    try {
      await this.#records.insertOne(record)
      return true
    } catch (error) {
      if (isDuplicate(error)) return false
      throw error
    }
  }
}
