/**
 * The embedded store: two SQLite files (short-lived artifacts, durable directory), each with one writer in a worker
 * thread that commits in groups with synchronous=FULL, and a read connection on the main thread. One host, any number
 * of processes; never on a network file system. Read PERSISTENCE 3 for the measurements behind it.
 */
import type { DatabaseSync } from 'node:sqlite'
import { SqliteArtifacts } from './artifacts.ts'
import { Channel, type World } from './channel.ts'
import { SqliteDirectory } from './directory.ts'
import { toFault } from './faults.ts'
import { openReading, prepareFile } from './open.ts'
import { type SchemaName, schemas } from './schema.ts'

export { createLocalBus } from './bus.ts'

/** Creates or opens the file of artifacts. Throws Fault `store.unavailable` (the reason in detail) or `store.newer`. */
export const openSqliteArtifacts = (path: string, world: World): Promise<SqliteArtifacts> =>
  open(path, 'artifacts', world, (reading, channel) => new SqliteArtifacts(path, world.clock, reading, channel))

/** Creates or opens the directory's file. Throws Fault `store.unavailable` (the reason in detail) or `store.newer`. */
export const openSqliteDirectory = (path: string, world: World): Promise<SqliteDirectory> =>
  open(path, 'directory', world, (reading, channel) => new SqliteDirectory(path, reading, channel))

const open = async <T>(
  path: string,
  schema: SchemaName,
  world: World,
  build: (reading: DatabaseSync, channel: Channel) => T,
): Promise<T> => {
  await prepareFile(path, schemas[schema])
  const channel = await Channel.open(path, schema, world)
  try {
    return build(openReading(path), channel)
  } catch (error) {
    await channel.close()
    throw toFault(path, error)
  }
}
