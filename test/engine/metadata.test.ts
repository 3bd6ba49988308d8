/**
 * Every advertised metadata value works, and every working one is advertised: walks the discovery document with a
 * relying party made of jose. A member that nobody looks at fails.
 */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { createRemoteJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { createScopeTable } from '#op/scopes.ts'
import { authorizeUrl, claimsOf, pkce, post, redeem, type Tokens, userinfo, Visitor } from './browser.ts'
import { client, redirectUri, suiteHouse } from './house.ts'
import { createRpKeys, encryptTo, type RpKeys } from './rp-keys.ts'

type Document = Readonly<Record<string, unknown>>

const types = ['code', 'none', 'id_token', 'id_token token', 'code id_token', 'code token', 'code id_token token']
const grants = ['authorization_code', 'refresh_token', 'implicit', 'client_credentials']

const open = suiteHouse(() => ({
  settings: { keys: { algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'] } },
  resources: { clients: [client('web', { response_types: types, grant_types: grants })] },
}))

let rp: RpKeys
let document: Document
let published: JSONWebKeySet
const json = async (url: string) => (await (await fetch(url)).json()) as Document

const prepare = async () => {
  rp ??= await createRpKeys()
  document = await json(`${open().issuer}/.well-known/openid-configuration`)
  published = (await json(String(document.jwks_uri))) as unknown as JSONWebKeySet
}

const list = (name: string): string[] => (document[name] ?? assert.fail(`${name} is not advertised`)) as string[]
const secretOf = (id: string) => `${id}-secret-0123456789`

let made = 0
/** A client of its own for one combination of members. */
const put = async (over: Record<string, unknown>): Promise<string> => {
  const id = `rp-${++made}-with-a-secret-that-is-long-enough-for-hmac`
  const all = { response_types: types, grant_types: grants, jwks: rp.jwks, ...over }
  await open().records.clients.put(client(id, all))
  return id
}
const tokensOf = async (id: string, over: Record<string, string> = {}): Promise<Tokens> =>
  redeem(open(), id, await new Visitor(open()).code(id, { scope: 'openid email', ...over }))

/** Verifies what a client was sent, by our keys or its secret. */
const verified = async (jwt: string, id: string, alg: string) => {
  const options = { issuer: open().issuer, algorithms: [alg] }
  return alg.startsWith('HS')
    ? jwtVerify(jwt, Buffer.from(secretOf(id)), options)
    : jwtVerify(jwt, createRemoteJWKSet(new URL(String(document.jwks_uri))), options)
}

/** Registers itself with a member; what is not offered is refused, or not what was registered. */
const registers = async (member: string, value: string, more: Record<string, unknown> = {}): Promise<boolean> => {
  const response = await fetch(String(document.registration_endpoint), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ redirect_uris: [redirectUri], jwks: rp.jwks, ...more, [member]: value }),
  })
  const body = (await response.json()) as Document
  assert.ok(response.status === 201 || response.status === 400, `${member} ${value}: ${response.status}`)
  return response.status === 201 && body[member] === value
}

const signingAlgorithms = ['none', 'HS256', 'HS384', 'HS512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']
signingAlgorithms.push('ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519', 'ES256K')
const keyAlgorithms = ['RSA1_5', 'RSA-OAEP', 'RSA-OAEP-256', 'RSA-OAEP-512', 'A128KW', 'A192KW', 'A256KW', 'A128GCMKW']
keyAlgorithms.push('dir', 'ECDH-ES', 'ECDH-ES+A128KW', 'PBES2-HS256+A128KW')
const contentAlgorithms = ['A128CBC-HS256', 'A192CBC-HS384', 'A256CBC-HS512', 'A128GCM', 'A192GCM', 'A256GCM']

interface Kind {
  readonly what: string
  /** Answers the JWT as this client gets it. */
  get(id: string): Promise<string>
}
const kinds: readonly Kind[] = [
  { what: 'id_token', get: async (id) => (await tokensOf(id)).id_token ?? '' },
  {
    what: 'userinfo',
    async get(id) {
      const authorization = `Bearer ${(await tokensOf(id)).access_token}`
      return (await fetch(String(document.userinfo_endpoint), { headers: { authorization } })).text()
    },
  },
  {
    what: 'introspection',
    async get(id) {
      const response = await fetch(String(document.introspection_endpoint), {
        method: 'POST',
        headers: {
          accept: 'application/token-introspection+jwt',
          authorization: `Basic ${Buffer.from(`${id}:${secretOf(id)}`).toString('base64')}`,
        },
        body: new URLSearchParams({ token: (await tokensOf(id)).access_token ?? '' }),
      })
      return response.text()
    },
  },
  {
    what: 'authorization',
    async get(id) {
      const answer = await new Visitor(open()).authorize(id, { response_mode: 'query.jwt' })
      return answer.url.searchParams.get('response') ?? ''
    },
  },
]

