/**
 * Authorization codes, refresh tokens and client assertions in the wrong hands: another client, another redirect URI, no
 * verifier or a wrong one, PKCE left out or turned down on the way, the same assertion again (RFC 9700 2.1.1, 4.5, 4.8).
 */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { APP, authorizationUrl, CALLBACK, client, type Gatehouse, startGatehouse } from '#test/flows/world.ts'
import { answerOf, askTokens, audits, browser, codeOf, pkce, post, refused, signIn, userinfo } from './house.ts'

describe('stolen codes and tokens', () => {
  let op: Gatehouse
  before(async () => {
    op = await startGatehouse({
      clients: [
        client({ trusted: true, redirect_uris: [CALLBACK, `${APP}/other`] }),
        client({ client_id: 'mallory', trusted: true }),
        client({
          client_id: 'phone',
          client_secret: undefined,
          token_endpoint_auth_method: 'none',
          response_types: ['code'],
          grant_types: ['authorization_code', 'refresh_token'],
          trusted: true,
        }),
      ],
    })
  })
  const grant = (code: string, more: Record<string, string> = {}) => ({
    grant_type: 'authorization_code',
    code,
    ...more,
  })
  const asPhone = (fields: Record<string, string>) =>
    post(`${op.issuer}/token`, { client_id: 'phone', redirect_uri: CALLBACK, ...fields })

  test('control: the client itself, at the same redirect URI, gets tokens that work', async () => {
    const { verifier, challenge } = pkce()
    const code = codeOf(await signIn(op, { code_challenge: challenge, code_challenge_method: 'S256' }))
    const { status, body } = await askTokens(op, grant(code, { code_verifier: verifier }))
    assert.equal(status, 200, JSON.stringify(body))
    assert.equal(await userinfo(op, body.access_token), 200)
  })

  test('a code of another client is refused; the log says why', async () => {
    const code = codeOf(await signIn(op))
    refused(await askTokens(op, grant(code), 'mallory'), 'invalid_grant')
    assert.ok(op.log.some(({ client, error }) => client === 'mallory' && error === 'invalid_grant'))
  })

  test('another redirect URI of the same client, or none, is refused', async () => {
    for (const redirect_uri of [`${APP}/other`, `${CALLBACK}/`, `${CALLBACK}?x=1`, 'https://evil.example/'])
      refused(await askTokens(op, grant(codeOf(await signIn(op)), { redirect_uri })), 'invalid_grant')
  })

  test('a wrong, missing, or shortened verifier is refused', async () => {
    const { verifier, challenge } = pkce()
    const challenged = { code_challenge: challenge, code_challenge_method: 'S256' }
    for (const code_verifier of [pkce().verifier, `${verifier}x`, challenge, verifier.slice(0, 42), undefined]) {
      const code = codeOf(await signIn(op, challenged))
      // RFC 7636 4.1: one that is too short is no verifier at all.
      const error = code_verifier?.length === 42 ? 'invalid_request' : 'invalid_grant'
      refused(await askTokens(op, grant(code, code_verifier === undefined ? {} : { code_verifier })), error)
    }
  })

  test('downgrade: a verifier for a code that was requested without a challenge is refused (RFC 9700 4.8.2)', async () => {
    refused(await askTokens(op, grant(codeOf(await signIn(op)), { code_verifier: pkce().verifier })), 'invalid_grant')
  })

  test('plain, an unknown method, and a method without challenge are refused at the request', async () => {
    for (const more of [
      { code_challenge: 'x'.repeat(43), code_challenge_method: 'plain' },
      { code_challenge: 'x'.repeat(43) },
      { code_challenge: 'x'.repeat(43), code_challenge_method: 's256' },
      { code_challenge: 'x'.repeat(42), code_challenge_method: 'S256' },
      { code_challenge_method: 'S256' },
    ] as Record<string, string>[]) {
      const page = await browser().open(authorizationUrl(op.issuer, more))
      assert.equal(answerOf(page).get('error'), 'invalid_request', JSON.stringify(more))
    }
  })

  test('a public client needs PKCE: without a challenge nothing begins, without the verifier nothing ends', async () => {
    const without = await browser().open(authorizationUrl(op.issuer, { client_id: 'phone' }))
    assert.equal(answerOf(without).get('error'), 'invalid_request')
    const { verifier, challenge } = pkce()
    const request = { client_id: 'phone', code_challenge: challenge, code_challenge_method: 'S256' }
    refused(await asPhone(grant(codeOf(await signIn(op, request)))), 'invalid_grant')
    const { status } = await asPhone(grant(codeOf(await signIn(op, request)), { code_verifier: verifier }))
    assert.equal(status, 200)
  })

  test('a stolen code presented after its owner: refused, the owner’s tokens die, the audit says so', async () => {
    const code = codeOf(await signIn(op))
    const { body } = await askTokens(op, grant(code))
    assert.equal(await userinfo(op, body.access_token), 200)
    const before = audits(op, 'token.replayed').length
    refused(await askTokens(op, grant(code)), 'invalid_grant')
    assert.equal(await userinfo(op, body.access_token), 401)
    assert.equal(audits(op, 'token.replayed').length, before + 1)
  })

  test('a code presented first by another client still serves its owner, or nobody: never the thief', async () => {
    const code = codeOf(await signIn(op))
    refused(await askTokens(op, grant(code), 'mallory'), 'invalid_grant')
    const { status, body } = await askTokens(op, grant(code))
    assert.ok(status === 200 || body.error === 'invalid_grant')
  })

  test('a refresh token of another client is refused and stays good for its owner', async () => {
    const page = await signIn(op, { scope: 'openid offline_access', prompt: 'consent' })
    const { body } = await askTokens(op, grant(codeOf(page)))
    const refresh_token = String(body.refresh_token ?? assert.fail(JSON.stringify(body)))
    const refresh = { grant_type: 'refresh_token', refresh_token }
    refused(await askTokens(op, refresh, 'mallory'), 'invalid_grant')
    refused(await asPhone(refresh), 'invalid_grant')
    const { status } = await askTokens(op, refresh)
    assert.equal(status, 200)
    const before = audits(op, 'token.replayed').length
    refused(await askTokens(op, refresh), 'invalid_grant')
    assert.equal(audits(op, 'token.replayed').length, before + 1)
  })

  test('a refresh token cannot widen its scope, an access token is no refresh token, a code no token', async () => {
    const page = await signIn(op, { scope: 'openid offline_access', prompt: 'consent' })
    const code = codeOf(page)
    const { body } = await askTokens(op, grant(code))
    const refresh = { grant_type: 'refresh_token', refresh_token: String(body.refresh_token) }
    refused(await askTokens(op, { ...refresh, scope: 'openid email' }), 'invalid_scope')
    refused(await askTokens(op, { ...refresh, refresh_token: String(body.access_token) }), 'invalid_grant')
    assert.equal(await userinfo(op, code), 401)
    assert.equal(await userinfo(op, body.refresh_token), 401)
    assert.equal(await userinfo(op, body.id_token), 401)
    assert.equal(await userinfo(op, String(body.access_token).slice(0, -1)), 401, 'a truncated token (CVE-2026-27840)')
  })

  test('another client cannot revoke the tokens of this one', async () => {
    const { body } = await askTokens(op, grant(codeOf(await signIn(op))))
    const token = String(body.access_token)
    const basic = (id: string) => ({
      authorization: `Basic ${Buffer.from(`${id}:${client().client_secret}`).toString('base64')}`,
    })
    const foreign = await post(`${op.issuer}/revoke`, { token }, basic('mallory'))
    assert.ok(foreign.status < 500)
    assert.equal(await userinfo(op, token), 200)
    assert.equal((await post(`${op.issuer}/revoke`, { token }, basic('web'))).status, 200)
    assert.equal(await userinfo(op, token), 401)
  })
})
