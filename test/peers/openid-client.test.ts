/** openid-client as the relying party: code flow with PKCE through Keycloak, userinfo, refresh, introspection, revocation, logout. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import * as oidc from 'openid-client'
import { Browser, type Page } from '#test/world/browser.ts'
import { freePorts } from '#test/world/free-port.ts'
import { find } from '#test/world/html.ts'
import { callbackOf, type Gatehouse, keycloakProvider, openGatehouse } from './gatehouse.ts'
import { frida, noKeycloak, openRealm, type Realm } from './keycloak.ts'

const redirectUri = 'http://127.0.0.1:9/callback'
const afterLogout = 'http://127.0.0.1:9/out'
const clientSecret = 'a-secret-of-32-characters-or-more'
const client = {
  client_id: 'web',
  client_secret: clientSecret,
  redirect_uris: [redirectUri],
  post_logout_redirect_uris: [afterLogout],
  grant_types: ['authorization_code', 'refresh_token'],
}

describe('openid-client logs in through Keycloak', { skip: noKeycloak }, () => {
  let realm: Realm
  let gatehouse: Gatehouse
  let config: oidc.Configuration
  const browser = new Browser({ stopAt: (url) => url.port === '9' })

  /** Walks from the authorization request to the redirect URI; answers the tokens and the pages seen. */
  const logIn = async (person: Browser, extra: Record<string, string> = {}) => {
    const [verifier, state, nonce] = [oidc.randomPKCECodeVerifier(), oidc.randomState(), oidc.randomNonce()]
    const request = oidc.buildAuthorizationUrl(config, {
      redirect_uri: redirectUri,
      scope: 'openid profile email offline_access',
      acr_values: 'keycloak',
      prompt: 'consent',
      state,
      nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      ...extra,
    })
    const seen: string[] = []
    let page: Page = await person.open(request)
    while (page.status !== 0) {
      const keycloak = find(page.document, '#kc-form-login')
      seen.push(keycloak ? 'keycloak' : (find(page.document, 'main')?.attributes.id ?? page.body))
      assert.ok(seen.length < 5, seen.join('\n'))
      page = keycloak ? await realm.signIn(person, page, frida) : await person.submit(page, '#allow')
    }
    const tokens = await oidc.authorizationCodeGrant(config, page.url, {
      pkceCodeVerifier: verifier,
      expectedState: state,
      expectedNonce: nonce,
      idTokenExpected: true,
    })
    return { tokens, seen, claims: tokens.claims() ?? assert.fail('an ID token') }
  }

  before(async () => {
    const [port = 0] = await freePorts(1)
    const issuer = `http://localhost:${port}`
    realm = await openRealm([callbackOf(issuer, 'keycloak')], [frida])
    const provider = keycloakProvider(realm, { acrs: ['gold'] })
    gatehouse = await openGatehouse(port, { clients: [client], identityProviders: [provider] })
    config = await oidc.discovery(new URL(issuer), 'web', clientSecret, undefined, {
      execute: [oidc.allowInsecureRequests],
    })
  })
  after(async () => {
    await gatehouse?.close()
  })

  let subject = ''
  let idToken = ''

  test('the first visit provisions', async () => {
    const { tokens, seen, claims } = await logIn(browser)
    assert.deepEqual(seen, ['keycloak', 'page-consent'])
    assert.equal(claims.acr, 'keycloak')
    assert.equal(claims.idp, 'keycloak')
    assert.ok(typeof claims.auth_time === 'number' || claims.auth_time === undefined)
    subject = claims.sub
    idToken = tokens.id_token ?? ''
    const userinfo = await oidc.fetchUserInfo(config, tokens.access_token, subject)
    assert.equal(userinfo.email, frida.email)
    assert.equal(userinfo.email_verified, true)
    assert.equal(userinfo.given_name, frida.firstName)
  })

  test('a second browser finds the same account', async () => {
    const { claims } = await logIn(new Browser({ stopAt: (url) => url.port === '9' }), { prompt: 'login consent' })
    assert.equal(claims.sub, subject)
  })

  test('an acr that Keycloak confirms is reported', async () => {
    const { claims } = await logIn(new Browser({ stopAt: (url) => url.port === '9' }), { acr_values: 'gold' })
    assert.equal(claims.acr, 'gold')
    assert.equal(claims.idp, 'keycloak')
  })

  test('a signed-in browser needs no page', async () => {
    const { seen, claims } = await logIn(browser, { scope: 'openid profile email', prompt: 'none' })
    assert.deepEqual(seen, [])
    assert.equal(claims.sub, subject)
  })

  test('refresh, introspection and revocation', async () => {
    const { tokens } = await logIn(browser)
    assert.ok(tokens.refresh_token)
    const fresh = await oidc.refreshTokenGrant(config, tokens.refresh_token)
    assert.equal(fresh.claims()?.sub ?? subject, subject)
    assert.equal((await oidc.tokenIntrospection(config, fresh.access_token)).active, true)
    await oidc.tokenRevocation(config, fresh.access_token)
    assert.equal((await oidc.tokenIntrospection(config, fresh.access_token)).active, false)
  })

  test('the person declines at Keycloak: the relying party learns it honestly', async () => {
    const visitor = new Browser({ stopAt: (url) => url.port === '9' })
    const request = oidc.buildAuthorizationUrl(config, {
      redirect_uri: redirectUri,
      scope: 'openid',
      acr_values: 'keycloak',
      prompt: 'login',
    })
    const login = await visitor.open(request)
    const back = login.trail.find((url) => url.href.startsWith(realm.issuer))
    assert.ok(back)
    const refusal = new URL(callbackOf(gatehouse.issuer, 'keycloak'))
    refusal.search = new URLSearchParams({
      error: 'access_denied',
      state: back.searchParams.get('state') ?? '',
      iss: realm.issuer,
    }).toString()
    let page = await visitor.open(refusal)
    if (page.status !== 0) page = await visitor.submit(page, '#cancel')
    assert.equal(page.url.searchParams.get('error'), 'access_denied')
  })

  test('logout returns to the relying party and ends the session', async () => {
    const url = oidc.buildEndSessionUrl(config, {
      id_token_hint: idToken,
      post_logout_redirect_uri: afterLogout,
      state: 'bye',
    })
    let page = await browser.open(url)
    if (page.status !== 0) page = await browser.submit(page, '#logout-yes')
    assert.equal(page.url.href, `${afterLogout}?state=bye`)
    const silent = await browser.open(
      oidc.buildAuthorizationUrl(config, { redirect_uri: redirectUri, scope: 'openid', prompt: 'none' }),
    )
    assert.equal(silent.url.searchParams.get('error'), 'login_required')
  })
})
