/** One Redis server: the contracts of its two ports. */
import { describe } from 'node:test'
import { openRedisArtifacts } from '#adapters/redis/index.ts'
import { artifactStoreContract } from '#test/contracts/artifact-store.ts'
import { openRedis } from '../../scripts/redis.ts'
import { clock, emptyAt, missing, shared, skip, world } from './redis-world.ts'

const service = shared(openRedis)

describe('redis', { skip: missing }, () => {
  artifactStoreContract('redis', {
    open: async () => openRedisArtifacts(emptyAt(await service()), world),
    clock,
    skip: async (ms) => skip(ms),
    excused: {
      'a sweep takes expired rows only, and at most as many as it may': 'Redis removes expired keys by itself',
    },
  })
})
