/** Scopes of the deployment's own: what they give, how they are shown, who may have them, and that they come and go at run time. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { scopeRecord } from '#kernel/records/scope.ts'
import { answerOf, askTokens, browser, codeOf, post, signIn, until } from '#test/attacks/house.ts'
import { hookFolder } from '#test/hooks/world.ts'
import { alice, authorizationUrl, basicAuth, claimsOf, client, type Gatehouse, startGatehouse } from './world.ts'

type Members = Record<string, unknown>

const discovered = async (op: Gatehouse) =>
  (await (await fetch(`${op.issuer}/.well-known/openid-configuration`)).json()) as Record<string, string[]>
const userinfo = async (op: Gatehouse, token: unknown) => {
  const response = await fetch(`${op.issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } })
  return (await response.json()) as Members
}
const introspect = async (op: Gatehouse, token: unknown) =>
  (await post(`${op.issuer}/introspect`, { token: String(token) }, { authorization: basicAuth() })).body
const tokensFor = async (op: Gatehouse, more: Record<string, string>, given: Parameters<typeof signIn>[2] = {}) =>
  (await askTokens(op, { grant_type: 'authorization_code', code: codeOf(await signIn(op, more, given)) })).body

const person = {
  ...alice,
  roles: ['staff', 'admin'],
  claims: { name: 'Alice', department: 'Tea', employee_number: '4711', hired_in: 2020 },
}

describe('scopes of three types', () => {
  let op: Gatehouse
  before(async () => {
    op = await startGatehouse({
      hooks: ['./examples/hooks/dynamic-scopes.ts'],
      clients: [client({ trusted: true }), client({ client_id: 'asking' })],
      accounts: [person],
      scopes: [
        {
          name: 'work',
          displayName: 'Your work',
          description: 'Department and personnel number <b>only</b>',
          claims: ['department', { claim: 'personnel', from: 'employee_number' }, { claim: 'groups', from: 'roles' }],
          allowDynamicRegistration: true,
        },
        { name: 'profile', claims: ['department'] },
        { name: 'work_time', type: 'dynamic', displayName: 'Years of service' },
        { name: 'invoices:read', type: 'oauth', displayName: 'Read invoices' },
      ],
    })
  })

  test('discovery names them and their claims', async () => {
    const { scopes_supported: scopes, claims_supported: claims } = await discovered(op)
    for (const name of ['work', 'work_time', 'invoices:read', 'profile']) assert.ok(scopes?.includes(name), name)
    for (const name of ['department', 'personnel', 'groups']) assert.ok(claims?.includes(name), name)
  })

  test('openid: claims of the account, from any attribute; only when the scope was asked for', async () => {
    const tokens = await tokensFor(op, { scope: 'openid work' })
    const claims = await userinfo(op, tokens.access_token)
    assert.deepEqual([claims.department, claims.personnel, claims.groups], ['Tea', '4711', ['staff', 'admin']])
    const plain = await userinfo(op, (await tokensFor(op, { scope: 'openid email' })).access_token)
    assert.deepEqual([plain.department, plain.personnel, plain.groups], [undefined, undefined, undefined])
    const front = await signIn(op, { scope: 'openid work', response_type: 'id_token' })
    assert.equal(claimsOf(answerOf(front).get('id_token') ?? '').personnel, '4711')
  })

  test('a standard scope gives its own claims and the further ones', async () => {
    const claims = await userinfo(op, (await tokensFor(op, { scope: 'openid profile' })).access_token)
    assert.deepEqual([claims.name, claims.department, claims.personnel], ['Alice', 'Tea', undefined])
  })

  test('dynamic: the hook gives the claims', async () => {
    const claims = await userinfo(op, (await tokensFor(op, { scope: 'openid work_time' })).access_token)
    assert.equal(claims.years_of_service, 6)
    const without = await userinfo(op, (await tokensFor(op, { scope: 'openid' })).access_token)
    assert.equal(without.years_of_service, undefined)
  })

  test('oauth: in the token, no claims; for clients that act for themselves too', async () => {
    const tokens = await tokensFor(op, { scope: 'openid invoices:read' })
    assert.equal((await introspect(op, tokens.access_token)).scope, 'openid invoices:read')
    const service = await askTokens(op, { grant_type: 'client_credentials', scope: 'invoices:read unknown' })
    assert.equal((await introspect(op, service.body.access_token)).scope, 'invoices:read')
  })

  test('the consent page says what the deployment calls them, as text', async () => {
    const someone = browser()
    const scope = 'openid work invoices:read work_time'
    const login = await someone.open(authorizationUrl(op.issuer, { acr_values: 'basic', client_id: 'asking', scope }))
    const page = await someone.submit(login, '#continue', { username: alice.username, password: alice.password })
    for (const text of ['Your work', 'Read invoices', 'Years of service', 'personnel number &lt;b&gt;only&lt;/b&gt;'])
      assert.ok(page.body.includes(text), text)
  })

  test('clients that register themselves get those that allow it', async () => {
    const response = await fetch(`${op.issuer}/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ redirect_uris: ['https://rp.example/cb'], scope: 'openid work work_time invoices:read' }),
    })
    assert.equal(((await response.json()) as Members).scope, 'openid work')
  })
})

test('a scope comes, changes and goes while the server runs; clients that name it go on', async () => {
  const op = await startGatehouse({ clients: [client({ trusted: true })], accounts: [person] })
  const house = await op.house()
  const scope = (more: Members) => scopeRecord.parse({ name: 'work', ...more })
  const known = async () => (await discovered(op)).scopes_supported?.includes('work') ?? false
  assert.equal(await known(), false)
  await house.records.scopes.put(scope({ claims: ['department'] }))
  await until(known)
  const issued = await tokensFor(op, { scope: 'openid work' })
  assert.equal((await userinfo(op, issued.access_token)).department, 'Tea')
  await house.records.scopes.put(scope({ claims: ['employee_number'] }))
  await until(async () => (await userinfo(op, issued.access_token)).employee_number === '4711')
  assert.equal((await userinfo(op, issued.access_token)).department, undefined)
  await house.records.scopes.remove('work')
  await until(async () => !(await known()))
  assert.equal((await userinfo(op, issued.access_token)).employee_number, undefined)
  const after = await tokensFor(op, { scope: 'openid work' })
  assert.equal((await introspect(op, after.access_token)).scope, 'openid')
  await house.close()
})

describe('spontaneous scopes', () => {
  const spontaneous = { allow_spontaneous_scopes: true, spontaneous_scopes: ['transaction:\\d+', '^doc:.+$', '(a+)+b'] }
  let op: Gatehouse
  before(async () => {
    op = await startGatehouse({
      hooks: ['./examples/hooks/spontaneous-scopes.ts'],
      spontaneousScopeLifetime: 'PT4S',
      clients: [
        client({ trusted: true, scope: 'openid email', ...spontaneous }),
        client({ client_id: 'asking', ...spontaneous }),
        client({ client_id: 'off', trusted: true, ...spontaneous, allow_spontaneous_scopes: false }),
      ],
      scopes: [{ name: 'transaction:1', type: 'oauth' }],
      accounts: [person],
    })
  })
  const granted = async (scope: string) => (await introspect(op, (await tokensFor(op, { scope })).access_token)).scope

  test('what matches as a whole is granted; everything else is left out', async () => {
    assert.equal(await granted('openid transaction:4711'), 'openid transaction:4711')
    for (const scope of ['transaction:', 'xtransaction:1', 'transaction:1x', 'doc:', `doc:${'x'.repeat(200)}`, 'other'])
      assert.equal(await granted(`openid ${scope}`), 'openid', scope)
    assert.equal(await granted(`openid doc:${'x'.repeat(196)}`), `openid doc:${'x'.repeat(196)}`)
  })

  test('a client that is not allowed, or has no pattern, gets none', async () => {
    const page = await signIn(op, { client_id: 'off', scope: 'openid transaction:4711' })
    const { body } = await askTokens(op, { grant_type: 'authorization_code', code: codeOf(page) }, 'off')
    assert.equal(body.scope, 'openid')
  })

  test('a pattern with a long back-tracking takes no time', async () => {
    const began = performance.now()
    await granted(`openid ${'a'.repeat(199)}`)
    assert.ok(performance.now() - began < 2000)
  })

  test('a scope that is defined is never spontaneous: the client may not have it', async () => {
    const back = await signIn(op, { scope: 'openid transaction:1' })
    assert.equal(answerOf(back).get('error'), 'invalid_scope')
  })

  test('the hook has the last word', async () => {
    assert.equal(await granted('openid transaction:4711 transaction:5001'), 'openid transaction:4711')
    assert.ok(op.log.some(({ event, line }) => event === 'hook.log' && line === 'closed transactions'))
    const service = await askTokens(op, { grant_type: 'client_credentials', scope: 'transaction:12 transaction:5002' })
    assert.equal((await introspect(op, service.body.access_token)).scope, 'transaction:12')
  })

  test('asked on the consent page, and gone after its lifetime: from tokens, from grants, to be allowed anew', async () => {
    const someone = browser()
    const given = { by: someone }
    const scope = 'openid offline_access transaction:99'
    const request = { client_id: 'asking', scope, prompt: 'consent' }
    const page = await signIn(op, request, given)
    const { body } = await askTokens(op, { grant_type: 'authorization_code', code: codeOf(page) }, 'asking')
    assert.equal(body.scope, 'openid offline_access transaction:99')
    assert.ok(Number(body.expires_in) <= 4, 'a token does not outlive its scope')
    const end = Date.now() + 4000
    const again = () => signIn(op, { client_id: 'asking', scope: 'openid transaction:99' }, given)
    assert.equal((await again()).trail.length, 2, 'no page while it lives')

    await new Promise((resolve) => setTimeout(resolve, end - Date.now()))
    const { body: refreshed } = await askTokens(
      op,
      { grant_type: 'refresh_token', refresh_token: String(body.refresh_token) },
      'asking',
    )
    assert.equal(refreshed.scope, 'openid offline_access')
    const asked = await someone.open(
      authorizationUrl(op.issuer, { client_id: 'asking', scope: 'openid transaction:99' }),
    )
    assert.match(asked.body, /id="page-consent"[\s\S]*transaction:99/)
    const back = await someone.submit(asked, '#allow')
    const { body: anew } = await askTokens(op, { grant_type: 'authorization_code', code: codeOf(back) }, 'asking')
    assert.equal(anew.scope, 'openid transaction:99')
  })

  test('a hook that breaks lets none come up', async () => {
    const file = `export default { spontaneousScopes() { throw new Error('broken') } }`
    const broken = await startGatehouse({
      hooks: [hookFolder({ 'a.ts': file })],
      clients: [client({ trusted: true, ...spontaneous })],
    })
    const tokens = await tokensFor(broken, { scope: 'openid transaction:7' })
    assert.equal(tokens.scope, 'openid')
  })
})
