/**
 * The first-login race without transactions. The link's own document is the claim: inserted first, unseen, with
 * everything that is needed to complete it. Whoever meets it helps, so that a process that dies half-way is made up for
 * by the next login. The steps, each safe to be done twice:
 *   1. insert the link, pending, with the account's document in it     (`_id` is unique: one claim at a time)
 *   2. claim the names of both under the claim's token                 (a taken one: give up, as long as undecided)
 *   3. pending.decided: false → true                                   (from here on it only goes forward)
 *   4. insert the account                                              (there already: a helper did it)
 *   5. take `pending` away: the link is seen
 */
import type { Collection } from 'mongodb'
import { isFault } from '#kernel/faults.ts'
import type { Deadline } from './bounded.ts'
import { isDuplicate } from './faults.ts'
import type { Names } from './names.ts'
import type { Held, RecordDocument } from './record-rows.ts'

/** `gone`: somebody else gave the claim up. */
export type Advanced = 'done' | 'gone' | { readonly conflict: string; readonly completed?: never }

export class Claims {
  readonly #records: Collection<RecordDocument>
  readonly #names: Names

  constructor(records: Collection<RecordDocument>, names: Names) {
    this.#records = records
    this.#names = names
  }

  /** Completes a claim, or gives it up for a taken value. `link` as it was read, pending. */
  async advance(link: RecordDocument, deadline: Deadline): Promise<Advanced> {
    const { _id, claim, pending } = link
    if (!claim || !pending) return 'done'
    if (!pending.decided) {
      const outcome = await this.#decide(link, pending.account, claim.token, deadline)
      if (outcome !== 'decided') return outcome
    }
    deadline.check()
    try {
      await this.#records.insertOne(pending.account)
    } catch (error) {
      if (!isDuplicate(error)) throw error
    }
    await this.#records.updateOne({ _id, 'claim.token': claim.token, 'pending.decided': true }, { $unset: { pending: 1 } })
    return 'done'
  }

  async #decide(
    { _id, unique }: RecordDocument,
    account: RecordDocument,
    token: string,
    deadline: Deadline,
  ): Promise<Advanced | 'decided'> {
    const undecided = { _id, 'claim.token': token, 'pending.decided': false }
    const { got, conflict } = await this.#claimNames(account, { _id, unique }, deadline)
    const taken = conflict ?? ((await this.#records.findOne({ _id: account._id })) ? 'id' : undefined)
    if (taken !== undefined) {
      const { deletedCount } = await this.#records.deleteOne(undecided)
      if (deletedCount === 1) {
        await this.#names.release(got)
        return { conflict: taken }
      }
    } else {
      deadline.check()
      const { matchedCount } = await this.#records.updateOne(undecided, { $set: { 'pending.decided': true } })
      if (matchedCount === 1) return 'decided'
    }
    // Somebody else was quicker: the other way, or the same.
    const now = await this.#records.findOne({ _id })
    if (now?.claim?.token !== token) {
      await this.#names.release(got)
      return 'gone'
    }
    return now.pending ? 'decided' : 'done'
  }

  async #claimNames(
    account: RecordDocument,
    link: { _id: string; unique: readonly Held[] },
    deadline: Deadline,
  ): Promise<{ got: Held[]; conflict: string | undefined }> {
    const got: Held[] = []
    for (const { _id, unique } of [link, account]) {
      const claimed = await this.#names.claim(unique, { record: _id, via: link._id }, deadline)
      got.push(...claimed.got)
      if (claimed.conflict !== undefined) return { got, conflict: claimed.conflict }
    }
    return { got, conflict: undefined }
  }
}
