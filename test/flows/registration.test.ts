/** Who may register a client, as what, and for how long (issue: registration policy; RFC 7591, RFC 7592, OIDC Registration). */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { createInitialAccess } from '#op/initial-access.ts'
import { codeOf, post, signIn, until, userinfo } from '#test/attacks/house.ts'
import {
  APP,
  alice,
  authorizationUrl,
  basicAuth,
  CALLBACK,
  client,
  type Gatehouse,
  SECRET,
  startGatehouse,
} from './world.ts'

type Members = Record<string, unknown>
interface Answer {
  readonly status: number
  readonly body: Members
}

const send = async (url: string, method: string, metadata?: unknown, token?: unknown): Promise<Answer> => {
  const response = await fetch(url, {
    method,
    headers: { 'content-type': 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) },
    ...(metadata !== undefined && { body: JSON.stringify(metadata) }),
  })
  const text = await response.text()
  return { status: response.status, body: text.startsWith('{') ? (JSON.parse(text) as Members) : {} }
}
const register = (op: Gatehouse, metadata: Members = {}, token?: unknown) =>
  send(`${op.issuer}/register`, 'POST', { redirect_uris: ['https://rp.example/cb'], ...metadata }, token)
const discovered = async (op: Gatehouse) =>
  (await (await fetch(`${op.issuer}/.well-known/openid-configuration`)).json()) as Members
const stored = async (op: Gatehouse, id: unknown) => {
  const house = await op.house()
  try {
    return (await house.records.clients.get(String(id))) as Members | undefined
  } finally {
    await house.close()
  }
}
const refused = ({ status, body }: Answer, error: string, expected = 400) =>
  assert.deepEqual([status, body.error], [expected, error], JSON.stringify(body))

test('off: no endpoint, nothing in discovery', async () => {
  const op = await startGatehouse({ registration: { enabled: false } })
  assert.equal((await register(op)).status, 404)
  assert.equal((await send(`${op.issuer}/register/web`, 'GET', undefined, 'x')).status, 404)
  assert.equal((await discovered(op)).registration_endpoint, undefined)
  const open = await startGatehouse()
  assert.equal((await discovered(open)).registration_endpoint, `${open.issuer}/register`)
})

describe('initial access tokens', () => {
  const issue = async (op: Gatehouse, given: { uses?: number; lifetime?: number } = {}) => {
    const house = await op.house()
    try {
      const clock = { now: () => Date.now() }
      return await createInitialAccess({ ...house, clock }).issue({ uses: 1, lifetime: 60, ...given })
    } finally {
      await house.close()
    }
  }

  test('true: only with one that was issued, as often as it says, and no failure uses it up', async () => {
    const op = await startGatehouse({ registration: { initialAccessToken: true } })
    assert.ok([400, 401].includes((await register(op)).status))
    refused(await register(op, {}, 'made-up-token-0123456789'), 'invalid_token', 401)
    const { token, id } = await issue(op, { uses: 2 })
    assert.equal((await register(op, { redirect_uris: ['http://rp.example/cb'] }, token)).status, 400)
    assert.equal((await register(op, { jwks: { keys: [{ kty: 'oct', k: 'AA' }] } }, token)).status, 400)
    assert.equal((await register(op, {}, token)).status, 201)
    assert.equal((await register(op, {}, token)).status, 201)
    refused(await register(op, {}, token), 'invalid_token', 401)
    const told = op.log.filter(({ type }) => type === 'client.registered')
    assert.deepEqual(
      told.map(({ detail }) => (detail as Members).initialAccess),
      [id, id],
    )
  })

  test('ten registrations at the same moment with a token for three: three', async () => {
    const op = await startGatehouse({ registration: { initialAccessToken: true } })
    const { token } = await issue(op, { uses: 3 })
    const answers = await Promise.all(Array.from({ length: 10 }, () => register(op, {}, token)))
    assert.equal(answers.filter(({ status }) => status === 201).length, 3)
    assert.equal(answers.filter(({ status }) => status === 401).length, 7)
  })

  test('its time is over; it is not stored in clear', async () => {
    const op = await startGatehouse({ registration: { initialAccessToken: true } })
    const { token, expiresAt } = await issue(op, { lifetime: 1 })
    const house = await op.house()
    for await (const { row } of house.store.scan()) assert.ok(!Buffer.from(row.body).toString('latin1').includes(token))
    await house.close()
    await until(() => Date.now() > expiresAt)
    refused(await register(op, {}, token), 'invalid_token', 401)
  })

  test('one of the configuration: that one as often as wanted, and issued ones too', async () => {
    const op = await startGatehouse({ registration: { initialAccessToken: 'the-one-of-the-configuration' } })
    refused(await register(op, {}, 'another-token-0123456789'), 'invalid_token', 401)
    for (let count = 0; count < 2; count++)
      assert.equal((await register(op, {}, 'the-one-of-the-configuration')).status, 201)
    assert.equal((await register(op, {}, (await issue(op)).token)).status, 201)
  })
})

