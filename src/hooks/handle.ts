/** The server's side of the hooks' thread: starts calls in it, and ends it when it is stuck. */
import { Worker } from 'node:worker_threads'
import { Fault } from '#kernel/faults.ts'
import type { HookName } from '#kernel/hooks.ts'
import type { FromThread, ThreadData, ToThread } from './messages.ts'

const LOAD_MS = 15_000
/** A thread that does not answer this fast after a call ran out of time is stuck in it. */
const PONG_MS = 250
const MEMORY_MB = 256

export interface HookFile {
  readonly file: string
  readonly points: readonly HookName[]
}

export interface Call {
  readonly point: HookName
  readonly reference: string | undefined
  done(outcome: { value: unknown } | Fault): void
}

const MOST_REASON = 200
/** As RFC 6749 4.1.2.1 lets an error_description be. */
const plain = (reason: string): string => reason.slice(0, MOST_REASON).replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, '?')

/** One thread with its calls; ends with the first thing that goes wrong. */
export class Thread {
  readonly #worker: Worker
  readonly #calls = new Map<number, Call>()
  #next = 0
  #over: string | undefined
  #pong: (() => void) | undefined
  readonly ready: Promise<readonly HookFile[]>

  constructor(
    files: readonly string[],
    told: (line: string, facts: unknown, call: Call | undefined) => void,
    ended: (reason: string) => void,
  ) {
    const workerData: ThreadData = { files }
    this.#worker = new Worker(new URL('./thread.ts', import.meta.url), {
      workerData,
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: MEMORY_MB },
    })
    this.#worker.unref()
    for (const stream of [this.#worker.stdout, this.#worker.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => told(text.trimEnd(), undefined, undefined))
    const { promise, resolve: loaded, reject } = Promise.withResolvers<readonly HookFile[]>()
    // Whoever waits is told; a thread that nobody waits for is told of by `ended`.
    promise.catch(() => undefined)
    this.ready = promise
    const timer = setTimeout(() => reject(new Fault('hook.broken', { reason: 'loading took too long' })), LOAD_MS)
    timer.unref()
    this.#worker.on('message', (message: FromThread) => {
      if ('ready' in message) loaded(message.ready)
      else if ('broken' in message) reject(new Fault('hook.broken', { file: message.broken, reason: message.reason }))
      else if ('pong' in message) this.#pong?.()
      else if ('line' in message) told(message.line, message.facts, this.#calls.get(message.during ?? -1))
      else this.#settle(message)
    })
    let reason = 'the thread ended'
    this.#worker.on('error', (error: Error) => {
      reason = error.message
    })
    this.#worker.on('exit', () => {
      this.#over = reason
      clearTimeout(timer)
      reject(new Fault('hook.broken', { reason }))
      for (const { done } of this.#calls.values()) done(new Fault('hook.failed', { reason }))
      this.#calls.clear()
      ended(reason)
    })
  }

  #settle(message: Extract<FromThread, { call: number }>): void {
    const call = this.#calls.get(message.call)
    if (!call) return
    this.#calls.delete(message.call)
    if ('value' in message) call.done({ value: message.value })
    else if ('refused' in message)
      call.done(new Fault('hook.refused', { point: call.point, reason: plain(message.refused) }))
    else call.done(new Fault('hook.failed', { point: call.point, reason: message.failed, stack: message.stack }))
  }

  #post(message: ToThread): void {
    this.#worker.postMessage(message)
  }

  /** @returns the number of the call */
  start(call: Call, value: unknown, given: unknown): number {
    if (this.#over !== undefined) throw new Error(this.#over)
    const number = this.#next++
    this.#post({ call: number, point: call.point, value, given })
    this.#calls.set(number, call)
    return number
  }

  /** The time of a call is over. The thread is ended when it is stuck. */
  abandon(number: number): void {
    this.#calls.delete(number)
    this.#post({ abort: number })
    if (this.#pong) return
    const stuck = setTimeout(() => void this.end(), PONG_MS)
    this.#pong = () => {
      clearTimeout(stuck)
      this.#pong = undefined
    }
    this.#post({ ping: true })
  }

  async end(): Promise<void> {
    await this.#worker.terminate()
  }
}
