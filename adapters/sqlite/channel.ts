/**
 * The main thread's end of the one writer per file. Operations of one turn leave as one batch, and while a batch is
 * away the next one gathers: under load batches grow and transactions per operation fall by themselves.
 * A promise is settled after COMMIT, or with Fault `store.unavailable` within 2 s whatever the writer does.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { type Clock, systemClock } from '#kernel/clock.ts'
import type { Fault } from '#kernel/faults.ts'
import type { Log } from '#kernel/log.ts'
import { fromFailure, isFailure, unavailable } from './faults.ts'
import { Outbox } from './message.ts'
import { CLOSE, COUNT, FRESH, type Memory, NOTHING, type Report, SLOT, USED, type WriterData } from './operations.ts'
import type { SchemaName } from './schema.ts'

/** Callers wait at most this long. */
const PATIENCE = 1900
/** The writer rolls back what it gets to later than this: its caller is about to be told of a failure. */
const DEADLINE = 1800
/** ms before a writer that died gets a successor: at first, and at most while none will start. */
const RESTART = 50
const RESTART_MOST = 1000

interface Ticket {
  readonly resolve: (result: unknown) => void
  readonly reject: (fault: Fault) => void
}

/** Operations that share a transaction, in order. */
class Batch {
  readonly slot: number
  readonly outbox = new Outbox()
  tickets: Ticket[] = []
  deadline = 0
  timer: NodeJS.Timeout | undefined

  /** `slot`: 0 or 1, which of the two memories that writer and channel share. */
  constructor(slot: number) {
    this.slot = slot
  }

  reject(fault: Fault): void {
    clearTimeout(this.timer)
    const { tickets } = this
    this.tickets = []
    for (const { reject } of tickets) reject(fault)
  }
}

/** What a store is opened with. */
export interface World {
  readonly clock: Clock
  readonly log: Log
  /** How long the sweeper rests when there is nothing left to sweep; 5 s unless told. */
  readonly sweepMs?: number
}

interface Writer {
  readonly worker: Worker
  readonly control: SharedArrayBuffer
}

/** Starts the writer of a prepared file. Throws Fault `store.unavailable`. */
const startWriter = async (path: string, schema: SchemaName, world: World): Promise<Writer> => {
  const control = new SharedArrayBuffer(16)
  const skew = world.clock.now() - systemClock.now()
  const workerData: WriterData = { path, schema, skew, sweepMs: world.sweepMs ?? 5000, control }
  const worker = new Worker(new URL('./writer.ts', import.meta.url), { workerData })
  const started = Promise.withResolvers<void>()
  const refuse = (cause?: unknown) => started.reject(unavailable(path, 'the writer could not start', cause))
  worker.once('message', () => started.resolve())
  worker.once('error', refuse)
  worker.once('exit', refuse)
  await started.promise
  worker.off('error', refuse)
  worker.off('exit', refuse)
  return { worker, control }
}

export class Channel {
  readonly #path: string
  readonly #schema: SchemaName
  readonly #world: World
  #worker: Worker
  #control: Int32Array
  #gathering = new Batch(0)
  #spare: Batch | undefined = new Batch(1)
  #away: Batch | undefined
  #scheduled = false
  #broken: Fault | undefined
  #closed = false
  #ended: Promise<void>
  #transactions = 0

  private constructor(path: string, schema: SchemaName, world: World, { worker, control }: Writer) {
    this.#path = path
    this.#schema = schema
    this.#world = world
    this.#worker = worker
    this.#control = new Int32Array(control)
    this.#ended = this.#listen(worker)
  }

  /** Starts the writer of a prepared file. Throws Fault `store.unavailable`. */
  static async open(path: string, schema: SchemaName, world: World): Promise<Channel> {
    return new Channel(path, schema, world, await startWriter(path, schema, world))
  }

