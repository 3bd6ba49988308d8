/** What a relying party written elsewhere can ask of us beyond the plain flow, each to its end: openid-client does the protocol. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { exportJWK, generateKeyPair } from 'jose'
import * as oidc from 'openid-client'
import { Visitor } from './browser.ts'
import { client, redirectUri, suiteHouse } from './house.ts'

const types = ['code', 'id_token', 'code id_token']
const full = { response_types: types, grant_types: ['authorization_code', 'implicit', 'refresh_token'] }
const secretOf = (id: string) => `${id}-secret-0123456789`

let signing: oidc.CryptoKeyPair
let encrypting: oidc.CryptoKeyPair
let jwks: { keys: object[] }
let making: Promise<void> | undefined
/** Once, however many houses ask at the same time. */
const makeKeys = () => {
  making ??= generateKeys()
  return making
}
const generateKeys = async () => {
  signing = await generateKeyPair('ES256', { extractable: true })
  encrypting = await generateKeyPair('RSA-OAEP-256', { extractable: true })
  const sig = { ...(await exportJWK(signing.publicKey)), alg: 'ES256', use: 'sig', kid: 'sig' }
  const enc = { ...(await exportJWK(encrypting.publicKey)), alg: 'RSA-OAEP-256', use: 'enc', kid: 'enc' }
  jwks = { keys: [sig, enc] }
}

const clients = async () => {
  await makeKeys()
  return [
    client('plain', full),
    client('keyed', {
      ...full,
      jwks,
      token_endpoint_auth_method: 'private_key_jwt',
      request_object_signing_alg: 'ES256',
    }),
    client('shared-secret-of-some-length-for-hmac', { ...full, token_endpoint_auth_method: 'client_secret_jwt' }),
    client('sealed', {
      ...full,
      jwks,
      id_token_encrypted_response_alg: 'RSA-OAEP-256',
      id_token_encrypted_response_enc: 'A256GCM',
      userinfo_signed_response_alg: 'RS256',
      userinfo_encrypted_response_alg: 'RSA-OAEP-256',
    }),
    client('signed', { ...full, userinfo_signed_response_alg: 'ES256', introspection_signed_response_alg: 'ES256' }),
    client('bound', { ...full, dpop_bound_access_tokens: true, require_pushed_authorization_requests: true }),
  ]
}

const open = suiteHouse(async () => ({ resources: { clients: await clients() } }))
const hardened = suiteHouse(async () => ({
  settings: { security: 'hardened' },
  resources: { clients: await clients() },
}))

type Options = { metadata?: Partial<oidc.ClientMetadata>; auth?: oidc.ClientAuth; house?: typeof open }
const configure = (id: string, { metadata = {}, auth, house = open }: Options = {}) =>
  oidc.discovery(new URL(house().issuer), id, { client_secret: secretOf(id), ...metadata }, auth, {
    execute: [oidc.allowInsecureRequests],
  })

/** From the request to the tokens. @param build makes the authorization URL of the parameters */
const logIn = async (
  config: oidc.Configuration,
  build: (parameters: Record<string, string>) => URL | Promise<URL>,
  {
    house = open,
    ...options
  }: { house?: typeof open; DPoP?: oidc.DPoPHandle; parameters?: Record<string, string> } = {},
) => {
  const [verifier, state, nonce] = [oidc.randomPKCECodeVerifier(), oidc.randomState(), oidc.randomNonce()]
  const url = await build({
    redirect_uri: redirectUri,
    scope: 'openid email',
    state,
    nonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...options.parameters,
  })
  const end = await new Visitor(house()).go(url)
  const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true }
  const dpop = options.DPoP && { DPoP: options.DPoP }
  const tokens = await oidc.authorizationCodeGrant(config, end.url, checks, undefined, dpop)
  return { url, end, tokens, claims: tokens.claims() ?? assert.fail('an ID token') }
}

