/** A provider's logout token: every rule of Back-Channel Logout 1.0, 2.6, one broken at a time. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import type { Connector } from '#connectors/connector.ts'
import { openConnector, protocolSettings } from '#connectors/index.ts'
import { epochSeconds, systemClock } from '#kernel/clock.ts'
import { isFault } from '#kernel/faults.ts'
import { providerRecord } from '#kernel/records/provider.ts'

const issuer = 'https://acme.example'
const event = { 'http://schemas.openid.net/event/backchannel-logout': {} }

test('made-up key names do not make us ask the provider again and again; a new key is found all the same', async () => {
  let now = Date.now()
  const make = async (kid: string) => {
    const { privateKey, publicKey } = await generateKeyPair('ES256')
    return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256' } }
  }
  const [first, second, third] = await Promise.all(['one', 'two', 'three'].map(make))
  assert.ok(first && second && third)
  let published = [first.jwk]
  let asked = 0
  const connector = openConnector(
    providerRecord(protocolSettings).parse({
      id: 'acme',
      protocol: 'oidc',
      oidc: {
        client_id: 'us',
        client_secret: 'a-secret-of-ours',
        metadata: {
          issuer,
          authorization_endpoint: `${issuer}/a`,
          token_endpoint: `${issuer}/t`,
          jwks_uri: `${issuer}/jwks`,
        },
      },
    }),
    {
      clock: { now: () => now },
      fetch: async () => {
        asked += 1
        return Response.json({ keys: published })
      },
    },
  )
  const tell = async ({ kid, privateKey }: { kid: string; privateKey: CryptoKey }) => {
    const iat = Math.floor(now / 1000)
    const claims = { iss: issuer, aud: 'us', iat, exp: iat + 120, jti: 'one', sid: 's1', events: event }
    const raw = await new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid }).sign(privateKey)
    return connector.loggedOut?.(raw) ?? assert.fail('no loggedOut')
  }
  await tell(first)
  published = [second.jwk]
  assert.equal((await tell(second)).sid, 's1', 'a new key is found at once')
  assert.equal(asked, 2)
  for (let count = 0; count < 20; count++)
    await assert.rejects(tell({ kid: `made up ${count}`, privateKey: third.privateKey }))
  assert.ok(asked <= 3, `asked ${asked} times`)
  published = [third.jwk]
  now += 30_000
  assert.equal((await tell(third)).sid, 's1', 'and the next one soon')
})

describe('a logout token', () => {
  let connector: Connector
  let key: CryptoKey
  let other: CryptoKey
  before(async () => {
    const [own, strange] = await Promise.all([generateKeyPair('ES256'), generateKeyPair('ES256')])
    key = own.privateKey
    other = strange.privateKey
    const provider = providerRecord(protocolSettings).parse({
      id: 'acme',
      protocol: 'oidc',
      oidc: {
        client_id: 'us',
        client_secret: 'a-secret-of-ours',
        metadata: { issuer, authorization_endpoint: `${issuer}/a`, token_endpoint: `${issuer}/t` },
        jwks: { keys: [{ ...(await exportJWK(own.publicKey)), kid: 'one', alg: 'ES256' }] },
      },
    })
    const fetch = async () => Response.error()
    connector = openConnector(provider, { clock: systemClock, fetch })
  })

  const token = (over: JWTPayload = {}, by = key) => {
    const now = epochSeconds(systemClock)
    const claims = {
      iss: issuer,
      aud: 'us',
      iat: now,
      exp: now + 120,
      jti: 'one',
      sub: 'nora',
      sid: 's1',
      events: event,
    }
    const payload = Object.fromEntries(
      Object.entries({ ...claims, ...over }).filter(([, value]) => value !== undefined),
    )
    return new SignJWT(payload).setProtectedHeader({ alg: 'ES256', kid: 'one', typ: 'logout+jwt' }).sign(by)
  }
  const read = (raw: string) => connector.loggedOut?.(raw) ?? assert.fail('no loggedOut')

  test('names the user, the session and itself', async () => {
    assert.deepEqual(await read(await token()), { token: 'one', uid: 'nora', sid: 's1' })
    assert.deepEqual(await read(await token({ sid: undefined })), { token: 'one', uid: 'nora' })
    assert.deepEqual(await read(await token({ sub: undefined, exp: undefined })), { token: 'one', sid: 's1' })
  })

  const broken: Record<string, JWTPayload> = {
    'another issuer': { iss: 'https://evil.example' },
    'another audience': { aud: 'them' },
    'no issue time': { iat: undefined },
    'an old one': { iat: epochSeconds(systemClock) - 3600, exp: epochSeconds(systemClock) + 60 },
    'one from the future': { iat: epochSeconds(systemClock) + 3600 },
    'an expired one': { exp: epochSeconds(systemClock) - 60 },
    'no name of its own': { jti: undefined },
    'no event': { events: undefined },
    'another event': { events: { 'https://example.org/other': {} } },
    'an event that is no object': { events: { [Object.keys(event)[0] ?? '']: true } },
    'a nonce, as ID tokens have': { nonce: 'n' },
    'neither user nor session': { sub: undefined, sid: undefined },
  }
  for (const [what, over] of Object.entries(broken))
    test(`is refused with ${what}`, async () => {
      const raw = await token(over)
      await assert.rejects(read(raw), (error) => isFault(error, 'upstream.invalid'))
    })

  test('is refused when unsigned, signed by another key, or nonsense', async () => {
    const [head = '', body = ''] = (await token()).split('.')
    const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'logout+jwt' })).toString('base64url')
    for (const raw of [`${none}.${body}.`, `${head}.${body}.`, await token({}, other), '', 'a.b.c', 'x'.repeat(20_000)])
      await assert.rejects(read(raw), (error) => isFault(error, 'upstream.invalid'))
  })
})
