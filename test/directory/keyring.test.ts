import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLocalBus } from '#adapters/sqlite/index.ts'
import { createRecords, noResources } from '#directory/index.ts'
import { openKeyring } from '#directory/keyring.ts'
import { reseal } from '#directory/reseal.ts'
import { isFault } from '#kernel/faults.ts'
import { hashPassword, keySettings, MASTER_KEY, openGround } from './ground.ts'

const recordsGiven = { overlay: noResources, keys: keySettings, hashPassword }

const [OLD, NEW, OTHER] = [1, 2, 3].map((byte) => Buffer.alloc(32, byte)) as [Buffer, Buffer, Buffer]
const broken = (error: unknown) => isFault(error, 'seal.broken')

/** A directory of its own, whose keyring nobody has opened. */
const emptyPort = async (t: Parameters<typeof openGround>[0]) => {
  const ground = await openGround(t)
  const { port } = await ground.node()
  for (const row of await port.list('keyring', { limit: 10 })) await port.remove('keyring', row.id)
  return { port, clock: ground.clock }
}

test('of several first starts all use the same keys', async (t) => {
  const { port, clock } = await emptyPort(t)
  const rings = await Promise.all([1, 2, 3].map(() => openKeyring(port, [OLD], clock)))
  const sealed = rings.map(({ artifacts }) => artifacts.seal('text', 'place'))
  for (const { artifacts } of rings)
    for (const value of sealed) assert.equal(artifacts.open(value, 'place').toString(), 'text')
})

test('what is sealed for one purpose does not open for the other', async (t) => {
  const { port, clock } = await emptyPort(t)
  const { artifacts, directory } = await openKeyring(port, [OLD], clock)
  const sealed = artifacts.seal('text', 'place')
  assert.throws(() => directory.open(sealed, 'place'), broken)
  assert.throws(() => artifacts.open(sealed, 'another place'), broken)
})

test('a new master key takes over, and then the old one is not needed', async (t) => {
  const { port, clock } = await emptyPort(t)
  const sealed = (await openKeyring(port, [OLD], clock)).directory.seal('text', 'place')
  await openKeyring(port, [NEW, OLD], clock)
  const { directory } = await openKeyring(port, [NEW], clock)
  assert.equal(directory.open(sealed, 'place').toString(), 'text')
  await assert.rejects(openKeyring(port, [OLD], clock), broken)
})

test('a wrong or short master key is refused', async (t) => {
  const { port, clock } = await emptyPort(t)
  await openKeyring(port, [OLD], clock)
  await assert.rejects(openKeyring(port, [OTHER], clock), broken)
  await assert.rejects(openKeyring(port, [Buffer.alloc(16)], clock), broken)
  await assert.rejects(openKeyring(port, [], clock), broken)
})

const DAY = 24 * 3600
const HOUR = 3600

test('a new data key is known everywhere before it seals, and what an earlier one sealed still opens', async (t) => {
  const { port, clock } = await emptyPort(t)
  const [here, there] = [await openKeyring(port, [OLD], clock), await openKeyring(port, [OLD], clock)]
  const first = here.artifacts.seal('first', 'place')
  clock.skip(8 * DAY)
  // Both find it due; one makes it.
  await Promise.all([here.refresh(), there.refresh()])
  assert.equal((await port.list('keyring', { limit: 10 })).filter(({ id }) => id.startsWith('artifacts:')).length, 2)
  assert.equal(here.artifacts.age(here.artifacts.seal('still the first key', 'place')), 'current')
  assert.equal(here.artifacts.age(first), 'current')
  clock.skip(HOUR)
  const second = here.artifacts.seal('second', 'place')
  assert.equal(here.artifacts.age(first), 'older')
  assert.equal(there.artifacts.age(second), 'current')
  for (const ring of [here, there, await openKeyring(port, [OLD], clock)]) {
    assert.equal(ring.artifacts.open(first, 'place').toString(), 'first')
    assert.equal(ring.artifacts.open(second, 'place').toString(), 'second')
  }
  await here.refresh()
  assert.equal((await port.list('keyring', { limit: 10 })).length, 3)
})

test('after a change of the master key records are sealed anew under keys that the old one never wrapped', async (t) => {
  const ground = await openGround(t)
  const { port, records } = await ground.node()
  for (let n = 0; n < 120; n++) await records.accounts.create({ username: `person-${n}`, password: 'x' } as never)
  await records.keys.published()
  const link = await records.links.claim('up', 'u1', () => ({ username: 'from outside' }) as never)

  const { clock } = ground
  const keyring = await openKeyring(port, [NEW, MASTER_KEY], clock)
  assert.equal(await keyring.pending(), undefined)
  clock.skip(HOUR)
  assert.ok(await keyring.pending())
  // Two nodes at once.
  const given = { port, keyring }
  const counts = await Promise.all([reseal(given), reseal(given)])
  assert.ok(Math.max(...counts) > 120, String(counts))
  assert.equal(await reseal(given), 0)
  await (await keyring.pending())?.()
  assert.equal(await keyring.pending(), undefined)

  // The keys that the old master key wrapped are needed for no record any more.
  for (const row of await port.list('keyring', { limit: 10 }))
    if (row.id === 'directory:1') await port.remove('keyring', row.id)
  const bare = await openKeyring(port, [NEW], clock)
  const again = await createRecords({
    ...recordsGiven,
    port,
    sealer: bare.directory,
    clock,
    bus: createLocalBus({ directory: port, pollMs: 50 }),
  })
  t.after(() => again.close())
  assert.equal((await again.accounts.byUsername('person-77'))?.username, 'person-77')
  assert.equal((await again.links.get('up', 'u1'))?.accountId, link.accountId)
  assert.deepEqual(await again.links.ofAccount(link.accountId).then((links) => links.length), 1)
  assert.equal((await again.keys.published()).length, 2)
})
