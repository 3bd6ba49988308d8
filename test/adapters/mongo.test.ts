/** The MongoDB store on each server that is found: the contracts of its three ports. */
import { openMongoArtifacts } from '#adapters/mongo/index.ts'
import { artifactStoreContract } from '#test/contracts/artifact-store.ts'
import { clock, newDatabase, servers, skip, world } from './mongo-world.ts'

for (const server of servers) {
  artifactStoreContract(server.name, {
    open: () => openMongoArtifacts(newDatabase(server), world),
    clock,
    skip,
  })
}
