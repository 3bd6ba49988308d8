/** The MongoDB store on each server that is found: the contracts of its three ports. */
import { createMongoBus, openMongoArtifacts, openMongoDirectory } from '#adapters/mongo/index.ts'
import { artifactStoreContract } from '#test/contracts/artifact-store.ts'
import { busContract } from '#test/contracts/bus.ts'
import { directoryContract } from '#test/contracts/directory.ts'
import { clock, newDatabase, servers, skip, world } from './mongo-world.ts'

for (const server of servers) {
  artifactStoreContract(server.name, {
    open: () => openMongoArtifacts(newDatabase(server), world),
    clock,
    skip,
  })
  directoryContract(server.name, { open: () => openMongoDirectory(newDatabase(server), world) })
  busContract(server.name, {
    async open(count) {
      const url = newDatabase(server)
      return Promise.all(
        Array.from({ length: count }, async () => {
          const directory = await openMongoDirectory(url, world)
          return { directory, bus: createMongoBus({ directory }) }
        }),
      )
    },
  })
}
