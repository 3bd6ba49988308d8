/** Back-Channel Logout 1.0 and the session graph: however a session ends, every relying party of it is told. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { decodeProtectedHeader } from 'jose'
import { type Clock, systemClock } from '#kernel/clock.ts'
import { silentLog } from '#kernel/log.ts'
import { startExpiry } from '#sessions/expiry.ts'
import type { House } from '#src/house.ts'
import { Browser } from '#test/world/browser.ts'
import { openReceiver, type Receiver } from '#test/world/receiver.ts'
import { settled } from '#test/world/settled.ts'
import {
  APP,
  asAlice,
  authorizationUrl,
  basicAuth,
  claimsOf,
  client,
  type Gatehouse,
  redeem,
  startGatehouse,
} from './world.ts'

interface Tokens {
  readonly id_token: string
  readonly access_token: string
  readonly refresh_token?: string
}

/** A clock that can be put forward. */
const ahead = { by: 0 }
const clock: Clock = { now: () => systemClock.now() + ahead.by }

let receiver: Receiver
let op: Gatehouse
let house: House
before(async () => {
  receiver = await openReceiver(() => op.issuer)
  const told = (client_id: string, more: Record<string, unknown> = {}) =>
    client({
      client_id,
      trusted: true,
      backchannel_logout_uri: receiver.backchannel(client_id),
      backchannel_logout_session_required: true,
      ...more,
    })
  op = await startGatehouse(
    {
      clients: [
        told('one'),
        told('two', { id_token_signed_response_alg: 'ES256', subject_type: 'pairwise' }),
        told('plain', { backchannel_logout_session_required: false }),
        told('failing'),
        told('hanging'),
        client({ client_id: 'deaf', trusted: true }),
      ],
      accounts: ['alice', 'bob', 'carol', 'dave', 'erin', 'frank'].map((username) => ({
        ...{ username, password: asAlice.password },
      })),
    },
    { clock },
  )
  house = await op.house()
})
after(async () => {
  await house.close()
  await receiver.close()
})

/** Signs one person in at some clients. */
const signIn = async (username: string, clients: readonly string[], scope = 'openid') => {
  const browser = new Browser({ stopAt: ({ origin }) => origin === APP })
  const tokens: Record<string, Tokens> = {}
  for (const client_id of clients) {
    let page = await browser.open(
      authorizationUrl(op.issuer, { client_id, scope, prompt: scope.includes('offline') ? 'consent' : '' }),
    )
    if (page.status !== 0) page = await browser.submit(page, '#continue', { username, password: asAlice.password })
    const { status, body } = await redeem(op.issuer, page.url.searchParams.get('code') ?? '', {}, client_id)
    assert.equal(status, 200, JSON.stringify(body))
    tokens[client_id] = body as unknown as Tokens
  }
  return { browser, tokens }
}

const isActive = async (token: string, as: string): Promise<boolean> => {
  const answer = await fetch(`${op.issuer}/introspect`, {
    method: 'POST',
    headers: { authorization: basicAuth(as) },
    body: new URLSearchParams({ token }),
  })
  return ((await answer.json()) as { active: boolean }).active
}

const refresh = (token: string, as: string) =>
  fetch(`${op.issuer}/token`, {
    method: 'POST',
    headers: { authorization: basicAuth(as) },
    body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: token }),
  })

const endUrl = (tokens: Tokens) => `${op.issuer}/session/end?${new URLSearchParams({ id_token_hint: tokens.id_token })}`
const isSignedIn = async (browser: Browser, client_id = 'deaf') =>
  (await browser.open(authorizationUrl(op.issuer, { client_id, prompt: 'none' }))).url.searchParams.has('code')