  /** Resolves when the writer has ended. */
  #listen(worker: Worker): Promise<void> {
    worker.on('message', (report: Report) => this.#settle(report))
    worker.on('error', (error) => this.#break(worker, 'the writer failed', error))
    worker.unref()
    return new Promise((resolve) => {
      worker.on('exit', () => {
        this.#break(worker, 'the writer has ended')
        resolve()
      })
    })
  }

  /** How many transactions were committed: the measure of grouping. */
  get transactions(): number {
    return this.#transactions
  }

  /** Begins to pack an operation; `commit` sends it. Throws Fault `store.unavailable` when there is no writer any more. */
  begin(code: number): Outbox {
    if (this.#broken) throw this.#broken
    return this.#begin(code)
  }

  #begin(code: number): Outbox {
    const { outbox } = this.#gathering
    outbox.undo()
    outbox.begin(code)
    return outbox
  }

  /** The result of the operation begun last, after its transaction was committed. */
  commit<T>(): Promise<T> {
    const batch = this.#gathering
    batch.outbox.end()
    if (batch.tickets.length === 0) this.#first(batch)
    return new Promise<T>((resolve, reject) => {
      batch.tickets.push({ resolve: resolve as (result: unknown) => void, reject })
    })
  }

  /** Waits for what is under way, ends the writer. */
  async close(): Promise<void> {
    this.#closed = true
    if (!this.#broken) {
      this.#broken = unavailable(this.#path, 'the store is closed')
      this.#begin(NOTHING)
      // What precedes it in the queue has told its own caller how it ended.
      await this.commit().catch(() => {})
    }
    this.#order(CLOSE)
    const timer = setTimeout(() => void this.#worker.terminate(), PATIENCE)
    await this.#ended
    clearTimeout(timer)
  }

  #first(batch: Batch): void {
    batch.deadline = performance.now() + DEADLINE
    batch.timer = setTimeout(() => this.#expire(batch), PATIENCE)
    if (!this.#away) this.#schedule()
  }

  /** At the end of the turn: whatever other callbacks of this turn write travels along. */
  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#send()
    })
  }

  #send(): void {
    const batch = this.#gathering
    if (this.#away || batch.tickets.length === 0 || !this.#spare) return
    this.#away = batch
    this.#gathering = this.#spare
    this.#spare = undefined
    const { used, memory } = batch.outbox.seal(this.#world.clock.now(), batch.deadline - performance.now())
    if (memory) this.#worker.postMessage({ memory } satisfies Memory)
    this.#order(batch.slot, used, memory !== undefined)
  }

  #order(slot: number, used = 0, fresh = false): void {
    const control = this.#control
    control[SLOT] = slot
    control[USED] = used
    control[FRESH] = fresh ? 1 : 0
    Atomics.add(control, COUNT, 1)
    Atomics.notify(control, COUNT)
  }

  #settle(report: Report): void {
    const batch = this.#away
    if (!batch) return
    this.#away = undefined
    clearTimeout(batch.timer)
    const { tickets } = batch
    batch.tickets = []
    batch.outbox.reset()
    this.#spare = batch
    this.#transactions++
    if (this.#gathering.tickets.length > 0) this.#schedule()
    for (const [index, { resolve, reject }] of tickets.entries()) {
      const result = report[index]
      if (isFailure(result)) reject(fromFailure(this.#path, result))
      else resolve(result)
    }
  }

  #expire(batch: Batch): void {
    batch.reject(unavailable(this.#path, 'the database did not answer in time'))
    if (batch === this.#gathering) batch.outbox.reset()
  }

  /** What waits is refused, its outcome unknown; so is what comes until another writer has started. */
  #break(worker: Worker, reason: string, cause?: unknown): void {
    if (this.#broken || worker !== this.#worker) return
    this.#broken = unavailable(this.#path, reason, cause)
    this.#world.log.error('store.writer-failed', { path: this.#path, error: this.#broken })
    this.#away?.reject(this.#broken)
    this.#gathering.reject(this.#broken)
    void this.#restart()
  }

  async #restart(): Promise<void> {
    for (let pause = RESTART; !this.#closed; pause = Math.min(pause * 2, RESTART_MOST)) {
      await delay(pause, undefined, { ref: false })
      if (this.#closed) return
      const writer = await startWriter(this.#path, this.#schema, this.#world).catch(() => undefined)
      if (writer) return this.#adopt(writer)
    }
  }

  /** Batches and their memories are new as well: this writer has seen none of them. */
  #adopt({ worker, control }: Writer): void {
    if (this.#closed) return void worker.terminate()
    this.#worker = worker
    this.#control = new Int32Array(control)
    this.#gathering = new Batch(0)
    this.#spare = new Batch(1)
    this.#away = undefined
    this.#ended = this.#listen(worker)
    this.#broken = undefined
    this.#world.log.info('store.writer-restarted', { path: this.#path })
  }
}
