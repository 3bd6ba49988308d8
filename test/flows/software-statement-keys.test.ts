/** Software statements whose keys are read at an address (RFC 7591 2.3): found, kept, and found again after a rotation. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { type Gatehouse, startGatehouse } from './world.ts'

const ISSUER = 'https://vouch.example'

describe('keys at an address', () => {
  let published: JWK[] = []
  let asked = 0
  let status = 200
  const server = createServer((_request, response) => {
    asked += 1
    response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'max-age=86400' })
    response.end(JSON.stringify({ keys: published }))
  })
  let jwksUri = ''
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    jwksUri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`
  })
  after(() => server.close())

  const start = (more: Record<string, unknown> = {}) =>
    startGatehouse({ registration: { softwareStatements: { trusted: [{ issuer: ISSUER, jwksUri }] } }, ...more })
  const newKey = async (kid: string): Promise<{ jwk: JWK; key: CryptoKey; kid: string }> => {
    const { publicKey, privateKey } = await generateKeyPair('ES256')
    return { jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' }, key: privateKey, kid }
  }
  const register = async (op: Gatehouse, { key, kid }: { key: CryptoKey; kid: string }) => {
    const software_statement = await new SignJWT({ client_name: 'Vouched' })
      .setProtectedHeader({ alg: 'ES256', kid })
      .setIssuer(ISSUER)
      .setExpirationTime('1d')
      .sign(key)
    const response = await fetch(`${op.issuer}/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ redirect_uris: ['https://rp.example/cb'], software_statement }),
    })
    const { client_name, error } = (await response.json()) as Record<string, unknown>
    return [response.status, client_name ?? error]
  }
  const GOOD = [201, 'Vouched']
  const BAD = [400, 'invalid_software_statement']

  test('one fetch for many statements; a new key is found, an old one ends, whatever the answers say on caching', async (t) => {
    const [first, second] = [await newKey('one'), await newKey('two')]
    published = [first.jwk]
    asked = 0
    const op = await start()
    assert.deepEqual([await register(op, first), await register(op, first)], [GOOD, GOOD])
    assert.equal(asked, 1)
    // Nobody makes us ask again and again with keys that do not exist.
    for (let count = 0; count < 5; count++) assert.deepEqual(await register(op, second), BAD)
    assert.equal(asked, 1)
    published = [second.jwk]
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 31_000 })
    assert.deepEqual(await register(op, second), GOOD)
    assert.deepEqual(await register(op, first), BAD)
    t.mock.timers.reset()
  })

  test('a key of the same name is another key', async () => {
    const first = await newKey('one')
    published = [first.jwk]
    const op = await start()
    assert.deepEqual(await register(op, await newKey('one')), BAD)
    assert.deepEqual(await register(op, first), GOOD)
  })

  test('nobody there, or nothing that is keys: refused, and the next one works', async (t) => {
    const first = await newKey('one')
    published = [first.jwk]
    status = 503
    const op = await start()
    assert.deepEqual(await register(op, first), BAD)
    status = 200
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 31_000 })
    assert.deepEqual(await register(op, first), GOOD)
    t.mock.timers.reset()
  })

  test('an address in a private network is asked only where the operator allows it', async () => {
    const first = await newKey('one')
    published = [first.jwk]
    asked = 0
    assert.deepEqual(await register(await start({ egress: {} }), first), BAD)
    assert.equal(asked, 0)
  })
})
