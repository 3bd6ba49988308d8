/** Relying parties: records in force at once, dynamic registration and its policy (CONTRACT 3, ENGINE 5, HAZARDS 1). */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Fault } from '#kernel/faults.ts'
import { readAllowed } from '#kernel/outbound/addresses.ts'
import { createRegistrationFault } from '#op/redirects.ts'
import { post, redeem, userinfo, Visitor } from './browser.ts'
import { client, type House, openHouse, overriding, redirectUri, suiteHouse } from './house.ts'

interface Registered {
  readonly status: number
  readonly body: Record<string, unknown>
}

const send = async (
  url: URL | string,
  method: string,
  metadata?: Record<string, unknown>,
  token?: string,
): Promise<Registered> => {
  const response = await fetch(url, {
    method,
    headers: {
      ...(metadata && { 'content-type': 'application/json' }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
    ...(metadata && { body: JSON.stringify(metadata) }),
  })
  const text = await response.text()
  return { status: response.status, body: text ? (JSON.parse(text) as Record<string, unknown>) : {} }
}
const register = (house: House, metadata: Record<string, unknown>, token?: string) =>
  send(new URL('/register', house.issuer), 'POST', { redirect_uris: [redirectUri], ...metadata }, token)

describe('client records', () => {
  const open = suiteHouse(() => ({ resources: { clients: [client('declared')] } }))

  test('a disabled client is refused everywhere with the next request, and so are its tokens', async () => {
    const house = open()
    await house.records.clients.put(client('web'))
    const visitor = new Visitor(house)
    const tokens = await redeem(house, 'web', await visitor.code('web'))
    assert.equal((await userinfo(house, tokens.access_token ?? '')).status, 200)
    await house.records.clients.put(client('web', { disabled: true }))
    const page = await visitor.authorize('web')
    assert.equal(page.status, 400)
    assert.match(page.body, /<code id="error">invalid_client<\/code>/)
    assert.equal((await post(house, '/token', { grant_type: 'client_credentials' }, 'web')).error, 'invalid_client')
    assert.equal((await userinfo(house, tokens.access_token ?? '')).status, 401)
    await house.records.clients.put(client('web'))
    assert.equal((await userinfo(house, tokens.access_token ?? '')).status, 200)
  })

  test('a record that the configuration can use only in part works with the rest', async () => {
    const house = open()
    await house.records.clients.put(
      client('stale', {
        scope: 'openid gone',
        response_types: ['code', 'token'],
        id_token_signed_response_alg: 'RS512',
      }),
    )
    const visitor = new Visitor(house)
    assert.equal((await redeem(house, 'stale', await visitor.code('stale'))).status, 200)
    assert.ok(house.lines.some(({ event, fields }) => event === 'client.stale' && fields.client === 'stale'))
  })

  test('a client whose life is over is unknown', async () => {
    const house = open()
    await house.records.clients.put(client('old', { expires_at: 1 }))
    assert.equal((await post(house, '/token', { grant_type: 'client_credentials' }, 'old')).error, 'invalid_client')
  })
})

describe('dynamic registration', () => {
  const open = suiteHouse(() => ({}))

  test('creates, reads, updates and deletes; the registration access token rotates', async () => {
    const house = open()
    const created = await register(house, { client_name: 'App', logo_uri: 'https://rp.example/logo.png' })
    assert.equal(created.status, 201)
    assert.equal(created.body.client_name, 'App')
    const [uri, token] = [String(created.body.registration_client_uri), String(created.body.registration_access_token)]
    assert.equal(uri, `${house.issuer}/register/${created.body.client_id}`)
    const read = await send(uri, 'GET', undefined, token)
    assert.equal(read.body.client_secret, created.body.client_secret)

    const { client_id, client_secret } = created.body
    const updated = await send(
      uri,
      'PUT',
      { client_id, client_secret, redirect_uris: [redirectUri], client_name: 'B' },
      token,
    )
    assert.deepEqual([updated.status, updated.body.client_name], [200, 'B'])
    const next = String(updated.body.registration_access_token)
    assert.notEqual(next, token)
    assert.equal((await send(uri, 'GET', undefined, token)).status, 401)

    assert.equal((await send(uri, 'DELETE', undefined, next)).status, 204)
    assert.equal((await send(uri, 'GET', undefined, next)).status, 401)
    assert.equal(await house.records.clients.get(String(client_id)), undefined)
    const types = house.audits.filter(({ client }) => client === client_id).map(({ type }) => type)
    assert.deepEqual(types, ['client.registered', 'client.updated', 'client.removed'])
  })

  test('what only administrators set cannot be registered, survives an update, and is not shown', async () => {
    const house = open()
    const created = await register(house, { trusted: true, disabled: false, providers: ['x'], expires_at: 9e9 })
    assert.equal(created.status, 201)
    for (const name of ['trusted', 'disabled', 'providers', 'persist_authorizations', 'expires_at'])
      assert.ok(!(name in created.body), name)
    const id = String(created.body.client_id)
    const stored = await house.records.clients.get(id)
    assert.deepEqual([stored?.trusted, stored?.providers, stored?.expires_at], [false, undefined, undefined])

    await house.records.clients.put({ ...(stored as NonNullable<typeof stored>), trusted: true, providers: ['acme'] })
    const { client_secret, registration_client_uri: uri, registration_access_token: token } = created.body
    const metadata = { client_id: id, client_secret, redirect_uris: [redirectUri], trusted: false, providers: [] }
    assert.equal((await send(String(uri), 'PUT', metadata, String(token))).status, 200)
    const kept = await house.records.clients.get(id)
    assert.deepEqual([kept?.trusted, kept?.providers], [true, ['acme']])
  })

  const registrationFault = createRegistrationFault(readAllowed(false), 'https://id.example/sector/')
  const refused: Record<string, Record<string, unknown>> = {
    'a backslash': { redirect_uris: ['https://rp.example\\@evil.example/'] },
    'user information': { redirect_uris: ['https://user:pass@rp.example/cb'] },
    'empty user information': { redirect_uris: ['https://@rp.example/cb'] },
    'a newline': { redirect_uris: ['https://rp.example/cb\n'] },
    'http for a web client': { redirect_uris: ['http://rp.example/cb'] },
    'a fragment': { redirect_uris: ['https://rp.example/cb#x'] },
    'an empty fragment': { redirect_uris: ['https://rp.example/cb#'] },
    'too many': { redirect_uris: Array.from({ length: 21 }, (_, index) => `https://rp.example/${index}`) },
    javascript: { redirect_uris: ['javascript:alert(1)'] },
    'no list': { redirect_uris: 'https://rp.example/cb' },
    'user information after logout': { post_logout_redirect_uris: ['https://x@rp.example/'] },
    'a long name': { client_name: 'x'.repeat(257) },
    'a name with control characters': { client_name: 'a\u0007b' },
    'a logo with user information': { logo_uri: 'https://a:b@rp.example/logo.png' },
  }
  for (const [what, metadata] of Object.entries(refused))
    test(`refuses ${what}`, async () => {
      const { status, body } = await register(open(), metadata)
      assert.equal(status, 400)
      assert.match(String(body.error), /^invalid_(redirect_uri|client_metadata)$/)
      assert.notEqual(registrationFault({ redirect_uris: [redirectUri], ...metadata }), undefined)
    })

  test('loopback addresses, queries and native schemes are fine where they belong', async () => {
    const house = open()
    for (const metadata of [
      { redirect_uris: ['http://127.0.0.1:8080/cb', 'http://localhost/cb?x=1'] },
      { redirect_uris: ['com.example.app:/cb'], application_type: 'native', token_endpoint_auth_method: 'none' },
    ])
      assert.equal((await register(house, metadata)).status, 201, JSON.stringify(metadata))
  })

  test('unknown members and scopes are left out, not refused', async () => {
    const { status, body } = await register(open(), { frobnicate: 1, scope: 'openid gone email' })
    assert.deepEqual([status, body.scope, body.frobnicate], [201, 'openid email', undefined])
  })

  test('redirect URIs are compared exactly', async () => {
    const house = open()
    const { body } = await register(house, { redirect_uris: ['https://rp.example/cb?a=1'] })
    const visitor = new Visitor(house)
    for (const redirect_uri of [
      'https://rp.example/cb',
      'https://rp.example/cb?a=1&b=2',
      'https://rp.example/cb?a=1#x',
      'https://rp.example/CB?a=1',
      'https://rp.example:443/cb?a=1',
    ]) {
      const answer = await visitor.authorize(String(body.client_id), { redirect_uri })
      assert.equal(answer.status, 400, redirect_uri)
      assert.match(answer.body, /invalid_redirect_uri/)
    }
    const missing = await visitor.authorize(String(body.client_id), { redirect_uri: undefined })
    assert.equal(missing.status, 400, 'OIDC Core 3.1.2.1: redirect_uri is required')
    const good = await visitor.authorize(String(body.client_id), { redirect_uri: 'https://rp.example/cb?a=1' })
    assert.equal(good.url.searchParams.get('a'), '1', 'the query stays')
    assert.ok(good.url.searchParams.has('code'))
  })
})

test('a configured initial access token opens registration', async (t) => {
  const house = await openHouse(t, { settings: { registration: { initialAccessToken: 'sixteen-characters' } } })
  assert.equal((await register(house, {})).status, 401)
  assert.equal((await register(house, {}, 'sixteen-character5')).status, 401)
  assert.equal((await register(house, {}, 'sixteen-characters')).status, 201)
})

test('registration may be off', async (t) => {
  const house = await openHouse(t, { settings: { registration: { enabled: false } } })
  assert.equal((await register(house, {})).status, 404)
})

test('registered clients live for clientLifetime, their secret says so', async (t) => {
  const house = await openHouse(t, { settings: { registration: { clientLifetime: 'PT1H' } } })
  const { body } = await register(house, {})
  const end = Math.floor(Date.now() / 1000) + 3600
  assert.ok(Math.abs(Number(body.client_secret_expires_at) - end) < 30)
  const stored = await house.records.clients.get(String(body.client_id))
  assert.equal(stored?.expires_at, body.client_secret_expires_at)
})

test('hardened: PAR and sender-constrained tokens for everyone, neither implicit nor hybrid', async (t) => {
  const house = await openHouse(t, { settings: { security: 'hardened' }, resources: { clients: [client('web')] } })
  const discovery = (await (await fetch(new URL('/.well-known/openid-configuration', house.issuer))).json()) as Record<
    string,
    unknown
  >
  assert.equal(discovery.require_pushed_authorization_requests, true)
  assert.deepEqual(discovery.response_types_supported, ['code', 'none'])
  assert.match((await new Visitor(house).authorize('web')).url.href, /Pushed\+Authorization|invalid_request/)
  const { body } = await register(house, { dpop_bound_access_tokens: false })
  assert.deepEqual([body.dpop_bound_access_tokens, body.require_pushed_authorization_requests], [true, true])
  assert.equal((await register(house, { response_types: ['id_token'] })).status, 400)
})

test('a store that is away: 503 with Retry-After for software, an honest error for the relying party', async (t) => {
  let away = false
  const house = await openHouse(t, {
    resources: { clients: [client('web')] },
    wrap: (store) =>
      overriding(store, {
        put: async (...given) => {
          if (away) throw new Fault('store.unavailable', { reason: 'test' })
          return store.put(...given)
        },
      }),
  })
  const visitor = new Visitor(house)
  const code = await visitor.code('web')
  away = true
  const answer = await fetch(new URL('/token', house.issuer), {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from('web:web-secret-0123456789').toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'authorization_code', code, redirect_uri: redirectUri }),
  })
  assert.deepEqual([answer.status, answer.headers.get('retry-after')], [503, '5'])
  assert.equal(((await answer.json()) as { error: string }).error, 'temporarily_unavailable')
  assert.match((await visitor.authorize('web')).url.href, /error=temporarily_unavailable/)
  away = false
  await visitor.code('web')
})

test('a sector document is looked at when a client registers, and not again while its host may be down', async (t) => {
  const uris = ['https://one.example/cb', 'https://two.example/cb']
  let fetched = 0
  let list = uris
  const house = await openHouse(t, {
    options: {
      fetch: async (url) => {
        fetched++
        assert.equal(String(url), 'https://sector.example/list')
        return Response.json(list)
      },
    },
  })
  const metadata = {
    redirect_uris: uris,
    subject_type: 'pairwise',
    sector_identifier_uri: 'https://sector.example/list',
    initiate_login_uri: 'https://one.example/login',
  }
  const { status, body } = await register(house, metadata)
  assert.deepEqual([status, fetched, body.initiate_login_uri], [201, 1, 'https://one.example/login'])
  await house.op.reload()
  await new Visitor(house).authorize(String(body.client_id), { redirect_uri: uris[0] })
  assert.equal(fetched, 1)
  list = [uris[0] ?? '']
  assert.equal((await register(house, metadata)).status, 400)
  assert.equal((await register(house, { ...metadata, initiate_login_uri: 'http://one.example/login' })).status, 400)
  assert.equal((await register(house, { ...metadata, sector_identifier_uri: undefined })).status, 400)
})
