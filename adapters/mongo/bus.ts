/**
 * The bus of nodes that share a MongoDB directory: this process's changes are told at once, another node's are noticed
 * by the directory's epochs, at most half a second later, and sooner where the server has change streams. Each change of
 * a kind has a number; those that are not ours are foreign.
 */
import type { Bus, Directory } from '#kernel/ports.ts'

/** What the bus can use besides the port. */
interface Watched {
  onOwnChange(listener: (kind: string, epoch: number) => void): () => void
  watch(listener: () => void): () => void
}
type Listener = (kind: string, id?: string) => void

const POLL_MS = 500

class EpochBus implements Bus {
  readonly #directory: Directory
  readonly #pollMs: number
  readonly #listeners = new Set<Listener>()
  /** Per kind: up to which epoch everything was told, and which later ones are our own. */
  readonly #told = new Map<string, number>()
  readonly #own = new Map<string, Set<number>>()
  readonly #stops: (() => void)[] = []
  #timer: NodeJS.Timeout | undefined
  #polling: Promise<void> | undefined
  #again = false
  #closed = false

  constructor(directory: Directory & Partial<Watched>, pollMs: number) {
    this.#directory = directory
    this.#pollMs = pollMs
    const own = directory.onOwnChange?.((kind, epoch) => {
      const epochs = this.#own.get(kind)
      if (epochs) epochs.add(epoch)
      else this.#own.set(kind, new Set([epoch]))
    })
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

  /** The first one tells every kind: what was read into a cache before it may be older than what it counts. */
  async #poll(): Promise<void> {
    let epochs: Record<string, number>
    try {
      epochs = await this.#directory.epoch()
    } catch {
      return // The store says so to everyone who uses it; what is missed now is told by the next poll that succeeds.
    }
    for (const [kind, epoch] of Object.entries(epochs)) {
      const told = this.#told.get(kind) ?? 0
      if (epoch === told) continue
      const own = this.#own.get(kind) ?? new Set()
      let foreign = epoch - told
      for (const number of own) {
        if (number > epoch) continue
        own.delete(number)
        if (number > told) foreign--
      }
      this.#told.set(kind, epoch)
      // A directory restored from a backup may count backwards: also a change.
      if (foreign !== 0) this.#tell(kind)
    }
  }

  #tell(kind: string, id?: string): void {
    for (const listener of [...this.#listeners]) listener(kind, id)
  }
}

/** `pollMs`: how often another node's changes are looked for; 500 unless told. */
export const createMongoBus = ({
  directory,
  pollMs = POLL_MS,
}: {
  directory: Directory & Partial<Watched>
  pollMs?: number
}): Bus => new EpochBus(directory, pollMs)
