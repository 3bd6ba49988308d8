/** The server's side of the hooks' process: starts calls in it, and ends it when it is stuck or takes too much memory. */
import { type ChildProcess, fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { deserialize } from 'node:v8'
import { Fault } from '#kernel/faults.ts'
import type { HookName } from '#kernel/hooks.ts'
import { type FromChild, LIFELINE, type ToChild } from './messages.ts'

const LOAD_MS = 15_000
/** A process that does not answer this fast after a call ran out of time is stuck in it. */
const PONG_MS = 500
/** What V8 may hold; and everything together, buffers and Node itself included. */
const HEAP_MB = 256
const MEMORY_MB = 512
const LOOK_MS = 100

export interface HookFile {
  readonly file: string
  readonly points: readonly HookName[]
}

export interface Call {
  readonly point: HookName
  readonly reference: string | undefined
  done(outcome: { value: unknown } | Fault): void
}

export interface Beginning {
  /** Absolute paths, in the order in which their handlers run. */
  readonly files: readonly string[]
  /** All that the process finds in its environment. */
  readonly env: Readonly<Record<string, string>>
  told(line: string, facts: unknown, call: Call | undefined): void
  ended(reason: string): void
}

const MOST_REASON = 200
/** As RFC 6749 4.1.2.1 lets an error_description be. */
const plain = (reason: string): string => reason.slice(0, MOST_REASON).replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, '?')

/** A process that does not keep this one running. */
const begin = ({ files, env }: Beginning): ChildProcess => {
  const stdio: ('ignore' | 'pipe' | 'ipc')[] = ['ignore', 'pipe', 'pipe']
  stdio[LIFELINE] = 'pipe'
  const child = fork(new URL('./child.ts', import.meta.url), files, {
    env,
    execArgv: [`--max-old-space-size=${HEAP_MB}`],
    serialization: 'advanced',
    stdio: [...stdio, 'ipc'],
  })
  child.unref()
  child.channel?.unref()
  for (const stream of child.stdio) if (stream instanceof Socket) stream.on('error', () => undefined).unref()
  return child
}

/** MB of memory that a process takes; nothing where the system does not tell. */
const memoryOf = (pid: number): number | undefined => {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]
    return kilobytes === undefined ? undefined : Number(kilobytes) / 1024
  } catch {
    return undefined
  }
}

/** One process with its calls; ends with the first thing that goes wrong. */
export class HookProcess {
  readonly #child: ChildProcess
  readonly #given: Beginning
  readonly #calls = new Map<number, Call>()
  readonly #loaded = Promise.withResolvers<readonly HookFile[]>()
  readonly #gone = Promise.withResolvers<void>()
  #next = 0
  #reason: string | undefined
  #pong: (() => void) | undefined

  /** @throws Error when the system gives no process */
  constructor(given: Beginning) {
    this.#given = given
    this.#child = begin(given)
    // Whoever waits is told; a process that nobody waits for is told of by `ended`.
    this.ready.catch(() => undefined)
    const loading = setTimeout(() => this.#break({ reason: 'loading took too long' }), LOAD_MS)
    const watch = setInterval(() => this.#look(), LOOK_MS).unref()
    this.ready.then(
      () => clearTimeout(loading),
      () => clearTimeout(loading),
    )
    this.#listen()
    this.#gone.promise.then(() => {
      clearInterval(watch)
      const reason = this.#reason ?? 'the process ended'
      this.#loaded.reject(new Fault('hook.broken', { reason }))
      for (const { done } of this.#calls.values()) done(new Fault('hook.failed', { reason }))
      this.#calls.clear()
      given.ended(reason)
    })
  }

  get ready(): Promise<readonly HookFile[]> {
    return this.#loaded.promise
  }

  #listen(): void {
    const child = this.#child
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        if (text.includes('heap out of memory')) this.#reason ??= `it took more than ${HEAP_MB} MB of memory`
        this.#given.told(text.trimEnd(), undefined, undefined)
      })
    child.on('message', (bytes: unknown) => {
      try {
        this.#hear(deserialize(bytes as Uint8Array) as FromChild)
      } catch {
        this.#break({ reason: 'it said what nobody understands' })
      }
    })
    // What was said before the end is heard first: the channel closes behind the last message.
    let open = 2
    const closed = () => {
      open -= 1
      if (open === 0) this.#gone.resolve()
    }
    child.once('exit', (code, signal) => {
      this.#reason ??= `the process ended by ${signal ?? `itself with code ${code}`}`
      closed()
    })
    child.once('disconnect', () => {
      void this.end()
      closed()
    })
    child.once('error', (error) => {
      this.#reason ??= error.message
      this.#gone.resolve()
    })
  }

  #hear(message: FromChild): void {
    if ('ready' in message) this.#loaded.resolve(message.ready)
    else if ('broken' in message) this.#break({ file: message.broken, reason: message.reason })
    else if ('dying' in message) this.#reason ??= message.dying
    else if ('pong' in message) this.#pong?.()
    else if ('line' in message) this.#given.told(message.line, message.facts, this.#calls.get(message.during ?? -1))
    else this.#settle(message)
  }

  #settle(message: Extract<FromChild, { call: number }>): void {
    const call = this.#calls.get(message.call)
    if (!call) return
    this.#calls.delete(message.call)
    if ('value' in message) call.done({ value: message.value })
    else if ('refused' in message)
      call.done(new Fault('hook.refused', { point: call.point, reason: plain(message.refused) }))
    else call.done(new Fault('hook.failed', { point: call.point, reason: message.failed, stack: message.stack }))
  }

  /** Ends it for a reason, which whoever waits for it is told at once. */
  #break(detail: { readonly file?: string; readonly reason: string }): void {
    this.#reason ??= detail.reason
    this.#loaded.reject(new Fault('hook.broken', detail))
    void this.end()
  }

  #look(): void {
    const { pid } = this.#child
    const taken = pid === undefined ? undefined : memoryOf(pid)
    if (taken !== undefined && taken > MEMORY_MB) this.#break({ reason: `it took more than ${MEMORY_MB} MB of memory` })
  }

  #post(message: ToChild): void {
    // What cannot be sent any more is told by the end of the process.
    this.#child.send(message, () => undefined)
  }

  /** @returns the number of the call */
  start(call: Call, value: unknown, given: unknown): number {
    if (this.#reason !== undefined) throw new Error(this.#reason)
    const number = this.#next++
    this.#post({ call: number, point: call.point, value, given })
    this.#calls.set(number, call)
    return number
  }

  /** The time of a call is over. The process is ended when it is stuck. */
  abandon(number: number): void {
    this.#calls.delete(number)
    this.#post({ abort: number })
    if (this.#pong) return
    const stuck = setTimeout(() => this.#break({ reason: 'it was stuck' }), PONG_MS)
    this.#pong = () => {
      clearTimeout(stuck)
      this.#pong = undefined
    }
    this.#post({ ping: true })
  }

  /** At once; whatever runs in it. */
  async end(): Promise<void> {
    this.#child.ref()
    this.#child.channel?.ref()
    this.#child.kill('SIGKILL')
    await this.#gone.promise
  }
}
