/**
 * The note of a restore under way. It is written before anything else and taken away after everything: as long as it
 * stands nothing may be served from these stores, because half of what they should hold is missing.
 */
import { Fault } from '#kernel/faults.ts'
import type { Directory } from '#kernel/ports.ts'

/** The kind of the note's record. */
export const restoringKind = 'restore'
const ID = 'unfinished'

/** What was decided when the restore began; whoever completes it goes by the same. */
export interface Restoring {
  /** Epoch ms. */
  readonly at: number
  /** The stores held nothing. */
  readonly empty: boolean
  /** Sessions and tokens were asked for, whatever the backup's age. */
  readonly keepTokens: boolean
}

/** The note that stands, if any. */
export const restoringIn = async (port: Directory): Promise<Restoring | undefined> => {
  const row = await port.read(restoringKind, ID)
  return row && (JSON.parse(Buffer.from(row.doc).toString()) as Restoring)
}

/** Notes that a restore begins or goes on. */
export const noteRestoring = async (port: Directory, note: Restoring): Promise<void> => {
  const record = { id: ID, doc: Buffer.from(JSON.stringify(note)) }
  const row = await port.read(restoringKind, ID)
  if (row) await port.replace(restoringKind, record, row.revision)
  else await port.create(restoringKind, record)
}

export const restored = async (port: Directory): Promise<void> => void (await port.remove(restoringKind, ID))

/** @throws Fault `store.unavailable` while a restore into this directory is unfinished */
export const refuseHalfRestored = async (port: Directory): Promise<void> => {
  if (!(await restoringIn(port))) return
  const reason = 'a restore into these stores was begun and not finished: run `gatehouse restore` again'
  throw new Fault('store.unavailable', { reason })
}
