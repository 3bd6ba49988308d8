/** Who we are at the provider, the way out, and what settings are refused. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openHouse, schema } from '#test/world/oidc-house.ts'

describe('client authentication', () => {
  for (const [method, supported, sentIn] of [
    ['client_secret_basic', undefined, 'header'],
    ['client_secret_post', undefined, 'body'],
    [undefined, undefined, 'header'],
    [undefined, ['client_secret_post'], 'body'],
    [undefined, ['private_key_jwt', 'client_secret_basic', 'client_secret_post'], 'header'],
  ] as const)
    test(`${method ?? 'nothing stated'}, supported ${supported ?? 'unsaid'}: in the ${sentIn}`, async (t) => {
      const house = await openHouse({
        oidc: () => (method ? { token_endpoint_auth_method: method } : {}),
        upstream: { metadata: { token_endpoint_auth_methods_supported: supported } },
      })
      t.after(house.close)
      assert.equal((await house.login()).uid, 'Alice.01')
      const seen = house.upstream.seen.findLast(({ endpoint }) => endpoint === 'token')
      assert.equal(seen?.authorization !== undefined, sentIn === 'header')
      assert.equal(seen?.params.has('client_secret'), sentIn === 'body')
    })

  test('a wrong secret is a configuration to mend', async (t) => {
    const house = await openHouse({ oidc: () => ({ client_secret: 'wrong' }) })
    t.after(house.close)
    await assert.rejects(house.login(), { code: 'upstream.misconfigured' })
  })
})

describe('logout and settings', () => {
  test('logout goes to the end session endpoint with the hint, or nowhere', async (t) => {
    const [house, without] = [
      await openHouse(),
      await openHouse({ upstream: { metadata: { end_session_endpoint: undefined } } }),
    ]
    t.after(() => Promise.all([house.close(), without.close()]))
    const back = new URL('https://id.example.org/federation/acme/logged-out')
    const departure = await house.connector.logout?.({ uid: 'u', idToken: 'a.b.c' }, back, 'st')
    assert.equal(departure?.url.origin + (departure?.url.pathname ?? ''), `${house.upstream.issuer}/end`)
    assert.equal(departure?.url.searchParams.get('id_token_hint'), 'a.b.c')
    assert.equal(departure?.url.searchParams.get('post_logout_redirect_uri'), back.href)
    assert.equal(departure?.url.searchParams.get('state'), 'st')
    assert.equal(await without.connector.logout?.({ uid: 'u' }, back, 'st'), undefined)
  })

  const good = { issuer: 'https://op.example', client_id: 'c', client_secret: 's' }
  const metadata = {
    issuer: 'https://op.example',
    authorization_endpoint: 'https://op.example/a',
    token_endpoint: 'https://op.example/t',
  }
  const record = (oidc: Record<string, unknown>) => schema.safeParse({ id: 'acme', protocol: 'oidc', oidc })

  test('the answer of a provider to a registration can be pasted as it is', async (t) => {
    const answer = {
      client_name: 'Gatehouse',
      redirect_uris: ['https://id.example.org/federation/acme/callback'],
      post_logout_redirect_uris: ['https://id.example.org/federation/acme/logged-out'],
      response_types: ['code'],
      grant_types: ['authorization_code', 'refresh_token'],
      application_type: 'web',
      subject_type: 'pairwise',
      contacts: ['ops@example.org'],
      backchannel_logout_uri: 'https://id.example.org/federation/acme/backchannel-logout',
      backchannel_logout_session_required: true,
      client_id_issued_at: 1_700_000_000,
      client_secret_expires_at: 0,
      registration_client_uri: 'https://op.example/register/c',
      registration_access_token: 'of-the-registration',
    }
    const house = await openHouse({ oidc: () => answer })
    t.after(house.close)
    assert.equal((await house.login()).uid, 'Alice.01')
  })

  for (const [what, oidc, path] of [
    ['neither issuer nor metadata', { issuer: undefined }, 'oidc.issuer'],
    ['an issuer that is no web address', { issuer: 'op.example' }, 'oidc.issuer'],
    [
      'metadata of another issuer',
      { metadata: { ...metadata, issuer: 'https://b.example', jwks_uri: 'https://b.example/j' } },
      'oidc.metadata',
    ],
    ['metadata without any keys', { metadata }, 'oidc.jwks'],
    ['no client_id', { client_id: undefined }, 'oidc.client_id'],
    ['a scope without openid', { scope: 'email' }, 'oidc.scope'],
    [
      'a secret method without a secret',
      { client_secret: undefined, token_endpoint_auth_method: 'client_secret_post' },
      'oidc.client_secret',
    ],
    ['an unknown member', { clientId: 'c' }, 'oidc'],
    ['a registration without the code flow', { response_types: ['id_token'] }, 'oidc.response_types'],
    ['a registration for another grant', { grant_types: ['implicit'] }, 'oidc.grant_types'],
    ['encryption, which is not built', { id_token_encrypted_response_alg: 'RSA-OAEP' }, 'oidc'],
    ['an unknown algorithm', { id_token_signed_response_alg: 'RS1' }, 'oidc.id_token_signed_response_alg'],
  ] as const)
    test(`settings refused: ${what}`, () => {
      assert.equal(record(good).success, true, 'control')
      const result = record({ ...good, ...oidc })
      assert.equal(result.success, false)
      assert.deepEqual([...new Set(result.error?.issues.map((issue) => issue.path.join('.')))], [path])
    })
})