const seen = new Set<string>()
const look = (...names: string[]) => {
  for (const name of names) seen.add(name)
}

describe('what is advertised works', () => {
  before(prepare)
  for (const { what, get } of kinds) {
    look(`${what}_signing_alg_values_supported`)
    test(`${what}: every signing algorithm, and no other`, async () => {
      const offered = list(`${what}_signing_alg_values_supported`)
      for (const alg of offered) {
        const id = await put({ [`${what}_signed_response_alg`]: alg })
        assert.equal((await verified(await get(id), id, alg)).protectedHeader.alg, alg)
      }
      for (const alg of signingAlgorithms.filter((each) => !offered.includes(each)))
        assert.equal(await registers(`${what}_signed_response_alg`, alg), false, `${what} ${alg}`)
    })

    look(`${what}_encryption_alg_values_supported`, `${what}_encryption_enc_values_supported`)
    test(`${what}: every encryption, and no other`, async () => {
      const algs = list(`${what}_encryption_alg_values_supported`)
      const encs = list(`${what}_encryption_enc_values_supported`)
      const combined = [
        ...algs.map((alg) => [alg, encs[0] ?? '']),
        ...encs.map((enc) => ['dir', enc]),
        ...encs.map((enc) => [algs[0] ?? '', enc]),
      ]
      for (const [alg = '', enc = ''] of combined) {
        const id = await put({
          [`${what}_signed_response_alg`]: 'ES256',
          [`${what}_encrypted_response_alg`]: alg,
          [`${what}_encrypted_response_enc`]: enc,
        })
        const inner = await rp.open(await get(id), secretOf(id))
        assert.deepEqual([inner.alg, inner.enc], [alg, enc])
        await verified(inner.text, id, 'ES256')
      }
      const signed = { [`${what}_signed_response_alg`]: 'ES256' }
      for (const alg of keyAlgorithms.filter((each) => !algs.includes(each)))
        assert.equal(await registers(`${what}_encrypted_response_alg`, alg, signed), false, `${what} ${alg}`)
      for (const enc of contentAlgorithms.filter((each) => !encs.includes(each))) {
        const with_ = { ...signed, [`${what}_encrypted_response_alg`]: 'RSA-OAEP' }
        assert.equal(await registers(`${what}_encrypted_response_enc`, enc, with_), false, `${what} ${enc}`)
      }
    })
  }

  look('request_parameter_supported', 'request_object_signing_alg_values_supported')
  look('request_object_encryption_alg_values_supported', 'request_object_encryption_enc_values_supported')
  test('request objects: every signature and encryption, and no other', async () => {
    assert.equal(document.request_parameter_supported, true)
    const claimsFor = (id: string) => ({
      ...Object.fromEntries(authorizeUrl(open(), id, { state: 'inside' }).searchParams),
      iss: id,
      aud: open().issuer,
    })
    const ask = async (id: string, request: string) => {
      const { url } = await new Visitor(open()).go(authorizeUrl(open(), id, { request, state: 'outside' }))
      return url.searchParams
    }
    const signatures = list('request_object_signing_alg_values_supported')
    for (const alg of signatures) {
      const id = await put({})
      const answer = await ask(id, await rp.sign(alg, claimsFor(id), secretOf(id)))
      assert.deepEqual([answer.has('code'), answer.get('state')], [true, 'inside'], `${alg}: ${answer}`)
    }
    for (const alg of signingAlgorithms.filter((each) => !signatures.includes(each)))
      assert.equal(await registers('request_object_signing_alg', alg), false, alg)
    const algs = list('request_object_encryption_alg_values_supported')
    const encs = list('request_object_encryption_enc_values_supported')
    assert.ok(algs.includes('RSA-OAEP-256') && algs.includes('ECDH-ES'), 'by our published keys')
    for (const alg of algs)
      for (const enc of encs) {
        const id = await put({})
        const inner = await rp.sign('ES256', claimsFor(id))
        const answer = await ask(id, await encryptTo(published, inner, { alg, enc, secret: secretOf(id) }))
        assert.deepEqual([answer.has('code'), answer.get('state')], [true, 'inside'], `${alg} ${enc}: ${answer}`)
      }
    for (const alg of keyAlgorithms.filter((each) => !algs.includes(each)))
      assert.equal(await registers('request_object_encryption_alg', alg), false, alg)
    for (const enc of contentAlgorithms.filter((each) => !encs.includes(each))) {
      const more = { request_object_encryption_alg: algs[0] }
      assert.equal(await registers('request_object_encryption_enc', enc, more), false, enc)
    }
  })

  look('response_types_supported', 'response_modes_supported', 'authorization_response_iss_parameter_supported')
  test('every response type in every mode that may carry it; no other type, no other mode', async () => {
    const id = await put({ authorization_signed_response_alg: 'ES256' })
    const offered = list('response_types_supported')
    assert.deepEqual(new Set(offered), new Set(types))
    for (const response_type of offered)
      for (const response_mode of list('response_modes_supported')) {
        const answer = await new Visitor(open()).authorize(id, { response_type, response_mode, nonce: 'n', state: 's' })
        const wrong = response_mode.startsWith('query') && response_mode !== 'query.jwt' && /token/.test(response_type)
        const where = `${response_type} by ${response_mode}: ${answer.url} ${answer.body.slice(0, 300)}`
        const given = await fieldsOf(answer, response_mode)
        if (wrong || (response_mode === 'query.jwt' && given.has('error'))) {
          // OAuth 2.0 Multiple Response Types 5: no token in a query that is not encrypted.
          assert.equal(given.get('error'), 'invalid_request', where)
          continue
        }
        assert.equal(given.get('state'), 's', where)
        const has = (name: string, type: string) => given.has(name) === response_type.split(' ').includes(type)
        assert.ok(has('code', 'code') && has('id_token', 'id_token') && has('access_token', 'token'), where)
        if (!given.has('id_token')) assert.equal(given.get('iss'), open().issuer, where)
      }
    for (const response_type of ['token', 'device', 'id_token code none']) {
      const { url, body } = await new Visitor(open()).authorize(id, { response_type, nonce: 'n' })
      assert.match(`${url} ${body}`, /unsupported_response_type|invalid_request/, response_type)
    }
    for (const response_mode of ['web_message', 'cookie'])
      assert.match((await new Visitor(open()).authorize(id, { response_mode })).url.href, /error=/, response_mode)
  })

  look('grant_types_supported')
  test('every grant type, and no other', async () => {
    const tokens = await tokensOf('web', { scope: 'openid offline_access', prompt: 'consent' })
    const { url } = await new Visitor(open()).authorize('web', { response_type: 'id_token', nonce: 'n' })
    const tries: Record<string, () => Promise<boolean>> = {
      authorization_code: async () => tokens.id_token !== undefined,
      refresh_token: async () =>
        (
          await post(
            open(),
            '/token',
            { grant_type: 'refresh_token', refresh_token: tokens.refresh_token ?? '' },
            'web',
          )
        ).status === 200,
      client_credentials: async () =>
        (await post(open(), '/token', { grant_type: 'client_credentials' }, 'web')).status === 200,
      implicit: async () => url.hash.includes('id_token='),
    }
    for (const grant of list('grant_types_supported')) assert.ok(await tries[grant]?.(), grant)
    for (const grant_type of ['password', 'urn:ietf:params:oauth:grant-type:jwt-bearer', 'implicit', 'x'])
      assert.equal((await post(open(), '/token', { grant_type }, 'web')).error, 'unsupported_grant_type')
  })
})

