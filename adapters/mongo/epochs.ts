/**
 * How often each kind was changed, across documents that no transaction joins. A change opens its kinds before its first
 * write and closes them with the count after its last; what was opened and never closed, because its process died or was
 * cut off, is counted as a change by whoever reads it later. So no change goes uncounted; at worst nothing is counted once.
 */
import type { Collection } from 'mongodb'
import type { Clock } from '#kernel/clock.ts'
import { randomToken } from '#kernel/random.ts'
import { isDuplicate } from './faults.ts'

export interface EpochDocument {
  /** The kind. */
  readonly _id: string
  readonly n: number
  /** Changes under way: token → when it began, epoch ms. */
  readonly open?: Readonly<Record<string, number>>
  /** Claims make records of this kind: a dump gives them before the links. */
  readonly claimed?: boolean
}

/** A change under way. */
export interface Opening {
  readonly token: string
  readonly kinds: readonly string[]
}

/** Longer than a change can be under way: 2 s, and what clocks differ by. */
const LOST_MS = 10_000

export class Epochs {
  readonly #epochs: Collection<EpochDocument>
  readonly #clock: Clock
  readonly #watches = new Set<(kind: string, epoch: number) => void>()

  constructor(epochs: Collection<EpochDocument>, clock: Clock) {
    this.#epochs = epochs
    this.#clock = clock
  }

  /** `claimed`: the kind among them that a claim makes records of. */
  async open(kinds: readonly string[], claimed?: string): Promise<Opening> {
    const token = randomToken(9)
    await Promise.all(
      kinds.map(async (kind) => {
        const set = { [`open.${token}`]: this.#clock.now(), ...(kind === claimed && { claimed: true }) }
        const begin = () => this.#epochs.updateOne({ _id: kind }, { $set: set, $inc: { n: 0 } }, { upsert: true })
        // Of two upserts of one new `_id` the second may fail; its next try finds the first one's document.
        await begin().catch((error) => (isDuplicate(error) ? begin() : Promise.reject(error)))
      }),
    )
    return { token, kinds }
  }

  /** Counts the kinds that were changed; of the others only takes the opening back. */
  async close({ token, kinds }: Opening, changed: readonly string[]): Promise<void> {
    await Promise.all(
      kinds.map(async (kind) => {
        const $unset = { [`open.${token}`]: 1 as const }
        if (!changed.includes(kind)) return void (await this.#epochs.updateOne({ _id: kind }, { $unset }))
        const before = await this.#epochs.findOneAndUpdate(
          { _id: kind },
          { $unset, $inc: { n: 1 } },
          { returnDocument: 'before', projection: { n: 1 } },
        )
        for (const listener of this.#watches) listener(kind, (before?.n ?? 0) + 1)
      }),
    )
  }

  async read(): Promise<Record<string, number>> {
    const documents = await this.#epochs.find({}).toArray()
    const counted = await Promise.all(documents.map(async (one) => [one._id, await this.#settled(one)] as const))
    return Object.fromEntries(counted)
  }

  /** Kinds that claims make records of. */
  async claimed(): Promise<string[]> {
    return (await this.#epochs.find({ claimed: true }).toArray()).map(({ _id }) => _id)
  }

  /** Tells which epochs this process's own changes got; answers the function that ends it. */
  onOwnChange(listener: (kind: string, epoch: number) => void): () => void {
    this.#watches.add(listener)
    return () => void this.#watches.delete(listener)
  }

  async #settled({ _id, n, open = {} }: EpochDocument): Promise<number> {
    let epoch = n
    for (const [token, at] of Object.entries(open)) {
      if (at > this.#clock.now() - LOST_MS) continue
      const field = `open.${token}`
      const before = await this.#epochs.findOneAndUpdate(
        { _id, [field]: { $exists: true } },
        { $unset: { [field]: 1 }, $inc: { n: 1 } },
        { returnDocument: 'before' },
      )
      if (before) epoch = before.n + 1
    }
    return epoch
  }
}