describe('logout by a relying party', () => {
  test('every client of the session gets a token of its own, as the specification wants it', async () => {
    const { browser, tokens } = await signIn('alice', ['one', 'two', 'plain', 'deaf'])
    const from = receiver.asked.length
    await browser.submit(await browser.open(endUrl(tokens.one as Tokens)), '#logout-yes')
    const heard = await receiver.wait(['one', 'two', 'plain'])
    for (const { client: id, claims } of heard) {
      const { sub, sid } = claimsOf(tokens[id]?.id_token ?? '')
      assert.equal(claims.sub, sub, `${id}: the sub that it knows`)
      assert.equal(claims.sid, sid, `${id}: the sid that it knows, where it asked for one`)
      assert.equal((claims.exp ?? 0) - (claims.iat ?? 0), 120)
    }
    assert.equal(heard[2]?.claims.sid, undefined)
    const byClient = new Map(
      receiver.asked.slice(from).map((each) => [each.client, decodeProtectedHeader(each.token).alg]),
    )
    assert.deepEqual([byClient.get('one'), byClient.get('two')], ['RS256', 'ES256'], 'id_token_signed_response_alg')
    assert.equal(byClient.has('deaf'), false)
    assert.equal(await isSignedIn(browser), false)
    assert.equal(await isActive(tokens.one?.access_token ?? '', 'one'), false)
  })

  test('out of this application only: the others are not told and stay signed in', async () => {
    const { browser, tokens } = await signIn('bob', ['one', 'two'])
    const from = receiver.heard.length
    await browser.submit(await browser.open(endUrl(tokens.one as Tokens)), '#logout-no')
    await receiver.wait([...receiver.heard.map((each) => each.client), 'one'].slice(0, from + 1))
    assert.deepEqual(
      receiver.heard.slice(from).map((each) => each.client),
      ['one'],
    )
    assert.equal(await isSignedIn(browser), true)
    assert.equal(await isActive(tokens.two?.access_token ?? '', 'two'), true)
    assert.equal(await isActive(tokens.one?.access_token ?? '', 'one'), false)
  })

  test('nobody waits for a relying party that hangs, and it is tried again', async () => {
    receiver.answer('hanging', 'hang')
    const { browser, tokens } = await signIn('carol', ['hanging', 'one'])
    const from = receiver.heard.length
    const started = Date.now()
    const page = await browser.submit(await browser.open(endUrl(tokens.one as Tokens)), '#logout-yes')
    assert.equal(page.status, 200)
    assert.ok(Date.now() - started < 3000, `${Date.now() - started} ms`)
    await receiver.wait([...receiver.heard.slice(0, from).map((each) => each.client), 'one'])
    receiver.answer('hanging', 200)
    // The lease of a node that died, and the first pause, are over by then.
    ahead.by += 20_000
    await receiver.wait(['hanging'])
  })

  test('a failure is tried again with a fresh token, and the receipt tells of both', async () => {
    receiver.answer('failing', 503)
    const { browser, tokens } = await signIn('dave', ['failing'])
    await browser.submit(await browser.open(endUrl(tokens.failing as Tokens)), '#logout-yes')
    const attempts = () => receiver.asked.filter((each) => each.client === 'failing')
    const receipt = async () => (await house.deliveries.receipts({ clientId: 'failing' }))[0]
    await settled('the failure is noted', async () => (await receipt())?.attempts.length === 1)
    assert.equal((await receipt())?.state, 'waiting')
    receiver.answer('failing', 204)
    ahead.by += 20_000
    await receiver.wait(['failing'])
    const ids = attempts().map(({ token }) => claimsOf(token).jti)
    assert.equal(ids.length, 2)
    assert.notEqual(ids[0], ids[1])
    await settled('the success is noted', async () => (await receipt())?.state !== 'waiting')
    const done = await receipt()
    assert.equal(done?.state, 'delivered')
    assert.deepEqual(
      done?.attempts.map(({ token, status, problem }) => [token, status, problem]),
      [
        [ids[0], 503, 'answered 503'],
        [ids[1], 204, undefined],
      ],
    )
  })

  test('what was issued with offline_access outlives the session; everything else ends with it', async () => {
    const { browser, tokens } = await signIn('erin', ['one'], 'openid offline_access')
    const online = await signIn('erin', ['two'])
    for (const [each, session] of [
      [tokens.one, browser],
      [online.tokens.two, online.browser],
    ] as const)
      await session.submit(await session.open(endUrl(each as Tokens)), '#logout-yes')
    assert.equal(await isActive(online.tokens.two?.access_token ?? '', 'two'), false)
    const answer = await refresh(tokens.one?.refresh_token ?? '', 'one')
    assert.equal(answer.status, 200, await answer.text())
  })
})

