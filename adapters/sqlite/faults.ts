/** What SQLite and the file system say, as the one Fault that callers of a store know. */
import { Fault, isFault } from '#kernel/faults.ts'

/** SQLite's primary result codes (https://sqlite.org/rescode.html), for the log. */
const reasons: Record<number, string> = {
  5: 'the database is locked by another process',
  6: 'the database is locked by another process',
  8: 'the database cannot be written: the file, its directory or its disk is read-only',
  10: 'the disk answered with an error',
  11: 'the database file is damaged; restore a backup',
  13: 'the disk is full',
  14: 'the database file cannot be opened',
  26: 'the file is not a SQLite database',
}

/** A failure in a form that survives the way between threads. */
export interface Failure {
  readonly failure: string
  readonly errcode: number | undefined
}

const errcodeOf = (error: unknown): number | undefined =>
  typeof error === 'object' && error !== null && 'errcode' in error && typeof error.errcode === 'number'
    ? error.errcode
    : undefined

/** The primary result code: the low byte of an extended one. */
export const primaryCode = (error: unknown): number => (errcodeOf(error) ?? 0) & 0xff

export const toFailure = (error: unknown): Failure => ({
  failure: error instanceof Error ? error.message : String(error),
  errcode: errcodeOf(error),
})

export const isFailure = (result: unknown): result is Failure =>
  typeof result === 'object' && result !== null && 'failure' in result

/** Fault `store.unavailable` with a sentence for the administrator in `detail.reason`. */
export const unavailable = (path: string, reason: string, cause?: unknown): Fault =>
  new Fault('store.unavailable', { path, reason }, cause)

/** Anything thrown by node:sqlite as a Fault; Faults pass through. */
export const toFault = (path: string, error: unknown): Fault => {
  if (isFault(error)) return error
  const message = error instanceof Error ? error.message : String(error)
  return unavailable(path, reasons[primaryCode(error)] ?? message, error)
}

export const fromFailure = (path: string, { failure, errcode }: Failure): Fault =>
  unavailable(
    path,
    reasons[(errcode ?? 0) & 0xff] ?? failure,
    Object.assign(new Error(failure), { code: 'ERR_SQLITE_ERROR', errcode }),
  )
