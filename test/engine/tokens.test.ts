/** What tokens tell, to whom, and in which form (OIDC Core 5 and 8, RFC 7662). */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, test } from 'node:test'
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { createPairwise } from '#op/subjects.ts'
import { claimsOf, isActive, post, redeem, userinfo, Visitor } from './browser.ts'
import { certifiedClients, client, signIn, suiteHouse } from './house.ts'

const open = suiteHouse(certifiedClients)

const json = async (path: string | URL, init?: RequestInit) => {
  const response = await fetch(new URL(path, open().issuer), init)
  return { response, body: (await response.json()) as Record<string, unknown> }
}

describe('tokens', () => {
  test('userinfo by GET, POST header and POST body gives the same', async () => {
    const { access_token: token = '' } = await redeem(
      open(),
      'web',
      await new Visitor(open()).code('web', { scope: 'openid email' }),
    )
    const authorization = `Bearer ${token}`
    const ways = await Promise.all([
      json('/userinfo', { headers: { authorization } }),
      json('/userinfo', { method: 'POST', headers: { authorization } }),
      json('/userinfo', { method: 'POST', body: new URLSearchParams({ access_token: token }) }),
    ])
    for (const { response, body } of ways) {
      assert.equal(response.status, 200)
      assert.deepEqual(body, { sub: 'alice', email: 'alice@example.org', email_verified: true })
    }
    const inQuery = await fetch(new URL(`/userinfo?access_token=${token}`, open().issuer))
    assert.ok(inQuery.status === 400 || inQuery.status === 401, 'RFC 6750 2.3 is not offered')
  })

  test('signed userinfo and ID tokens verify against the published keys', async () => {
    const keys = createRemoteJWKSet(new URL('/jwks', open().issuer))
    const tokens = await redeem(open(), 'signed', await new Visitor(open()).code('signed'))
    const verified = await jwtVerify(tokens.id_token ?? '', keys, { issuer: open().issuer, audience: 'signed' })
    assert.deepEqual([verified.protectedHeader.alg, verified.payload.sub], ['ES256', 'alice'])
    const response = await fetch(new URL('/userinfo', open().issuer), {
      headers: { authorization: `Bearer ${tokens.access_token}` },
    })
    assert.match(response.headers.get('content-type') ?? '', /application\/jwt/)
    assert.equal((await jwtVerify(await response.text(), keys)).payload.sub, 'alice')
    const plain = await redeem(open(), 'web', await new Visitor(open()).code('web'))
    assert.equal(decodeProtectedHeader(plain.id_token ?? '').alg, 'RS256')
  })

  test('pairwise sub: by the formula, the same at ID token, userinfo and introspection, apart for another sector', async () => {
    const subs = async (name: string) => {
      const tokens = await redeem(open(), name, await new Visitor(open()).code(name))
      const told = await userinfo(open(), tokens.access_token ?? '')
      const seen = await post(open(), '/introspect', { token: tokens.access_token ?? '' }, name)
      const sub = claimsOf(tokens.id_token).sub
      assert.deepEqual([told.claims.sub, seen.sub], [sub, sub])
      return sub
    }
    const [one, two] = [await subs('pair'), await subs('sector')]
    assert.notEqual(one, 'alice')
    assert.notEqual(one, two)
    assert.equal(await subs('pair'), one)
    const formula = createHmac('sha256', 'key').update('rp.examplealicesalt').digest('base64url')
    assert.equal(createPairwise(Buffer.from('key'), 'salt')('rp.example', 'alice'), formula)
  })

  test('introspection tells the three kinds apart, and nothing of unknown values', async () => {
    const visitor = new Visitor(open())
    const code = await visitor.code('web', { scope: 'openid offline_access', prompt: 'consent' })
    const tokens = await redeem(open(), 'web', code)
    const own = await post(open(), '/token', { grant_type: 'client_credentials' }, 'jar')
    const look = (token = '', hint?: string) =>
      post(open(), '/introspect', { token, ...(hint && { token_type_hint: hint }) }, 'web')
    for (const hint of [undefined, 'access_token', 'refresh_token']) {
      assert.deepEqual(
        [(await look(tokens.access_token, hint)).active, (await look(tokens.access_token, hint)).sub],
        [true, 'alice'],
      )
      assert.equal((await look(tokens.refresh_token, hint)).active, true)
      assert.deepEqual(
        [(await look(own.access_token, hint)).active, (await look(own.access_token, hint)).client_id],
        [true, 'jar'],
      )
      for (const unknown of [code, 'x', tokens.access_token?.slice(0, -1)])
        assert.deepEqual(await look(unknown, hint), { active: false, status: 200 })
    }
  })

  test('introspection: a token is as dead as its client or its account', async () => {
    const house = open()
    await house.records.clients.put(client('shop'))
    house.person = { login: () => signIn('bob') }
    const { access_token: token = '' } = await redeem(house, 'shop', await new Visitor(house).code('shop'))
    house.person = {}
    assert.equal(await isActive(house, 'web', token), true)
    await house.records.accounts.update('bob', (bob) => ({ ...bob, disabled: true }))
    assert.equal(await isActive(house, 'web', token), false)
    await house.records.accounts.update('bob', (bob) => ({ ...bob, disabled: false }))
    assert.equal(await isActive(house, 'web', token), true)
    await house.records.clients.put(client('shop', { disabled: true }))
    assert.equal(await isActive(house, 'web', token), false)
  })

  test('software gets JSON, whatever it says that it accepts', async () => {
    for (const path of ['/token', '/introspect', '/revoke', '/par', '/register', '/userinfo']) {
      const headers = { accept: 'text/html', 'content-type': 'application/x-www-form-urlencoded' }
      const { response, body } = await json(path, { method: 'POST', headers, body: '' })
      assert.ok(response.status === 400 || response.status === 401, path)
      assert.match(response.headers.get('content-type') ?? '', /^application\/json/)
      assert.equal(typeof body.error, 'string')
    }
  })

  test('CORS: a public client’s own origin may ask for tokens, others may not', async () => {
    const ask = async (origin: string) =>
      fetch(new URL('/token', open().issuer), {
        method: 'POST',
        headers: { origin },
        body: new URLSearchParams({ grant_type: 'refresh_token', client_id: 'spa', refresh_token: 'x' }),
      })
    assert.equal((await ask('https://rp.example')).headers.get('access-control-allow-origin'), 'https://rp.example')
    assert.equal((await ask('https://evil.example')).headers.get('access-control-allow-origin'), null)
  })
})
