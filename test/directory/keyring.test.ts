import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openKeyring } from '#directory/keyring.ts'
import { isFault } from '#kernel/faults.ts'
import { openGround } from './ground.ts'

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