describe('scopes of registered clients', () => {
  test('a client that names none gets the standard ones; one that names others gets less', async () => {
    const op = await startGatehouse()
    const { body } = await register(op)
    assert.equal(body.scope, 'openid profile email address phone offline_access')
    assert.equal((await register(op, { scope: 'email sso-api openid' })).body.scope, 'email openid')
    assert.equal((await register(op, { scope: 'sso-api' })).body.scope, 'openid')
  })

  test('registration.scopes is the most that any gets; what an administrator added survives an update', async () => {
    const op = await startGatehouse({ registration: { scopes: ['openid', 'email'] } })
    const { body } = await register(op, { scope: 'openid profile email' })
    assert.equal(body.scope, 'openid email')
    const house = await op.house()
    const record = await house.records.clients.get(String(body.client_id))
    await house.records.clients.put({ ...(record as NonNullable<typeof record>), scope: 'openid phone' })
    await house.close()
    const { registration_client_uri: uri, registration_access_token: token } = body
    const change = {
      client_id: body.client_id,
      redirect_uris: ['https://rp.example/cb'],
      scope: 'openid phone address',
    }
    await until(async () => (await send(String(uri), 'GET', undefined, token)).body.scope === 'openid phone')
    assert.equal((await send(String(uri), 'PUT', change, token)).body.scope, 'openid phone')
  })
})

