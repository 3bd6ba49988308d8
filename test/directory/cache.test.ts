import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCache } from '#directory/cache.ts'
import { MovableClock } from './ground.ts'

test('concurrent callers share one load, and absence is remembered', async () => {
  const cache = createCache<string | undefined>(new MovableClock())
  let loads = 0
  const load = async () => {
    loads += 1
    return undefined
  }
  await Promise.all([cache.get('a', load), cache.get('a', load)])
  await cache.get('a', load)
  assert.equal(loads, 1)
})

test('an answer that was under way when the record changed is not kept', async () => {
  const cache = createCache<string>(new MovableClock())
  const slow = Promise.withResolvers<string>()
  const before = cache.get('a', () => slow.promise)
  cache.forget('a')
  const after = cache.get('a', async () => 'new')
  slow.resolve('old')
  assert.equal(await before, 'old')
  assert.equal(await after, 'new')
  assert.equal(await cache.get('a', async () => 'loaded again'), 'new')
})

test('a failed load is not kept', async () => {
  const cache = createCache<string>(new MovableClock())
  await assert.rejects(cache.get('a', () => Promise.reject(new Error('away'))))
  assert.equal(await cache.get('a', async () => 'here'), 'here')
})

test('what was used least recently makes room', async () => {
  const cache = createCache<string>(new MovableClock(), 2)
  const loaded: string[] = []
  const get = (key: string) =>
    cache.get(key, async () => {
      loaded.push(key)
      return key
    })
  for (const key of ['a', 'b', 'a', 'c', 'a', 'b']) await get(key)
  assert.deepEqual(loaded, ['a', 'b', 'c', 'b'])
})
