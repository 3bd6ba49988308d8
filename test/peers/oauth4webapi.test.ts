/** oauth4webapi as the relying party: it registers itself, and each login is one through Keycloak. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import * as oauth from 'oauth4webapi'
import { Browser, type Page } from '#test/world/browser.ts'
import { freePorts } from '#test/world/free-port.ts'
import { find } from '#test/world/html.ts'
import { callbackOf, type Gatehouse, keycloakProvider, openGatehouse } from './gatehouse.ts'
import { frida, noKeycloak, openRealm, type Realm } from './keycloak.ts'

const redirectUri = 'http://127.0.0.1:9/callback'
const goodbyeUri = 'http://127.0.0.1:9/goodbye'
const insecure = { [oauth.allowInsecureRequests]: true }

describe('oauth4webapi registers itself and logs in through Keycloak', { skip: noKeycloak }, () => {
  let realm: Realm
  let gatehouse: Gatehouse
  let server: oauth.AuthorizationServer
  let client: oauth.Client
  let authentication: oauth.ClientAuth

  before(async () => {
    const [port = 0] = await freePorts(1)
    const issuer = new URL(`http://localhost:${port}`)
    realm = await openRealm([callbackOf(issuer.origin, 'keycloak')], [frida])
    gatehouse = await openGatehouse(port, { identityProviders: [keycloakProvider(realm)] })
    server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure))
    const registered = await oauth.processDynamicClientRegistrationResponse(
      await oauth.dynamicClientRegistrationRequest(
        server,
        {
          redirect_uris: [redirectUri],
          post_logout_redirect_uris: [goodbyeUri],
          client_name: 'Self-registered',
          token_endpoint_auth_method: 'client_secret_post',
        },
        insecure,
      ),
    )
    client = registered
    authentication = oauth.ClientSecretPost(String(registered.client_secret))
  })
  after(async () => {
    await gatehouse?.close()
  })

  const newBrowser = () => new Browser({ stopAt: (url) => url.port === '9' })
  const logIn = async (browser = newBrowser()) => {
    const [verifier, state, nonce] = [
      oauth.generateRandomCodeVerifier(),
      oauth.generateRandomState(),
      oauth.generateRandomNonce(),
    ]
    const url = new URL(server.authorization_endpoint ?? '')
    url.search = new URLSearchParams({
      client_id: client.client_id,
      response_type: 'code',
      redirect_uri: redirectUri,
      scope: 'openid email',
      acr_values: 'keycloak',
      max_age: '600',
      state,
      nonce,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    }).toString()
    let page: Page = await realm.signIn(browser, await browser.open(url), frida)
    const asked = find(page.document, '#page-consent') !== undefined
    if (asked) page = await browser.submit(page, '#allow')
    assert.equal(page.status, 0, page.body)
    const parameters = oauth.validateAuthResponse(server, client, page.url, state)
    const answer = await oauth.authorizationCodeGrantRequest(
      server,
      client,
      authentication,
      parameters,
      redirectUri,
      verifier,
      insecure,
    )
    const tokens = await oauth.processAuthorizationCodeResponse(server, client, answer, {
      expectedNonce: nonce,
      maxAge: 600,
      requireIdToken: true,
    })
    const claims = oauth.getValidatedIdTokenClaims(tokens) ?? assert.fail('an ID token')
    return { asked, tokens, claims }
  }

  test('the first visit provisions, the second finds the account', async () => {
    const first = await logIn()
    assert.equal(first.asked, true)
    assert.equal(first.claims.acr, 'keycloak')
    assert.equal(first.claims.idp, 'keycloak')
    const userinfo = await oauth.processUserInfoResponse(
      server,
      client,
      first.claims.sub,
      await oauth.userInfoRequest(server, client, first.tokens.access_token, insecure),
    )
    assert.equal(userinfo.email, frida.email)
    const second = await logIn()
    assert.equal(second.asked, false, 'what was allowed is remembered')
    assert.equal(second.claims.sub, first.claims.sub)
  })

  test('logout comes back to it; access tokens of the session are over', async () => {
    const browser = newBrowser()
    const { tokens } = await logIn(browser)
    const url = new URL(server.end_session_endpoint ?? '')
    url.search = new URLSearchParams({
      id_token_hint: tokens.id_token ?? '',
      post_logout_redirect_uri: goodbyeUri,
      state: 'see you',
    }).toString()
    let page = await browser.open(url)
    if (page.status !== 0) page = await browser.submit(page, '#logout-yes')
    // Keycloak has a session too, which is ended on the way.
    assert.equal(page.url.href, `${goodbyeUri}?state=see+you`, page.body)
    const over = await oauth.userInfoRequest(server, client, tokens.access_token, insecure)
    assert.equal(over.status, 401)
  })
})