describe('software statements', async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'vouch', alg: 'ES256' }] }
  const foreign = await generateKeyPair('ES256')
  const trusted = [{ issuer: 'https://vouch.example', jwks }]
  const statement = (claims: Members, { key = privateKey, issuer = 'https://vouch.example', exp = '1h' } = {}) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', kid: 'vouch' })
      .setIssuer(issuer)
      .setExpirationTime(exp)
      .sign(key)
  let op: Gatehouse
  before(async () => {
    op = await startGatehouse({ registration: { softwareStatements: { trusted } } })
  })

  test('what it says goes before what the client says, is given back, and cannot make the client an administrator’s', async () => {
    const software_statement = await statement({
      client_name: 'Vouched',
      software_id: 'app-1',
      redirect_uris: ['https://vouched.example/cb'],
      trusted: true,
    })
    const { status, body } = await register(op, { client_name: 'Myself', software_statement })
    assert.equal(status, 201, JSON.stringify(body))
    assert.deepEqual(
      [body.client_name, body.redirect_uris, body.software_id, body.software_statement],
      ['Vouched', ['https://vouched.example/cb'], 'app-1', software_statement],
    )
    assert.equal((await stored(op, body.client_id))?.trusted, false)
  })

  test('refused: a foreign key, an unknown issuer, an expired one, none at all, a broken one, one with a bad address', async () => {
    const unknown = await statement({}, { issuer: 'https://other.example' })
    refused(await register(op, { software_statement: unknown }), 'unapproved_software_statement')
    for (const software_statement of [
      await statement({}, { key: foreign.privateKey }),
      await statement({}, { exp: '-1h' }),
      'not-a-jwt',
      `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"iss":"https://vouch.example"}').toString('base64url')}.`,
      42,
    ])
      refused(await register(op, { software_statement }), 'invalid_software_statement')
    const led = await statement({ redirect_uris: ['http://evil.example/cb'] })
    assert.equal((await register(op, { software_statement: led })).status, 400)
  })

  test('required: nobody registers without; an update keeps the one that was verified', async () => {
    const strict = await startGatehouse({ registration: { softwareStatements: { trusted, required: true } } })
    refused(await register(strict), 'invalid_software_statement')
    const software_statement = await statement({ software_id: 'app-2' }, { exp: '2s' })
    const { body } = await register(strict, { software_statement })
    const { registration_client_uri: uri, registration_access_token: token } = body
    await new Promise((resolve) => setTimeout(resolve, 2100))
    const change = { client_id: body.client_id, redirect_uris: ['https://rp.example/2'], software_statement }
    const updated = await send(String(uri), 'PUT', change, token)
    assert.equal(updated.status, 200, JSON.stringify(updated.body))
    const { software_statement: _, ...without } = change
    refused(
      await send(String(uri), 'PUT', without, updated.body.registration_access_token),
      'invalid_software_statement',
    )
  })

  test('an update takes nothing away from what it says', async () => {
    const software_statement = await statement({
      client_name: 'Vouched',
      redirect_uris: ['https://vouched.example/cb'],
      client_secret_expires_at: 1,
    })
    const { body } = await register(op, { software_statement })
    assert.equal(body.client_secret_expires_at, 0, 'not its to say')
    const { registration_client_uri: uri, registration_access_token: token, client_id } = body
    const change = {
      client_id,
      client_name: 'Bank',
      redirect_uris: ['https://evil.example/cb'],
      client_uri: 'https://rp.example/',
      software_statement,
    }
    const updated = await send(String(uri), 'PUT', change, token)
    const members = ({ client_name, redirect_uris, client_uri }: Members) => [client_name, redirect_uris, client_uri]
    const right = ['Vouched', ['https://vouched.example/cb'], 'https://rp.example/']
    assert.deepEqual(members(updated.body), right)
    assert.deepEqual(members((await stored(op, client_id)) ?? {}), right)
  })

  test('nobody is trusted: a statement is not believed', async () => {
    const plain = await startGatehouse()
    refused(await register(plain, { software_statement: await statement({}) }), 'unapproved_software_statement')
  })
})

describe('addresses that this server would contact', () => {
  test('none into a private network, unless the operator allows it', async () => {
    const op = await startGatehouse({ egress: {} })
    const jwt = { token_endpoint_auth_method: 'private_key_jwt', client_secret: undefined }
    for (const host of [
      '10.0.0.5',
      '127.0.0.1',
      '[::1]',
      '169.254.169.254',
      '192.168.1.1',
      'localhost',
      'intranet',
      'db.internal',
    ])
      for (const metadata of [
        { jwks_uri: `https://${host}/keys`, ...jwt },
        { sector_identifier_uri: `https://${host}/sector` },
        { request_uris: [`https://${host}/request`] },
        { backchannel_logout_uri: `https://${host}/logout` },
      ] as Members[]) {
        const { status, body } = await register(op, metadata)
        assert.deepEqual([status, body.error], [400, 'invalid_client_metadata'], `${host} ${JSON.stringify(metadata)}`)
        assert.match(String(body.error_description), /private network/)
      }
    const allowing = await startGatehouse({ egress: { allowPrivate: ['10.0.0.0/8', 'intranet'] } })
    for (const host of ['10.0.0.5', 'intranet'])
      assert.equal((await register(allowing, { jwks_uri: `https://${host}/keys`, ...jwt })).status, 201, host)
    assert.equal((await register(allowing, { jwks_uri: 'https://10.1.2.3.evil.internal/keys', ...jwt })).status, 400)
  })
})

