/** WebFinger, and where the documents of an issuer with a path are (RFC 7033, RFC 8414 3.1, OIDC Discovery 2 and 4). */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as oauth from 'oauth4webapi'
import { plainPath } from '#http/well-known.ts'
import { openHouse } from '#test/engine/house.ts'
import { alice, startGatehouse } from './world.ts'

const REL = 'http://openid.net/specs/connect/1.0/issuer'

describe('WebFinger', () => {
  const ask = async (base: string, query: Record<string, string> | string) => {
    const response = await fetch(`${base}/.well-known/webfinger?${new URLSearchParams(query)}`)
    const text = await response.text()
    return { response, text, status: response.status }
  }

  test('accounts and addresses at our host lead to the issuer; the port does not count', async () => {
    const op = await startGatehouse()
    const { host } = new URL(op.issuer)
    for (const resource of [
      'acct:alice@localhost',
      `acct:alice@${host}`,
      `http://${host}/alice`,
      'https://LOCALHOST/',
      'http://localhost:9/x',
    ]) {
      const { response, text } = await ask(op.issuer, { resource, rel: REL })
      assert.equal(response.status, 200, `${resource} ${text}`)
      assert.match(response.headers.get('content-type') ?? '', /^application\/jrd\+json/)
      assert.equal(response.headers.get('access-control-allow-origin'), '*')
      const { links } = JSON.parse(text) as { links: unknown }
      assert.deepEqual(links, [{ rel: REL, href: op.issuer }])
    }
  })

  test('nobody learns who has an account: existing, missing and disabled ones get the same', async () => {
    const op = await startGatehouse({
      accounts: [alice, { username: 'off', password: 'x'.repeat(12), disabled: true }],
    })
    const answers = await Promise.all(
      ['alice', 'nobody', 'off'].map(async (name) => {
        const { response, text } = await ask(op.issuer, { resource: `acct:${name}@localhost` })
        const headers = [...response.headers].filter(
          ([header]) => header !== 'x-request-id' && header !== 'date' && header !== 'content-length',
        )
        return { status: response.status, headers, text: text.replaceAll(name, '*') }
      }),
    )
    assert.deepEqual(answers[1], answers[0])
    assert.deepEqual(answers[2], answers[0])
  })

  test('other hosts are unknown, nonsense is 400, another rel has no links', async () => {
    const op = await startGatehouse()
    assert.equal((await ask(op.issuer, { resource: 'acct:alice@elsewhere.example' })).status, 404)
    assert.equal((await ask(op.issuer, { resource: 'https://elsewhere.example/alice' })).status, 404)
    for (const resource of [
      '',
      'acct:',
      'acct:@localhost',
      'acct:<script>@localhost',
      'mailto:a@localhost',
      'http://a:b@localhost/',
      'x',
    ])
      assert.equal((await ask(op.issuer, { resource })).status, 400, resource)
    assert.equal((await ask(op.issuer, '')).status, 400)
    const other = await ask(op.issuer, { resource: 'acct:a@localhost', rel: 'http://webfinger.example/rel/avatar' })
    assert.deepEqual((JSON.parse(other.text) as { links: unknown }).links, [])
    assert.equal((await fetch(`${op.issuer}/.well-known/webfinger`, { method: 'POST' })).status, 405)
  })

  test('switched off there is nothing', async () => {
    const op = await startGatehouse({ features: { webfinger: false } })
    assert.equal((await ask(op.issuer, { resource: 'acct:alice@localhost' })).status, 404)
  })
})

describe('an issuer with a path', () => {
  test('is found by both specifications, and by WebFinger at the root of its host', async (t) => {
    const house = await openHouse(t, { path: '/tenant/one' })
    const issuer = new URL(house.issuer)
    assert.equal(issuer.pathname, '/tenant/one')
    for (const algorithm of ['oidc', 'oauth2'] as const) {
      const options = { algorithm, [oauth.allowInsecureRequests]: true }
      const found = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, options))
      assert.equal(found.token_endpoint, `${house.issuer}/token`)
    }
    for (const path of [
      '/.well-known/openid-configuration/tenant/one',
      '/tenant/one/.well-known/oauth-authorization-server',
    ])
      assert.equal((await fetch(`${issuer.origin}${path}`)).status, 200, path)
    const finger = await fetch(`${issuer.origin}/.well-known/webfinger?resource=acct:a@localhost`)
    assert.equal(((await finger.json()) as { links: { href: string }[] }).links[0]?.href, house.issuer)
    for (const path of [
      '/.well-known/oauth-authorization-server',
      '/.well-known/oauth-authorization-server/tenant',
      '/token',
    ])
      assert.equal((await fetch(`${issuer.origin}${path}`)).status, 404, path)
  })

  test('the paths that are meant', () => {
    assert.equal(
      plainPath('/.well-known/oauth-authorization-server/a', '/a'),
      '/a/.well-known/oauth-authorization-server',
    )
    assert.equal(plainPath('/.well-known/webfinger', '/a'), '/a/.well-known/webfinger')
    assert.equal(plainPath('/.well-known/webfinger', ''), '/.well-known/webfinger')
    assert.equal(
      plainPath('/.well-known/oauth-authorization-server/b', '/a'),
      '/.well-known/oauth-authorization-server/b',
    )
  })
})
