/** A Redis Cluster of three masters and three replicas: the same contracts, and a master that is frozen or dies. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openRedisArtifacts } from '#adapters/redis/index.ts'
import { artifactStoreContract } from '#test/contracts/artifact-store.ts'
import { startRedisCluster } from '../../scripts/redis.ts'
import { redisRaces } from './redis-races.ts'
import { clock, emptyAt, excused, missing, shared, skip, world } from './redis-world.ts'

const service = shared(startRedisCluster)

describe('redis cluster', { skip: missing }, () => {
  artifactStoreContract('redis cluster', {
    open: async () => openRedisArtifacts(emptyAt(await service()), world),
    clock,
    skip: async (ms) => skip(ms),
    excused,
  })
  redisRaces(service)
})
