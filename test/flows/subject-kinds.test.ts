/** What applications know a person by: a public subject from a chosen attribute, pairwise ones worked out or stored, sectors. */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, test } from 'node:test'
import { decodeJwt } from 'jose'
import { answerOf, askTokens, audits, browser, codeOf, post, signIn, until } from '#test/attacks/house.ts'
import { openShell } from '#test/cli/shell.ts'
import { alice, authorizationUrl, basicAuth, client, type Gatehouse, startGatehouse } from './world.ts'

type Members = Record<string, unknown>

const userinfo = async (op: Gatehouse, token: unknown) => {
  const response = await fetch(`${op.issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } })
  return (await response.json()) as Members
}
const introspect = async (op: Gatehouse, token: unknown, as: string) =>
  (await post(`${op.issuer}/introspect`, { token: String(token) }, { authorization: basicAuth(as) })).body
const person = (username: string, more: Members = {}) => ({
  ...alice,
  username,
  email: `${username}@example.org`,
  ...more,
})
const as = (username: string) => ({ as: { username, password: alice.password } })

/** Everywhere that a subject is told; they must agree. */
const subjectOf = async (op: Gatehouse, id: string, username: string): Promise<string> => {
  const page = await signIn(op, { client_id: id, scope: 'openid' }, as(username))
  const { body } = await askTokens(op, { grant_type: 'authorization_code', code: codeOf(page) }, id)
  const told = decodeJwt(String(body.id_token)).sub
  assert.equal((await userinfo(op, body.access_token)).sub, told)
  assert.equal((await introspect(op, body.access_token, id)).sub, told)
  if (String(body.access_token).includes('.')) assert.equal(decodeJwt(String(body.access_token)).sub, told)
  return String(told)
}

describe('public subjects', () => {
  const clients = [
    client({ trusted: true }),
    client({ client_id: 'jwt', trusted: true, access_token_as_jwt: true }),
    client({ client_id: 'pair', trusted: true, subject_type: 'pairwise' }),
  ]

  test('a chosen attribute: the same in every token and answer; pairwise ones go by the account as before', async () => {
    const written = { clients, accounts: [person('alice', { id: 'a1', claims: { staff: 'S-1' } })] }
    const keyed = { pairwiseKey: 'k'.repeat(32), pairwiseSalt: 'salt' }
    const pairs: string[] = []
    for (const [publicAttribute, expected] of [
      ['id', 'a1'],
      ['username', 'alice'],
      ['email', 'alice@example.org'],
      ['staff', 'S-1'],
    ] as const) {
      const op = await startGatehouse({ ...written, subjects: { publicAttribute, ...keyed } })
      assert.equal(await subjectOf(op, 'web', 'alice'), expected)
      assert.equal(await subjectOf(op, 'jwt', 'alice'), expected)
      pairs.push(await subjectOf(op, 'pair', 'alice'))
    }
    const formula = createHmac('sha256', 'k'.repeat(32)).update('127.0.0.1:1a1salt').digest('base64url')
    assert.deepEqual(new Set(pairs), new Set([formula]))
  })

  test('who has no such attribute, or an address that is not theirs alone, gets no token', async () => {
    const refused = async (publicAttribute: string, accounts: Members[], username: string) => {
      const op = await startGatehouse({ clients, accounts, subjects: { publicAttribute } })
      const back = answerOf(await signIn(op, {}, as(username)))
      assert.deepEqual([back.get('error'), back.get('code')], ['access_denied', null], publicAttribute)
    }
    await refused('staff', [person('alice')], 'alice')
    await refused('staff', [person('alice', { claims: { staff: 'ü' } })], 'alice')
    await refused('email', [person('alice', { email_verified: false })], 'alice')
    const shared = [person('alice', { email: 'one@example.org' }), person('bill', { email: 'one@example.org' })]
    await refused('email', shared, 'alice')
  })

  test('id_token_hint and a requested sub are compared with what the client knows', async () => {
    const accounts = [person('alice'), person('bill')]
    const op = await startGatehouse({ clients, accounts, subjects: { publicAttribute: 'username' } })
    const someone = browser()
    const page = await signIn(op, { response_type: 'id_token' }, { ...as('alice'), by: someone })
    const hint = answerOf(page).get('id_token') ?? ''
    const silent = await someone.open(authorizationUrl(op.issuer, { prompt: 'none', id_token_hint: hint }))
    assert.ok(answerOf(silent).get('code'), silent.url.href)
    const wanted = (sub: string) => JSON.stringify({ id_token: { sub: { value: sub } } })
    for (const [sub, error] of [
      ['alice', null],
      ['bill', 'login_required'],
    ] as const) {
      const back = await someone.open(authorizationUrl(op.issuer, { prompt: 'none', claims: wanted(sub) }))
      assert.equal(answerOf(back).get('error'), error, sub)
    }
    const other = await signIn(op, { id_token_hint: hint }, { ...as('bill'), by: browser() })
    assert.equal(answerOf(other).get('error'), 'login_required')
  })
})

describe('pairwise subjects', () => {
  const pair = (id: string, host: string, more: Members = {}) =>
    client({
      client_id: id,
      trusted: true,
      subject_type: 'pairwise',
      redirect_uris: ['http://127.0.0.1:1/cb', `https://${host}/cb`],
      sector_identifier_uri: `https://${host}/sector.json`,
      ...more,
    })

  test('persistent: random, one for a sector, however many ask at once; listed, forgotten, made anew', async (t) => {
    const clients = [pair('one', 'a.example'), pair('two', 'a.example'), pair('three', 'b.example')]
    const written = { clients, accounts: [person('alice', { id: 'a1' })], subjects: { pairwise: 'persistent' } }
    const op = await startGatehouse(written)
    const all = await Promise.all(Array.from({ length: 6 }, (_, n) => subjectOf(op, n % 2 ? 'one' : 'two', 'alice')))
    assert.equal(new Set(all).size, 1)
    assert.match(all[0] ?? '', /^[\w-]{43}$/)
    assert.notEqual(await subjectOf(op, 'three', 'alice'), all[0])
    const house = await op.house()
    assert.deepEqual((await house.records.subjects.ofAccount('a1')).map(({ sector }) => sector).sort(), [
      'a.example',
      'b.example',
    ])
    assert.equal(await house.records.subjects.forget('a1', 'a.example'), true)
    await until(async () => (await subjectOf(op, 'one', 'alice')) !== all[0], 'another subject')
    await house.records.accounts.remove('a1')
    assert.deepEqual(await house.records.subjects.ofAccount('a1'), [])
    await house.close()
    t.diagnostic(`${audits(op, 'login.succeeded').length} sign-ins`)
  })

  test('the commands: worked-out ones are listed with their clients, stored ones can be forgotten', async (t) => {
    const accounts = [person('alice', { id: 'a1' })]
    const written = { clients: [pair('one', 'a.example'), pair('two', 'b.example')], accounts }
    const shell = await openShell(t, { ...written, subjects: { pairwiseKey: 'k'.repeat(32), pairwiseSalt: 'salt' } })
    const { out } = await shell.run(['account', 'subjects', 'alice', '--json'])
    const { subjects } = JSON.parse(out) as { subjects: Members[] }
    const formula = createHmac('sha256', 'k'.repeat(32)).update('a.examplea1salt').digest('base64url')
    assert.deepEqual(subjects[0], { sector: 'a.example', subject: formula, clients: ['one'], stored: false })
    assert.equal(subjects.length, 2)
    const nothing = await shell.run(['account', 'forget-subject', 'alice', 'a.example'])
    assert.deepEqual([nothing.code, /Nothing is stored/.test(nothing.err)], [1, true])
  })
})

