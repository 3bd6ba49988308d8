/** One Redis server between two processes. */
import { describe } from 'node:test'
import { openRedis } from '../../scripts/redis.ts'
import { redisRaces } from './redis-races.ts'
import { missing, shared } from './redis-world.ts'

const service = shared(openRedis)

describe('redis: two processes', { skip: missing }, () => {
  redisRaces(service)
})
