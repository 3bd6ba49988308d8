/** Changes by their numbers: each change of a kind has one, and those that are not ours are foreign. */

/** How many changes there were, by kind. */
export type Counts = Readonly<Record<string, number>>

/** What a directory may tell besides the port; without it own changes are told twice. */
export interface OwnChanges {
  onOwnChange(listener: (kind: string, epoch: number) => void): () => void
}

/** Which changes were told. */
export class Told {
  readonly #told = new Map<string, number>()
  readonly #own = new Map<string, number[]>()
  #started: boolean

  /** @param atFirst `nothing`: what stands at the first look was known; `everything`: it may be news */
  constructor(atFirst: 'nothing' | 'everything' = 'nothing') {
    this.#started = atFirst === 'everything'
  }

  own(kind: string, count: number): void {
    const own = this.#own.get(kind)
    if (own) own.push(count)
    else this.#own.set(kind, [count])
  }

  /** The kinds that others changed since the last look. Counts that go back are a directory restored from a backup. */
  foreign(counts: Counts): string[] {
    const moved = Object.entries(counts).filter(([kind, count]) => {
      const told = this.#told.get(kind) ?? 0
      const own = this.#own.get(kind) ?? []
      const ours = own.filter((number) => number > told && number <= count).length
      this.#own.set(
        kind,
        own.filter((number) => number > count),
      )
      this.#told.set(kind, count)
      return count - told !== ours
    })
    const first = !this.#started
    this.#started = true
    return first ? [] : moved.map(([kind]) => kind)
  }
}
