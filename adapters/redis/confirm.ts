/**
 * Replication is asynchronous: what a master acknowledged may be unknown to the replica that takes its place. With
 * `replicas` in the address a write counts only when that many replicas of its master have it (WAIT).
 */
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'
import { Cluster, type Redis } from 'ioredis'
import { mayPass } from './faults.ts'
import { type Client, mastersOf } from './scripts.ts'

/** ms that replicas have. A replica that is well has a write within a few. */
const LIMIT = 1000
/** ms before the work is done again. */
const PAUSE = 50

/** A Cluster tells of each connection it makes and drops, a single client of its own. */
const onLoss = (client: Client, lost: () => void): void => {
  if (!(client instanceof Cluster)) return void client.on('close', lost)
  client.on('-node', lost)
  const watch = (node: Redis) => void node.on('close', lost)
  for (const node of client.nodes()) watch(node)
  client.on('+node', watch)
}

export class Confirmation {
  readonly #client: Client
  readonly #replicas: number
  #running: Promise<unknown> = Promise.resolve()
  #next: Promise<void> | undefined
  #losses = 0

  /** @param replicas how many must have a write */
  constructor(client: Client, replicas: number) {
    this.#client = client
    this.#replicas = replicas
    onLoss(client, () => this.#losses++)
  }

  /**
   * Does the work, which must change nothing the second time, and answers when what it wrote is where it must be. WAIT
   * speaks of what its own connection wrote: after a connection was lost the work is done again.
   * @param late whether there is no patience left for that
   */
  async of<T>(work: () => Promise<T>, late: () => boolean): Promise<T> {
    for (;;) {
      const losses = this.#losses
      const result = await work()
      const trouble = await this.#confirm().catch((error: unknown) => error)
      if (trouble === undefined && losses === this.#losses) return result
      if (trouble !== undefined && !mayPass(trouble)) throw trouble
      if (late()) throw trouble ?? new Error('Connection is closed.')
      await delay(PAUSE)
    }
  }

  /** One WAIT for all who ask in one turn, one at a time: it holds up what is sent after it. */
  #confirm(): Promise<void> {
    this.#next ??= Promise.all([turn(), this.#running.catch(() => undefined)]).then(() => {
      this.#next = undefined
      const waiting = this.#wait()
      this.#running = waiting
      return waiting
    })
    return this.#next
  }

  async #wait(): Promise<void> {
    const counts = await Promise.all(mastersOf(this.#client).map((master) => master.wait(this.#replicas, LIMIT)))
    if (counts.some((count) => count < this.#replicas)) throw new Error('UNCONFIRMED')
  }
}