describe('the life of a client', () => {
  test('clientLifetime: secret, public and key-based ones are gone with their tokens, then their records and consents', async () => {
    let ahead = 0
    const clock = { now: () => Date.now() + ahead }
    const op = await startGatehouse({ registration: { clientLifetime: 'PT1H' } }, { clock })
    const { body } = await register(op, { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] })
    const open = await register(op, { token_endpoint_auth_method: 'none', redirect_uris: ['https://rp.example/cb'] })
    assert.ok(Number(body.client_secret_expires_at) > Date.now() / 1000)
    const ask = () =>
      post(
        `${op.issuer}/token`,
        { grant_type: 'client_credentials' },
        { authorization: basicAuth(String(body.client_id), String(body.client_secret)) },
      )
    const { body: issued } = await ask()
    const introspect = () =>
      post(`${op.issuer}/introspect`, { token: String(issued.access_token) }, { authorization: basicAuth() })
    assert.equal((await introspect()).body.active, true)
    const house = await op.house()
    await house.records.consents.remember('someone', String(open.body.client_id), {
      scopes: ['openid'],
      claims: [],
      rejectedScopes: [],
    })

    ahead = 3_600_000
    assert.equal((await ask()).status, 401)
    assert.equal((await introspect()).body.active, false)
    const url = authorizationUrl(op.issuer, {
      client_id: String(open.body.client_id),
      redirect_uri: 'https://rp.example/cb',
    })
    assert.equal((await fetch(url, { redirect: 'manual' })).status, 400)

    const { startClientExpiry } = await import('#directory/expired-clients.ts')
    const removed: string[] = []
    const expiry = startClientExpiry({
      clients: house.records.clients,
      clock,
      log: { ...console } as never,
      removed: (id) => removed.push(id),
    })
    assert.equal(await expiry.look(), 2)
    assert.equal(await expiry.look(), 0)
    await expiry.close()
    assert.deepEqual(removed.sort(), [body.client_id, open.body.client_id].map(String).sort())
    assert.equal(await house.records.clients.get(String(open.body.client_id)), undefined)
    assert.equal(await house.records.consents.get('someone', String(open.body.client_id)), undefined)
    await house.close()
  })

  test('the token that manages it is not kept longer than the client', async () => {
    const op = await startGatehouse({ registration: { clientLifetime: 'PT1H' } })
    const { body } = await register(op)
    const { registration_client_uri: uri, registration_access_token: token, client_id } = body
    const change = { client_id, redirect_uris: ['https://rp.example/2'] }
    assert.equal((await send(String(uri), 'PUT', change, token)).status, 200)
    const end = Number((await stored(op, client_id))?.expires_at) * 1000
    const house = await op.house()
    const ends: (number | undefined)[] = []
    for await (const { model, row } of house.store.scan())
      if (model === 'RegistrationAccessToken') ends.push(row.expiresAt)
    await house.close()
    assert.equal(ends.length, 1)
    for (const at of ends) assert.ok(at !== undefined && at < end + 60_000, `kept until ${at}`)
  })

  test('an update prolongs no life', async () => {
    const op = await startGatehouse({ registration: { clientLifetime: 'PT1H' } })
    const { body } = await register(op)
    const end = (await stored(op, body.client_id))?.expires_at
    const { registration_client_uri: uri, registration_access_token: token, client_secret } = body
    const change = {
      client_id: body.client_id,
      client_secret,
      redirect_uris: ['https://rp.example/2'],
      expires_at: 9e9,
    }
    const { body: updated } = await send(String(uri), 'PUT', change, token)
    assert.equal(updated.client_secret_expires_at, end)
    assert.equal((await stored(op, body.client_id))?.expires_at, end)
  })

  test('disabled: refused everywhere within a second, its tokens and half-done sign-ins too; enabled again, it works', async () => {
    const op = await startGatehouse({ clients: [client({ client_id: 'watcher' })] })
    const house = await op.house()
    const record = { ...client(), disabled: false } as never
    await house.records.clients.put(record)
    await until(async () => (await fetch(authorizationUrl(op.issuer), { redirect: 'manual' })).status === 303)
    const code = codeOf(await signIn(op, { scope: 'openid offline_access', prompt: 'consent' }))
    const fields = { grant_type: 'authorization_code', code, redirect_uri: CALLBACK }
    const { body: tokens } = await post(`${op.issuer}/token`, fields, { authorization: basicAuth() })
    assert.equal(await userinfo(op, tokens.access_token), 200)
    const { Browser } = await import('#test/world/browser.ts')
    const someone = new Browser({ stopAt: ({ origin }) => origin === APP })
    const login = await someone.open(authorizationUrl(op.issuer, { acr_values: 'basic' }))

    await house.records.clients.put({ ...(record as object), disabled: true } as never)
    const began = Date.now()
    await until(async () => (await userinfo(op, tokens.access_token)) === 401)
    assert.ok(Date.now() - began < 1000, `${Date.now() - began} ms`)
    const refresh = { grant_type: 'refresh_token', refresh_token: String(tokens.refresh_token) }
    assert.equal((await post(`${op.issuer}/token`, refresh, { authorization: basicAuth() })).status, 401)
    const told = await post(
      `${op.issuer}/introspect`,
      { token: String(tokens.access_token) },
      { authorization: basicAuth('watcher', SECRET) },
    )
    assert.deepEqual(told.body, { active: false })
    assert.equal((await fetch(authorizationUrl(op.issuer), { redirect: 'manual' })).status, 400)
    assert.equal((await post(`${op.issuer}/par`, { client_id: 'web' }, { authorization: basicAuth() })).status, 401)
    const page = await someone.submit(login, '#continue', { username: alice.username, password: alice.password })
    assert.deepEqual([page.status, /id="page-error"/.test(page.body)], [403, true])

    await house.records.clients.put(record)
    await house.close()
    await until(async () => (await fetch(authorizationUrl(op.issuer), { redirect: 'manual' })).status === 303)
  })
})

