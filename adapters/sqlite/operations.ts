/** What the main thread may ask of the writer's thread, and the words of their messages. */

/** Codes of operations; each file's writer knows its own. */
export const NOTHING = 0
export const PUT = 1
export const PUT_ONCE = 2
export const REDEEM = 3
export const DROP = 4
export const DROP_GRANT = 5
export const INCREMENT = 6
export const SWEEP = 7
export const CREATE = 10
export const REPLACE = 11
export const REMOVE = 12
export const CLAIM = 13
export const APPEND = 14
export const APPEND_ONCE = 15

/**
 * Four shared 32-bit words wake the writer: it sleeps on the first, which counts orders. One order stands at a time.
 * To wake a thread that sleeps so costs less than to send it a message.
 */
export const COUNT = 0
/** The slot (0 or 1) whose shared memory holds the batch, or CLOSE. */
export const SLOT = 1
/** Bytes of the batch. */
export const USED = 2
/** 1: the slot's memory is new and was posted before. */
export const FRESH = 3
export const CLOSE = -1

/** Posted, never awaited, before the first order that lies in new memory. */
export interface Memory {
  readonly memory: SharedArrayBuffer
}

/** One result for each operation of the batch, in order; a `Failure` where it failed. */
export type Report = readonly unknown[]

export interface WriterData {
  readonly path: string
  readonly schema: 'artifacts' | 'directory'
  /** How far the store's clock is ahead of the system's, ms: only tests move it. */
  readonly skew: number
  readonly sweepMs: number
  /** The four words. */
  readonly control: SharedArrayBuffer
}

/** What a slice of a dropped grant came to: how many of its rows were live, and how many there were. */
export interface Revoked {
  readonly live: number
  readonly rows: number
}
