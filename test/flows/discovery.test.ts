/** Choosing how the person signs in, in the order of CONTRACT 5, seen from the browser. */
import assert from 'node:assert/strict'
import { request } from 'node:http'
import { before, describe, test } from 'node:test'
import { Browser, type Page } from '#test/world/browser.ts'
import { type Pair, providerOf, startPair } from './upstream.ts'
import { APP, authorizationUrl, client, startGatehouse } from './world.ts'

const browser = () => new Browser({ stopAt: ({ origin }) => origin === APP })
const metadata = (issuer: string) => ({
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/token`,
  jwks_uri: `${issuer}/jwks`,
})
const preselect = (provider: string) => Buffer.from(JSON.stringify({ provider })).toString('base64url')

describe('discovery', () => {
  let pair: Pair
  before(async () => {
    pair = await startPair(
      {
        clients: [
          client({ trusted: true }),
          client({ client_id: 'defaults', trusted: true, default_acr_values: ['acme'] }),
          client({ client_id: 'local-only', trusted: true, providers: [] }),
        ],
        acrs: [{ name: 'urn:example:any', steps: [['basic', 'acme']] }],
      },
      {
        emailDomains: ['northwind.example'],
        hosts: ['acme.id.example.org'],
        paths: ['/acme'],
        acrs: ['urn:example:loa2'],
        trustAcr: true,
      },
    )
  })
  const start = (more: Record<string, string> = {}) => authorizationUrl(pair.op.issuer, more)
  const isUpstream = (page: Page) => assert.equal(page.url.origin, pair.upstream.issuer, page.body)
  const shows = (page: Page, id: string) => assert.match(page.body, new RegExp(`id="page-${id}"`), page.url.href)

  const direct: [string, Record<string, string>][] = [
    ['the provider’s id', { acr_values: 'acme' }],
    ['one of its acrs', { acr_values: 'urn:example:loa2' }],
    ['the first value that is known', { acr_values: 'urn:unknown acme basic' }],
    ['the group of social providers', { acr_values: 'passport_social' }],
    ['the preselection parameter', { preselectedExternalProvider: preselect('acme') }],
    ['the e-mail domain of login_hint', { login_hint: 'someone@NORTHWIND.example' }],
    ['the client’s default', { client_id: 'defaults' }],
  ]
  for (const [name, more] of direct)
    test(`${name} leads to the provider`, async () => isUpstream(await browser().open(start(more))))

  test('acr_values goes before the preselection', async () => {
    shows(await browser().open(start({ acr_values: 'basic', preselectedExternalProvider: preselect('acme') })), 'login')
  })
  test('a preselection that means nothing is passed over', async () => {
    for (const value of ['%%%', preselect('nobody'), preselect('__proto__'), 'e30', 'x'.repeat(2000)])
      shows(await browser().open(start({ preselectedExternalProvider: value })), 'choose')
  })
  test('a client with no providers gets the password page at once', async () => {
    shows(await browser().open(start({ client_id: 'local-only' })), 'login')
    shows(await browser().open(start({ client_id: 'local-only', acr_values: 'acme' })), 'login')
  })
  test('the choice page takes an e-mail address: its domain leads on, another one to the password', async () => {
    const someone = browser()
    const choice = await someone.open(start())
    shows(choice, 'choose')
    isUpstream(await someone.submit(choice, '#continue', { email: 'x@northwind.example' }))
    const other = browser()
    const login = await other.submit(await other.open(start()), '#continue', { email: 'someone@elsewhere.example' })
    shows(login, 'login')
    assert.match(login.body, /value="someone@elsewhere.example"/)
  })
  test('an acrs entry offers its ways', async () => {
    const choice = await browser().open(start({ acr_values: 'urn:example:any' }))
    shows(choice, 'choose')
    assert.match(choice.body, /data-provider="acme"/)
    assert.match(choice.body, /data-method="basic"/)
  })
  test('the path of a provider answers 303 to the issuer with the choice kept', async () => {
    const page = await browser().open(start({ state: 'path' }).replace('/authorize', '/acme/authorize'))
    isUpstream(page)
    const kept = page.trail.find(({ pathname }) => pathname === '/authorize')
    assert.equal(kept?.searchParams.get('state'), 'path')
  })
  test('the path of a provider takes a posted request, and answers HEAD as GET', async () => {
    const [address, query] = start({ state: 'posted', ui_locales: 'de en' }).split('?')
    const place = address?.replace('/authorize', '/acme/authorize') ?? ''
    const posted = await fetch(place, { method: 'POST', body: new URLSearchParams(query), redirect: 'manual' })
    const head = await fetch(`${place}?${query}`, { method: 'HEAD', redirect: 'manual' })
    for (const answer of [posted, head]) {
      assert.equal(answer.status, 303)
      const kept = new URL(answer.headers.get('location') ?? '')
      assert.equal(kept.origin + kept.pathname, address)
      assert.equal(kept.searchParams.get('state'), 'posted')
      assert.equal(kept.searchParams.get('ui_locales'), 'de en')
      assert.equal(kept.searchParams.get('preselectedExternalProvider'), preselect('acme'))
    }
    isUpstream(await browser().open(posted.headers.get('location') ?? ''))
  })
  test('the host of a provider does too; nothing else is served there, and other hosts are refused', async () => {
    const { port } = new URL(pair.op.issuer)
    const get = (path: string, host: string) =>
      new Promise<{ status: number; location: string }>((resolve, reject) => {
        request({ port, host: '127.0.0.1', path, headers: { host } }, (res) => {
          res.resume()
          res.once('end', () => resolve({ status: res.statusCode ?? 0, location: res.headers.location ?? '' }))
        })
          .once('error', reject)
          .end()
      })
    const query = new URL(start()).search
    for (const host of ['acme.id.example.org', `ACME.id.example.org:${port}`]) {
      const kept = await get(`/authorize${query}`, host)
      assert.equal(kept.status, 303, host)
      assert.ok(kept.location.startsWith(`${pair.op.issuer}/authorize?`), kept.location)
      assert.equal(new URL(kept.location).searchParams.get('preselectedExternalProvider'), preselect('acme'))
    }
    assert.equal((await get('/jwks', 'acme.id.example.org')).status, 421)
    assert.equal((await get('/.well-known/openid-configuration', 'evil.example')).status, 421)
  })
  test('emailFirst asks for the address alone', async () => {
    const only = await startPair(
      { clients: [client({ trusted: true })], discovery: { emailFirst: true } },
      { emailDomains: ['northwind.example'] },
    )
    const someone = browser()
    const page = await someone.open(authorizationUrl(only.op.issuer))
    shows(page, 'identify')
    const on = await someone.submit(page, '#continue', { email: 'n@northwind.example' })
    assert.equal(on.url.origin, only.upstream.issuer)
  })
  test('a provider that is set up later is offered without a restart', async () => {
    const house = await pair.op.house()
    const { records } = house
    const stored = {
      ...(await records.providers.get('acme')),
      ...providerOf(pair.upstream.issuer),
      id: 'later',
      displayName: 'Later ID',
    }
    const changed = new Promise<void>((resolve) => records.onChange((kind) => kind === 'identityProvider' && resolve()))
    await records.providers.put(stored as never)
    await changed
    let page = await browser().open(start())
    for (const end = Date.now() + 3000; !page.body.includes('data-provider="later"') && Date.now() < end; )
      page = await browser().open(start())
    assert.match(page.body, /data-provider="later"/)
    await house.close()
  })
  test('the provider is sent the page’s language, or the registration’s where nobody asked for one of ours', async () => {
    const stated = (more: Record<string, unknown> = {}) => ({
      oidc: { client_id: 'us', client_secret: 'shared', metadata: metadata('https://login.acme.example'), ...more },
    })
    const { issuer } = await startGatehouse({
      clients: [client({ trusted: true })],
      identityProviders: [
        providerOf('', stated()),
        providerOf('', { id: 'sv', ...stated({ default_ui_locales: 'sv fi' }) }),
      ],
    })
    const locales = async (provider: string, language: string, more: Record<string, string> = {}) => {
      const away = new Browser({ stopAt: ({ hostname }) => hostname === 'login.acme.example', language })
      const page = await away.open(authorizationUrl(issuer, { acr_values: provider, ...more }))
      return page.url.searchParams.get('ui_locales')
    }
    assert.equal(await locales('sv', 'sv'), 'sv fi')
    assert.equal(await locales('sv', 'de-CH, sv'), 'de')
    assert.equal(await locales('sv', 'sv', { ui_locales: 'de' }), 'de')
    assert.equal(await locales('acme', 'sv'), 'en')
  })
})