describe('openid-client', () => {
  before(makeKeys)

  test('a signed request object, private_key_jwt, a signed response', async () => {
    const config = await configure('keyed', { auth: oidc.PrivateKeyJwt({ key: signing.privateKey, kid: 'sig' }) })
    oidc.useJwtResponseMode(config)
    const { url, end, claims } = await logIn(config, (parameters) =>
      oidc.buildAuthorizationUrlWithJAR(config, parameters, { key: signing.privateKey, kid: 'sig' }),
    )
    assert.deepEqual([...url.searchParams.keys()].sort(), ['client_id', 'request'])
    assert.deepEqual([...end.url.searchParams.keys()], ['response'])
    assert.equal(claims.sub, 'alice')
  })

  test('a pushed request, with client_secret_jwt', async () => {
    const id = 'shared-secret-of-some-length-for-hmac'
    const config = await configure(id, { auth: oidc.ClientSecretJwt(secretOf(id)) })
    const { url, claims } = await logIn(config, (parameters) => oidc.buildAuthorizationUrlWithPAR(config, parameters))
    assert.match(url.searchParams.get('request_uri') ?? '', /^urn:ietf:params:oauth:request_uri:/)
    assert.equal(claims.aud, id)
  })

  test('an encrypted ID token, encrypted and signed userinfo', async () => {
    const config = await configure('sealed')
    oidc.enableDecryptingResponses(config, ['A256GCM', 'A128CBC-HS256'], { key: encrypting.privateKey, kid: 'enc' })
    const { tokens, claims } = await logIn(config, (parameters) => oidc.buildAuthorizationUrl(config, parameters))
    const told = await oidc.fetchUserInfo(config, tokens.access_token, claims.sub)
    assert.equal(told.email, 'alice@example.org')
  })

  test('hybrid, with the ID token from the front', async () => {
    const config = await configure('plain')
    oidc.useCodeIdTokenResponseType(config)
    const { end, claims } = await logIn(config, (parameters) => oidc.buildAuthorizationUrl(config, parameters))
    assert.match(end.url.hash, /id_token=/)
    assert.equal(claims.sub, 'alice')
  })

  test('implicit, an ID token alone', async () => {
    const config = await configure('plain')
    oidc.useIdTokenResponseType(config)
    const [nonce, state] = [oidc.randomNonce(), oidc.randomState()]
    const url = oidc.buildAuthorizationUrl(config, { redirect_uri: redirectUri, scope: 'openid', nonce, state })
    const end = await new Visitor(open()).go(url)
    const claims = await oidc.implicitAuthentication(config, end.url, nonce, { expectedState: state })
    assert.equal(claims.sub, 'alice')
  })

  test('JWT userinfo and JWT introspection', async () => {
    const metadata = { userinfo_signed_response_alg: 'ES256', introspection_signed_response_alg: 'ES256' }
    const config = await configure('signed', { metadata })
    const { tokens, claims } = await logIn(config, (parameters) => oidc.buildAuthorizationUrl(config, parameters))
    assert.equal((await oidc.fetchUserInfo(config, tokens.access_token, claims.sub)).sub, 'alice')
    const seen = await oidc.tokenIntrospection(config, tokens.access_token)
    assert.deepEqual([seen.active, seen.sub], [true, 'alice'])
    await oidc.tokenRevocation(config, tokens.access_token)
    assert.equal((await oidc.tokenIntrospection(config, tokens.access_token)).active, false)
  })

  test('DPoP, where the client’s tokens must be bound and its requests pushed', async () => {
    const config = await configure('bound')
    const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair('ES256'))
    const { tokens, claims } = await logIn(
      config,
      (parameters) => oidc.buildAuthorizationUrlWithPAR(config, parameters, { DPoP }),
      { DPoP },
    )
    assert.equal(tokens.token_type, 'dpop')
    assert.equal((await oidc.fetchUserInfo(config, tokens.access_token, claims.sub, { DPoP })).sub, 'alice')
    const thief = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair('ES256'))
    await assert.rejects(oidc.fetchUserInfo(config, tokens.access_token, claims.sub, { DPoP: thief }))
    await assert.rejects(oidc.fetchUserInfo(config, tokens.access_token, claims.sub))
  })

  test('hardened: proofs need our nonces, which every node makes alike', async () => {
    const config = await configure('plain', { house: hardened })
    const answers: string[] = []
    config[oidc.customFetch] = async (...[url, init]: Parameters<oidc.CustomFetch>) => {
      const response = await fetch(url, init as RequestInit)
      answers.push(`${response.status} ${(await response.clone().text()).match(/use_dpop_nonce/) ?? ''}`.trim())
      return response
    }
    const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair('ES256'))
    const push = (parameters: Record<string, string>) => oidc.buildAuthorizationUrlWithPAR(config, parameters, { DPoP })
    const { tokens, claims } = await logIn(config, push, { house: hardened, DPoP })
    assert.ok(
      answers.some((answer) => answer.endsWith('use_dpop_nonce')),
      `asked for a nonce first: ${answers}`,
    )
    answers.length = 0
    // Another node, or this one after a restart, makes its engine anew.
    await hardened().op.reload()
    assert.equal((await oidc.fetchUserInfo(config, tokens.access_token, claims.sub, { DPoP })).sub, 'alice')
    await logIn(config, push, { house: hardened, DPoP })
    assert.ok(!answers.some((answer) => answer.endsWith('use_dpop_nonce')), `known nonces go on: ${answers}`)
  })
})