describe('a session ended by somebody else', () => {
  /** Tokens of these clients that come from now on. */
  const nextOf = (...clients: string[]) => {
    const before = receiver.heard.map((each) => each.client).filter((each) => clients.includes(each))
    return () => receiver.wait([...before, ...clients])
  }

  test('an administrator ends all sessions of an account', async () => {
    const first = await signIn('frank', ['one', 'two'])
    const second = await signIn('frank', ['plain'])
    const all = nextOf('one', 'two', 'plain')
    const { id } = (await house.records.accounts.byUsername('frank')) ?? assert.fail()
    assert.equal(await house.sessions.endAccount(id, { cause: 'admin' }), 2)
    await all()
    assert.equal(await isSignedIn(first.browser), false)
    assert.equal(await isSignedIn(second.browser), false)
    assert.equal(await isActive(first.tokens.one?.access_token ?? '', 'one'), false)
    assert.equal(await house.sessions.endAccount(id, { cause: 'admin' }), 0)
  })

  test('an account that is disabled is signed out everywhere', async () => {
    const { browser } = await signIn('dave', ['one', 'two'])
    const all = nextOf('one', 'two')
    const { id } = (await house.records.accounts.byUsername('dave')) ?? assert.fail()
    await house.records.accounts.update(id, (now) => ({ ...now, disabled: true }))
    await all()
    // Notices are written before the session goes.
    await settled('the session goes', async () => (await house.graph.ofAccount(id)).length === 0)
    await house.records.accounts.update(id, (now) => ({ ...now, disabled: false }))
    assert.equal(await isSignedIn(browser), false)
  })

  test('a client that is disabled is told, and is out of every session, which go on', async () => {
    const record = client({
      client_id: 'stored',
      trusted: true,
      backchannel_logout_uri: receiver.backchannel('stored'),
      backchannel_logout_session_required: true,
    })
    await house.records.clients.put(record as never)
    const { browser, tokens } = await signIn('bob', ['stored', 'one'])
    const told = nextOf('stored')
    await house.records.clients.put({ ...record, disabled: true } as never)
    await told()
    assert.equal(await isSignedIn(browser), true)
    assert.equal(await isActive(tokens.one?.access_token ?? '', 'one'), true)
    await house.records.clients.put(record as never)
    await settled('the client is out', async () => (await house.graph.ofClient('stored')).length === 0)
    const again = await fetch(`${op.issuer}/userinfo`, {
      headers: { authorization: `Bearer ${tokens.stored?.access_token}` },
    })
    assert.equal(again.status, 401)
  })

  test('a session whose time is over tells its clients once, whichever node finds it', async () => {
    const { tokens } = await signIn('erin', ['one', 'two'])
    const { sid } = claimsOf(tokens.one?.id_token ?? '')
    ahead.by += 15 * 3_600_000
    const [a, b] = await Promise.all([op.house(clock), op.house(clock)])
    const nodes = [a, b].map(({ sessions }) => startExpiry({ sessions, clock, log: silentLog }))
    const before = receiver.heard.length
    await Promise.all(nodes.map((node) => node.look()))
    const sids = () => receiver.heard.slice(before).map(({ claims }) => claims.sid)
    // Sessions of the tests before are over too, and their clients are told in no order.
    await settled('the client is told', () => sids().includes(sid))
    for (const node of nodes) assert.equal(await node.look(), 0)
    assert.equal(new Set(sids()).size, sids().length, 'each session of each client once')
    for (const node of nodes) await node.close()
    await Promise.all([a.close(), b.close()])
  })
})

test('the audit trail says who was told', async () => {
  const notified = await house.directory.audit({ type: 'logout.notified', limit: 100 })
  assert.ok(notified.length > 5)
  const { client: told, account, reference, detail } = notified[0] ?? assert.fail()
  assert.ok(told && account)
  assert.equal(typeof detail?.attempts, 'number')
  const named = reference ?? notified.find((each) => each.reference)?.reference ?? assert.fail()
  assert.ok((await house.trace.read(named)).some(({ step }) => step === 'notified'))
})

test('discovery announces it', async () => {
  const discovery = (await (await fetch(`${op.issuer}/.well-known/openid-configuration`)).json()) as object
  assert.partialDeepStrictEqual(discovery, {
    backchannel_logout_supported: true,
    backchannel_logout_session_supported: true,
    frontchannel_logout_supported: true,
    frontchannel_logout_session_supported: true,
  })
})
