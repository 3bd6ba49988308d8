/** Request objects by reference (OIDC Core 6.2): fetched from a relying party's own server, or refused for a reason. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose'
import { Browser, type Page } from '#test/world/browser.ts'
import { APP, asAlice, authorizationUrl, CALLBACK, client, type Gatehouse, startGatehouse } from './world.ts'

/** What the relying party publishes, by path; every visit is counted. */
const published = new Map<string, { body: string; status?: number; location?: string }>()
const visits: string[] = []

describe('request objects by reference', () => {
  let server: Server
  let at = ''
  let op: Gatehouse
  let key: CryptoKey
  const browser = new Browser({ stopAt: ({ origin }) => origin === APP })

  before(async () => {
    server = createServer((request, response) => {
      const path = request.url ?? ''
      visits.push(path)
      const found = published.get(path)
      response.writeHead(found?.status ?? (found ? 200 : 404), {
        'content-type': 'application/jwt',
        ...(found?.location && { location: found.location }),
      })
      response.end(found?.body)
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const pair = await generateKeyPair('RS256', { extractable: true })
    key = pair.privateKey
    const jwk = { ...(await exportJWK(pair.publicKey)), alg: 'RS256', kid: 'k', use: 'sig' }
    op = await startGatehouse({
      clients: [
        client({
          trusted: true,
          jwks: { keys: [jwk] },
          request_uris: [
            ...['signed', 'moving', 'missing', 'broken', 'large', 'unsigned', 'away', 'other'].map(
              (name) => `${at}/${name}`,
            ),
            `${at}/hashed#YWJj`,
            'http://localhost:1/nobody',
            'http://example.org/plain',
          ],
        }),
        client({ client_id: 'other', trusted: true }),
      ],
    })
    const login = await browser.open(authorizationUrl(op.issuer))
    await browser.submit(login, '#continue', asAlice)
  })
  after(() => server.close())

  const claims = (more: Record<string, unknown> = {}) => ({
    client_id: 'web',
    response_type: 'code',
    redirect_uri: CALLBACK,
    scope: 'openid',
    state: 'inside',
    nonce: 'n',
    iss: 'web',
    aud: op.issuer,
    ...more,
  })
  const sign = (more: Record<string, unknown> = {}) =>
    new SignJWT(claims(more)).setProtectedHeader({ alg: 'RS256', kid: 'k' }).setExpirationTime('5m').sign(key)
  const ask = (request_uri: string, more: Record<string, string> = {}): Promise<Page> =>
    browser.open(authorizationUrl(op.issuer, { request_uri, ...more }))
  const answer = ({ url }: Page) => url.searchParams

  test('a signed one from a registered address is what counts; the fragment only says which contents are meant', async () => {
    published.set('/signed', { body: await sign() })
    const first = answer(await ask(`${at}/signed`))
    assert.deepEqual([first.get('state'), first.has('code')], ['inside', true])
    published.set('/hashed', { body: await sign() })
    assert.ok(answer(await ask(`${at}/hashed#YWJj`)).has('code'), 'the hash of something else')
    const before = visits.length
    assert.ok(answer(await ask(`${at}/hashed#YWJj`)).has('code'))
    assert.equal(visits.length, before + 1, 'asked again: the hash does not promise these contents')
  })

  test('contents that their hash promises are asked for once', async () => {
    const body = await sign({ state: 'promised' })
    published.set('/hashed', { body })
    const uri = `${at}/hashed#${createHash('sha256').update(body).digest('base64url')}`
    const before = visits.length
    for (let time = 0; time < 3; time++) assert.equal(answer(await ask(uri)).get('state'), 'promised')
    assert.equal(visits.length, before + 1)
  })

  test('by POST too', async () => {
    const form = new URLSearchParams({ client_id: 'web', request_uri: `${at}/signed` })
    const bounced = await fetch(`${op.issuer}/authorize`, { method: 'POST', body: form, redirect: 'manual' })
    const page = await browser.open(new URL(bounced.headers.get('location') ?? '', op.issuer))
    assert.equal(answer(page).get('state'), 'inside')
  })

  test('whatever cannot be had or is not registered is invalid_request_uri, and told in the log', async () => {
    published.set('/moving', { body: '', status: 302, location: `${at}/signed` })
    published.set('/broken', { body: 'x', status: 500 })
    published.set('/large', { body: 'x'.repeat(70_000) })
    const reasons: Record<string, RegExp> = {
      [`${at}/unregistered`]: /not registered/,
      [`${at}/signed?x=1`]: /not registered/,
      [`${at}/moving`]: /redirect/,
      [`${at}/missing`]: /404/,
      [`${at}/broken`]: /500/,
      [`${at}/large`]: /large/,
      'http://localhost:1/nobody': /./,
      'http://example.org/plain': /https/,
      [`${at}/${'x'.repeat(600)}`]: /long/,
      'file:///etc/passwd': /not registered/,
    }
    for (const [uri, reason] of Object.entries(reasons)) {
      const page = await ask(uri)
      assert.equal(answer(page).get('error'), 'invalid_request_uri', `${uri} ${page.body}`)
      assert.equal(answer(page).get('state'), 's1')
      const line = op.log.findLast(({ at }) => at === 'request_uri')
      assert.match(String(line?.reason), reason, uri)
    }
    assert.equal(answer(await ask(`${at}/signed`, { client_id: 'other' })).get('error'), 'invalid_request_uri')
  })

  test('what was fetched is judged like what is sent: unsigned, of another client, for another audience', async () => {
    const wrong = {
      unsigned: new UnsecuredJWT(claims()).encode(),
      other: await sign({ client_id: 'other', iss: 'other' }),
      away: await sign({ aud: 'https://elsewhere.example' }),
      broken: 'no.jwt.at-all',
    }
    for (const [name, body] of Object.entries(wrong)) {
      published.set(`/${name}`, { body })
      assert.equal(answer(await ask(`${at}/${name}`)).get('error'), 'invalid_request_object', name)
    }
  })

  test('beside `request` it is refused; a pushed one is not fetched', async () => {
    const both = answer(await ask(`${at}/signed`, { request: await sign() }))
    assert.equal(both.get('error'), 'invalid_request')
    const pushed = answer(await ask('urn:ietf:params:oauth:request_uri:nobody-pushed-this'))
    assert.equal(pushed.get('error'), 'invalid_request_uri')
  })

  test('a client may register its addresses itself; plain ones elsewhere are refused', async () => {
    const register = async (request_uris: unknown) => {
      const body = JSON.stringify({ redirect_uris: ['https://dyn.example/cb'], request_uris })
      const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body }
      const response = await fetch(`${op.issuer}/register`, init)
      const answer = (await response.json()) as { request_uris?: unknown; error?: string }
      return { status: response.status, ...answer }
    }
    const uris = ['https://dyn.example/request.jwt#hash']
    assert.deepEqual((await register(uris)).request_uris, uris)
    for (const wrong of ['http://dyn.example/r', 'file:///etc/passwd', 'https://a:b@dyn.example/r', 7])
      assert.deepEqual(
        [(await register([wrong])).status, (await register([wrong])).error],
        [400, 'invalid_client_metadata'],
      )
  })

  test('switched off it is not advertised, and refused', async () => {
    const off = await startGatehouse({ features: { requestUri: false }, clients: [client({ trusted: true })] })
    const document = (await (await fetch(`${off.issuer}/.well-known/openid-configuration`)).json()) as Record<
      string,
      unknown
    >
    assert.equal(document.request_uri_parameter_supported, false)
    const page = await browser.open(authorizationUrl(off.issuer, { request_uri: `${at}/signed` }))
    assert.equal(answer(page).get('error'), 'request_uri_not_supported')
  })
})

test('a POSTed authorization request of any length ends like a short one', async () => {
  const op = await startGatehouse({ clients: [client({ trusted: true })] })
  const browser = new Browser({ stopAt: ({ origin }) => origin === APP })
  await browser.submit(await browser.open(authorizationUrl(op.issuer)), '#continue', asAlice)
  const post = async (params: URLSearchParams) =>
    fetch(`${op.issuer}/authorize`, { method: 'POST', body: params, redirect: 'manual' })
  const url = new URL(authorizationUrl(op.issuer, { prompt: 'none', state: 'a b+c&d' }))
  for (const filler of [10, 20_000, 50_000]) {
    url.searchParams.set('claims', JSON.stringify({ userinfo: { name: { value: 'x'.repeat(filler) } } }))
    const bounced = await post(url.searchParams)
    assert.equal(bounced.status, 303)
    const location = bounced.headers.get('location') ?? ''
    assert.ok(location.length < 8000, 'short enough for every proxy')
    for (let time = 0; time < 2; time++) {
      const page = await browser.open(new URL(location, op.issuer))
      assert.deepEqual([page.url.searchParams.get('state'), page.url.searchParams.has('code')], ['a b+c&d', true])
    }
  }
  url.searchParams.set('x', 'x'.repeat(70_000))
  assert.equal((await post(url.searchParams)).status, 413)
  const stranger = new URLSearchParams({ client_id: 'nobody', x: 'x'.repeat(20_000) })
  assert.ok(
    !(await post(stranger)).headers.get('location')?.includes('posted_request'),
    'nothing is kept for strangers',
  )
  assert.equal((await browser.open(`${op.issuer}/authorize?client_id=web&posted_request=made-up`)).status, 400)
})