describe('sector identifiers that we publish', () => {
  const sectorIdentifiers = [
    { id: 'group', redirectUris: ['https://adhoc.example/cb'], clients: ['web', 'gone'] },
    { id: 'empty' },
  ]
  const register = async (op: Gatehouse, metadata: Members) => {
    const response = await fetch(`${op.issuer}/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ subject_type: 'pairwise', ...metadata }),
    })
    return { status: response.status, body: (await response.json()) as Members }
  }

  test('the redirect URIs of clients and ad-hoc ones; unknown ids are not found', async () => {
    const op = await startGatehouse({ sectorIdentifiers })
    const response = await fetch(`${op.issuer}/sector/group`)
    assert.match(response.headers.get('content-type') ?? '', /^application\/json/)
    assert.deepEqual(await response.json(), ['http://127.0.0.1:1/cb', 'https://adhoc.example/cb'])
    assert.deepEqual(await (await fetch(`${op.issuer}/sector/empty`)).json(), [])
    assert.equal((await fetch(`${op.issuer}/sector/other`)).status, 404)
    const house = await op.house()
    await house.records.sectorIdentifiers.put({ id: 'late', redirectUris: ['https://late.example/cb'], clients: [] })
    await until(async () => (await fetch(`${op.issuer}/sector/late`)).status === 200)
    await house.close()
  })

  test('a client may name one only when all its redirect URIs are in it', async () => {
    const op = await startGatehouse({ sectorIdentifiers })
    const sector_identifier_uri = `${op.issuer}/sector/group`
    const listed = await register(op, { redirect_uris: ['https://adhoc.example/cb'], sector_identifier_uri })
    // The engine takes https documents only; on the loopback issuer of this test it says so.
    assert.match(JSON.stringify(listed.body), /"client_id"|https uri/)
    const foreign = await register(op, { redirect_uris: ['https://evil.example/cb'], sector_identifier_uri })
    assert.deepEqual([foreign.status, foreign.body.error], [400, 'invalid_client_metadata'])
    assert.match(String(foreign.body.error_description), /does not list/)
  })
})
