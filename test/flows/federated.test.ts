/** The main job: a relying party names an identity provider by acr_values, and the person signs in there. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { Browser, type Page } from '#test/world/browser.ts'
import { type Pair, signIn, startPair } from './upstream.ts'
import { APP, asAlice, authorizationUrl, claimsOf, client, redeem } from './world.ts'

const browser = () => new Browser({ stopAt: ({ origin }) => origin === APP })
const trusted = { clients: [client({ trusted: true })] }
const codeOf = (page: Page) => page.url.searchParams.get('code') ?? assert.fail(`no code at ${page.url}`)

describe('sign-in through an identity provider', () => {
  let pair: Pair
  before(async () => {
    pair = await startPair(trusted)
  })
  const start = (more: Record<string, string> = {}) =>
    authorizationUrl(pair.op.issuer, { scope: 'openid profile email', ...more })
  const atUpstream = (page: Page) => {
    assert.equal(page.url.origin, pair.upstream.issuer, page.body)
    assert.match(page.body, /id="page-login"/)
  }

  test('acr_values leads straight to the provider; the first visit provisions, the second finds the account', async () => {
    const subjects = []
    for (const state of ['first', 'second']) {
      const someone = browser()
      const there = await someone.open(start({ acr_values: 'acme', state }))
      atUpstream(there)
      const back = await signIn(someone, there)
      assert.equal(back.url.origin, APP, back.body)
      assert.equal(back.url.searchParams.get('state'), state)
      const { status, body } = await redeem(pair.op.issuer, codeOf(back))
      assert.equal(status, 200, JSON.stringify(body))
      const claims = claimsOf(body.id_token ?? '')
      assert.equal(claims.acr, 'acme')
      assert.equal(claims.idp, 'acme')
      assert.equal(claims.iss, pair.op.issuer)
      subjects.push(claims.sub)
      const userinfo = await fetch(`${pair.op.issuer}/userinfo`, {
        headers: { authorization: `Bearer ${body.access_token}` },
      })
      const profile = (await userinfo.json()) as Record<string, unknown>
      assert.deepEqual(
        [profile.sub, profile.name, profile.email],
        [claims.sub, 'Nora Nordström', 'nora@northwind.example'],
      )
    }
    assert.equal(subjects[0], subjects[1])
    assert.notEqual(subjects[0], 'nw-1001', 'the subject is ours, not the provider’s')
  })

  test('without a wish there is a choice, and each way works', async () => {
    const someone = browser()
    const choice = await someone.open(start())
    assert.match(choice.body, /id="page-choose"/)
    const there = await someone.submit(choice, '[data-provider=acme]')
    atUpstream(there)
    const back = await signIn(someone, there)
    assert.equal(claimsOf((await redeem(pair.op.issuer, codeOf(back))).body.id_token ?? '').acr, 'acme')

    const other = browser()
    const login = await other.click(await other.open(start()), '[data-method=basic]')
    assert.match(login.body, /id="page-login"/)
    const done = await other.submit(login, '#continue', asAlice)
    assert.equal(claimsOf((await redeem(pair.op.issuer, codeOf(done))).body.id_token ?? '').acr, 'basic')
  })

  test('the provider’s refusal reaches the relying party honestly', async () => {
    const someone = browser()
    const there = await someone.open(start({ acr_values: 'acme' }))
    const back = await someone.submit(there, '#cancel')
    assert.equal(back.url.origin, APP, back.body)
    assert.equal(back.url.searchParams.get('error'), 'access_denied')
  })

  test('prompt=none asks the provider passively: signed in there is enough, not signed in is login_required', async () => {
    const someone = browser()
    const refused = await someone.open(start({ acr_values: 'acme', prompt: 'none' }))
    assert.equal(refused.url.origin, APP, refused.body)
    assert.equal(refused.url.searchParams.get('error'), 'login_required')

    // Signs in at the provider only, by way of another sign-in that is not finished here.
    await signIn(
      someone,
      await someone.open(
        `${pair.upstream.issuer}/authorize?${new URLSearchParams({ client_id: 'gatehouse', response_type: 'code', scope: 'openid', redirect_uri: `${pair.op.issuer}/federation/acme/callback`, state: 'other', code_challenge: 'x'.repeat(43), code_challenge_method: 'S256' })}`,
      ),
    )
    const silent = await someone.open(start({ acr_values: 'acme', prompt: 'none' }))
    assert.equal(silent.url.origin, APP, silent.body)
    assert.ok(silent.url.searchParams.get('code'), silent.url.href)
  })

  test('prompt=login is honoured by the provider even when it has a session', async () => {
    const someone = browser()
    await signIn(someone, await someone.open(start({ acr_values: 'acme' })))
    const again = await someone.open(start({ acr_values: 'acme', prompt: 'login' }))
    atUpstream(again)
  })
})
