/** A person signs in with a password, is asked for consent once, and is then signed in everywhere. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { Browser } from '#test/world/browser.ts'
import { APP, asAlice, authorizationUrl, claimsOf, type Gatehouse, redeem, startGatehouse } from './world.ts'

const browser = () => new Browser({ stopAt: ({ origin }) => origin === APP })

describe('sign-in with a password', () => {
  let op: Gatehouse
  before(async () => {
    op = await startGatehouse()
  })

  test('login, consent, tokens; then single sign-on without a page', async () => {
    const someone = browser()
    const login = await someone.open(authorizationUrl(op.issuer, { scope: 'openid profile email' }))
    assert.match(login.body, /id="page-login"/)
    const consent = await someone.submit(login, '#continue', asAlice)
    assert.match(consent.body, /id="page-consent"/)
    const back = await someone.submit(consent, '#allow')
    assert.equal(back.url.origin, APP)
    assert.equal(back.url.searchParams.get('state'), 's1')
    assert.equal(back.url.searchParams.get('iss'), op.issuer)
    const { status, body } = await redeem(op.issuer, back.url.searchParams.get('code') ?? '')
    assert.equal(status, 200, JSON.stringify(body))
    const claims = claimsOf(body.id_token ?? '')
    assert.deepEqual([claims.acr, claims.amr, claims.nonce, claims.idp], ['basic', ['pwd'], 'n1', undefined])

    const again = await someone.open(authorizationUrl(op.issuer, { scope: 'openid profile email', state: 's2' }))
    assert.equal(again.url.searchParams.get('state'), 's2')
    assert.equal(again.trail.length, 2, 'no page between the request and the application')
  })

  test('a wrong password is said on the page, which keeps the username', async () => {
    const someone = browser()
    const login = await someone.open(authorizationUrl(op.issuer))
    const wrong = await someone.submit(login, '#continue', { username: 'alice', password: 'nonsense' })
    assert.equal(wrong.status, 401)
    assert.match(wrong.body, /id="page-login"/)
    assert.match(wrong.body, /value="alice"/)
  })

  test('cancel ends at the application with access_denied', async () => {
    const someone = browser()
    const login = await someone.open(authorizationUrl(op.issuer))
    const back = await someone.submit(login, '#cancel')
    assert.equal(back.url.origin, APP)
    assert.equal(back.url.searchParams.get('error'), 'access_denied')
    assert.equal(back.url.searchParams.get('state'), 's1')
  })
})