test('metadata that the configuration no longer knows: the client works without it, and that is reported', async () => {
  const op = await startGatehouse({ features: { jarm: false } })
  const house = await op.house()
  const stale = client({
    client_id: 'stale',
    trusted: true,
    scope: 'openid gone',
    default_acr_values: ['gone'],
    response_modes: ['query', 'jwt'],
    userinfo_signed_response_alg: 'ES512',
    id_token_encrypted_response_alg: 'RSA1_5',
    id_token_encrypted_response_enc: 'A128GCM',
    request_object_signing_alg: 'RS512',
    subject_type: 'ephemeral',
  })
  await house.records.clients.put(stale as never)
  await house.records.clients.put(client({ client_id: 'narrow', scope: 'gone', trusted: true }) as never)
  await house.close()
  await until(
    async () =>
      (await fetch(authorizationUrl(op.issuer, { client_id: 'stale' }), { redirect: 'manual' })).status === 303,
  )
  assert.ok(codeOf(await signIn(op, { client_id: 'stale' })))
  const told = op.log.find(({ event, client }) => event === 'client.stale' && client === 'stale')
  assert.deepEqual(told?.dropped, {
    default_acr_values: ['gone'],
    response_modes: ['jwt'],
    subject_type: ['ephemeral'],
    userinfo_signed_response_alg: ['ES512'],
    request_object_signing_alg: ['RS512'],
    id_token_encrypted_response_alg: ['RSA1_5'],
    scope: ['gone'],
  })
  // A client whose scopes are all gone must not be able to ask for every scope.
  const back = await signIn(op, { client_id: 'narrow', scope: 'openid email' })
  assert.equal(back.url.searchParams.get('error'), 'invalid_scope')
})
