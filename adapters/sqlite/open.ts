/**
 * Opens a database file so that every failure is one clear sentence: where it lies, whether it may be written,
 * whether it is ours; brings it to the present schema. The only file that constructs a connection.
 */
import { closeSync, existsSync, openSync, statSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { backup, DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { Fault } from '#kernel/faults.ts'
import { randomId } from '#kernel/random.ts'
import { primaryCode, toFault, unavailable } from './faults.ts'
import type { Schema } from './schema.ts'

/** How long a writer waits for another process's transaction. Blocks its thread; below the 2 s that callers wait. */
export const WRITE_WAIT = 1500
/** The main thread's patience: a reader of a WAL file waits only while another process recovers it. */
const READ_WAIT = 250
const BUSY = 5

const fileErrors: Record<string, string> = {
  EACCES: 'no permission to open the database file',
  EPERM: 'no permission to open the database file',
  EROFS: 'the disk is read-only',
  ENOENT: 'the directory of the database file does not exist',
  ENOTDIR: 'the directory of the database file is not a directory',
  EISDIR: 'the path is a directory, not a database file',
  ENOSPC: 'the disk is full',
}

/** Creates the file with mode 0600 (SQLite gives the -wal and -shm files the same), or proves that it may be written. */
const touch = (path: string): void => {
  try {
    if (existsSync(dirname(path)) && statSync(path, { throwIfNoEntry: false })?.isDirectory())
      throw Object.assign(new Error('is a directory'), { code: 'EISDIR' })
    closeSync(openSync(path, 'a+', 0o600))
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
    throw unavailable(path, fileErrors[code] ?? `the database file cannot be opened (${code})`, cause)
  }
}

/** A connection that writes. busy_timeout (`timeout`) stands before journal_mode: two processes may open a new file at once. */
export const openWriting = (path: string): DatabaseSync => {
  const database = new DatabaseSync(path, { timeout: WRITE_WAIT, enableForeignKeyConstraints: false })
  try {
    database.exec(
      'PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16000; PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864',
    )
  } catch (error) {
    database.close()
    throw error
  }
  return database
}

/** The connection that the main thread reads by. */
export const openReading = (path: string): DatabaseSync => {
  try {
    const database = new DatabaseSync(path, { readOnly: true, timeout: READ_WAIT })
    database.exec('PRAGMA cache_size = -8000')
    return database
  } catch (error) {
    throw toFault(path, error)
  }
}

const pragma = (database: DatabaseSync, name: string): unknown => {
  const row = database.prepare(`PRAGMA ${name}`).get()
  return row && Object.values(row)[0]
}

/** SQLite answers BUSY at once, whatever the timeout, when two connections switch to WAL together: try again. */
const switchToWal = async (database: DatabaseSync, path: string): Promise<void> => {
  const until = performance.now() + WRITE_WAIT
  for (;;) {
    try {
      const mode = pragma(database, 'journal_mode = WAL')
      if (mode === 'wal') return
      throw unavailable(path, `the file system offers no write-ahead log (journal mode "${String(mode)}")`)
    } catch (error) {
      if (primaryCode(error) !== BUSY || performance.now() > until) throw error
    }
    await delay(10)
  }
}

/** What the file says of itself, all from one moment: another process may be creating it. */
const readMarks = (database: DatabaseSync) => {
  const own = !database.isTransaction
  if (own) database.exec('BEGIN')
  const version = Number(pragma(database, 'user_version'))
  const id = Number(pragma(database, 'application_id'))
  const empty = database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined
  if (own) database.exec('COMMIT')
  return { version, id, empty }
}

/** Refuses another application's file and a newer version's. Answers the version. */
const checkVersion = (database: DatabaseSync, path: string, schema: Schema): number => {
  const { version, id, empty } = readMarks(database)
  if (id !== schema.applicationId && !(id === 0 && version === 0 && empty))
    throw unavailable(path, `the file is a database, but not one of Gatehouse's ${schema.name}`)
  const known = schema.steps.length
  if (version <= known) return version
  throw new Fault('store.newer', {
    path,
    version,
    known,
    reason: `${path} has schema version ${version}, this Gatehouse knows versions up to ${known}: start the newer Gatehouse, or restore the backup made before the upgrade`,
  })
}

/** A copy beside the file, named after its version. Another process may migrate meanwhile: such a copy is thrown away. */
const backUp = async (database: DatabaseSync, path: string, version: number): Promise<void> => {
  const target = `${path}.v${version}.bak`
  const draft = `${target}.${randomId()}`
  closeSync(openSync(draft, 'w', 0o600))
  await backup(database, draft)
  const copy = new DatabaseSync(draft)
  const copied = Number(pragma(copy, 'user_version'))
  copy.close()
  if (copied === version) await rename(draft, target)
  else await rm(draft, { force: true })
}

/** One transaction per step. The version is read again inside: the process that came second finds nothing to do. */
const migrate = async (database: DatabaseSync, path: string, schema: Schema): Promise<void> => {
  const found = checkVersion(database, path, schema)
  if (found > 0 && found < schema.steps.length) await backUp(database, path, found)
  for (const [index, step] of schema.steps.entries()) {
    if (index < found) continue
    database.exec('BEGIN IMMEDIATE')
    try {
      if (checkVersion(database, path, schema) === index)
        database.exec(`${step}; PRAGMA application_id = ${schema.applicationId}; PRAGMA user_version = ${index + 1}`)
      database.exec('COMMIT')
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK')
      throw error
    }
  }
}

/**
 * Makes the file usable: creates it or checks it, switches it to WAL, applies pending steps after a backup.
 * Throws Fault `store.unavailable` (reason in detail) or `store.newer`.
 */
export const prepareFile = async (path: string, schema: Schema): Promise<void> => {
  touch(path)
  let database: DatabaseSync | undefined
  try {
    database = openWriting(path)
    checkVersion(database, path, schema)
    await switchToWal(database, path)
    await migrate(database, path, schema)
  } catch (error) {
    throw toFault(path, error)
  } finally {
    database?.close()
  }
}
