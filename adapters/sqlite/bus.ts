/**
 * The bus of one host: this process's changes are told at once, another process's (the command line beside a running
 * server) are noticed by the directory's epochs. Each change of a kind has a number; those that are not ours are foreign.
 */
import type { Bus, Directory } from '#kernel/ports.ts'

/** What the bus needs besides the port; a directory without it tells own changes twice. */
interface OwnChanges {
  onOwnChange(listener: (kind: string, epoch: number) => void): () => void
}
type Listener = (kind: string, id?: string) => void

class LocalBus implements Bus {
  readonly #directory: Directory
  readonly #listeners = new Set<Listener>()
  /** Per kind: up to which epoch everything was told, and which later ones are our own. */
  readonly #told = new Map<string, number>()
  readonly #own = new Map<string, number[]>()
  readonly #stopWatching: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined
  #started = false

  constructor(directory: Directory & Partial<OwnChanges>, pollMs: number) {
    this.#directory = directory
    this.#stopWatching = directory.onOwnChange?.((kind, epoch) => {
      const own = this.#own.get(kind)
      if (own) own.push(epoch)
      else this.#own.set(kind, [epoch])
    })
    const poll = async () => {
      await this.#poll()
      if (this.#timer) this.#timer = setTimeout(poll, pollMs).unref()
    }
    // The directory reads before its promise is handed back: what stands at this moment is what counts as told.
    void this.#poll()
    this.#timer = setTimeout(poll, pollMs).unref()
  }

  async publish(kind: string, id: string): Promise<void> {
    this.#tell(kind, id)
  }

  onChange(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#stopWatching?.()
    this.#listeners.clear()
  }

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
      const own = this.#own.get(kind) ?? []
      const ownNow = own.filter((number) => number > told && number <= epoch).length
      this.#own.set(
        kind,
        own.filter((number) => number > epoch),
      )
      this.#told.set(kind, epoch)
      // A directory restored from a backup may count backwards: also a change.
      if (this.#started && epoch - told !== ownNow) this.#tell(kind)
    }
    this.#started = true
  }

  #tell(kind: string, id?: string): void {
    for (const listener of [...this.#listeners]) listener(kind, id)
  }
}

/** `pollMs`: how often another process's changes are looked for. */
export const createLocalBus = ({
  directory,
  pollMs,
}: {
  directory: Directory & Partial<OwnChanges>
  pollMs: number
}): Bus => new LocalBus(directory, pollMs)
