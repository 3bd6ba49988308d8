/** What people allow: asked once, in parts, asked again where wanted, and taken back with everything that stands on it. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { Browser, type Page } from '#test/world/browser.ts'
import { parse } from '#test/world/html.ts'
import { answerOf, askTokens, codeOf, post, userinfo } from '../attacks/house.ts'
import { command } from './command.ts'
import { APP, alice, asAlice, authorizationUrl, client, type Gatehouse, SECRET, startGatehouse } from './world.ts'

const bob = { username: 'bob', password: 'builder-1999', email: 'bob@example.org' }

describe('consent', () => {
  let op: Gatehouse
  before(async () => {
    op = await startGatehouse({
      clients: [
        client(),
        client({ client_id: 'trusted', trusted: true }),
        client({ client_id: 'forgets', persist_authorizations: false }),
      ],
      accounts: [alice, bob],
    })
  })
  const fresh = () => new Browser({ stopAt: ({ origin }) => origin === APP })
  const ask = (scope: string, more: Record<string, string> = {}) => authorizationUrl(op.issuer, { scope, ...more })
  const idOf = ({ body }: Page) => /<main [^>]*id="([\w-]+)"/.exec(body)?.[1]
  /** Boxes on the consent page, and whether they are ticked. */
  const boxes = ({ document }: Page): Record<string, boolean> =>
    Object.fromEntries(
      document.tags
        .filter(({ attributes }) => attributes.name?.startsWith('scope'))
        .map(({ attributes }) => [attributes.value ?? '', 'checked' in attributes]),
    )
  const untick = (page: Page, scope: string): Page => {
    const body = page.body.replace(new RegExp(`(value="${scope}") checked`), '$1')
    assert.notEqual(body, page.body)
    return { ...page, body, document: parse(body) }
  }
  const signIn = async (browser: Browser, url: string, typed: Record<string, string> = asAlice) =>
    browser.submit(await browser.open(url), '#continue', typed)
  const redeem = async (page: Page, as = 'web') =>
    (await askTokens(op, { grant_type: 'authorization_code', code: codeOf(page) }, as)).body
  const admin = (...argv: string[]) => command(op, ...argv)

  test('one box a scope: what is unticked is not granted and not asked again, until the client asks to ask', async () => {
    const browser = fresh()
    const page = await signIn(browser, ask('openid profile email'))
    assert.equal(idOf(page), 'page-consent')
    assert.deepEqual(boxes(page), { profile: true, email: true })
    assert.equal((await redeem(await browser.submit(untick(page, 'email'), '#allow'))).scope, 'openid profile')
    assert.equal((await redeem(await browser.open(ask('openid profile email')))).scope, 'openid profile')
    const other = fresh()
    assert.equal((await redeem(await signIn(other, ask('openid profile email')))).scope, 'openid profile')

    const delta = await browser.open(ask('openid profile email phone'))
    assert.deepEqual(boxes(delta), { phone: true }, 'only what is new')
    const again = await browser.open(ask('openid profile email phone nonsense', { prompt: 'consent' }))
    assert.deepEqual(boxes(again), { profile: true, email: false, phone: true }, 'everything, as it was answered')
    const silent = await browser.open(ask('openid phone', { prompt: 'none' }))
    assert.equal(answerOf(silent).get('error'), 'consent_required')
    const allowed = await browser.submit(untick(untick(again, 'profile'), 'phone'), '#allow', { 'scope-1': 'email' })
    assert.equal((await redeem(allowed)).scope, 'openid email')
  })

  test('no is access_denied; a trusted client’s users are not asked; one that forgets asks in each browser', async () => {
    const browser = fresh()
    const page = await signIn(browser, ask('openid address'))
    assert.equal(answerOf(await browser.submit(page, '#deny')).get('error'), 'access_denied')
    codeOf(await browser.open(ask('openid profile address', { client_id: 'trusted', prompt: 'consent' })))
    const forgets = { client_id: 'forgets' }
    const first = await browser.open(ask('openid profile', forgets))
    assert.equal(idOf(first), 'page-consent')
    codeOf(await browser.submit(first, '#allow'))
    codeOf(await browser.open(ask('openid profile', forgets)))
    assert.equal(idOf(await signIn(fresh(), ask('openid profile', forgets))), 'page-consent')
  })

  test('offline_access comes with consent only, is named on the page, and gives a refresh token', async () => {
    const browser = fresh()
    const without = await signIn(browser, ask('openid offline_access'), { username: 'bob', password: bob.password })
    const plain = idOf(without) === 'page-consent' ? await browser.submit(without, '#allow') : without
    assert.equal((await redeem(plain)).refresh_token, undefined)
    const asked = await browser.open(ask('openid offline_access', { prompt: 'consent' }))
    assert.match(asked.body, /Keep this access/)
    assert.equal(typeof (await redeem(await browser.submit(asked, '#allow'))).refresh_token, 'string')
  })

  test('taken back by command: listed before, gone after, and every token of it is dead at once', async () => {
    const browser = fresh()
    const typed = { username: 'bob', password: bob.password }
    const page = await signIn(browser, ask('openid email offline_access', { prompt: 'consent' }), typed)
    const tokens = await redeem(await browser.submit(page, '#allow'))
    const trusted = await redeem(await browser.open(ask('openid', { client_id: 'trusted' })), 'trusted')
    const listed = await admin('account', 'grants', 'bob', '--json')
    const { grants } = JSON.parse(listed.text) as { grants: { clientId: string; scopes: string[]; live: number }[] }
    assert.deepEqual(
      grants.map(({ clientId, scopes, live }) => [clientId, scopes.includes('email'), live > 0]),
      [
        ['trusted', false, true],
        ['web', true, true],
      ],
    )
    assert.match((await admin('client', 'grants', 'web')).text, /ACCOUNT .*\n.*openid/)
    assert.equal((await admin('account', 'revoke', 'bob')).code, 1, 'one client, or all of them')
    assert.match((await admin('account', 'revoke', 'bob', 'web')).text, /^Taken back from 1, with \d+ live\.\n$/)

    assert.equal(await userinfo(op, tokens.access_token), 401)
    const refreshed = await askTokens(op, { grant_type: 'refresh_token', refresh_token: String(tokens.refresh_token) })
    assert.deepEqual([refreshed.status, refreshed.body.error], [400, 'invalid_grant'])
    const seen = await post(`${op.issuer}/introspect`, {
      token: String(tokens.access_token),
      client_id: 'web',
      client_secret: SECRET,
    })
    assert.deepEqual(seen.body, { active: false })
    assert.equal(await userinfo(op, trusted.access_token), 200, 'another client’s stay')
    const once = await browser.open(ask('openid email'))
    assert.equal(idOf(once), 'page-consent', 'nothing is agreed to any more')
    const anew = await redeem(await browser.submit(once, '#allow'))
    assert.equal(await userinfo(op, anew.access_token), 200)

    assert.equal((await admin('account', 'revoke', 'bob', '--all')).code, 0)
    assert.equal(await userinfo(op, trusted.access_token), 401)
    assert.equal(await userinfo(op, anew.access_token), 401)
    const after = await redeem(await browser.open(ask('openid', { client_id: 'trusted' })), 'trusted')
    assert.equal(await userinfo(op, after.access_token), 200, 'a trusted client’s user goes on in the same session')
    assert.equal((await admin('client', 'revoke', 'trusted')).code, 0)
    assert.equal(await userinfo(op, after.access_token), 401)
    assert.equal((await admin('account', 'revoke', 'bob', 'web')).text, 'There is nothing to take back.\n')
  })
})
