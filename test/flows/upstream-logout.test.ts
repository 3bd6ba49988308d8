/** Logout in every direction: from the application to the provider and back, from the provider to every application. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Browser, type Page } from '#test/world/browser.ts'
import { openReceiver, type Receiver } from '#test/world/receiver.ts'
import { settled } from '#test/world/settled.ts'
import { type Pair, signIn, startPair } from './upstream.ts'
import { APP, authorizationUrl, claimsOf, client, redeem } from './world.ts'

const BYE = `${APP}/bye`
describe('logout between us and a provider', () => {
  let pair: Pair
  let receiver: Receiver
  before(async () => {
    receiver = await openReceiver(() => pair.op.issuer)
    const told = (client_id: string) =>
      client({
        client_id,
        trusted: true,
        post_logout_redirect_uris: [BYE],
        backchannel_logout_uri: receiver.backchannel(client_id),
        backchannel_logout_session_required: true,
      })
    pair = await startPair({ clients: [told('web'), told('two')] })
  })
  after(() => receiver.close())

  const enter = async () => {
    const browser = new Browser({ stopAt: ({ origin }) => origin === APP })
    const there = await browser.open(authorizationUrl(pair.op.issuer, { acr_values: 'acme' }))
    const back = await signIn(browser, there)
    const { body } = await redeem(pair.op.issuer, back.url.searchParams.get('code') ?? '')
    return { browser, idToken: body.id_token ?? assert.fail(JSON.stringify(body)) }
  }
  const isSignedIn = async (browser: Browser, issuer: string, more: Record<string, string> = {}) =>
    (await browser.open(authorizationUrl(issuer, { prompt: 'none', ...more }))).url.searchParams.get('error') === null
  /** At the provider nobody is signed in any more: it would have to ask. */
  const asksAgain = async (browser: Browser): Promise<boolean> => {
    const page = await browser.open(authorizationUrl(pair.op.issuer, { acr_values: 'acme' }))
    return page.url.origin === pair.upstream.issuer && page.body.includes('id="page-login"')
  }
  const endUrl = (idToken: string) =>
    `${pair.op.issuer}/session/end?${new URLSearchParams({ id_token_hint: idToken, post_logout_redirect_uri: BYE, state: 'bye' })}`
  const confirm = (browser: Browser, page: Page) => browser.submit(page, '#logout-yes')

  test('a logout here goes on to the provider, and comes back to where the application wanted', async () => {
    const { browser, idToken } = await enter()
    const there = await confirm(browser, await browser.open(endUrl(idToken)))
    assert.equal(there.url.origin, pair.upstream.issuer, there.body)
    assert.equal(there.url.pathname, '/session/end')
    assert.ok(there.url.searchParams.get('id_token_hint'))
    const back = await confirm(browser, there)
    assert.ok(back.trail.some(({ pathname }) => pathname === '/federation/acme/logged-out'))
    assert.equal(back.url.href, `${BYE}?state=bye`)
    assert.equal(await asksAgain(browser), true)
    await receiver.wait(['web'])
  })

  test('our session is over whatever becomes of the person at the provider', async () => {
    const { browser, idToken } = await enter()
    await confirm(browser, await browser.open(endUrl(idToken)))
    assert.equal(await isSignedIn(browser, pair.op.issuer), false)
  })

  test('a return with a state that was used, or is another’s, ends on our own page', async () => {
    const { browser, idToken } = await enter()
    const back = await confirm(browser, await confirm(browser, await browser.open(endUrl(idToken))))
    const used = back.trail.find(({ pathname }) => pathname === '/federation/acme/logged-out') ?? assert.fail()
    for (const url of [used.href, `${pair.op.issuer}/federation/acme/logged-out?state=x`, used.origin + used.pathname])
      assert.match((await browser.open(url)).body, /id="page-logged-out"/)
  })

  test('a logout at the provider ends the session here and in every application', async () => {
    const { browser, idToken } = await enter()
    await browser.open(authorizationUrl(pair.op.issuer, { client_id: 'two' }))
    const toTwo = receiver.heard.filter((each) => each.client === 'two').length
    await confirm(browser, await browser.open(`${pair.upstream.issuer}/session/end`))
    // The notices are written before the session goes, so that none is lost.
    const { sid } = claimsOf(idToken)
    await settled('the application is told', async () => receiver.heard.some(({ claims }) => claims.sid === sid))
    await settled('the session is over', async () => !(await isSignedIn(browser, pair.op.issuer)))
    await settled(
      'the other application is told',
      async () => receiver.heard.filter((each) => each.client === 'two').length === toTwo + 1,
    )
  })

  test('the provider’s frame ends the session that it names, and only for the issuer that it is', async () => {
    const { browser } = await enter()
    const house = await pair.op.house()
    const { accounts } = house.records
    const nora = (await accounts.byUsername('nora')) ?? assert.fail()
    const sid = async () => {
      const [session] = await house.graph.ofAccount(nora.id)
      const { identity } = (await house.box.get<{ identity: { sid: string } }>(
        'UpstreamSession',
        session?.upstream?.id ?? '',
      )) ?? { identity: { sid: '' } }
      return identity.sid
    }
    const frame = (query: Record<string, string>) =>
      fetch(`${pair.op.issuer}/federation/acme/frontchannel-logout?${new URLSearchParams(query)}`)
    const known = await sid()
    const told = () => pair.op.log.filter(({ event, type }) => event === 'audit' && type === 'logout.upstream').length
    const before = told()
    assert.equal((await frame({ iss: 'https://elsewhere.example', sid: known })).status, 200)
    assert.equal((await frame({ iss: pair.upstream.issuer, sid: 'another' })).status, 200)
    assert.equal((await frame({ sid: known })).status, 400)
    assert.equal(told(), before, 'what anybody can send fills no audit trail')
    assert.equal(await isSignedIn(browser, pair.op.issuer), true)
    const answer = await frame({ iss: pair.upstream.issuer, sid: known })
    assert.match(answer.headers.get('content-security-policy') ?? '', /frame-ancestors \*/)
    assert.equal(told(), before + 1)
    assert.equal(await isSignedIn(browser, pair.op.issuer), false)
    await house.close()
  })

  test('what is no logout token of the provider is refused, and nothing happens', async () => {
    const { browser, idToken } = await enter()
    const post = (logout_token: string, provider = 'acme') =>
      fetch(`${pair.op.issuer}/federation/${provider}/backchannel-logout`, {
        method: 'POST',
        body: new URLSearchParams({ logout_token }),
      })
    for (const token of ['', 'x', idToken, `${idToken.split('.').slice(0, 2).join('.')}.`])
      assert.equal((await post(token)).status, 400, token)
    assert.equal((await post('x', 'nobody')).status, 404)
    assert.equal(await isSignedIn(browser, pair.op.issuer), true)
  })
})

describe('identityProviders.*.logout: all off', () => {
  test('a logout stays here, and the provider’s words are not listened to', async () => {
    const pair = await startPair(
      { clients: [client({ trusted: true })] },
      { logout: { upstream: false, backchannel: false, frontchannel: false } },
    )
    const browser = new Browser({ stopAt: ({ origin }) => origin === APP })
    await signIn(browser, await browser.open(authorizationUrl(pair.op.issuer, { acr_values: 'acme' })))
    const page = await browser.submit(await browser.open(`${pair.op.issuer}/session/end`), '#logout-yes')
    assert.equal(page.url.href, `${pair.op.issuer}/session/end/success`)
    const at = `${pair.op.issuer}/federation/acme`
    assert.equal(
      (await fetch(`${at}/backchannel-logout`, { method: 'POST', body: new URLSearchParams({ logout_token: 'x' }) }))
        .status,
      404,
    )
    assert.equal((await fetch(`${at}/frontchannel-logout?iss=x&sid=y`)).status, 404)
  })
})
