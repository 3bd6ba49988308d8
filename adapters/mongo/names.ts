/**
 * Unique values without a unique index: a document per value, whose `_id` is the value. A name is held when the record
 * that it points to has it among its own; otherwise it is on its way to that record, or was left behind by a process
 * that died. The latter is told by its age, and taken over by compare-and-swap on the token.
 *
 * Two that want one value: the first to insert the name goes on, the other finds it under way and is refused. A name
 * that is older than GRACE belongs to nobody who still runs: callers wait 2 s, begin no step after that, and one whose
 * step took longer looks whether the name is still its own (`confirm`). Whoever takes a name over looks at the former
 * holder once more afterwards, and gives it back if that has finished meanwhile: of the two at most one has the value.
 */
import type { Collection } from 'mongodb'
import type { Clock } from '#kernel/clock.ts'
import type { Deadline } from './bounded.ts'
import { isDuplicate } from './faults.ts'
import type { Held, RecordDocument } from './record-rows.ts'

interface NameDocument {
  /** The hash of kind, index and value: `entryOf`. */
  readonly _id: string
  /** `_id` of the record that wants it or has it. */
  readonly record: string
  readonly token: string
  /** When it was claimed, epoch ms. */
  readonly at: number
  /** `_id` of the link whose claim it is part of. */
  readonly via?: string
}

/** Who wants names: `record` for itself, or the claim of the link `via` on its behalf. */
export interface Claimant {
  readonly record: string
  readonly via?: string
}
export interface Claimed {
  /** What this call inserted or took over, to be released if the rest fails. */
  readonly got: readonly Held[]
  /** The index whose value another record has. */
  readonly conflict?: string
}

const GRACE_MS = 15_000
const ROUNDS = 20

export class Names {
  readonly #names: Collection<NameDocument>
  readonly #records: Collection<RecordDocument>
  readonly #clock: Clock
  readonly #help: (link: RecordDocument) => Promise<unknown>

  /** `help` completes or gives up the claim that a link's document tells of. */
  constructor(
    names: Collection<NameDocument>,
    records: Collection<RecordDocument>,
    clock: Clock,
    help: (link: RecordDocument) => Promise<unknown>,
  ) {
    this.#names = names
    this.#records = records
    this.#clock = clock
    this.#help = help
  }

  /** All or, after a conflict, what was got until then. */
  async claim(wanted: readonly Held[], claimant: Claimant, deadline: Deadline): Promise<Claimed> {
    const got: Held[] = []
    for (const held of wanted) {
      const outcome = await this.#claimOne(held, claimant, deadline)
      if (outcome === 'got') got.push(held)
      if (outcome === 'conflict') return { got, conflict: held.index }
    }
    return { got }
  }

  /** Only with its token: a name that somebody else has by now stays. */
  async release(held: readonly Held[]): Promise<void> {
    for (const { name, token } of held) await this.#names.deleteOne({ _id: name, token })
  }

  /** Whether all of them are still what they were claimed as. */
  async confirm(held: readonly Held[]): Promise<boolean> {
    for (const { name, token } of held) if (!(await this.#names.findOne({ _id: name, token }))) return false
    return true
  }

  async #claimOne(held: Held, claimant: Claimant, deadline: Deadline): Promise<'got' | 'had' | 'conflict'> {
    const { name, token } = held
    for (let round = 0; round < ROUNDS; round++) {
      deadline.check()
      if (await this.#insert({ _id: name, token, ...claimant, at: this.#clock.now() })) return 'got'
      const found = await this.#names.findOne({ _id: name })
      if (!found) continue
      if (found.token === token) {
        // Another helper of the same claim got it: it is made young again, so that nobody takes it over meanwhile.
        const { matchedCount } = await this.#names.updateOne({ _id: name, token }, { $set: { at: this.#clock.now() } })
        if (matchedCount === 1) return 'had'
        continue
      }
      const outcome = await this.#contest(held, found, claimant)
      if (outcome) return outcome
    }
    throw new Error('a name was claimed by others again and again')
  }

  /** Somebody else's name. Undefined: something moved, try again. */
  async #contest(held: Held, found: NameDocument, claimant: Claimant): Promise<'got' | 'conflict' | undefined> {
    if (await this.#isHeld(found)) return 'conflict'
    const link = found.via === undefined ? undefined : await this.#records.findOne({ _id: found.via })
    if (link?.pending && link.claim?.token === found.token) {
      await this.#help(link)
      return undefined
    }
    if (found.at > this.#clock.now() - GRACE_MS) return 'conflict'
    const { name, token } = held
    const mine = { token, record: claimant.record, at: this.#clock.now() }
    const via = claimant.via === undefined ? { $unset: { via: 1 as const } } : { $set: { via: claimant.via } }
    const taken = await this.#names.updateOne({ _id: name, token: found.token }, { ...via, $set: { ...mine, ...via.$set } })
    if (taken.matchedCount === 0) return undefined
    if (!(await this.#isHeld(found))) return 'got'
    const { _id, ...former } = found
    await this.#names.updateOne({ _id, token }, { $set: former })
    return 'conflict'
  }

  /** By a record that everybody sees. */
  async #isHeld({ _id, record }: NameDocument): Promise<boolean> {
    const holder = await this.#records.findOne({ _id: record }, { projection: { unique: 1, pending: 1 } })
    return holder !== null && !holder.pending && holder.unique.some(({ name }) => name === _id)
  }

  async #insert(document: NameDocument): Promise<boolean> {
    try {
      await this.#names.insertOne(document)
      return true
    } catch (error) {
      if (isDuplicate(error)) return false
      throw error
    }
  }
}
