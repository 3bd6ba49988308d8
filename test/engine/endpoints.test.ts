/** What certification looks at: the endpoints, their documents, and every way of asking (CONTRACT 4, issue 3). */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, test } from 'node:test'
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { cookiesFor } from '#op/build.ts'
import { createPairwise } from '#op/subjects.ts'
import { ask } from '#test/http/world.ts'
import { authorizeUrl, claimsOf, isActive, pkce, post, redeem, userinfo, Visitor } from './browser.ts'
import { client, openHouse, redirectUri, signIn, suiteHouse } from './house.ts'

const implicit = ['id_token', 'id_token token']
const types = ['code', 'none', ...implicit, 'code id_token', 'code token', 'code id_token token']

const open = suiteHouse(() => ({
  resources: {
    clients: [
      client('web', { response_types: types, grant_types: ['authorization_code', 'refresh_token', 'implicit'] }),
      client('spa', { client_secret: undefined, token_endpoint_auth_method: 'none' }),
      client('signed', { userinfo_signed_response_alg: 'ES256', id_token_signed_response_alg: 'ES256' }),
      client('pair', { subject_type: 'pairwise' }),
      client('sector', { subject_type: 'pairwise', sector_identifier_uri: 'https://sector.example/list' }),
      client('jar'),
    ],
  },
}))

const json = async (path: string | URL, init?: RequestInit) => {
  const response = await fetch(new URL(path, open().issuer), init)
  return { response, body: (await response.json()) as Record<string, unknown> }
}
const answerIn = (url: URL): URLSearchParams => new URLSearchParams(url.hash.slice(1))

describe('documents', () => {
  test('every endpoint that discovery names is there, below the issuer, and the issuer is ours whatever the host says', async () => {
    const { issuer } = open()
    const { response, body } = await json('/.well-known/openid-configuration')
    assert.equal(response.headers.get('access-control-allow-origin'), '*')
    assert.equal(body.issuer, issuer)
    const endpoints = {
      authorization_endpoint: '/authorize',
      token_endpoint: '/token',
      userinfo_endpoint: '/userinfo',
      jwks_uri: '/jwks',
      registration_endpoint: '/register',
      introspection_endpoint: '/introspect',
      revocation_endpoint: '/revoke',
      pushed_authorization_request_endpoint: '/par',
      end_session_endpoint: '/session/end',
    }
    for (const [name, path] of Object.entries(endpoints)) {
      assert.equal(body[name], `${issuer}${path}`)
      const method = ['/token', '/introspect', '/revoke', '/par', '/register'].includes(path) ? 'POST' : 'GET'
      const { status } = await fetch(`${issuer}${path}`, { method })
      assert.notEqual(status, 404, name)
    }
    assert.deepEqual(new Set(body.response_types_supported as string[]), new Set(types))
    assert.ok(!(body.response_types_supported as string[]).includes('token'))
    assert.deepEqual(body.code_challenge_methods_supported, ['S256'])
    assert.deepEqual(body.scopes_supported, ['openid', 'profile', 'email', 'address', 'phone', 'offline_access'])
    for (const claim of [
      'sub',
      'acr',
      'amr',
      'auth_time',
      'idp',
      'name',
      'email',
      'address',
      'phone_number',
      'updated_at',
    ])
      assert.ok((body.claims_supported as string[]).includes(claim), claim)
    assert.ok((body.prompt_values_supported as string[]).includes('create'))
    assert.deepEqual((await json('/.well-known/oauth-authorization-server')).body, body)
  })

  test('an asker that has a document already gets 304', async () => {
    for (const path of ['/.well-known/openid-configuration', '/jwks']) {
      const port = Number(new URL(open().issuer).port)
      const first = await ask(port, path)
      const { etag = '' } = first.headers
      assert.match(first.headers['content-type'] ?? '', /json/)
      const again = await ask(port, path, { headers: { 'if-none-match': etag } })
      assert.deepEqual([again.status, again.body], [304, ''])
      const head = await fetch(new URL(path, open().issuer), { method: 'HEAD' })
      assert.deepEqual([head.status, head.headers.get('etag')], [200, etag])
    }
  })
})

describe('cookies', () => {
  test('over https they are Secure and prefixed, over http the port keeps them apart', () => {
    assert.deepEqual(cookiesFor('https://id.example.org').names, {
      session: '__Host-session',
      interaction: '__Secure-interaction',
      resume: '__Secure-resume',
    })
    assert.equal(cookiesFor('http://localhost:3000').names.session, 'session_3000')
  })

  test('what the engine sets through the application is read with the same keys; the interaction’s stay on its path', async () => {
    const visitor = new Visitor(open())
    const start = await visitor.ask(authorizeUrl(open(), 'web'))
    const lines = start.headers.getSetCookie()
    const uid = new URL(start.headers.get('location') ?? '', open().issuer).pathname.split('/')[2]
    for (const line of lines) assert.match(line, /httponly/i)
    assert.ok(
      lines.some((line) => line.startsWith('interaction_') && line.includes(`path=/interaction/${uid};`)),
      lines.join('\n'),
    )
    assert.ok(lines.some((line) => line.startsWith('resume_') && line.includes(`path=/authorize/${uid};`)))
    const end = await visitor.go(start.headers.get('location') ?? '')
    assert.ok(end.url.searchParams.has('code'))
  })

  test('a forged interaction cookie opens nothing', async () => {
    const start = await new Visitor(open()).ask(authorizeUrl(open(), 'web'))
    const path = start.headers.get('location') ?? ''
    const port = new URL(open().issuer).port
    const uid = path.split('/')[2]
    const answer = await fetch(new URL(path, open().issuer), {
      headers: { cookie: `interaction_${port}=${uid}; interaction_${port}.sig=AAAAAAAAAAAAAAAAAAAAAAAAAAA` },
    })
    assert.deepEqual([answer.status, ((await answer.json()) as { state: string }).state], [410, 'open'])
  })
})