/** The members of an authorization response, however it came. */
const fieldsOf = async (answer: { url: URL; body: string }, mode: string): Promise<URLSearchParams> => {
  const inPage = new URLSearchParams(
    Array.from(
      answer.body.matchAll(/name="([^"]+)" value="([^"]*)"/g),
      ([, name = '', value = '']): [string, string] => [name, value],
    ),
  )
  const outer = mode.startsWith('form_post')
    ? inPage
    : new URLSearchParams(answer.url.hash.slice(1) || answer.url.search)
  const response = outer.get('response')
  if (response === null) return outer
  const { payload } = await jwtVerify(response, createRemoteJWKSet(new URL(String(document.jwks_uri))))
  return new URLSearchParams(Object.entries(payload).map(([name, value]): [string, string] => [name, String(value)]))
}

describe('what is advertised works, at the token endpoint and around', () => {
  before(prepare)
  look('token_endpoint_auth_methods_supported', 'token_endpoint_auth_signing_alg_values_supported')
  test('every client authentication, and no other', async () => {
    const methods = list('token_endpoint_auth_methods_supported')
    const algs = list('token_endpoint_auth_signing_alg_values_supported')
    const grant = { grant_type: 'client_credentials' }
    const assertion = (id: string, jwt: string) => ({
      client_id: id,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: jwt,
    })
    for (const method of methods) {
      const fits = algs.filter((alg) => alg.startsWith('HS') === (method === 'client_secret_jwt'))
      for (const alg of method.endsWith('_jwt') ? fits : ['']) {
        const id = await put({
          token_endpoint_auth_method: method,
          ...(alg && { token_endpoint_auth_signing_alg: alg }),
          ...(method === 'none' && {
            client_secret: undefined,
            grant_types: ['authorization_code'],
            response_types: ['code'],
          }),
        })
        const claims = { iss: id, sub: id, aud: open().issuer, jti: `${id}-${alg}` }
        const { verifier, challenge } = pkce()
        const ways: Record<string, () => Promise<Tokens>> = {
          client_secret_basic: () => post(open(), '/token', grant, id),
          client_secret_post: () => post(open(), '/token', { ...grant, client_id: id, client_secret: secretOf(id) }),
          client_secret_jwt: async () =>
            post(open(), '/token', { ...grant, ...assertion(id, await rp.sign(alg, claims, secretOf(id))) }),
          private_key_jwt: async () =>
            post(open(), '/token', { ...grant, ...assertion(id, await rp.sign(alg, claims)) }),
          none: async () => {
            const code = await new Visitor(open()).code(id, {
              code_challenge: challenge,
              code_challenge_method: 'S256',
            })
            const fields = { grant_type: 'authorization_code', code, redirect_uri: redirectUri, client_id: id }
            return post(open(), '/token', { ...fields, code_verifier: verifier })
          },
        }
        const answer = await (ways[method] ?? assert.fail(method))()
        assert.equal(answer.status, 200, `${method} ${alg} ${answer.error_description}`)
      }
    }
    for (const method of ['tls_client_auth', 'self_signed_tls_client_auth', 'attest_jwt_client_auth'])
      assert.equal(await registers('token_endpoint_auth_method', method), false, method)
    const jwt = { token_endpoint_auth_method: 'private_key_jwt' }
    for (const alg of signingAlgorithms.filter((each) => !algs.includes(each)))
      assert.equal(await registers('token_endpoint_auth_signing_alg', alg, jwt), false, alg)
  })

  look('dpop_signing_alg_values_supported')
  test('DPoP: every algorithm of proofs, and no other', async () => {
    const prove = async (alg: string) => {
      const proof = await dpop(alg, String(document.token_endpoint))
      return post(open(), '/token', { grant_type: 'client_credentials' }, 'web', { dpop: proof })
    }
    const offered = list('dpop_signing_alg_values_supported')
    for (const alg of offered) {
      const answer = await prove(alg)
      assert.deepEqual([answer.status, answer.token_type], [200, 'DPoP'], `${alg}: ${answer.error_description}`)
    }
    // Those that jose makes asymmetric keys for: symmetric ones and none are no proofs at all (RFC 9449 4.2).
    const others = signingAlgorithms.filter((alg) => !offered.includes(alg) && !/^(HS|none|ES256K)/.test(alg))
    assert.ok(others.length > 2)
    for (const alg of others) {
      const answer = await prove(alg)
      assert.deepEqual([answer.status, answer.error], [400, 'invalid_dpop_proof'], alg)
    }
  })

  look(
    'scopes_supported',
    'claims_supported',
    'claims_parameter_supported',
    'claim_types_supported',
    'subject_types_supported',
  )
  test('every scope, every claim, every kind of subject', async () => {
    assert.deepEqual(list('scopes_supported'), [...createScopeTable([]).names])
    const claims = list('claims_supported')
    const standard = ['iss', 'sid', 'acr', 'amr', 'auth_time', 'idp', 'sub']
    await open().records.accounts.update('alice', (alice) => ({
      ...alice,
      claims: {
        ...Object.fromEntries(claims.filter((each) => !standard.includes(each)).map((name) => [name, `a ${name}`])),
        ...alice.claims,
      },
    }))
    const id = await put({})
    const wanted = Object.fromEntries(claims.map((name) => [name, null]))
    const parameter = JSON.stringify({
      userinfo: { ...wanted, unheard_of: null },
      id_token: { ...wanted, unheard_of: null },
    })
    const tokens = await tokensOf(id, { scope: 'openid', claims: parameter })
    const told = (await userinfo(open(), tokens.access_token ?? '')).claims
    const inToken = claimsOf(tokens.id_token)
    for (const name of claims.filter((each) => each !== 'idp'))
      assert.ok(name in inToken || name in told, `${name} is nowhere`)
    assert.ok(!('unheard_of' in inToken) && !('unheard_of' in told))
    const all = await tokensOf(id, { scope: list('scopes_supported').join(' '), prompt: 'consent' })
    assert.deepEqual(new Set(all.scope?.split(' ')), new Set(list('scopes_supported')))
    for (const subject_type of list('subject_types_supported')) {
      const { sub } = claimsOf((await tokensOf(await put({ subject_type }))).id_token)
      assert.equal(sub === 'alice', subject_type === 'public')
    }
    assert.equal(await registers('subject_type', 'transient'), false)
    assert.deepEqual(list('claim_types_supported'), ['normal'])
    assert.equal(document.claims_parameter_supported, true)
  })

  look(
    'prompt_values_supported',
    'acr_values_supported',
    'display_values_supported',
    'ui_locales_supported',
    'code_challenge_methods_supported',
  )
  test('every prompt, acr, display, language and challenge method', async () => {
    const visitor = new Visitor(open())
    await visitor.code('web')
    for (const prompt of list('prompt_values_supported')) await visitor.code('web', { prompt })
    assert.match((await visitor.authorize('web', { prompt: 'wink' })).url.href, /error=invalid_request/)
    for (const acr_values of list('acr_values_supported')) {
      const tokens = await redeem(open(), 'web', await visitor.code('web', { acr_values }))
      assert.equal(claimsOf(tokens.id_token).acr, acr_values)
    }
    for (const display of list('display_values_supported')) await visitor.code('web', { display })
    for (const ui_locales of list('ui_locales_supported')) {
      const page = await visitor.authorize('nobody', { ui_locales })
      assert.ok(page.body.includes(`<html lang="${ui_locales}"`), page.body.slice(0, 200))
    }
    assert.deepEqual(list('code_challenge_methods_supported'), ['S256'])
  })

  look('require_request_uri_registration', 'request_uri_parameter_supported', 'check_session_iframe')
  look(
    'issuer',
    'jwks_uri',
    'authorization_endpoint',
    'end_session_endpoint',
    'registration_endpoint',
    'token_endpoint',
  )
  look('userinfo_endpoint', 'introspection_endpoint', 'revocation_endpoint', 'pushed_authorization_request_endpoint')
  look('backchannel_logout_supported', 'backchannel_logout_session_supported')
  look('frontchannel_logout_supported', 'frontchannel_logout_session_supported')
  test('no member of the document was left out here, and the same is at the OAuth address', async () => {
    assert.deepEqual(
      Object.keys(document).filter((name) => !seen.has(name)),
      [],
    )
    for (const [name, value] of Object.entries(document))
      if (name.endsWith('_endpoint') || name === 'jwks_uri') {
        const { status } = await fetch(String(value), { redirect: 'manual' })
        assert.notEqual(status, 404, name)
      }
    assert.deepEqual(await json(`${open().issuer}/.well-known/oauth-authorization-server`), document)
  })
})

const dpop = async (alg: string, htu: string): Promise<string> => {
  const { SignJWT, exportJWK, generateKeyPair } = await import('jose')
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  const claims = { jti: crypto.randomUUID(), htm: 'POST', htu }
  const header = { alg, typ: 'dpop+jwt', jwk: await exportJWK(publicKey) }
  return new SignJWT(claims).setProtectedHeader(header).setIssuedAt().sign(privateKey)
}
