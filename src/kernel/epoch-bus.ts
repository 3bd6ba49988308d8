/**
 * A bus made of a directory's epochs: this process's changes are told at once, another's (a node that shares the
 * directory, the command line beside a running server) are noticed when the epochs are read the next time.
 */
import { type OwnChanges, Told } from './changes.ts'
import type { Bus, Directory } from './ports.ts'

/** What the bus can use besides the port. */
export interface Watched extends OwnChanges {
  /** Tells that something changed, sooner than it would be found. */
  watch(listener: () => void): () => void
}

export interface EpochBusOptions {
  readonly directory: Directory & Partial<Watched>
  /** How often another's changes are looked for, ms. */
  readonly pollMs: number
  /**
   * Whether the directory answers with what stands when it is asked. Otherwise the first answer tells every kind: what was
   * read into a cache before it may be older than what it counts.
   */
  readonly answersAtOnce: boolean
}

type Listener = (kind: string, id?: string) => void

class EpochBus implements Bus {
  readonly #directory: Directory
  readonly #pollMs: number
  readonly #listeners = new Set<Listener>()
  readonly #told: Told
  readonly #stops: (() => void)[] = []
  #timer: NodeJS.Timeout | undefined
  #polling: Promise<void> | undefined
  #again = false
  #closed = false

  constructor({ directory, pollMs, answersAtOnce }: EpochBusOptions) {
    this.#directory = directory
    this.#pollMs = pollMs
    this.#told = new Told(answersAtOnce ? 'nothing' : 'everything')
    const own = directory.onOwnChange?.((kind, epoch) => this.#told.own(kind, epoch))
    const watching = directory.watch?.(() => this.#wake())
    for (const stop of [own, watching]) if (stop) this.#stops.push(stop)
    this.#wake()
  }

  async publish(kind: string, id: string): Promise<void> {
    this.#tell(kind, id)
  }

  onChange(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    for (const stop of this.#stops) stop()
    this.#listeners.clear()
    await this.#polling
  }

  /** Polls now; when a poll is under way, once more after it, because that one may have read too early. */
  #wake(): void {
    if (this.#polling) {
      this.#again = true
      return
    }
    clearTimeout(this.#timer)
    this.#again = false
    this.#polling = this.#poll().finally(() => {
      this.#polling = undefined
      if (this.#closed) return
      if (this.#again) this.#wake()
      else this.#timer = setTimeout(() => this.#wake(), this.#pollMs).unref()
    })
  }

  async #poll(): Promise<void> {
    // The store says so to everyone who uses it; what is missed now is told by the next poll that succeeds.
    const epochs = await this.#directory.epoch().catch(() => undefined)
    for (const kind of epochs ? this.#told.foreign(epochs) : []) this.#tell(kind)
  }

  #tell(kind: string, id?: string): void {
    for (const listener of [...this.#listeners]) listener(kind, id)
  }
}

export const createEpochBus = (options: EpochBusOptions): Bus => new EpochBus(options)
