/** Authlib (PyPI) as relying party, as a service with private_key_jwt, and as an API that takes our JWT access tokens. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { alice, asAlice } from '#test/flows/world.ts'
import { Browser } from '#test/world/browser.ts'
import { freePorts } from '#test/world/free-port.ts'
import { type Authlib, noPython, openAuthlib } from './authlib/open.ts'
import { type Gatehouse, openGatehouse } from './gatehouse.ts'

const redirect_uri = 'http://127.0.0.1:9/callback'
const client_secret = 'a-secret-of-32-characters-or-more'
const API = 'https://api.example.org'

interface Redeemed {
  readonly token: Record<string, string>
  readonly claims: Record<string, unknown>
  readonly userinfo: Record<string, unknown>
}

describe('Authlib', { skip: noPython, timeout: 200_000 }, () => {
  let authlib: Authlib
  let gatehouse: Gatehouse
  const browser = new Browser({ stopAt: (url) => url.port === '9' })
  const member = (client_id: string, more: Record<string, unknown>) => ({
    client_id,
    client_secret,
    redirect_uris: [redirect_uri],
    grant_types: ['authorization_code', 'refresh_token'],
    trusted: true,
    ...more,
  })

  before(async () => {
    authlib = await openAuthlib()
    const key = await authlib.ask('make_key')
    const [port = 0] = await freePorts(1)
    gatehouse = await openGatehouse(port, {
      accounts: [alice],
      resourceServers: [{ resource: API, scopes: ['read'], clients: ['service'] }],
      clients: [
        member('basic', {}),
        member('posting', {
          token_endpoint_auth_method: 'client_secret_post',
          access_token_as_jwt: true,
          access_token_audience: API,
        }),
        member('signing', { token_endpoint_auth_method: 'client_secret_jwt' }),
        {
          client_id: 'service',
          token_endpoint_auth_method: 'private_key_jwt',
          jwks: { keys: [key] },
          grant_types: ['client_credentials'],
          response_types: [],
          access_token_as_jwt: true,
          access_token_audience: API,
        },
      ],
    })
    await authlib.ask('discover', { issuer: gatehouse.issuer })
  })
  after(async () => {
    authlib?.close()
    await gatehouse?.close()
  })

  const logIn = async (client_id: string, method: string): Promise<Redeemed> => {
    const extra = { prompt: 'consent' }
    const given = { client_id, client_secret, redirect_uri, method, scope: 'openid email offline_access', extra }
    const { url } = await authlib.ask<{ url: string }>('authorize', given)
    const page = await browser.open(url)
    const back = page.status === 0 ? page : await browser.submit(page, '#continue', asAlice)
    assert.equal(back.status, 0, back.body)
    return authlib.ask<Redeemed>('redeem', { url: back.url.href })
  }

  for (const [client_id, method] of [
    ['basic', 'client_secret_basic'],
    ['posting', 'client_secret_post'],
    ['signing', 'client_secret_jwt'],
  ] as const)
    test(`logs in with ${method}: PKCE, a valid ID token, userinfo, refresh, introspection, revocation`, async () => {
      const { token, claims, userinfo } = await logIn(client_id, method)
      assert.deepEqual([claims.aud, userinfo.email, userinfo.sub], [client_id, alice.email, claims.sub])
      assert.equal(token.token_type, 'Bearer')
      const next = await authlib.ask<{ rotated: boolean; access_token: string }>('refresh')
      assert.equal(next.rotated, true)
      assert.equal((await authlib.ask('introspect', { token: next.access_token })).active, true)
      assert.equal((await authlib.ask('revoke', { token: next.access_token })).status, 200)
      assert.equal((await authlib.ask('introspect', { token: next.access_token })).active, false)
    })

  test('an API of Authlib takes JWT access tokens by RFC 9068, and no others', async () => {
    const { token } = await logIn('posting', 'client_secret_post')
    const ask = (more: Record<string, unknown> = {}) =>
      authlib.ask<{ claims: Record<string, unknown> }>('protect', {
        token: token.access_token,
        audience: API,
        scopes: ['email'],
        ...more,
      })
    assert.equal((await ask()).claims.client_id, 'posting')
    await assert.rejects(ask({ audience: 'https://other.example.org' }))
    await assert.rejects(ask({ scopes: ['admin'] }), /[Ss]cope/)
    await assert.rejects(ask({ token: token.id_token }))
  })

  test('a service signs its assertions and gets a JWT for the API', async () => {
    const token = await authlib.ask<{ access_token: string }>('service', { client_id: 'service', scope: '' })
    const { claims } = await authlib.ask<{ claims: Record<string, unknown> }>('protect', {
      token: token.access_token,
      audience: API,
      scopes: [],
    })
    assert.deepEqual([claims.sub, claims.client_id], ['service', 'service'])
  })
})
