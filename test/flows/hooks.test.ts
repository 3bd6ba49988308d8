/** The example hooks of examples/hooks, each on a whole server: what docs/hooks.md promises of every point. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { answerOf, askTokens, browser, codeOf, post, signIn, until } from '#test/attacks/house.ts'
import { hookFolder } from '#test/hooks/world.ts'
import { alice, authorizationUrl, basicAuth, claimsOf, client, type Gatehouse, startGatehouse } from './world.ts'

const example = (name: string) => `./examples/hooks/${name}.ts`
const person = (username: string, more: Record<string, unknown> = {}) => ({ ...alice, username, ...more })
const as = (username: string) => ({ as: { username, password: alice.password } })

const userinfo = async (op: Gatehouse, token: unknown) => {
  const response = await fetch(`${op.issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}
const introspect = (op: Gatehouse, token: unknown) =>
  post(`${op.issuer}/introspect`, { token: String(token) }, { authorization: basicAuth() })

/** The login's steps of hooks; they are written behind the request. */
const traced = async (op: Gatehouse, reference: unknown) => {
  const house = await op.house()
  let steps: unknown[] = []
  try {
    await until(async () => {
      const all = await house.trace.read(String(reference))
      steps = all.filter(({ step }) => step === 'hook').map(({ detail }) => detail)
      return steps.length > 0
    }, 'a step of a hook')
    return steps
  } finally {
    await house.close()
  }
}
const lastLogin = (op: Gatehouse) =>
  op.log.findLast(({ event, reference }) => event === 'audit' && reference)?.reference

describe('hooks: registration', () => {
  let op: Gatehouse
  before(async () => {
    op = await startGatehouse({ hooks: [example('registration')] })
  })
  const register = async (metadata: unknown, url = `${op.issuer}/register`, method = 'POST', token?: unknown) => {
    const response = await fetch(url, {
      method,
      headers: { 'content-type': 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) },
      body: JSON.stringify(metadata),
    })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }

  test('refused with the reason, or registered as the hook says; an update passes it too', async () => {
    const refused = await register({ redirect_uris: ['https://app.evil.example/cb'] })
    assert.deepEqual(
      [refused.status, refused.body.error, refused.body.error_description],
      [400, 'invalid_client_metadata', 'app.evil.example is not one of our applications'],
    )
    const { status, body } = await register({ redirect_uris: ['https://a.apps.example.org/cb'] })
    assert.equal(status, 201, JSON.stringify(body))
    assert.deepEqual(body.contacts, ['applications@example.org'])
    assert.equal(body.trusted, undefined, 'what only administrators write is not shown')
    const house = await op.house()
    assert.equal((await house.records.clients.get(String(body.client_id)))?.trusted, true)
    await house.close()
    assert.ok(op.log.some(({ event, line }) => event === 'hook.log' && line === 'create of a client'))

    const { registration_client_uri: uri, registration_access_token: token } = body
    const change = { client_id: body.client_id, redirect_uris: ['https://app.evil.example/cb'] }
    assert.equal((await register(change, String(uri), 'PUT', token)).status, 400)
  })
})

describe('hooks: claims and tokens', () => {
  let op: Gatehouse
  before(async () => {
    op = await startGatehouse({
      hooks: [example('claims'), example('tokens')],
      clients: [client({ trusted: true })],
      accounts: [
        person('alice', {
          roles: ['staff'],
          claims: { name: 'Alice', department: 'Tea', phone_number: '+1', on_leave: true },
        }),
        person('bill', { id: 'bill', claims: { left_company: true } }),
      ],
    })
  })

  test('claims: added and left out, in ID token and userinfo; sub and acr stay the protocol’s', async () => {
    const tokens = await askTokens(op, {
      grant_type: 'authorization_code',
      code: codeOf(await signIn(op, { scope: 'openid phone profile' }, as('alice'))),
    })
    assert.equal(tokens.status, 200, JSON.stringify(tokens.body))
    const { body } = await userinfo(op, tokens.body.access_token)
    assert.deepEqual([body.department, body.name, body.phone_number], ['Tea', 'Alice', undefined])
    const front = await signIn(op, { scope: 'openid phone', response_type: 'id_token' }, as('alice'))
    const told = claimsOf(answerOf(front).get('id_token') ?? '')
    assert.deepEqual([told.department, told.phone_number, told.sub, told.acr], ['Tea', '+1', body.sub, 'basic'])
  })

  test('tokens: claims fixed at issue, members as of now; a refusal makes a token inactive', async () => {
    const issued = async (username: string) =>
      (
        await askTokens(op, {
          grant_type: 'authorization_code',
          code: codeOf(await signIn(op, {}, as(username))),
        })
      ).body.access_token
    const { body } = await introspect(op, await issued('alice'))
    assert.deepEqual([body.active, body.roles, body.on_leave, body.client_id], [true, ['staff'], true, 'web'])
    assert.deepEqual((await introspect(op, await issued('bill'))).body, { active: false })
    const service = await askTokens(op, { grant_type: 'client_credentials' })
    const { body: own } = await introspect(op, service.body.access_token)
    assert.deepEqual([own.active, own.service, own.roles], [true, 'web', undefined])
  })
})

