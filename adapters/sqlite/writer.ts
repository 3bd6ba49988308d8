/**
 * The worker thread that owns the only writing connection of a file. One batch is one transaction, reported after
 * COMMIT; when an operation breaks the transaction, each of the batch runs again in a transaction of its own.
 */
import type { DatabaseSync } from 'node:sqlite'
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { systemClock } from '#kernel/clock.ts'
import { artifactOperations } from './artifact-operations.ts'
import { directoryOperations } from './directory-operations.ts'
import { type Failure, toFailure } from './faults.ts'
import { Inbox } from './message.ts'
import { openWriting, WRITE_WAIT } from './open.ts'
import { CLOSE, COUNT, type Memory, NOTHING, type WriterData } from './operations.ts'

/** What a file's operations look like to the thread that runs them. */
export interface Operations {
  /** Runs the operation of this code; its fields are next in the inbox. Called inside a transaction. */
  run(code: number, inbox: Inbox, now: number): unknown
  /** Removes at most `limit` expired rows, answers how many. Called inside a transaction. */
  sweep?(now: number, limit: number): number
  /** What was learnt inside the transaction may not be true. */
  rolledBack(): void
}

/** Small batches with pauses, so that no caller waits long for the write lock. Milliseconds. */
const SWEEP_ROWS = 200
const SWEEP_PAUSE = 25

const tooLate: Failure = { failure: 'the database did not answer in time', errcode: undefined }

class Writer {
  readonly #database: DatabaseSync
  readonly #operations: Operations
  readonly #inboxes: Inbox[] = []
  readonly #begin
  readonly #commit
  readonly #rollback
  readonly #control: Int32Array
  readonly #sweepMs: number
  #skew: number
  #sweepAt = Number.POSITIVE_INFINITY

  constructor({ path, schema, skew, sweepMs, control }: WriterData) {
    this.#database = openWriting(path)
    this.#operations = schema === 'artifacts' ? artifactOperations(this.#database) : directoryOperations(this.#database)
    this.#begin = this.#database.prepare('BEGIN IMMEDIATE')
    this.#commit = this.#database.prepare('COMMIT')
    this.#rollback = this.#database.prepare('ROLLBACK')
    this.#control = new Int32Array(control)
    this.#skew = skew
    this.#sweepMs = sweepMs
    if (this.#operations.sweep) this.#sweepAt = performance.now() + sweepMs
  }

  /** Sleeps until there is an order or it is time to sweep; returns when told to close. */
  work(port: MessagePort): void {
    let count = 0
    for (;;) {
      const pause = this.#sweepAt - performance.now()
      if (pause <= 0) this.#sweep()
      else if (Atomics.wait(this.#control, COUNT, count, pause) !== 'timed-out') {
        count = Atomics.load(this.#control, COUNT)
        const [, slot = CLOSE, used = 0, fresh] = this.#control
        if (slot === CLOSE) break
        if (fresh) this.#meet(slot, receiveMessageOnPort(port)?.message)
        port.postMessage(this.#execute(slot, used))
      }
    }
    this.#database.close()
  }

  #meet(slot: number, message: Memory | undefined): void {
    if (!message) throw new Error('a batch came without its memory')
    this.#inboxes[slot] = new Inbox(message.memory)
  }

  /** Runs a batch; answers a result or a Failure for each operation. */
  #execute(slot: number, used: number): unknown[] {
    const inbox = this.#inboxes[slot]
    if (!inbox) throw new Error('a batch came without its memory')
    this.#skew = inbox.now - systemClock.now()
    const deadline = performance.now() + inbox.patience
    inbox.rewind(used)
    const results: unknown[] = []
    const failed = this.#transaction(deadline, () => {
      while (!inbox.done) results.push(this.#run(inbox))
    })
    return failed ? this.#recover(inbox, used, deadline, failed) : results
  }

  #run(inbox: Inbox): unknown {
    const code = inbox.code()
    return code === NOTHING ? undefined : this.#operations.run(code, inbox, inbox.now)
  }

  /** Runs `work` in a transaction; answers why it failed and whether `work` was reached. */
  #transaction(deadline: number, work: () => void): { failure: Failure; reached: boolean } | undefined {
    let reached = false
    try {
      this.#begin.run()
      if (performance.now() > deadline) {
        this.#rollback.run()
        return { failure: tooLate, reached }
      }
      reached = true
      work()
      this.#commit.run()
      return undefined
    } catch (error) {
      this.#operations.rolledBack()
      if (this.#database.isTransaction) this.#rollback.run()
      return { failure: toFailure(error), reached }
    }
  }

  /** Singly, so that one bad operation costs the others nothing. Without the write lock all fail alike. */
  #recover(inbox: Inbox, used: number, deadline: number, failed: { failure: Failure; reached: boolean }): unknown[] {
    const results: unknown[] = []
    inbox.rewind(used)
    while (!inbox.done) {
      const { position } = inbox
      let result: unknown = failed.failure
      if (failed.reached) {
        const again = this.#transaction(deadline, () => {
          result = this.#run(inbox)
        })
        if (again) result = again.failure
      }
      results.push(result)
      inbox.skip(position)
    }
    return results
  }

  /** Never waits for the lock. A sweep that fails is tried again later; what stops it stops the callers too, who are told. */
  #sweep(): void {
    let swept = 0
    this.#database.exec('PRAGMA busy_timeout = 0')
    this.#transaction(Number.POSITIVE_INFINITY, () => {
      swept = this.#operations.sweep?.(systemClock.now() + this.#skew, SWEEP_ROWS) ?? 0
    })
    this.#database.exec(`PRAGMA busy_timeout = ${WRITE_WAIT}`)
    this.#sweepAt = performance.now() + (swept < SWEEP_ROWS ? this.#sweepMs : SWEEP_PAUSE)
  }
}

if (parentPort) {
  const writer = new Writer(workerData as WriterData)
  parentPort.postMessage('ready')
  writer.work(parentPort)
}
