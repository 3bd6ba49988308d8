/**
 * MongoDB 4.4 or newer: short-lived artifacts, the durable directory, or both, for any number of nodes. Only the
 * atomicity of one document and unique string `_id`s are relied on, so a single server, a replica set and a sharded
 * cluster are alike; a replica set is what makes an acknowledged write survive its server. Read connect.ts first.
 */
export { createMongoBus } from './bus.ts'

import { MongoArtifacts } from './artifacts.ts'
import { Connection, type World } from './connect.ts'
import { MongoDirectory } from './directory.ts'
import { artifactSchema, directorySchema, prepare, type Schema } from './schema.ts'
import { startSweeper } from './sweeper.ts'

/** Connects and brings the schema to the present. Throws Fault `store.unavailable` (the reason in detail) or `store.newer`. */
export const openMongoArtifacts = async (url: string, world: World): Promise<MongoArtifacts> => {
  const connection = await open(url, artifactSchema, world)
  return new MongoArtifacts(connection, world.clock, (store) =>
    startSweeper((limit) => store.sweep(limit), world.log, world.sweepMs),
  )
}

/** Connects and brings the schema to the present. Throws Fault `store.unavailable` (the reason in detail) or `store.newer`. */
export const openMongoDirectory = async (url: string, world: World): Promise<MongoDirectory> => {
  const connection = await open(url, directorySchema, world)
  return new MongoDirectory(connection, world.clock)
}

const open = async (url: string, schema: Schema, world: World): Promise<Connection> => {
  const connection = await Connection.open(url, world)
  try {
    await prepare(url, connection, schema, world)
    return connection
  } catch (error) {
    await connection.close()
    throw error
  }
}
