/** Nobody waits longer than told, and what was asked for one name happens in the order of asking. */
import { setImmediate } from 'node:timers/promises'
import type { Fault } from '#kernel/faults.ts'

/** Milliseconds on a clock that nobody sets: durations are measured by it, never by the time of day. */
export const monotonic = (): number => performance.now()

/** Until when a caller waits. An operation of several steps begins none after that: its caller has been refused. */
export class Deadline {
  readonly #at: number
  readonly #fault: () => Fault

  constructor(ms: number, fault: () => Fault) {
    this.#at = monotonic() + ms
    this.#fault = fault
  }

  /** Stands before each step that writes. */
  check(): void {
    if (monotonic() >= this.#at) throw this.#fault()
  }

  /** Settles as `work` does, or rejects when the time has come. */
  bound<T>(work: Promise<T>): Promise<T> {
    return within(Math.max(0, this.#at - monotonic()), this.#fault, () => work)
  }
}

/**
 * Settles as `work` does, or rejects after `ms`. The work itself goes on in the background until its own end: what it
 * had sent to the server by then may still take effect.
 */
export const within = <T>(ms: number, fault: () => Fault, work: (deadline: Deadline) => Promise<T>): Promise<T> =>
  new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => reject(fault()), ms)
    work(new Deadline(ms, fault))
      .then(resolve, reject)
      .finally(() => clearTimeout(timer))
  })

/**
 * To be awaited after a network error. When a server goes, all connections to it close in one turn of the event loop, and
 * the driver waits for ever for what it writes to one of them before it has noticed; a turn later it has.
 */
export const noticed = async (): Promise<void> => {
  for (let turns = 0; turns < 3; turns++) await setImmediate()
}

interface Turn {
  readonly done: Promise<unknown>
  readonly deadline: Deadline
}

/** One queue per name, for as long as something is in it. Whoever was given up by its caller holds up nobody any more. */
export class Lanes {
  readonly #last = new Map<string, Turn>()

  run<T>(name: string, deadline: Deadline, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(name)
    const done = before ? before.deadline.bound(before.done).then(work, work) : work()
    const turn = { done, deadline }
    this.#last.set(name, turn)
    const leave = () => {
      if (this.#last.get(name) === turn) this.#last.delete(name)
    }
    done.then(leave, leave)
    return done
  }
}