describe('authorization requests', () => {
  test('POST is turned into GET, so that the Lax session cookie is there', async () => {
    const visitor = new Visitor(open())
    await visitor.code('web')
    const url = authorizeUrl(open(), 'web', { prompt: 'none', state: 'a b+c&d' })
    const bounced = await visitor.ask('/authorize', { method: 'POST', body: url.searchParams })
    assert.equal(bounced.status, 303)
    const end = await visitor.go(bounced.headers.get('location') ?? '')
    assert.ok(end.url.searchParams.has('code'))
    assert.equal(end.url.searchParams.get('state'), 'a b+c&d')
    const large = await visitor.ask('/authorize', {
      method: 'POST',
      body: new URLSearchParams({ x: 'y'.repeat(20_000) }),
    })
    assert.equal(large.status, 413)
  })

  test('PKCE: required of public clients, plain refused, the verifier checked', async () => {
    const visitor = new Visitor(open())
    const error = async (over: Record<string, string>) =>
      (await visitor.authorize('spa', over)).url.searchParams.get('error_description') ?? ''
    assert.match(await error({}), /PKCE/)
    const { verifier, challenge } = pkce()
    assert.match(await error({ code_challenge: challenge, code_challenge_method: 'plain' }), /code_challenge_method/)
    assert.match(await error({ code_challenge: challenge }), /code_challenge_method/)
    const over = { code_challenge: challenge, code_challenge_method: 'S256' }
    const ask = (code: string, code_verifier: string) =>
      post(open(), '/token', {
        grant_type: 'authorization_code',
        client_id: 'spa',
        code,
        redirect_uri: redirectUri,
        code_verifier,
      })
    const code = await visitor.code('spa', over)
    assert.equal((await ask(code, pkce().verifier)).error, 'invalid_grant')
    assert.equal((await ask(code, verifier)).status, 200, 'a wrong verifier does not burn the code')
    assert.equal(
      (await visitor.authorize('web', { nonce: 'n' })).url.searchParams.has('code'),
      true,
      'optional elsewhere',
    )
  })

  test('unknown parameters, display and locales are ignored; what is doubled is refused', async () => {
    const visitor = new Visitor(open())
    await visitor.code('web', { frobnicate: 'x', display: 'touch', ui_locales: 'tlh de', claims_locales: 'zz' })
    const url = authorizeUrl(open(), 'web')
    url.searchParams.append('state', 'a')
    url.searchParams.append('state', 'b')
    assert.match((await visitor.go(url)).url.href, /invalid_request|error/)
  })

  for (const type of types)
    test(`response_type ${type} answers what it says`, async () => {
      const answer = await new Visitor(open()).authorize('web', { response_type: type, nonce: 'n', state: 's' })
      const front = type !== 'code' && type !== 'none'
      const given = front ? answerIn(answer.url) : answer.url.searchParams
      assert.equal(given.get('state'), 's')
      assert.equal(given.has('code'), type.split(' ').includes('code'))
      assert.equal(given.has('access_token'), type.split(' ').includes('token'))
      assert.equal(given.has('id_token'), type.split(' ').includes('id_token'))
      if (given.has('id_token')) assert.equal(claimsOf(given.get('id_token') ?? '').nonce, 'n')
      else assert.equal(given.get('iss'), open().issuer, 'RFC 9207')
    })

  test('response_type token alone is refused', async () => {
    const answer = await new Visitor(open()).authorize('web', { response_type: 'token', nonce: 'n' })
    assert.match(answer.url.href, /unsupported_response_type/)
  })

  test('form_post hands the answer over in a form that submits itself', async () => {
    const answer = await new Visitor(open()).authorize('web', { response_mode: 'form_post', state: '"><script>' })
    assert.equal(answer.status, 200)
    assert.match(answer.body, /name="code" value="[^"]+"/)
    assert.ok(!answer.body.includes('"><script>'))
    assert.match(answer.headers.get('content-security-policy') ?? '', /script-src [^;]*'sha256-/)
  })

  test('an ID token alone carries the claims of its scopes; beside a code they are at userinfo', async () => {
    const visitor = new Visitor(open())
    const scope = 'openid profile email address phone'
    const alone = await visitor.authorize('web', { response_type: 'id_token', nonce: 'n', scope })
    const claims = claimsOf(answerIn(alone.url).get('id_token') ?? '')
    assert.deepEqual(
      [claims.name, claims.email, claims.phone_number],
      ['Alice Example', 'alice@example.org', '+49 30 1'],
    )
    assert.deepEqual(claims.address, { locality: 'Berlin', country: 'DE' })
    assert.equal(claims.preferred_username, 'alice')
    const tokens = await redeem(open(), 'web', await visitor.code('web', { scope }))
    assert.equal(claimsOf(tokens.id_token).email, undefined)
    const told = (await userinfo(open(), tokens.access_token ?? '')).claims
    assert.deepEqual([told.email, told.email_verified, told.address], ['alice@example.org', true, claims.address])
    assert.deepEqual([told.acr, told.idp, told.sub], [undefined, undefined, 'alice'])
  })

  test('the claims parameter asks for single claims, in the ID token and at userinfo', async () => {
    const claims = JSON.stringify({ id_token: { email: { essential: true } }, userinfo: { given_name: null } })
    const tokens = await redeem(open(), 'web', await new Visitor(open()).code('web', { claims }))
    assert.equal(claimsOf(tokens.id_token).email, 'alice@example.org')
    const told = await userinfo(open(), tokens.access_token ?? '')
    assert.deepEqual([told.claims.given_name, told.claims.email], ['Alice', undefined])
  })

  test('a request that leads nowhere ends on a page that names the error and the reference', async () => {
    const answer = await new Visitor(open()).authorize('nobody')
    assert.equal(answer.status, 400)
    assert.match(answer.body, /<code id="error">invalid_client<\/code>/)
    assert.match(answer.body, /<code id="reference">[A-Z2-9]{10}<\/code>/)
  })
})

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

describe('an interaction that outlives its browser', () => {
  test('is kept without anything personal; a restart asks the same again', async () => {
    const visitor = new Visitor(open())
    const start = await visitor.ask(
      authorizeUrl(open(), 'web', { login_hint: 'alice@example.org', state: 'mine', nonce: 'n' }),
    )
    const path = start.headers.get('location') ?? ''
    const lost = (await (await fetch(new URL(path, open().issuer))).json()) as { state: string; restart: string }
    assert.equal(lost.state, 'open')
    assert.ok(!lost.restart.includes('alice'))
    const end = await new Visitor(open()).go(lost.restart)
    assert.deepEqual([end.url.searchParams.get('state'), end.url.searchParams.has('code')], ['mine', true])

    await visitor.go(path)
    const late = await visitor.ask(path)
    assert.equal((JSON.parse(late.body) as { state: string }).state, 'finished')
    assert.equal(await open().op.engine.kept('nobody'), undefined)
  })

  test('coming back to the engine too late shows a page with a way to begin again', async () => {
    const visitor = new Visitor(open())
    const start = await visitor.ask(authorizeUrl(open(), 'web'))
    const uid = (start.headers.get('location') ?? '').split('/')[2]
    const page = await new Visitor(open()).go(`/authorize/${uid}`)
    assert.equal(page.status, 400)
    assert.match(page.body, /href="[^"]*\/authorize\?[^"]*client_id=web/)
  })

  test('two tabs: each login ends where it began, and a finished one is not finished twice', async () => {
    const visitor = new Visitor(open())
    const tabs = [
      await visitor.ask(authorizeUrl(open(), 'web', { state: 'one' })),
      await visitor.ask(authorizeUrl(open(), 'web', { state: 'two' })),
    ]
    for (const [index, tab] of tabs.entries()) {
      const end = await visitor.go(tab.headers.get('location') ?? '')
      assert.equal(end.url.searchParams.get('state'), ['one', 'two'][index])
    }
    const third = await visitor.ask(authorizeUrl(open(), 'web', { prompt: 'login' }))
    const uid = (third.headers.get('location') ?? '').split('/')[2] ?? ''
    const header = visitor.jar.header(new URL(`/interaction/${uid}`, open().issuer), {
      crossSite: false,
      method: 'GET',
    })
    const exchange = { req: { headers: { cookie: header }, socket: {} }, res: {} } as never
    const [a, b] = [
      await open().op.engine.interaction(exchange, uid),
      await open().op.engine.interaction(exchange, uid),
    ]
    const to = (await a?.finish(signIn('alice'))) ?? ''
    await visitor.go(to)
    await assert.rejects(async () => b?.finish(signIn('bob')), { code: 'journey.finished' })
  })
})

test('the session cookie follows lifetimes: idle ends it', async (t) => {
  const house = await openHouse(t, {
    settings: { lifetimes: { sessionIdle: 'PT1S' } },
    resources: { clients: [client('web')] },
  })
  const visitor = new Visitor(house)
  const code = await visitor.code('web')
  const { access_token: token = '' } = await redeem(house, 'web', code)
  const until = Date.now() + 5000
  while ((await userinfo(house, token)).status === 200 && Date.now() < until) await new Promise(setImmediate)
  assert.equal((await userinfo(house, token)).status, 401, 'tokens without offline_access end with the session')
  assert.match((await visitor.authorize('web', { prompt: 'none' })).url.href, /login_required/)
})
