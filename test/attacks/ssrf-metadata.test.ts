/** Making Gatehouse ask inside addresses by what it is told to fetch: providers' metadata, relying parties' keys and sector documents. */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { APP, authorizationUrl, client, type Gatehouse, startGatehouse } from '#test/flows/world.ts'
import { Upstream } from '#test/world/upstream.ts'
import { answerOf, audits, browser, post, storeResources, until } from './house.ts'

describe('SSRF by metadata', () => {
  let canary: Server
  let hits: string[] = []
  let at = ''
  let acme: Upstream
  const provider = (id: string, oidc: Record<string, unknown>) => ({
    id,
    protocol: 'oidc',
    oidc: { client_id: 'gatehouse', client_secret: 's-of-the-provider', ...oidc },
  })
  /** Static metadata of a provider whose endpoints lie where we are not supposed to go. */
  const metadata = (issuer: string, inside: string) => ({
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${inside}/token`,
    jwks_uri: `${inside}/jwks`,
    userinfo_endpoint: `${inside}/userinfo`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
  })
  before(async () => {
    canary = createServer((req, res) => {
      hits.push(req.url ?? '')
      res.end('{}')
    })
    await new Promise<void>((resolve) => canary.listen(0, '::', resolve))
    at = `http://127.0.0.1:${(canary.address() as AddressInfo).port}`
    acme = await Upstream.start()
  })
  after(async () => {
    await acme.close()
    canary.closeAllConnections()
    await new Promise((resolve) => canary.close(resolve))
  })

  const spellings = () => {
    const { port } = new URL(at)
    return [
      at,
      `http://localhost:${port}`,
      `http://[::1]:${port}`,
      `http://[::ffff:127.0.0.1]:${port}`,
      `http://2130706433:${port}`,
      `http://127.1:${port}`,
      `http://0.0.0.0:${port}`,
    ]
  }
  const finishes = async (op: Gatehouse, id: string) => {
    const page = await browser().open(authorizationUrl(op.issuer, { acr_values: id }))
    assert.ok(page.status < 500, page.body)
    assert.ok(
      page.url.origin === APP ? answerOf(page).has('error') : /page-(error|choose|login)/.test(page.body),
      page.body,
    )
    assert.doesNotMatch(page.body, /127\.0\.0\.1|ECONNREFUSED|private/)
    return page
  }

  test('control: with the address allowed the canary is asked', async () => {
    const op = await startGatehouse({ identityProviders: [provider('inside', { issuer: at })] })
    await finishes(op, 'inside')
    assert.ok(hits.length > 0)
  })

  test('by default no discovery, keys, token or userinfo of a private address is asked, however it is spelled', async () => {
    hits = []
    const op = await startGatehouse({
      egress: { allowPrivate: false },
      identityProviders: [
        ...spellings().map((issuer, index) => provider(`d${index}`, { issuer })),
        ...spellings().map((inside, index) =>
          provider(`m${index}`, { metadata: metadata('https://id.example', inside) }),
        ),
        provider('linklocal', { issuer: 'http://169.254.169.254/latest' }),
      ],
    })
    for (const index of spellings().keys()) await finishes(op, `d${index}`)
    await finishes(op, 'linklocal')
    for (const index of spellings().keys()) {
      // The departure needs no back channel; the answer does.
      const stopped = browser(({ hostname }) => hostname === 'id.example')
      const there = await stopped.open(authorizationUrl(op.issuer, { acr_values: `m${index}` }))
      const state = there.url.searchParams.get('state')
      const page = await stopped.open(
        `${op.issuer}/federation/m${index}/callback?${new URLSearchParams({ state: state ?? '', code: 'x', iss: 'https://id.example' })}`,
      )
      assert.ok(page.status < 500, page.body)
    }
    assert.deepEqual(hits, [])
    assert.ok(audits(op, 'login.failed').length > spellings().length)
  })

  test('a provider that was honest at first and then names private addresses gets no further', async () => {
    hits = []
    const lying = await Upstream.start({ metadata: { jwks_uri: `${at}/jwks`, userinfo_endpoint: `${at}/userinfo` } })
    const { port } = new URL(lying.issuer)
    // Only this one address of the machine is allowed, by port-less name: the canary listens under another name of it.
    const op = await startGatehouse({
      egress: { allowPrivate: ['127.0.0.2'] },
      identityProviders: [provider('lying', { issuer: `http://127.0.0.2:${port}` })],
    })
    await finishes(op, 'lying')
    assert.deepEqual(hits, [])
    await lying.close()
  })

  test('a redirect of an allowed host to a private address is not followed', async () => {
    hits = []
    const moved = createServer((_, res) =>
      res.writeHead(302, { location: `${at}/.well-known/openid-configuration` }).end(),
    )
    await new Promise<void>((resolve) => moved.listen(0, '127.0.0.1', resolve))
    const op = await startGatehouse({
      identityProviders: [provider('moved', { issuer: `http://127.0.0.1:${(moved.address() as AddressInfo).port}` })],
    })
    await finishes(op, 'moved')
    assert.deepEqual(hits, [])
    moved.closeAllConnections()
    await new Promise((resolve) => moved.close(resolve))
  })

  test('jwks_uri and sector_identifier_uri of relying parties are not fetched from private addresses', async () => {
    hits = []
    const op = await startGatehouse({ egress: { allowPrivate: false } })
    for (const uri of spellings()) {
      const made = await fetch(`${op.issuer}/register`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          redirect_uris: ['https://rp.example/cb'],
          sector_identifier_uri: `${uri.replace('http:', 'https:')}/sector`,
          subject_type: 'pairwise',
        }),
      })
      assert.equal(made.status, 400)
    }
    await storeResources(op, {
      clients: [
        client({
          client_id: 'keys',
          client_secret: undefined,
          token_endpoint_auth_method: 'private_key_jwt',
          jwks_uri: `${at}/jwks`,
        }),
      ],
    })
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const now = Math.floor(Date.now() / 1000)
    const jwt = `${encode({ alg: 'RS256', kid: 'x' })}.${encode({ iss: 'keys', sub: 'keys', aud: op.issuer, jti: 'j', iat: now, exp: now + 60 })}.${'A'.repeat(342)}`
    await until(async () => {
      const { status, body } = await post(`${op.issuer}/token`, {
        grant_type: 'client_credentials',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: jwt,
      })
      assert.ok(status < 500, JSON.stringify(body))
      return status === 401
    })
    assert.deepEqual(hits, [])
  })
})
