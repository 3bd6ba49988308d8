/** coreos/go-oidc (Go module proxy) as the relying party: discovery, code flow with PKCE, ID tokens of each algorithm, userinfo. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { alice, asAlice } from '#test/flows/world.ts'
import { Browser } from '#test/world/browser.ts'
import { freePorts } from '#test/world/free-port.ts'
import { type Gatehouse, openGatehouse } from './gatehouse.ts'
import { type GoOidc, noGo, openGoOidc } from './go-oidc/open.ts'

const RedirectURI = 'http://127.0.0.1:9/callback'
const secret = 'a-secret-of-32-characters-or-more'
const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA']

describe('go-oidc', { skip: noGo, timeout: 200_000 }, () => {
  let go: GoOidc
  let gatehouse: Gatehouse
  const browser = new Browser({ stopAt: (url) => url.port === '9' })

  before(async () => {
    go = await openGoOidc()
    const [port = 0] = await freePorts(1)
    gatehouse = await openGatehouse(port, {
      accounts: [alice],
      clients: algorithms.map((alg) => ({
        client_id: `web-${alg}`,
        client_secret: secret,
        redirect_uris: [RedirectURI],
        trusted: true,
        id_token_signed_response_alg: alg,
      })),
    })
    await go.ask('discover', { Issuer: gatehouse.issuer })
  })
  after(async () => {
    go?.close()
    await gatehouse?.close()
  })

  for (const Alg of algorithms)
    test(`logs in; the ID token is signed with ${Alg}`, async () => {
      const Verifier = randomBytes(32).toString('base64url')
      const Challenge = createHash('sha256').update(Verifier).digest('base64url')
      const [State, Nonce] = [randomBytes(16).toString('hex'), randomBytes(16).toString('hex')]
      const client = { ClientID: `web-${Alg}`, ClientSecret: secret, RedirectURI, Alg }
      const page = await browser.open(await go.ask<string>('authorize', { ...client, State, Nonce, Challenge }))
      const { url } = page.status === 0 ? page : await browser.submit(page, '#continue', asAlice)
      assert.equal(url.searchParams.get('state'), State)
      const Code = url.searchParams.get('code')
      const told = await go.ask<Record<string, unknown>>('redeem', { Code, Nonce, Verifier })
      assert.deepEqual([told.issuer, told.email, told.verified], [gatehouse.issuer, alice.email, true])
      assert.equal(told.userinfo, told.sub)
      await assert.rejects(go.ask('redeem', { Code, Nonce, Verifier }), /invalid_grant/, 'a code works once')
    })
})
