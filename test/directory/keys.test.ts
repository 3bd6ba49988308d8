import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, type JsonWebKey, sign, verify } from 'node:crypto'
import { test } from 'node:test'
import { stateAt } from '#directory/key-times.ts'
import { isFault } from '#kernel/faults.ts'
import { heard, openGround } from './ground.ts'

const DAY = 24 * 3600
/** Seconds until every node shows a new key. */
const SPREAD = 2

test('the first use makes a key of each algorithm, each with its own material', async (t) => {
  const ground = await openGround(t)
  const { records } = await ground.node({ keys: { algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'] } })
  const keys = await records.keys.published()
  assert.deepEqual(
    keys.map(({ alg }) => alg),
    ['RS256', 'PS256', 'ES256', 'EdDSA'],
  )
  assert.equal(new Set(keys.map(({ kid }) => kid)).size, 4)
  assert.deepEqual(
    keys.map(({ jwk }) => [jwk.kty, jwk.crv ?? Buffer.from(String(jwk.n), 'base64url').length * 8]),
    [
      ['RSA', 2048],
      ['RSA', 2048],
      ['EC', 'P-256'],
      ['OKP', 'Ed25519'],
    ],
  )
  for (const { kid, alg, jwk } of keys) {
    assert.deepEqual([jwk.kid, jwk.alg, jwk.use], [kid, alg, 'sig'])
    const key = createPrivateKey({ key: jwk as JsonWebKey, format: 'jwk' })
    const digest = alg === 'EdDSA' ? null : 'sha256'
    const signature = sign(digest, Buffer.from('text'), key)
    assert.ok(verify(digest, Buffer.from('text'), createPublicKey(key), signature))
  }
  assert.deepEqual(await records.keys.published(), keys)
})

test('two first starts agree on one set', async (t) => {
  const ground = await openGround(t)
  const [here, there] = [await ground.node(), await ground.node()]
  const [a, b] = await Promise.all([here.records.keys.published(), there.records.keys.published()])
  assert.deepEqual(
    a.map(({ kid }) => kid),
    b.map(({ kid }) => kid),
  )
  assert.equal((await here.records.keys.all()).length, 2)
})

test('a key is published, signs, verifies and is gone, at the times the settings say', async (t) => {
  const ground = await openGround(t)
  const { records } = await ground.node({ keys: { algorithms: ['ES256'] } })
  const kids = async () => (await records.keys.published()).map(({ kid }) => kid)
  const [first] = await kids()
  const wait = async () => {
    const at = await records.keys.nextChange()
    assert.ok(at)
    const seconds = (at - ground.clock.now()) / 1000
    ground.clock.skip(seconds)
    return seconds
  }
  assert.equal(await wait(), 88 * DAY - SPREAD)
  const [signing, next] = await kids()
  assert.equal(signing, first)
  assert.ok(next && next !== first)
  assert.equal(await wait(), 2 * DAY + SPREAD)
  assert.deepEqual(await kids(), [next, first])
  assert.equal(await wait(), 7 * DAY)
  assert.deepEqual(await kids(), [next])
})

test('rotation by hand signs at once, keeps the old keys for verifying, and withdraws what was only announced', async (t) => {
  const ground = await openGround(t)
  const { records } = await ground.node({ keys: { algorithms: ['ES256'] } })
  const [first] = await records.keys.published()
  ground.clock.skip(89 * DAY)
  const [, announced] = await records.keys.published()
  const after = await records.keys.rotate()
  assert.equal(after.length, 2)
  assert.equal(after[1]?.kid, first?.kid)
  assert.ok(![first?.kid, announced?.kid].includes(after[0]?.kid))
  ground.clock.skip(8 * DAY)
  assert.deepEqual(
    (await records.keys.published()).map(({ kid }) => kid),
    [after[0]?.kid],
  )
})

test('rotating one algorithm leaves the others, and an unknown one is refused', async (t) => {
  const { records } = await (await openGround(t)).node()
  const before = await records.keys.published()
  const after = await records.keys.rotate('EdDSA')
  assert.deepEqual(
    after.filter(({ alg }) => alg === 'ES256'),
    before.filter(({ alg }) => alg === 'ES256'),
  )
  assert.equal(after.filter(({ alg }) => alg === 'EdDSA').length, 2)
  await assert.rejects(records.keys.rotate('RS256'), (error) => isFault(error, 'request.invalid'))
})

test('a retired signing key has a successor at once; retired again it is gone', async (t) => {
  const ground = await openGround(t)
  const { records } = await ground.node({ keys: { algorithms: ['ES256'] } })
  const [first] = await records.keys.published()
  assert.ok(first)
  await records.keys.retire(first.kid)
  const [next, retired] = await records.keys.published()
  assert.equal(retired?.kid, first.kid)
  assert.notEqual(next?.kid, first.kid)
  await records.keys.retire(first.kid)
  assert.deepEqual(
    (await records.keys.published()).map(({ kid }) => kid),
    [next?.kid],
  )
  await assert.rejects(records.keys.retire('nothing'), (error) => isFault(error, 'directory.absent'))
})

test('an announced key that is withdrawn leaves its predecessor signing', async (t) => {
  const ground = await openGround(t)
  const { records } = await ground.node({ keys: { algorithms: ['ES256'] } })
  const [first] = await records.keys.published()
  ground.clock.skip(88 * DAY)
  const [, announced] = await records.keys.published()
  assert.ok(announced)
  await records.keys.retire(announced.kid)
  ground.clock.skip(DAY)
  const keys = await records.keys.published()
  assert.equal(keys[0]?.kid, first?.kid)
  assert.ok(keys.every(({ kid }) => kid !== announced.kid))
  assert.equal(keys.length, 2)
})

test('an algorithm that the settings no longer name stops signing and goes on verifying', async (t) => {
  const ground = await openGround(t)
  await (await ground.node()).records.keys.published()
  const { records } = await ground.node({ keys: { algorithms: ['EdDSA'], default: 'EdDSA' } })
  const now = () => ground.clock.now()
  const states = (await records.keys.published()).map((key) => [key.alg, stateAt(key, now())])
  assert.deepEqual(states, [
    ['EdDSA', 'active'],
    ['ES256', 'retired'],
  ])
  ground.clock.skip(8 * DAY)
  assert.deepEqual(
    (await records.keys.published()).map(({ alg }) => alg),
    ['EdDSA'],
  )
})

test('old generations are forgotten, and their numbers are not used again', async (t) => {
  const ground = await openGround(t)
  const { records } = await ground.node({ keys: { algorithms: ['ES256'] } })
  for (let i = 0; i < 6; i += 1) {
    await records.keys.published()
    ground.clock.skip(89 * DAY)
    await records.keys.published()
    ground.clock.skip(2 * DAY)
  }
  const all = await records.keys.all()
  assert.ok(all.length < 6, String(all.length))
  assert.equal((await records.keys.published()).length, 2)
})

test('another process notices a rotation', async (t) => {
  const ground = await openGround(t)
  const [server, cli] = [await ground.node(), await ground.node()]
  const before = await server.records.keys.published()
  const told = heard(server, 'key')
  const rotated = await cli.records.keys.rotate()
  await told
  const after = await server.records.keys.published()
  assert.deepEqual(after.map(({ kid }) => kid).sort(), rotated.map(({ kid }) => kid).sort())
  assert.equal(after.length, before.length * 2)
})

test('a named secret is made once, whoever asks first', async (t) => {
  const ground = await openGround(t)
  const nodes = [await ground.node(), await ground.node()]
  const asked = await Promise.all(
    nodes.flatMap(({ records }) => [records.keys.secret('csrf'), records.keys.secret('csrf')]),
  )
  assert.equal(new Set(asked.map((secret) => secret.toString('hex'))).size, 1)
  assert.equal(asked[0]?.length, 32)
  assert.notDeepEqual(await nodes[0]?.records.keys.secret('cookies'), asked[0])
})
