/**
 * The embedded store: two SQLite files (short-lived artifacts, durable directory), each with one writer in a worker
 * thread that commits in groups with synchronous=FULL, and a read connection on the main thread. One host, any number
 * of processes; never on a network file system. Read PERSISTENCE 3 for the measurements behind it.
 */
import type { Clock } from '#kernel/clock.ts'
import type { Log } from '#kernel/log.ts'
import { SqliteArtifacts } from './artifacts.ts'
import { Channel } from './channel.ts'
import { SqliteDirectory } from './directory.ts'
import { openReading, prepareFile } from './open.ts'
import { schemas } from './schema.ts'

export { createLocalBus } from './bus.ts'

interface World {
  readonly clock: Clock
  readonly log: Log
}

/** Creates or opens the file of artifacts. Throws Fault `store.unavailable` (the reason in detail) or `store.newer`. */
export const openSqliteArtifacts = async (path: string, world: World): Promise<SqliteArtifacts> => {
  await prepareFile(path, schemas.artifacts)
  const channel = await Channel.open(path, 'artifacts', world)
  return new SqliteArtifacts(path, world.clock, openReading(path), channel)
}

/** Creates or opens the directory's file. Throws Fault `store.unavailable` (the reason in detail) or `store.newer`. */
export const openSqliteDirectory = async (path: string, world: World): Promise<SqliteDirectory> => {
  await prepareFile(path, schemas.directory)
  const channel = await Channel.open(path, 'directory', world)
  return new SqliteDirectory(path, openReading(path), channel)
}