describe('hooks: login and consent', () => {
  let op: Gatehouse
  before(async () => {
    op = await startGatehouse({
      hooks: [example('login'), example('consent')],
      clients: [client(), client({ client_id: 'terms', tos_uri: 'https://app.example/terms' })],
      accounts: [
        person('alice', { roles: ['staff'] }),
        person('bill'),
        person('gone', { claims: { contract_ended: true } }),
      ],
    })
  })
  const begin = async (username: string, more: Record<string, string> = {}) => {
    const someone = browser()
    const login = await someone.open(authorizationUrl(op.issuer, { acr_values: 'basic', ...more }))
    return someone.submit(login, '#continue', { username, password: alice.password })
  }

  test('login: a refusal ends at the application with the reason, before any session; the trace has it', async () => {
    const back = await begin('gone')
    assert.deepEqual(
      [answerOf(back).get('error'), answerOf(back).get('error_description')],
      ['access_denied', 'the contract has ended'],
    )
    assert.equal(
      back.trail.some(({ pathname }) => pathname.includes('consent')),
      false,
    )
    assert.deepEqual(await traced(op, lastLogin(op)), [{ point: 'login', refused: 'the contract has ended' }])
  })

  test('login: what the hook logs is a step of the login', async () => {
    await begin('bill')
    assert.deepEqual(await traced(op, lastLogin(op)), [{ point: 'login', line: 'signed in', facts: { acr: 'basic' } }])
  })

  test('consent: allowed by rule, asked otherwise, or refused', async () => {
    assert.ok(answerOf(await begin('alice', { scope: 'openid profile' })).get('code'), 'staff are not asked')
    assert.match((await begin('alice', { scope: 'openid phone' })).body, /id="page-consent"/)
    assert.match((await begin('bill', { scope: 'openid profile' })).body, /id="page-consent"/)
    const refused = answerOf(await begin('alice', { scope: 'openid address' }))
    assert.deepEqual(
      [refused.get('error'), refused.get('error_description')],
      ['access_denied', 'this application may not ask for addresses'],
    )
    assert.match((await begin('alice', { scope: 'openid address', client_id: 'terms' })).body, /id="page-consent"/)
  })

  test('prompt=consent asks although the rule would allow', async () => {
    assert.match((await begin('alice', { scope: 'openid', prompt: 'consent' })).body, /id="page-consent"/)
  })
})

describe('hooks that break', () => {
  const all = `const fail = () => { throw new Error('broken') }
    export default { registration: fail, claims: fail, accessToken: fail, introspection: fail, consent: fail }`

  test('nothing is issued, everything is a plain refusal, the log has the reason', async () => {
    const op = await startGatehouse({ hooks: [hookFolder({ 'a.ts': all })], clients: [client({ trusted: true })] })
    const registered = await fetch(`${op.issuer}/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ redirect_uris: ['https://rp.example/cb'] }),
    })
    assert.deepEqual(
      [registered.status, ((await registered.json()) as { error: string }).error],
      [400, 'temporarily_unavailable'],
    )
    const code = codeOf(await signIn(op))
    const tokens = await askTokens(op, { grant_type: 'authorization_code', code })
    assert.deepEqual([tokens.status, tokens.body.error], [400, 'temporarily_unavailable'])
    const front = answerOf(await signIn(op, { response_type: 'id_token' }))
    assert.deepEqual([front.get('error'), front.get('id_token')], ['temporarily_unavailable', null])
    assert.ok(op.log.some(({ event, reason }) => event === 'hook.failed' && reason === 'broken'))
  })

  test('a consent hook that breaks asks nobody and grants nothing; a login hook that breaks lets nobody in', async () => {
    for (const point of ['consent', 'login']) {
      const file = `export default { ${point}() { throw new Error('broken') } }`
      const op = await startGatehouse({ hooks: [hookFolder({ 'a.ts': file })] })
      const someone = browser()
      const login = await someone.open(authorizationUrl(op.issuer, { acr_values: 'basic' }))
      const back = await someone.submit(login, '#continue', { username: alice.username, password: alice.password })
      assert.equal(answerOf(back).get('error'), 'temporarily_unavailable', point)
    }
  })

  test('a token issued before is inactive while its hook is broken', async () => {
    const file = `let asked = 0
      export default { introspection: (members: object) => { if (++asked > 1) throw new Error('broken'); return members } }`
    const op = await startGatehouse({ hooks: [hookFolder({ 'a.ts': file })] })
    const { body } = await askTokens(op, { grant_type: 'client_credentials' })
    assert.equal((await introspect(op, body.access_token)).body.active, true)
    const second = await introspect(op, body.access_token)
    assert.deepEqual([second.status, second.body], [200, { active: false }])
  })
})
