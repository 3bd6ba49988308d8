/** JWT access tokens (RFC 9068), as oauth4webapi and jose see them: at an API, at userinfo, introspection, revocation. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createRemoteJWKSet, decodeJwt, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose'
import * as oauth from 'oauth4webapi'
import type { HookRunner } from '#kernel/hooks.ts'
import { claimsOf, isActive, post, redeem, refresh, userinfo, Visitor } from './browser.ts'
import { client, redirectUri, suiteHouse } from './house.ts'

const insecure = { [oauth.allowInsecureRequests]: true }

/** A deployment's hook that oversteps. */
const run: HookRunner['run'] = async (_point, value, given) => {
  const { kind } = given as { kind: string }
  return { ...value, tier: 'gold', client_id: 'forged', nbf: 9e9, kind } as typeof value
}

const open = suiteHouse(() => ({
  resources: {
    clients: [
      client('api', { access_token_as_jwt: true, access_token_signing_alg: 'ES256' }),
      client('plain'),
      client('standard', { access_token_as_jwt: true, access_token_audience: 'https://api.example' }),
      client('pair', { access_token_as_jwt: true, subject_type: 'pairwise' }),
      client('stale', { access_token_as_jwt: true, access_token_signing_alg: 'PS256' }),
      client('front', {
        access_token_as_jwt: true,
        response_types: ['code', 'id_token token'],
        grant_types: ['authorization_code', 'implicit'],
      }),
    ],
  },
  options: { hooks: { has: (point) => point === 'accessToken', run } },
}))

const server = async (): Promise<oauth.AuthorizationServer> => {
  const issuer = new URL(open().issuer)
  return oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure))
}
const verified = (token: string) =>
  jwtVerify(token, createRemoteJWKSet(new URL('/jwks', open().issuer)), { issuer: open().issuer, typ: 'at+jwt' })

const tokensOf = async (name: string, scope = 'openid email') =>
  redeem(open(), name, await new Visitor(open()).code(name, { scope }))

