/**
 * The way back from a provider: its answer twice, at another provider's address, in another browser, made up, from a
 * provider that was switched off meanwhile (RFC 9700 4.4 and 4.7, CVE-2026-2603, GHSA-x445-f3h2-j279).
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { APP, authorizationUrl, client, type Gatehouse, startGatehouse } from '#test/flows/world.ts'
import type { Browser, Page } from '#test/world/browser.ts'
import { Upstream } from '#test/world/upstream.ts'
import { audits, browser, codeOf, storeResources, until } from './house.ts'

describe('stolen and forged answers of providers', () => {
  let op: Gatehouse
  let acme: Upstream
  let other: Upstream
  const registration = (id: string, upstream: Upstream) => ({
    id,
    protocol: 'oidc',
    oidc: { issuer: upstream.issuer, client_id: upstream.clientId, client_secret: upstream.clientSecret },
  })
  before(async () => {
    acme = await Upstream.start()
    other = await Upstream.start({ user: { sub: 'Mallory', preferred_username: 'mallory' } })
    op = await startGatehouse({ clients: [client({ trusted: true })] })
    // Stored, not declared by the file, so that they can be changed.
    await storeResources(op, { identityProviders: [registration('acme', acme), registration('other', other)] })
    for (const [id, { issuer }] of [
      ['acme', acme],
      ['other', other],
    ] as const)
      await until(async () => (await atCallback().open(start(id))).trail.some(({ origin }) => origin === issuer), id)
  })
  after(async () => {
    await acme.close()
    await other.close()
  })

  const atCallback = () => browser(({ pathname }) => pathname.endsWith('/callback'))
  const start = (provider: string) => authorizationUrl(op.issuer, { acr_values: provider })
  /** Signs in at the provider and stops before its answer is delivered. */
  const fetchAnswer = async (someone: Browser, provider = 'acme'): Promise<URL> => {
    const { url } = await someone.open(start(provider))
    assert.match(url.pathname, new RegExp(`^/federation/${provider}/callback$`))
    return url
  }
  /** Delivers an answer in this browser's name, cookies included. */
  const deliver = async (someone: Browser, url: URL | string): Promise<Page> => {
    const carrier = browser()
    Object.assign(carrier, { cookies: someone.cookies })
    return carrier.open(url)
  }
  const noCode = (page: Page) => {
    assert.ok(page.status < 500, page.body)
    assert.equal(page.url.searchParams.get('code'), null, page.url.href)
  }

  test('control: the answer where it belongs signs in', async () => {
    const someone = atCallback()
    codeOf(await deliver(someone, await fetchAnswer(someone)))
  })

  test('the answer a second time: no second sign-in, for the same browser and for a thief', async () => {
    const someone = atCallback()
    const answer = await fetchAnswer(someone)
    codeOf(await deliver(someone, answer))
    const asked = acme.count('token')
    noCode(await deliver(someone, answer))
    noCode(await deliver(atCallback(), answer))
    assert.equal(acme.count('token'), asked, 'the code was not redeemed again')
  })

  test('ten deliveries at the same moment: the code is redeemed once, at most one browser gets in', async () => {
    const someone = atCallback()
    const answer = await fetchAnswer(someone)
    const asked = acme.count('token')
    const pages = await Promise.all(Array.from({ length: 10 }, () => deliver(someone, answer)))
    assert.equal(acme.count('token'), asked + 1)
    for (const page of pages) assert.ok(page.status < 500, page.body)
    assert.ok(pages.filter(({ url }) => url.searchParams.has('code')).length <= 1)
  })

  test('mix-up: the state of one provider at the address of the other is refused, and stays unused', async () => {
    const someone = atCallback()
    const answer = await fetchAnswer(someone)
    const asked = [acme.count('token'), other.count('token')]
    noCode(await deliver(someone, answer.href.replace('/federation/acme/', '/federation/other/')))
    assert.deepEqual([acme.count('token'), other.count('token')], asked, 'nobody got the code')
    const line = audits(op, 'login.failed').at(-1)
    assert.deepEqual(
      [line?.provider, (line?.detail as Record<string, unknown> | undefined)?.reason],
      ['other', 'state of another provider'],
    )
  })

  test('mix-up: the other provider’s issuer in the answer is refused (RFC 9207)', async () => {
    const someone = atCallback()
    const answer = await fetchAnswer(someone)
    answer.searchParams.set('iss', other.issuer)
    const asked = acme.count('token')
    noCode(await deliver(someone, answer))
    assert.equal(acme.count('token'), asked)
    assert.equal(audits(op, 'login.failed').at(-1)?.provider, 'acme')
  })

  test('code injection: a code that the attacker got for another sign-in does not fit (PKCE, nonce)', async () => {
    const mallory = atCallback()
    const stolen = (await fetchAnswer(mallory)).searchParams.get('code') ?? assert.fail()
    const victim = atCallback()
    const answer = await fetchAnswer(victim)
    answer.searchParams.set('code', stolen)
    noCode(await deliver(victim, answer))
    assert.equal(audits(op, 'login.failed').at(-1)?.provider, 'acme')
  })

  test('login CSRF: an attacker’s answer does not sign a victim in, with or without a sign-in of their own', async () => {
    const mallory = atCallback()
    const answer = await fetchAnswer(mallory)
    const stranger = atCallback()
    const page = await deliver(stranger, answer)
    noCode(page)
    assert.match(page.body, /id="page-error"/)

    const second = await fetchAnswer(atCallback(), 'other')
    const waiting = atCallback()
    await fetchAnswer(waiting)
    noCode(await deliver(waiting, second))
  })

  test('a handle of another interaction at one’s own address is refused', async () => {
    const stopped = browser(({ pathname }) => pathname.endsWith('/continue'))
    const { url } = await stopped.open(start('acme'))
    assert.match(url.pathname, /\/continue$/)
    const victim = atCallback()
    const mine = await victim.open(authorizationUrl(op.issuer))
    const foreign = await deliver(victim, `${mine.url.origin}${mine.url.pathname}/continue${url.search}`)
    noCode(foreign)
    assert.equal(foreign.status, 400)
    assert.match(foreign.body, /id="page-error"/)
  })

  test('a made-up state, none, two of them: a page that says so', async () => {
    for (const query of [
      '?code=x',
      '?state=&code=x',
      '?state=made-up&code=x',
      '?state=a&state=b&code=x',
      '?error=access_denied',
    ]) {
      const page = await browser().open(`${op.issuer}/federation/acme/callback${query}`)
      assert.equal(page.url.origin, op.issuer)
      assert.equal(page.status, 400, query)
      assert.match(page.body, /id="page-error"/)
    }
  })

  test('an answer of a provider that was switched off meanwhile is refused', async () => {
    const someone = atCallback()
    const answer = await fetchAnswer(someone, 'other')
    await storeResources(op, { identityProviders: [{ ...registration('other', other), enabled: false }] })
    const asked = other.count('authorize')
    await until(async () => {
      const before = other.count('authorize')
      await browser().open(start('other'))
      return other.count('authorize') === before
    }, 'the change')
    assert.ok(other.count('authorize') >= asked)
    const page = await deliver(someone, answer)
    noCode(page)
    assert.notEqual(page.url.origin, APP)
  })
})
