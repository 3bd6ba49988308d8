/**
 * Foreign software on both sides: Apache's mod_auth_openidc signs people in at Gatehouse, which sends them to Keycloak
 * because the relying party asked for it by acr_values.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Browser, type Page } from '#test/world/browser.ts'
import { freePorts } from '#test/world/free-port.ts'
import { find } from '#test/world/html.ts'
import { type Apache, noApache, openApache } from './apache.ts'
import { callbackOf, type Gatehouse, keycloakProvider, openGatehouse } from './gatehouse.ts'
import { frida, noKeycloak, openRealm, type Realm } from './keycloak.ts'

const claim = (page: Page, name: string): string | undefined => find(page.document, `#${name}`)?.text

describe('mod_auth_openidc logs in through Keycloak', { skip: noApache || noKeycloak }, () => {
  let realm: Realm
  let gatehouse: Gatehouse
  let apache: Apache
  const browser = new Browser()
  let first: Page

  before(async () => {
    const [port = 0, apachePort = 0] = await freePorts(2)
    const issuer = `http://localhost:${port}`
    realm = await openRealm([callbackOf(issuer, 'keycloak')], [frida])
    const client = {
      client_id: 'apache',
      client_secret: 'a-secret-of-32-characters-or-more',
      client_name: 'Apache',
      redirect_uris: [`http://127.0.0.1:${apachePort}/callback`],
      post_logout_redirect_uris: [`http://127.0.0.1:${apachePort}/out/`],
    }
    gatehouse = await openGatehouse(port, { clients: [client], identityProviders: [keycloakProvider(realm)] })
    apache = await openApache({
      port: apachePort,
      issuer,
      clientId: client.client_id,
      clientSecret: client.client_secret,
      directives: ['OIDCAuthRequestParams acr_values=keycloak'],
    })
  })
  after(async () => {
    await apache?.close()
    assert.equal(await gatehouse?.close(), 0, 'SIGTERM ends the server with 0')
  })

  test('the first visit provisions an account and asks for consent', async () => {
    const login = await browser.open(`${apache.url}/secret/`)
    assert.ok(login.url.href.startsWith(realm.issuer), `Keycloak asks, without a page of ours before: ${login.url}`)
    assert.ok(login.trail.some((url) => url.searchParams.get('acr_values') === 'keycloak'))
    const consent = await realm.signIn(browser, login, frida)
    assert.ok(find(consent.document, '#page-consent'), consent.body)
    first = await browser.submit(consent, '#allow')
    assert.equal(first.status, 200)
    assert.equal(first.url.href, `${apache.url}/secret/`)
    assert.equal(claim(first, 'email'), frida.email)
    assert.equal(claim(first, 'name'), 'Frida Kahlo')
    assert.equal(claim(first, 'preferred_username'), 'frida')
    assert.equal(claim(first, 'iss'), gatehouse.issuer)
    assert.equal(claim(first, 'acr'), 'keycloak')
    assert.equal(claim(first, 'idp'), 'keycloak')
    assert.notEqual(claim(first, 'sub'), await realm.idOf(frida), 'the subject is ours')
  })

  test('another browser finds the account, brought up to date, and is not asked again', async () => {
    await realm.rename(frida, { lastName: 'Kahlo de Rivera' })
    const other = new Browser()
    const second = await realm.signIn(other, await other.open(`${apache.url}/secret/`), frida)
    assert.equal(second.url.href, `${apache.url}/secret/`, second.body)
    assert.equal(claim(second, 'sub'), claim(first, 'sub'))
    assert.equal(claim(second, 'name'), 'Frida Kahlo de Rivera')
  })

  test('commands beside the server show one account, and the login step by step', async () => {
    const { accounts } = JSON.parse(await gatehouse.command('account', 'list', '--json')) as {
      accounts: { username: string }[]
    }
    assert.deepEqual(
      accounts.map(({ username }) => username),
      ['frida'],
    )
    const login = gatehouse.lines.find(({ event, type }) => event === 'audit' && type === 'login.succeeded')
    const { steps } = JSON.parse(await gatehouse.command('trace', String(login?.reference), '--json')) as {
      steps: { step: string }[]
    }
    const names = steps.map(({ step }) => step)
    for (const name of ['request', 'departed', 'arrived', 'provisioned', 'consented', 'finished'])
      assert.ok(names.includes(name), `${name} in ${names}`)
  })

  test('signing out at Apache ends the session here', async () => {
    const target = encodeURIComponent(`${apache.url}/out/`)
    const question = await browser.open(`${apache.url}/callback?logout=${target}`)
    assert.ok(find(question.document, '#page-logout'), question.body)
    const out = await browser.submit(question, '#logout-yes')
    assert.equal(out.url.href, `${apache.url}/out/`, out.body)
    const again = await browser.open(`${apache.url}/secret/`)
    assert.ok(
      again.trail.some((url) => url.href.startsWith(`${gatehouse.issuer}/interaction/`)),
      'the next visit needs a new sign-in',
    )
  })
})
