/**
 * RFC 9470: an API that wants more than the token stands for says so, and the application comes back with it. The API here
 * knows the token by introspection only, as docs/sign-in.md describes.
 */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { Secret, TOTP } from 'otpauth'
import { Browser, type Page } from '#test/world/browser.ts'
import { find } from '#test/world/html.ts'
import { askTokens, codeOf, post } from '../attacks/house.ts'
import { APP, alice, asAlice, authorizationUrl, basicAuth, client, type Gatehouse, startGatehouse } from './world.ts'

const GOLD = 'urn:example:gold'

describe('step-up challenge (RFC 9470)', () => {
  let op: Gatehouse
  before(async () => {
    op = await startGatehouse({
      clients: [client({ trusted: true }), client({ client_id: 'api', redirect_uris: [`${APP}/api`] })],
      accounts: [alice],
      methods: { otp: {} },
      acrs: [{ name: GOLD, steps: [['basic'], ['otp']], level: 2, amr: ['mfa'] }],
    })
  })

  /** The API: 200, or what its WWW-Authenticate says (RFC 9470 3). */
  const callApi = async (token: unknown, maxAge = 3600): Promise<Record<string, string> | undefined> => {
    const { body } = await post(
      `${op.issuer}/introspect`,
      { token: String(token) },
      { authorization: basicAuth('api') },
    )
    assert.equal(body.active, true)
    assert.equal(typeof body.auth_time, 'number')
    const age = Date.now() / 1000 - Number(body.auth_time)
    if (body.acr === GOLD && age <= maxAge) return undefined
    return { error: 'insufficient_user_authentication', acr_values: GOLD, max_age: String(maxAge) }
  }
  const redeem = async (page: Page, more: Record<string, string> = {}) =>
    (await askTokens(op, { grant_type: 'authorization_code', code: codeOf(page), ...more })).body

  test('the challenge’s parameters bring a token that is enough; a refreshed one says the same', async () => {
    const browser = new Browser({ stopAt: ({ origin }) => origin === APP })
    const scope = 'openid offline_access'
    const login = await browser.open(authorizationUrl(op.issuer, { acr_values: 'basic', scope, prompt: 'consent' }))
    const first = await redeem(await browser.submit(login, '#continue', asAlice))
    const challenge = (await callApi(first.access_token)) ?? assert.fail('a password is not enough')
    assert.equal(challenge.error, 'insufficient_user_authentication')

    const { acr_values = '', max_age = '' } = challenge
    const setup = await browser.open(authorizationUrl(op.issuer, { acr_values, max_age, scope, prompt: 'consent' }))
    const secret = find(setup.document, '#secret')?.text.replaceAll(' ', '') ?? assert.fail(setup.body)
    const code = new TOTP({ secret: Secret.fromBase32(secret) }).generate()
    const codes = await browser.submit(setup, '#continue', { code })
    const second = await redeem(await browser.submit(codes, '#continue'))
    assert.equal(await callApi(second.access_token), undefined)

    const refreshed = await askTokens(op, { grant_type: 'refresh_token', refresh_token: String(second.refresh_token) })
    assert.equal(await callApi(refreshed.body.access_token), undefined)
    assert.notEqual(await callApi(first.access_token), undefined, 'the first token stands for what it stood for')
    assert.ok((await callApi(second.access_token, -1))?.max_age, 'an older sign-in is told by its time')
  })

  test('a token from the front channel says it too; a client’s own token says nothing of a person', async () => {
    const browser = new Browser({ stopAt: ({ origin }) => origin === APP })
    const login = await browser.open(authorizationUrl(op.issuer, { acr_values: 'basic', response_type: 'code token' }))
    const page = await browser.submit(login, '#continue', asAlice)
    const token = new URLSearchParams(page.url.hash.slice(1)).get('access_token')
    const seen = await post(`${op.issuer}/introspect`, { token: String(token) }, { authorization: basicAuth('api') })
    assert.deepEqual([seen.body.acr, typeof seen.body.auth_time], ['basic', 'number'])
    const own = await askTokens(op, { grant_type: 'client_credentials' })
    const robot = await post(
      `${op.issuer}/introspect`,
      { token: String(own.body.access_token) },
      { authorization: basicAuth('api') },
    )
    assert.deepEqual([robot.body.active, 'acr' in robot.body, 'auth_time' in robot.body], [true, false, false])
  })
})
