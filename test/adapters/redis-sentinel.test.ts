/** A Redis with two replicas and three sentinels: the same contracts, and a master that is frozen or dies. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openRedisArtifacts } from '#adapters/redis/index.ts'
import { artifactStoreContract } from '#test/contracts/artifact-store.ts'
import { startRedisSentinel } from '../../scripts/redis.ts'
import { redisRaces } from './redis-races.ts'
import { clock, emptyAt, excused, missing, shared, skip, world } from './redis-world.ts'

const service = shared(startRedisSentinel)

describe('redis sentinel', { skip: missing }, () => {
  artifactStoreContract('redis sentinel', {
    open: async () => openRedisArtifacts(emptyAt(await service()), world),
    clock,
    skip: async (ms) => skip(ms),
    excused,
  })
  redisRaces(service)
})
