/** What certification looks at: the endpoints, their documents, and every way of asking (CONTRACT 4, issue 3). */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { cookiesFor } from '#op/build.ts'
import { ask } from '#test/http/world.ts'
import { authorizeUrl, redeem, userinfo, Visitor } from './browser.ts'
import { certifiedClients, client, openHouse, responseTypes, signIn, suiteHouse } from './house.ts'

const open = suiteHouse(certifiedClients)

const json = async (path: string | URL, init?: RequestInit) => {
  const response = await fetch(new URL(path, open().issuer), init)
  return { response, body: (await response.json()) as Record<string, unknown> }
}

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
    assert.deepEqual(new Set(body.response_types_supported as string[]), new Set(responseTypes))
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
    for (const line of lines) if (!line.startsWith('op_bs_')) assert.match(line, /httponly/i)
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
