/** Using what was given before the client or the account was disabled, or removed: refused at once, not at its expiry (ASVS 5.0 7.4, 8.3). */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { alice, authorizationUrl, client, type Gatehouse, SECRET, startGatehouse } from '#test/flows/world.ts'
import type { Browser } from '#test/world/browser.ts'
import {
  answerOf,
  askTokens,
  browser,
  codeOf,
  post,
  refused,
  signIn,
  storeResources,
  until,
  userinfo,
} from './house.ts'

const offline = { scope: 'openid offline_access', prompt: 'consent' }

describe('after the fact', () => {
  let op: Gatehouse
  before(async () => {
    op = await startGatehouse({ accounts: [alice, { id: 'bob', username: 'bob', password: 'builder-1999' }] })
  })
  const stored = (id: string, more: Record<string, unknown> = {}) =>
    storeResources(op, { clients: [client({ client_id: id, ...more })] })
  const introspect = async (token: unknown, as: string) =>
    (
      await post(
        `${op.issuer}/introspect`,
        { token: String(token) },
        { authorization: `Basic ${Buffer.from(`${as}:${SECRET}`).toString('base64')}` },
      )
    ).body.active
  const tokensOf = async (
    id: string,
    as = alice as { username: string; password: string },
    by: Browser = browser(),
  ) => {
    const page = await signIn(op, { client_id: id, ...offline }, { as, by })
    const { status, body } = await askTokens(op, { grant_type: 'authorization_code', code: codeOf(page) }, id)
    assert.equal(status, 200, JSON.stringify(body))
    return body
  }
  const refresh = (token: unknown, as: string) =>
    askTokens(op, { grant_type: 'refresh_token', refresh_token: String(token) }, as)

  test('a disabled client: its tokens, its codes, its requests and its secret are worth nothing', async () => {
    await stored('shop')
    const tokens = await tokensOf('shop')
    const code = codeOf(await signIn(op, { client_id: 'shop', ...offline }))
    const other = await askTokens(op, { grant_type: 'client_credentials' }, 'shop')
    assert.equal(await userinfo(op, tokens.access_token), 200, 'control')
    assert.equal(await introspect(other.body.access_token, 'web'), true, 'control')
    await stored('shop', { disabled: true })
    await until(async () => (await userinfo(op, tokens.access_token)) === 401, 'the change')
    refused(await refresh(tokens.refresh_token, 'shop'), 'invalid_client', 401)
    refused(await askTokens(op, { grant_type: 'authorization_code', code }, 'shop'), 'invalid_client', 401)
    refused(await askTokens(op, { grant_type: 'client_credentials' }, 'shop'), 'invalid_client', 401)
    assert.equal(await introspect(tokens.access_token, 'web'), false)
    assert.equal(await introspect(other.body.access_token, 'web'), false)
    const page = await browser().open(authorizationUrl(op.issuer, { client_id: 'shop' }))
    assert.equal(page.status, 400)
    assert.match(page.body, /<code id="error">invalid_client</)
    await stored('shop')
    await until(async () => (await refresh(tokens.refresh_token, 'shop')).status === 200, 'its return')
  })

  test('a client that is disabled while somebody signs in: the sign-in ends on a page, without a code', async () => {
    await stored('kiosk')
    const someone = browser()
    const page = await someone.open(authorizationUrl(op.issuer, { client_id: 'kiosk', acr_values: 'basic' }))
    await stored('kiosk', { disabled: true })
    await until(
      async () => (await browser().open(authorizationUrl(op.issuer, { client_id: 'kiosk' }))).status === 400,
      'the change',
    )
    const done = await someone.submit(page, '#continue', { username: alice.username, password: alice.password })
    assert.equal(done.url.origin, op.issuer)
    assert.ok(done.status >= 400 && done.status < 500, `${done.status}`)
    assert.match(done.body, /id="page-error"/)
  })

  test('a disabled account: tokens, codes and the browser’s session end at once', async () => {
    const bob = { username: 'bob', password: 'builder-1999' }
    const someone = browser()
    const tokens = await tokensOf('web', bob, someone)
    const code = codeOf(await signIn(op, offline, { as: bob }))
    assert.equal(await userinfo(op, tokens.access_token), 200, 'control')
    const house = await op.house()
    await house.records.accounts.update('bob', (now) => ({ ...now, disabled: true }))
    await house.close()
    await until(async () => (await userinfo(op, tokens.access_token)) === 401, 'the change')
    refused(await refresh(tokens.refresh_token, 'web'), 'invalid_grant')
    refused(await askTokens(op, { grant_type: 'authorization_code', code }), 'invalid_grant')
    assert.equal(await introspect(tokens.access_token, 'web'), false)
    const silent = await someone.open(authorizationUrl(op.issuer, { prompt: 'none' }))
    assert.equal(answerOf(silent).get('error'), 'login_required')
    const login = await someone.open(authorizationUrl(op.issuer, { acr_values: 'basic' }))
    const refusedPage = await someone.submit(login, '#continue', bob)
    assert.equal(refusedPage.status, 403)
    assert.match(refusedPage.body, /role="alert"/)
  })

  test('a client that was removed: nothing of it works, and somebody who takes its name inherits nothing', async () => {
    await stored('gone')
    const tokens = await tokensOf('gone')
    const house = await op.house()
    await house.records.clients.remove('gone')
    await house.close()
    await until(async () => (await userinfo(op, tokens.access_token)) === 401, 'the change')
    // Its grants may go a moment before this node hears of the client itself.
    await until(async () => (await refresh(tokens.refresh_token, 'gone')).status === 401, 'the client')
    refused(await refresh(tokens.refresh_token, 'gone'), 'invalid_client', 401)
  })
})
