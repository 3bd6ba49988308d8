/** What the OpenID Foundation's plans look at with clients that register themselves, beside the files named certification. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, type TestContext, test } from 'node:test'
import { createRemoteJWKSet, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose'
import { Browser, type Page } from '#test/world/browser.ts'
import { APP, alice, asAlice, authorizationUrl, basicAuth, CALLBACK, type Gatehouse, startGatehouse } from './world.ts'

type Json = Record<string, unknown>
interface Client {
  readonly id: string
  readonly secret: string
}

/** What an ID token may carry without being asked for more than `openid`. */
const plain = ['iss', 'sub', 'aud', 'exp', 'iat', 'auth_time', 'nonce', 'acr', 'amr', 'azp', 'at_hash', 'c_hash']
plain.push('nbf', 'jti', 'sid', 's_hash')

describe('modules of the plans', () => {
  let op: Gatehouse
  let at = ''
  let served = ''
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'application/jwt')
    response.end(served)
  })
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    op = await startGatehouse({ methods: { otp: {} } })
  })
  after(() => server.close())

  const json = async (response: Response) => ({ response, body: (await response.json()) as Json })
  const register = async (more: Json = {}): Promise<Client & { readonly body: Json }> => {
    const { response, body } = await json(
      await fetch(`${op.issuer}/register`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ application_type: 'native', redirect_uris: [CALLBACK], ...more }),
      }),
    )
    assert.equal(response.status, 201, JSON.stringify(body))
    return { id: String(body.client_id), secret: String(body.client_secret), body }
  }
  const fresh = () => new Browser({ stopAt: ({ origin }) => origin === APP })
  const answer = ({ url, body }: Page) => {
    assert.equal(url.origin, APP, body)
    return new URLSearchParams(url.hash.slice(1) || url.search)
  }
  /** From the login page to the application, whatever is asked between. */
  const through = async (browser: Browser, start: Page): Promise<URLSearchParams> => {
    let page = start
    if (/id="page-login"/.test(page.body)) page = await browser.submit(page, '#continue', asAlice)
    if (/id="page-consent"/.test(page.body)) page = await browser.submit(page, '#allow')
    return answer(page)
  }
  const signIn = async ({ id }: Client, more: Record<string, string> = {}, browser = fresh()) =>
    through(browser, await browser.open(authorizationUrl(op.issuer, { client_id: id, ...more })))
  const token = async ({ id, secret }: Client, fields: Record<string, string>) =>
    json(
      await fetch(`${op.issuer}/token`, {
        method: 'POST',
        headers: { authorization: basicAuth(id, secret) },
        body: new URLSearchParams(fields),
      }),
    )
  const redeem = (client: Client, given: URLSearchParams) =>
    token(client, { grant_type: 'authorization_code', code: given.get('code') ?? '', redirect_uri: CALLBACK })
  const verified = async (jwt: unknown) =>
    jwtVerify(String(jwt), createRemoteJWKSet(new URL(`${op.issuer}/jwks`)), { issuer: op.issuer })
  const userinfo = (accessToken: unknown) =>
    fetch(`${op.issuer}/userinfo`, { headers: { authorization: `Bearer ${accessToken}` } })

  for (const response_type of ['code', 'code id_token', 'code id_token token', 'id_token token'])
    test(`server, idtoken-signature, scope-email: ${response_type} tells in the ID token what was asked for only`, async () => {
      const grant_types = ['authorization_code', 'implicit']
      const client = await register({ response_types: [response_type], grant_types })
      const given = await signIn(client, { response_type, scope: 'openid email' })
      const { body } = response_type.includes('code') ? await redeem(client, given) : { body: {} as Json }
      const idTokens = [given.get('id_token'), body.id_token].filter((each) => typeof each === 'string')
      assert.ok(idTokens.length > 0)
      for (const each of idTokens) {
        const { payload, protectedHeader } = await verified(each)
        assert.deepEqual([protectedHeader.alg, typeof protectedHeader.kid], ['RS256', 'string'])
        assert.deepEqual(
          Object.keys(payload).filter((name) => !plain.includes(name)),
          [],
        )
        assert.deepEqual([payload.aud, payload.nonce], [client.id, 'n1'])
      }
      const told = (await (await userinfo(body.access_token ?? given.get('access_token'))).json()) as Json
      assert.deepEqual([told.email, told.name], [alice.email, undefined])
    })

  test('claims-essential: in the ID token where that is all there is', async () => {
    const client = await register({ response_types: ['id_token'], grant_types: ['implicit'] })
    const claims = JSON.stringify({ id_token: { name: { essential: true } } })
    const given = await signIn(client, { response_type: 'id_token', claims })
    assert.equal((await verified(given.get('id_token'))).payload.name, alice.claims.name)
  })

  test('ensure-request-with-acr-values-succeeds: acr is one of those that discovery names', async () => {
    const { body } = await json(await fetch(`${op.issuer}/.well-known/openid-configuration`))
    const values = body.acr_values_supported as string[]
    assert.ok(values.length > 1)
    const client = await register()
    const { body: tokens } = await redeem(client, await signIn(client, { acr_values: values.join(' ') }))
    assert.ok(values.includes(String((await verified(tokens.id_token)).payload.acr)))
  })

  const later = (t: TestContext, ms: number) => t.mock.timers.enable({ apis: ['Date'], now: Date.now() + ms })
  test('max-age-1: asked again, and not once more because reading the consent page took its time', async (t) => {
    const client = await register()
    const browser = fresh()
    const ask = () => browser.open(authorizationUrl(op.issuer, { client_id: client.id, max_age: '1' }))
    const consent = await browser.submit(await ask(), '#continue', asAlice)
    assert.match(consent.body, /id="page-consent"/)
    later(t, 5000)
    const first = await redeem(client, answer(await browser.submit(consent, '#allow')))
    const again = await ask()
    assert.match(again.body, /id="page-login"/)
    const second = await redeem(client, await through(browser, again))
    const [before, now] = [await verified(first.body.id_token), await verified(second.body.id_token)]
    assert.ok(Number(now.payload.auth_time) >= Number(before.payload.auth_time) + 5)
    t.mock.timers.reset()
  })

  test('refresh-token: with scope, not stored on the way, a later iat, and nobody else’s', async (t) => {
    const grant_types = ['authorization_code', 'refresh_token']
    const [one, two] = [await register({ grant_types }), await register({ grant_types })]
    const asked = { scope: 'openid offline_access', prompt: 'consent' }
    const { body: first } = await redeem(one, await signIn(one, asked))
    later(t, 1000)
    const fields = { grant_type: 'refresh_token', refresh_token: String(first.refresh_token) }
    const { response, body: second } = await token(one, { ...fields, scope: 'openid offline_access' })
    assert.equal(response.status, 200, JSON.stringify(second))
    assert.match(response.headers.get('cache-control') ?? '', /no-store/)
    assert.equal(second.token_type, 'Bearer')
    assert.notEqual(second.access_token, first.access_token)
    const [before, now] = [(await verified(first.id_token)).payload, (await verified(second.id_token)).payload]
    for (const name of ['iss', 'sub', 'aud', 'auth_time', 'azp']) assert.deepEqual(now[name], before[name], name)
    assert.ok(Number(now.iat) > Number(before.iat))
    const next = { ...fields, refresh_token: String(second.refresh_token) }
    assert.equal((await token(two, next)).body.error, 'invalid_grant')
    assert.equal((await token(one, next)).response.status, 200)
    t.mock.timers.reset()
  })

  test('request-uri-signed-rs256: a fragment that is a hash of something else is no reason to refuse', async () => {
    const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true })
    const jwk = { ...(await exportJWK(publicKey)), kid: 'one', alg: 'RS256', use: 'sig' }
    const fragment = createHash('sha256').update('something else').digest('base64url')
    const request_uri = `${at}/requesturi/x#${fragment}`
    const client = await register({
      jwks: { keys: [jwk] },
      request_uris: [request_uri],
      request_object_signing_alg: 'RS256',
    })
    const inside = { client_id: client.id, response_type: 'code', scope: 'openid', redirect_uri: CALLBACK }
    served = await new SignJWT({ ...inside, state: 'inside', nonce: 'n1' })
      .setProtectedHeader({ alg: 'RS256', kid: 'one' })
      .setIssuer(client.id)
      .setAudience(op.issuer)
      .sign(privateKey)
    const given = await signIn(client, { request_uri, state: 'inside' })
    assert.equal(given.get('state'), 'inside')
    assert.equal((await redeem(client, given)).response.status, 200)
  })

  test('userinfo-rs256: signed, for the client, without nonce', async () => {
    const client = await register({ userinfo_signed_response_alg: 'RS256' })
    const { body } = await redeem(client, await signIn(client))
    const response = await userinfo(body.access_token)
    assert.match(response.headers.get('content-type') ?? '', /^application\/jwt/)
    const { payload, protectedHeader } = await verified(await response.text())
    assert.deepEqual([protectedHeader.alg, payload.aud, payload.nonce], ['RS256', client.id, undefined])
  })

  test('redirect-uri-query-OK, -mismatch: what was registered, to the letter', async () => {
    const redirect_uri = `${CALLBACK}?foo=bar`
    const client = await register({ redirect_uris: [redirect_uri] })
    const given = await signIn(client, { redirect_uri })
    assert.deepEqual([given.get('foo'), given.has('code')], ['bar', true])
    for (const other of [`${CALLBACK}?bar=foo`, `${redirect_uri}&x=1`, CALLBACK]) {
      const page = await fresh().open(authorizationUrl(op.issuer, { client_id: client.id, redirect_uri: other }))
      assert.deepEqual([page.url.origin, page.status, /id="page-error"/.test(page.body)], [op.issuer, 400, true], other)
    }
  })

  test('at its end each module takes its client away', async () => {
    const { body } = await register()
    const headers = { authorization: `Bearer ${body.registration_access_token}` }
    const gone = await fetch(String(body.registration_client_uri), { method: 'DELETE', headers })
    assert.equal(gone.status, 204)
  })
})
