/** JWTs that say themselves how they want to be checked, and assertions shown twice (ASVS 5.0 9.1, CVE-2022-36083 class, GHSA-3p3g-vpw6-4w66). */
import assert from 'node:assert/strict'
import { createHmac, randomUUID } from 'node:crypto'
import { before, describe, test } from 'node:test'
import { exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose'
import { APP, authorizationUrl, claimsOf, client, type Gatehouse, SECRET, startGatehouse } from '#test/flows/world.ts'
import { answerOf, askTokens, browser, codeOf, post, refused, signIn } from './house.ts'

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
/** HS256 over any bytes as key: what a confused verifier would compute. */
const hmacJwt = (header: object, claims: object, key: string | Buffer): string => {
  const signed = `${encode({ alg: 'HS256', ...header })}.${encode(claims)}`
  return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`
}

describe('algorithm confusion', () => {
  let op: Gatehouse
  let pair: Awaited<ReturnType<typeof generateKeyPair>>
  let foreign: Awaited<ReturnType<typeof generateKeyPair>>
  before(async () => {
    pair = await generateKeyPair('RS256', { extractable: true })
    foreign = await generateKeyPair('RS256', { extractable: true })
    const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'k1', use: 'sig', alg: 'RS256' }
    op = await startGatehouse({
      clients: [
        client({ trusted: true, post_logout_redirect_uris: [`${APP}/out`] }),
        client({
          client_id: 'asymmetric',
          token_endpoint_auth_method: 'private_key_jwt',
          jwks: { keys: [jwk] },
          trusted: true,
        }),
        client({ client_id: 'symmetric', token_endpoint_auth_method: 'client_secret_jwt', trusted: true }),
      ],
    })
  })

  const claims = (id: string, more: JWTPayload = {}): JWTPayload => {
    const now = Math.floor(Date.now() / 1000)
    return { iss: id, sub: id, aud: op.issuer, jti: randomUUID(), iat: now, exp: now + 60, ...more }
  }
  const assertion = (jwt: string) =>
    post(`${op.issuer}/token`, {
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: jwt,
    })
  const signed = (more: JWTPayload = {}, header: object = {}, key = pair.privateKey) =>
    new SignJWT(claims('asymmetric', more)).setProtectedHeader({ alg: 'RS256', kid: 'k1', ...header }).sign(key)
  const shared = (more: JWTPayload = {}, secret = SECRET) => hmacJwt({}, claims('symmetric', more), secret)

  test('control: honest assertions of both kinds are taken', async () => {
    for (const jwt of [await signed(), shared()]) {
      const { status, body } = await assertion(jwt)
      assert.equal(status, 200, JSON.stringify(body))
    }
  })

  test('client assertions: none, HS256 with the public key, foreign and embedded keys', async () => {
    const pem = await exportSPKI(pair.publicKey)
    const jwk = await exportJWK(pair.publicKey)
    const evil = { ...(await exportJWK(foreign.publicKey)), kid: 'k1' }
    const forged = [
      new UnsecuredJWT(claims('asymmetric')).encode(),
      new UnsecuredJWT(claims('symmetric')).encode(),
      `${encode({ alg: 'None' })}.${encode(claims('symmetric'))}.`,
      `${encode({ alg: 'nOnE', typ: 'JWT' })}.${encode(claims('asymmetric'))}.`,
      hmacJwt({ kid: 'k1' }, claims('asymmetric'), pem),
      hmacJwt({ kid: 'k1' }, claims('asymmetric'), pem.trim()),
      hmacJwt({ kid: 'k1' }, claims('asymmetric'), JSON.stringify(jwk)),
      hmacJwt({ kid: 'k1' }, claims('asymmetric'), SECRET),
      hmacJwt({}, claims('symmetric'), ''),
      shared({}, 'another secret of the same kind, long enough'),
      await signed({}, {}, foreign.privateKey),
      await signed({}, { jwk: evil }, foreign.privateKey),
      await signed({}, { jku: `${APP}/keys` }, foreign.privateKey),
      await signed({}, { x5u: `${APP}/keys` }, foreign.privateKey),
      await signed({}, { kid: '../../dev/null' }, foreign.privateKey),
      (await signed()).replace(/\.[^.]+$/, '.'),
    ]
    for (const jwt of forged) refused(await assertion(jwt), 'invalid_client', 401)
    await assert.doesNotReject(signed().then(assertion))
  })

  test('client assertions: for another audience, of another issuer, expired, far ahead, without jti', async () => {
    const now = Math.floor(Date.now() / 1000)
    for (const more of [
      { aud: 'https://evil.example' },
      { aud: undefined },
      { iss: 'symmetric' },
      { sub: 'web' },
      { exp: now - 120, iat: now - 180 },
      { exp: undefined },
      { exp: now + 10 * 86_400 },
      { nbf: now + 600 },
      { jti: undefined },
    ] as JWTPayload[]) {
      const { status, body } = await assertion(await signed(more))
      assert.ok(status >= 400 && status < 500, JSON.stringify(more))
      assert.match(String(body.error), /^invalid_(client|request)$/, JSON.stringify(more))
    }
  })

  test('an assertion shown twice is refused: one after the other, at once, and at another endpoint', async () => {
    const jwt = await signed()
    assert.equal((await assertion(jwt)).status, 200)
    refused(await assertion(jwt), 'invalid_client', 401)
    const raced = await signed()
    const answers = await Promise.all(Array.from({ length: 10 }, () => assertion(raced)))
    assert.equal(answers.filter(({ status }) => status === 200).length, 1)
    assert.equal(answers.filter(({ status, body }) => status === 401 && body.error === 'invalid_client').length, 9)
    const elsewhere = await post(`${op.issuer}/introspect`, {
      token: 'x',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: jwt,
    })
    refused(elsewhere, 'invalid_client', 401)
  })

  test('a client of one method cannot authenticate by a weaker one', async () => {
    const basic = (id: string) => ({ authorization: `Basic ${Buffer.from(`${id}:${SECRET}`).toString('base64')}` })
    const grant = { grant_type: 'client_credentials' }
    for (const id of ['asymmetric', 'symmetric']) {
      assert.equal((await post(`${op.issuer}/token`, grant, basic(id))).body.error, 'invalid_client')
      assert.equal(
        (await post(`${op.issuer}/token`, { ...grant, client_id: id, client_secret: SECRET })).body.error,
        'invalid_client',
      )
      assert.equal((await post(`${op.issuer}/token`, { ...grant, client_id: id })).body.error, 'invalid_client')
    }
    refused(await assertion(hmacJwt({}, claims('web'), SECRET)), 'invalid_client', 401)
  })

  test('id_token_hint with none, a foreign key or another issuer identifies nobody', async () => {
    const someone = browser()
    const { body } = await askTokens(op, {
      grant_type: 'authorization_code',
      code: codeOf(await signIn(op, {}, { by: someone })),
    })
    const honest = String(body.id_token)
    const said = claimsOf(honest)
    const silent = async (id_token_hint: string) =>
      answerOf(await someone.open(authorizationUrl(op.issuer, { prompt: 'none', id_token_hint })))
    assert.ok((await silent(honest)).get('code'), 'control')
    const { jwks_uri } = (await (await fetch(`${op.issuer}/.well-known/openid-configuration`)).json()) as {
      jwks_uri: string
    }
    const { keys } = (await (await fetch(jwks_uri)).json()) as { keys: Record<string, string>[] }
    const forged = [
      new UnsecuredJWT(said).encode(),
      `${encode({ alg: 'none' })}.${honest.split('.')[1]}.`,
      `${honest.split('.')[0]}.${encode({ ...said, sub: 'somebody-else' })}.${honest.split('.')[2]}`,
      hmacJwt({ kid: keys[0]?.kid }, said, JSON.stringify(keys[0])),
      await new SignJWT(said).setProtectedHeader({ alg: 'RS256', kid: keys[0]?.kid ?? '' }).sign(foreign.privateKey),
      await new SignJWT({ ...said, iss: 'https://evil.example' })
        .setProtectedHeader({ alg: 'RS256' })
        .sign(foreign.privateKey),
    ]
    for (const hint of forged) {
      assert.ok(!(await silent(hint)).has('code'), hint)
      const out = await someone.open(
        `${op.issuer}/session/end?${new URLSearchParams({ id_token_hint: hint, post_logout_redirect_uri: `${APP}/out` })}`,
      )
      assert.equal(out.url.origin, op.issuer)
      assert.equal(out.status, 400, hint)
    }
  })

  test('request objects: none and foreign signatures are refused', async () => {
    const request = {
      client_id: 'asymmetric',
      iss: 'asymmetric',
      aud: op.issuer,
      redirect_uri: 'http://127.0.0.1:1/cb',
      response_type: 'code',
      scope: 'openid',
    }
    for (const jwt of [
      new UnsecuredJWT(request).encode(),
      await new SignJWT(request).setProtectedHeader({ alg: 'RS256', kid: 'k1' }).sign(foreign.privateKey),
      hmacJwt({ kid: 'k1' }, request, await exportSPKI(pair.publicKey)),
    ]) {
      const page = await browser().open(authorizationUrl(op.issuer, { client_id: 'asymmetric', request: jwt }))
      assert.doesNotMatch(page.body, /id="page-(login|choose)"/)
      const error = answerOf(page).get('error') ?? /<code id="error">(\w+)</.exec(page.body)?.[1]
      assert.match(String(error), /^(invalid_request_object|request_not_supported|invalid_request)$/)
    }
  })

  test('an ID token is no access token, nor the other way round', async () => {
    const { body } = await askTokens(op, { grant_type: 'authorization_code', code: codeOf(await signIn(op)) })
    const basic = { authorization: `Basic ${Buffer.from(`web:${SECRET}`).toString('base64')}` }
    const ask = async (token: unknown) =>
      (await post(`${op.issuer}/introspect`, { token: String(token) }, basic)).body.active
    assert.equal(await ask(body.access_token), true)
    assert.notEqual(await ask(body.id_token), true)
    assert.notEqual(await ask(new UnsecuredJWT(claims('web', { scope: 'openid' })).encode()), true)
    assert.equal(await ask('made-up'), false)
  })
})
