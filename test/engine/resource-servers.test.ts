/** Tokens for one API each (RFC 8707): who may ask, what they carry, what people are asked. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { post, redeem, userinfo, Visitor } from './browser.ts'
import { client, suiteHouse } from './house.ts'

const API = 'https://api.example/v1'
const OTHER = 'urn:example:other'
const CLOSED = 'https://closed.example'

const open = suiteHouse(() => ({
  settings: {
    resourceServers: [
      { resource: API, scopes: ['read', 'write'], signingAlg: 'ES256', lifetime: 'PT5M' },
      { resource: OTHER, audience: 'other', scopes: ['read'], accessToken: 'opaque' },
      { resource: CLOSED, scopes: ['read'], clients: ['web'] },
    ],
  },
  resources: {
    clients: [client('web'), client('shop', { trusted: false }), client('jwt', { access_token_as_jwt: true })],
  },
}))

const verified = async (token: string) =>
  (await jwtVerify(token, createRemoteJWKSet(new URL('/jwks', open().issuer)), { typ: 'at+jwt' })).payload

const ask = (name: string, over: Record<string, string>) =>
  new Visitor(open()).code(name, { scope: 'openid read write', ...over })

describe('resource indicators', () => {
  test('a code for an API gives its token on demand: audience, scopes, algorithm and life are the API’s', async () => {
    const code = await ask('web', { resource: API })
    const tokens = await redeem(open(), 'web', code, { resource: API })
    const claims = await verified(tokens.access_token ?? '')
    assert.deepEqual([claims.aud, claims.scope, claims.sub], [API, 'read write', 'alice'])
    assert.equal((claims.exp ?? 0) - (claims.iat ?? 0), 300)
    assert.equal(tokens.expires_in, 300)
    assert.equal((await userinfo(open(), tokens.access_token ?? '')).status, 403, 'without openid: insufficient_scope')
    const seen = await post(open(), '/introspect', { token: tokens.access_token ?? '' }, 'web')
    assert.deepEqual([seen.active, seen.aud, seen.scope], [true, API, 'read write'])
    await post(open(), '/revoke', { token: tokens.access_token ?? '' }, 'web')
    assert.equal((await post(open(), '/introspect', { token: tokens.access_token ?? '' }, 'web')).active, false)
  })

  test('without naming it at the token endpoint the token is for userinfo, and has none of its scopes', async () => {
    const tokens = await redeem(open(), 'web', await ask('web', { resource: API }))
    assert.equal(tokens.scope, 'openid')
    assert.equal((await userinfo(open(), tokens.access_token ?? '')).status, 200)
  })

  test('a refresh token serves each of the APIs that were allowed, one at a time', async () => {
    const visitor = new Visitor(open())
    const url = new URL('/authorize', open().issuer)
    const params = { client_id: 'web', response_type: 'code', redirect_uri: 'https://rp.example/cb', prompt: 'consent' }
    url.search = new URLSearchParams({ ...params, scope: 'openid offline_access read' }).toString()
    for (const resource of [API, OTHER]) url.searchParams.append('resource', resource)
    const end = await visitor.go(url)
    const tokens = await redeem(open(), 'web', end.url.searchParams.get('code') ?? '', { resource: API })
    const next = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token ?? '', resource: OTHER }
    const other = await post(open(), '/token', next, 'web')
    assert.ok(!other.access_token?.includes('.'), 'opaque, as that API wants it')
    const seen = await post(open(), '/introspect', { token: other.access_token ?? '' }, 'web')
    assert.deepEqual([seen.aud, seen.scope], ['other', 'read'])
    const wrong = { ...next, refresh_token: other.refresh_token ?? '', resource: CLOSED }
    assert.equal((await post(open(), '/token', wrong, 'web')).error, 'invalid_target')
  })

  test('an unknown resource, one of others, or no URI is invalid_target', async () => {
    for (const [name, resource] of [
      ['web', 'https://nobody.example'],
      ['shop', CLOSED],
      ['web', 'not a uri'],
      ['web', `${API}#x`],
    ] as const) {
      const { url } = await new Visitor(open()).authorize(name, { resource })
      assert.equal(url.searchParams.get('error'), 'invalid_target', resource)
    }
  })

  test('a client acts for itself only where it is named', async () => {
    const own = (resource: string, name = 'web') =>
      post(open(), '/token', { grant_type: 'client_credentials', resource, scope: 'read other' }, name)
    const allowed = await own(CLOSED)
    const claims = await verified(allowed.access_token ?? '')
    assert.deepEqual([claims.aud, claims.sub, claims.scope], [CLOSED, 'web', 'read'])
    assert.equal((await own(API)).error, 'invalid_target')
    assert.equal((await own(CLOSED, 'shop')).error, 'invalid_target')
  })

  test('people are asked for the scopes of an API like for others, once, and may decline one', async () => {
    const house = open()
    const visitor = new Visitor(house)
    const asked: unknown[] = []
    house.person = {
      consent: ({ prompt }) => {
        asked.push(prompt.details.missingResourceScopes)
        return { rejectedScopes: ['write'], remember: true }
      },
    }
    const over = { scope: 'openid read write', resource: API }
    const scopeOf = async (code: string) => (await redeem(house, 'shop', code, { resource: API })).scope
    assert.equal(await scopeOf(await visitor.code('shop', over)), 'read')
    assert.deepEqual(asked, [{ [API]: ['read', 'write'] }])
    assert.equal(await scopeOf(await new Visitor(house).code('shop', over)), 'read', 'in another browser too')
    assert.equal(asked.length, 1)
    house.person = {}
  })

  test('the form of a token is the API’s where there is one, the client’s otherwise', async () => {
    const tokens = await redeem(open(), 'jwt', await ask('jwt', { resource: OTHER }), { resource: OTHER })
    assert.ok(!tokens.access_token?.includes('.'))
    assert.equal(
      (await verified((await redeem(open(), 'jwt', await ask('jwt', {}))).access_token ?? '')).aud,
      open().issuer,
    )
  })
})
