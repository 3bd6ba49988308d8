/**
 * The discovery document of a whole server (OIDC Discovery 3, RFC 8414 2): every address that it names works, every
 * address that works is named, and a feature that is switched off is neither named nor there. The values of its lists are
 * walked by engine/metadata.
 */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { endpoints } from '#http/endpoints.ts'
import { answerOf, browser, codeOf, post, signIn } from '../attacks/house.ts'
import { authorizationUrl, basicAuth, CALLBACK, client, type Gatehouse, redeem, startGatehouse } from './world.ts'

type Document = Readonly<Record<string, unknown>>

const read = async (op: Gatehouse) =>
  (await (await fetch(`${op.issuer}/.well-known/openid-configuration`)).json()) as Document

const register = (url: string, metadata: Document = {}) =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ redirect_uris: ['https://rp.example/cb'], ...metadata }),
  })
const clientCredentials = (url: string, headers: Record<string, string> = {}) =>
  post(url, { grant_type: 'client_credentials' }, { authorization: basicAuth(), ...headers })

/** What each address must be good for; answers whether it was. */
const uses: Readonly<Record<string, (url: string, op: Gatehouse) => Promise<boolean>>> = {
  async authorization_endpoint(url) {
    const asked = { client_id: 'web', response_type: 'code', scope: 'openid', redirect_uri: CALLBACK }
    const { status, headers } = await fetch(`${url}?${new URLSearchParams(asked)}`, { redirect: 'manual' })
    return status === 303 && (headers.get('location') ?? '').includes('/interaction/')
  },
  token_endpoint: async (url) => typeof (await clientCredentials(url)).body.access_token === 'string',
  async jwks_uri(url) {
    const { keys } = (await (await fetch(url)).json()) as { keys: { kid: string; d?: string }[] }
    return keys.length > 0 && keys.every(({ kid, d }) => kid !== '' && d === undefined)
  },
  async userinfo_endpoint(url, op) {
    const { body } = await redeem(op.issuer, codeOf(await signIn(op)))
    const answer = await fetch(url, { headers: { authorization: `Bearer ${body.access_token}` } })
    return typeof ((await answer.json()) as { sub?: string }).sub === 'string'
  },
  async introspection_endpoint(url, op) {
    const { body } = await clientCredentials(`${op.issuer}/token`)
    const answer = await post(url, { token: String(body.access_token) }, { authorization: basicAuth() })
    return answer.body.active === true
  },
  async revocation_endpoint(url, op) {
    const { body } = await clientCredentials(`${op.issuer}/token`)
    const fields = { token: String(body.access_token) }
    const { status } = await post(url, fields, { authorization: basicAuth() })
    const after = await post(`${op.issuer}/introspect`, fields, { authorization: basicAuth() })
    return status === 200 && after.body.active === false
  },
  async pushed_authorization_request_endpoint(url, op) {
    const asked = { client_id: 'web', response_type: 'code', scope: 'openid', redirect_uri: CALLBACK }
    const { status, body } = await post(url, asked, { authorization: basicAuth() })
    if (status !== 201) return false
    const go = new URLSearchParams({ client_id: 'web', request_uri: String(body.request_uri) })
    const page = await browser().open(`${op.issuer}/authorize?${go}`)
    return page.status === 200 && page.url.pathname.startsWith('/interaction/')
  },
  registration_endpoint: async (url) => (await register(url)).status === 201,
  async end_session_endpoint(url, op) {
    const someone = browser()
    await signIn(op, {}, { by: someone })
    return /id="page-logout"/.test((await someone.open(url)).body)
  },
  async check_session_iframe(url) {
    const { status, headers } = await fetch(url)
    return status === 200 && headers.get('x-frame-options') === null
  },
}

/** Addresses that a specification finds by itself, or that are only steps of another one. */
const unnamed = /^\/\.well-known\/|^\/session\/end\/(confirm|success)$/

const start = (more: Document = {}) => startGatehouse({ clients: [client({ trusted: true })], ...more })

describe('the discovery document of a server', () => {
  let op: Gatehouse
  let document: Document
  before(async () => {
    op = await start()
    document = await read(op)
  })

  test('every address that it names works', async () => {
    const named = Object.keys(document).filter((name) => /_endpoint$|_uri$|_iframe$/.test(name))
    assert.deepEqual(new Set(named), new Set(Object.keys(uses)))
    for (const name of named) assert.equal(await uses[name]?.(String(document[name]), op), true, name)
    assert.equal(document.issuer, op.issuer)
  })

  test('every address that works is named', () => {
    const named = new Set(Object.values(document))
    const left = endpoints.filter(({ path }) => !unnamed.test(path) && !named.has(`${op.issuer}${path}`))
    assert.deepEqual(left, [])
    assert.ok(op.routes.includes(`GET ${new URL(String(document.check_session_iframe)).pathname}`))
  })

  test('what is switched off is not named, and not there', async () => {
    const names = ['sessionManagement', 'frontchannelLogout', 'backchannelLogout', 'webfinger', 'par', 'jar', 'jarm']
    names.push('dpop', 'encryption', 'requestUri')
    const bare = await start({
      features: Object.fromEntries(names.map((name) => [name, false])),
      registration: { enabled: false },
    })
    const less = await read(bare)
    const gone = Object.keys(document).filter((name) => !less[name])
    const expected =
      /^(check_session_iframe|pushed_authorization|registration_endpoint|(front|back)channel_logout|dpop_|request_uri_|require_request_uri|request_(parameter|object)_|authorization_signing_|\w+_encryption_)/
    assert.deepEqual(
      Object.keys(document).filter((name) => expected.test(name) && document[name] !== false),
      gone.filter((name) => document[name] !== false),
    )
    assert.deepEqual(
      (less.response_modes_supported as string[]).filter((mode) => mode.includes('jwt')),
      [],
    )
    for (const name of ['check_session_iframe', 'pushed_authorization_request_endpoint', 'registration_endpoint']) {
      const { pathname } = new URL(String(document[name]))
      const method = name === 'check_session_iframe' ? 'GET' : 'POST'
      assert.equal((await fetch(`${bare.issuer}${pathname}`, { method })).status, 404, name)
    }
    const finger = async ({ issuer }: Gatehouse) => {
      const resource = `acct:alice@${new URL(issuer).host}`
      return (await fetch(`${issuer}/.well-known/webfinger?${new URLSearchParams({ resource })}`)).status
    }
    assert.deepEqual([await finger(op), await finger(bare)], [200, 404])

    const refused = async (more: Record<string, string>) =>
      answerOf(await browser().open(authorizationUrl(bare.issuer, { ...more }))).get('error')
    assert.equal(await refused({ request: 'x.y.z' }), 'request_not_supported')
    assert.equal(await refused({ request_uri: 'https://rp.example/request' }), 'request_uri_not_supported')
    assert.equal(await refused({ response_mode: 'query.jwt' }), 'unsupported_response_mode')
    const plain = await clientCredentials(`${bare.issuer}/token`, { dpop: 'x.y.z' })
    assert.deepEqual([plain.status, plain.body.token_type], [200, 'Bearer'])
    for (const [name, use] of Object.entries(uses))
      if (name in less) assert.equal(await use(String(less[name]), bare), true, name)
  })
})
