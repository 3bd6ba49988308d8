/** A session that the attacker knows before its owner signs in; cookies that scripts, other sites or plain http could get at. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { cookiesFor } from '#op/build.ts'
import { APP, alice, authorizationUrl, client, type Gatehouse, startGatehouse } from '#test/flows/world.ts'
import type { Browser } from '#test/world/browser.ts'
import { audits, browser, codeOf, signIn } from './house.ts'
import { startOwn } from './own-server.ts'
import { bytesOf, exchange, HTML } from './raw.ts'

describe('session fixation', () => {
  let op: Gatehouse
  let session: string
  before(async () => {
    op = await startGatehouse({
      clients: [client({ trusted: true })],
      accounts: [alice, { username: 'mallory', password: 'malice-1865' }],
    })
    session = `session_${new URL(op.issuer).port}`
  })
  const jar = (someone: Browser) =>
    Object.fromEntries(
      (someone.cookies.header(new URL(op.issuer), { crossSite: false, method: 'GET' }) ?? '')
        .split('; ')
        .map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
    )
  const plant = (someone: Browser, cookies: Record<string, string>) =>
    someone.cookies.store(
      new URL(op.issuer),
      Object.entries(cookies).map(([name, value]) => `${name}=${value}; path=/`),
    )
  const silent = async (someone: Browser) => {
    const page = await someone.open(authorizationUrl(op.issuer, { prompt: 'none' }))
    return page.url.searchParams.get('error') ?? 'signed in'
  }

  test('control: the session cookie of a sign-in signs in again', async () => {
    const someone = browser()
    await signIn(op, {}, { by: someone })
    assert.equal(await silent(someone), 'signed in')
    const copy = browser()
    plant(copy, jar(someone))
    assert.equal(await silent(copy), 'signed in')
  })

  test('the id changes at sign-in: a session planted before is nobody’s afterwards', async () => {
    const mallory = browser()
    await mallory.open(authorizationUrl(op.issuer, { prompt: 'none' }))
    await mallory.open(authorizationUrl(op.issuer))
    const planted = jar(mallory)
    const victim = browser()
    plant(victim, planted)
    codeOf(await signIn(op, {}, { by: victim }))
    assert.notEqual(jar(victim)[session], planted[session])
    assert.ok(jar(victim)[session])
    assert.equal(await silent(mallory), 'login_required')
  })

  test('the id changes when another person signs in: the former one’s cookie is not theirs (GHSA-f24x-5g9q-753f)', async () => {
    const shared = browser()
    await signIn(op, {}, { by: shared, as: { username: 'mallory', password: 'malice-1865' } })
    const kept = jar(shared)
    const page = await shared.open(authorizationUrl(op.issuer, { acr_values: 'basic', prompt: 'login' }))
    const next = await shared.submit(page, '#continue', { username: alice.username, password: alice.password })
    const done = next.url.origin === APP ? next : await shared.submit(next, 'form')
    assert.equal(done.url.origin, APP, done.body)
    assert.notEqual(jar(shared)[session], kept[session])
    const thief = browser()
    plant(thief, kept)
    const page2 = await thief.open(authorizationUrl(op.issuer, { prompt: 'none', response_type: 'id_token' }))
    const claims = page2.url.hash.includes('id_token=') ? page2.url.hash : 'nobody'
    assert.equal(claims, 'nobody', 'the old cookie is no session any more')
  })

  test('the id changes at a fresh sign-in of the same person too (ASVS 5.0 7.2.4)', async () => {
    const someone = browser()
    await signIn(op, {}, { by: someone })
    const first = jar(someone)[session]
    const page = await someone.open(authorizationUrl(op.issuer, { acr_values: 'basic', prompt: 'login' }))
    await someone.submit(page, '#continue', { username: alice.username, password: alice.password })
    assert.notEqual(jar(someone)[session], first)
  })

  test('a made-up or altered session cookie is no session', async () => {
    const someone = browser()
    await signIn(op, {}, { by: someone })
    const good = jar(someone)
    for (const change of [
      { [session]: 'made-up-by-an-attacker' },
      { [`${session}.sig`]: 'x'.repeat(27) },
      { [`${session}.sig`]: '' },
    ]) {
      const other = browser()
      plant(other, { ...good, ...change })
      assert.equal(await silent(other), 'login_required', JSON.stringify(change))
    }
  })

  test('after logout the old cookie is dead, on the server', async () => {
    const someone = browser()
    await signIn(op, {}, { by: someone })
    const kept = jar(someone)
    const page = await someone.open(`${op.issuer}/session/end`)
    const bye = await someone.submit(page, '#logout-yes')
    assert.match(bye.body, /id="page-logged-out"/)
    const thief = browser()
    plant(thief, kept)
    assert.equal(await silent(thief), 'login_required')
    assert.ok(audits(op, 'logout').length > 0)
  })

  test('every cookie is HttpOnly and SameSite; the interaction’s keeps to its path', async () => {
    const set: string[] = []
    const someone = browser()
    const store = someone.cookies.store.bind(someone.cookies)
    someone.cookies.store = (url, lines) => {
      set.push(...lines)
      store(url, lines)
    }
    await signIn(op, {}, { by: someone })
    await someone.submit(await someone.open(`${op.issuer}/session/end`), '#logout-yes')
    const given = set.filter((line) => !/^[^=]+=;/.test(line))
    assert.ok(given.length >= 4, set.join('\n'))
    for (const line of given) {
      // Session Management 3.2: a page of ours has to read the browser state; it says nothing that opens anything.
      if (line.startsWith('op_bs_')) assert.match(line, /^op_bs_\d+=(-|[\w-]{22}\.\d+);/)
      else assert.match(line, /; ?httponly/i, line)
      assert.match(line, /; ?samesite=(lax|strict)/i, line)
      assert.match(line, /; ?path=\//i, line)
      assert.doesNotMatch(line, /; ?domain=/i, line)
    }
    for (const line of given.filter((each) => /^(interaction|resume)_/.test(each)))
      assert.match(line, /; ?path=\/(interaction|authorize)\/[\w-]+/i, line)
    for (const line of given.filter((each) => /^(session|interaction|resume)_\d+=/.test(each)))
      assert.ok(
        given.some((other) => other.startsWith(`${line.split('=')[0]}.sig=`)),
        `unsigned: ${line}`,
      )
  })

  test('over https: __Host- and __Secure- names', () => {
    assert.deepEqual(cookiesFor('https://id.example.org'), {
      names: { session: '__Host-session', interaction: '__Secure-interaction', resume: '__Secure-resume' },
      secure: true,
    })
  })

  test('over https, behind a proxy: every cookie is Secure and without a Domain, HSTS is sent', async () => {
    const server = await startOwn({ issuer: 'https://id.example.org', trustProxy: ['127.0.0.1'] })
    const through = (target: string, scheme: string) =>
      exchange(server.port, bytesOf('id.example.org', { target, headers: [HTML, ['x-forwarded-proto', scheme]] }))
    const path = new URL(authorizationUrl('https://id.example.org'))
    const answer = await through(`${path.pathname}${path.search}`, 'https')
    assert.equal(answer.status, 303, answer.body)
    assert.equal(answer.headers['strict-transport-security'], 'max-age=31536000; includeSubDomains')
    const set = (answer.headers['set-cookie'] ?? '').split('\n')
    assert.ok(set.length >= 4)
    for (const line of set) {
      assert.match(line, /^__(Host|Secure)-/)
      assert.match(line, /; ?secure/i)
      if (line.startsWith('__Host-')) assert.match(line, /; ?path=\/;/i)
      assert.doesNotMatch(line, /domain=/i)
    }
    assert.equal((await through(`${path.pathname}${path.search}`, 'http')).status, 421, 'plain http is refused')
  })
})
