/** Slices of the directory's file for its dump: each is read in one transaction, so that a record comes whole. */
import type { DatabaseSync } from 'node:sqlite'
import type { DirectoryPiece } from '#kernel/ports.ts'

const SLICE = 100

/** A piece, and the row number that it was read from. */
export interface Dumped {
  readonly at: number
  readonly piece: DirectoryPiece
}
interface Row {
  readonly id: number
  readonly kind: string
  readonly name: string
  readonly doc: Uint8Array
}
interface Entry {
  readonly field: string
  readonly value: string
  readonly alone: number
}

/** Names are data here: `__proto__` is one like any other. */
const uniqueOf = (entries: readonly Entry[]): Record<string, string> =>
  Object.fromEntries(entries.filter(({ alone }) => alone === 1).map(({ field, value }) => [field, value]))

const indexOf = (entries: readonly Entry[]): Record<string, string[]> => {
  const fields = Map.groupBy(
    entries.filter(({ alone }) => alone === 0),
    ({ field }) => field,
  )
  return Object.fromEntries([...fields].map(([field, group]) => [field, group.map(({ value }) => value)]))
}

const toPiece = ({ kind, name, doc }: Row, entries: readonly Entry[]): DirectoryPiece => {
  const alone = entries.some((entry) => entry.alone === 1)
  const shared = entries.some((entry) => entry.alone === 0)
  return {
    kind,
    record: { id: name, doc, ...(alone && { unique: uniqueOf(entries) }), ...(shared && { index: indexOf(entries) }) },
  }
}

/** The records that follow a row number. */
export const dumpSlice = (database: DatabaseSync, after: number): Dumped[] => {
  const records = database.prepare(`SELECT id, kind, name, doc FROM record WHERE id > ? ORDER BY id LIMIT ${SLICE}`)
  const entries = database.prepare('SELECT field, value, alone FROM entry WHERE kind = ? AND name = ?')
  database.exec('BEGIN')
  try {
    const rows = records.all(after) as unknown as Row[]
    return rows.map((row) => ({
      at: row.id,
      piece: toPiece(row, entries.all(row.kind, row.name) as unknown as Entry[]),
    }))
  } finally {
    database.exec('COMMIT')
  }
}