describe('JWT access tokens', () => {
  test('an API that trusts the issuer takes it: RFC 9068 as oauth4webapi checks it', async () => {
    const { access_token: token = '' } = await tokensOf('standard')
    const request = new Request('https://api.example/things', { headers: { authorization: `Bearer ${token}` } })
    const claims = await oauth.validateJwtAccessToken(await server(), request, 'https://api.example', insecure)
    assert.deepEqual([claims.sub, claims.client_id, claims.scope], ['alice', 'standard', 'openid email'])
  })

  test('its claims: how the person signed in, its own type, extra ones that replace none', async () => {
    const tokens = await tokensOf('api')
    const { payload, protectedHeader } = await verified(tokens.access_token ?? '')
    const idToken = claimsOf(tokens.id_token)
    assert.equal(protectedHeader.alg, 'ES256')
    assert.deepEqual(
      [payload.aud, payload.token_type, payload.client_id, payload.acr, payload.amr, payload.auth_time],
      [open().issuer, 'Bearer', 'api', 'basic', ['pwd'], idToken.auth_time],
    )
    assert.deepEqual([payload.tier, payload.kind, payload.nbf], ['gold', 'AccessToken', undefined])
    assert.equal((payload.exp ?? 0) - (payload.iat ?? 0), tokens.expires_in)
  })

  test('is good at userinfo, introspection and revocation, and dead after it', async () => {
    const { access_token: token = '' } = await tokensOf('api')
    assert.deepEqual((await userinfo(open(), token)).claims.email, 'alice@example.org')
    for (const hint of ['', 'access_token', 'refresh_token']) {
      const seen = await post(open(), '/introspect', { token, token_type_hint: hint }, 'plain')
      assert.deepEqual(
        [seen.active, seen.sub, seen.client_id, seen.token_type, seen.tier],
        [true, 'alice', 'api', 'Bearer', 'gold'],
      )
    }
    assert.equal((await post(open(), '/revoke', { token }, 'api')).status, 200)
    assert.equal(await isActive(open(), 'api', token), false)
    assert.equal((await userinfo(open(), token)).status, 401)
  })

  test('its jti alone opens nothing, forgeries and other tokens of ours neither', async () => {
    const tokens = await tokensOf('api')
    const token = tokens.access_token ?? ''
    const { jti = '', ...claims } = decodeJwt(token)
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
    const forge = async (header: Record<string, unknown>) =>
      new SignJWT({ ...claims, jti }).setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', ...header }).sign(privateKey)
    const kid = JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid as string
    const unsigned = `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')}.${token.split('.')[1]}.`
    const values = [
      jti,
      await forge({}),
      await forge({ kid }),
      await forge({ jwk: await exportJWK(publicKey) }),
      unsigned,
      `jwt:${await forge({ kid })}`,
      tokens.id_token ?? '',
      `${token}x`,
    ]
    for (const value of values) {
      assert.equal((await userinfo(open(), value)).status, 401, value)
      assert.equal((await post(open(), '/introspect', { token: value }, 'api')).active, false, value)
    }
    assert.equal(await isActive(open(), 'api', token), true)
  })

  test('opaque is the default; a refresh and the client’s own token are JWT as well', async () => {
    assert.ok(!(await tokensOf('plain')).access_token?.includes('.'))
    const code = await new Visitor(open()).code('api', { scope: 'openid offline_access', prompt: 'consent' })
    const first = await redeem(open(), 'api', code)
    const next = await refresh(open(), 'api', first.refresh_token ?? '')
    const { payload } = await verified(next.access_token ?? '')
    assert.deepEqual([payload.acr, payload.auth_time], ['basic', claimsOf(first.id_token).auth_time])
    const own = await post(open(), '/token', { grant_type: 'client_credentials' }, 'api')
    const machine = (await verified(own.access_token ?? '')).payload
    assert.deepEqual(
      [machine.sub, machine.client_id, machine.auth_time, machine.kind],
      ['api', 'api', undefined, 'ClientCredentials'],
    )
    assert.equal(await isActive(open(), 'plain', own.access_token ?? ''), true)
    assert.equal((await post(open(), '/revoke', { token: own.access_token ?? '' }, 'api')).status, 200)
    assert.equal(await isActive(open(), 'plain', own.access_token ?? ''), false)
  })

  test('the subject is the one that the client knows; an algorithm that is gone gives way to the default', async () => {
    const pair = await tokensOf('pair')
    assert.equal((await verified(pair.access_token ?? '')).payload.sub, claimsOf(pair.id_token).sub)
    assert.equal((await verified((await tokensOf('stale')).access_token ?? '')).protectedHeader.alg, 'RS256')
    assert.ok(open().lines.some(({ event, fields }) => event === 'client.stale' && fields.client === 'stale'))
  })

  test('from the authorization endpoint too, hashed into the ID token', async () => {
    const { url } = await new Visitor(open()).authorize('front', { response_type: 'id_token token', nonce: 'n' })
    const given = new URLSearchParams(url.hash.slice(1))
    const token = given.get('access_token') ?? ''
    assert.equal((await verified(token)).payload.acr, 'basic')
    const hash = Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(token))).subarray(0, 16)
    assert.equal(claimsOf(given.get('id_token') ?? '').at_hash, hash.toString('base64url'))
    assert.equal((await userinfo(open(), token)).status, 200)
  })

  test('bound by DPoP: the key is in it, and without a proof it opens nothing', async () => {
    const as = await server()
    const rp: oauth.Client = { client_id: 'api' }
    const DPoP = oauth.DPoP(rp, await oauth.generateKeyPair('ES256'))
    const authentication = oauth.ClientSecretBasic('api-secret-0123456789')
    const { url } = await new Visitor(open()).authorize('api', {})
    const parameters = oauth.validateAuthResponse(as, rp, url, oauth.expectNoState)
    const ask = () =>
      oauth.authorizationCodeGrantRequest(as, rp, authentication, parameters, redirectUri, oauth.nopkce, {
        DPoP,
        ...insecure,
      })
    const answer = await oauth.processAuthorizationCodeResponse(as, rp, await ask())
    const { payload } = await verified(answer.access_token)
    assert.equal(payload.token_type, 'DPoP')
    assert.equal((payload.cnf as { jkt: string }).jkt, await DPoP.calculateThumbprint())
    const told = await oauth.userInfoRequest(as, rp, answer.access_token, { DPoP, ...insecure })
    assert.equal(told.status, 200)
    assert.equal((await userinfo(open(), answer.access_token)).status, 401)
    const seen = await post(open(), '/introspect', { token: answer.access_token }, 'plain')
    assert.deepEqual([seen.token_type, seen.cnf], ['DPoP', payload.cnf])
  })
})
