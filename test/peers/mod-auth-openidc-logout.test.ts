/**
 * Apache's mod_auth_openidc, a certified relying party, with everything that it knows of ended sessions: a back-channel
 * and a front-channel logout address, session management in a real browser, and the flows that it signs in with.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Page as Tab } from 'playwright-core'
import { skip as noBrowser, openBrowser } from '#test/browser/chromium.ts'
import { alice, asAlice } from '#test/flows/world.ts'
import { Browser, type Page } from '#test/world/browser.ts'
import { freePorts } from '#test/world/free-port.ts'
import { find } from '#test/world/html.ts'
import { settled } from '#test/world/settled.ts'
import { type Apache, noApache, openApache } from './apache.ts'
import { type Gatehouse, openGatehouse } from './gatehouse.ts'

/** As its documentation has it: the provider's frame, and its own that asks it. */
const FRAMES = `
<iframe title="op" id="openidc-op" src="/callback?session=iframe_op"></iframe>
<iframe title="rp" id="openidc-rp" src="/callback?session=iframe_rp&poll=500"></iframe>`

const names = ['back', 'front', 'watch', 'hybrid', 'implicit'] as const
type Name = (typeof names)[number]

describe('mod_auth_openidc and the end of a session', { skip: noApache }, () => {
  let gatehouse: Gatehouse
  const apaches = {} as Record<Name, Apache>

  const extras: Record<Name, (url: string) => Record<string, unknown>> = {
    back: (url) => ({
      backchannel_logout_uri: `${url}/callback?logout=backchannel`,
      backchannel_logout_session_required: true,
    }),
    front: (url) => ({
      frontchannel_logout_uri: `${url}/callback?logout=get`,
      frontchannel_logout_session_required: true,
    }),
    watch: (url) => ({ post_logout_redirect_uris: [`${url}/secret/`] }),
    hybrid: () => ({ response_types: ['code id_token'], grant_types: ['authorization_code', 'implicit'] }),
    implicit: () => ({ response_types: ['id_token'], grant_types: ['implicit'] }),
  }
  const directives: Partial<Record<Name, string[]>> = {
    hybrid: ['OIDCResponseType "code id_token"', 'OIDCResponseMode form_post'],
    implicit: ['OIDCResponseType id_token', 'OIDCResponseMode form_post'],
  }

  before(async () => {
    const [port = 0, ...ports] = await freePorts(names.length + 1)
    const urls = ports.map((each) => `http://localhost:${each}`)
    const clients = names.map((client_id, index) => ({
      client_id,
      client_secret: 'a-secret-of-32-characters-or-more',
      client_name: client_id,
      // http with implicit types is for native clients only (OIDC Registration 2).
      application_type: 'native',
      trusted: true,
      redirect_uris: [`${urls[index]}/callback`],
      ...extras[client_id](urls[index] ?? ''),
    }))
    gatehouse = await openGatehouse(port, { clients, accounts: [alice] })
    await Promise.all(
      names.map(async (name, index) => {
        apaches[name] = await openApache({
          port: ports[index] ?? 0,
          host: 'localhost',
          issuer: gatehouse.issuer,
          clientId: name,
          clientSecret: 'a-secret-of-32-characters-or-more',
          ...(name === 'watch' && { markup: FRAMES }),
          ...(directives[name] && { directives: directives[name] }),
        })
      }),
    )
  })
  after(async () => {
    for (const apache of Object.values(apaches)) await apache.close()
    await gatehouse?.close()
  })

  const secret = (name: Name) => `${apaches[name].url}/secret/`
  /** Sends the form that a page posts by itself. */
  const posted = async (browser: Browser, page: Page): Promise<Page> =>
    page.document.forms[0]?.action?.includes('/callback') ? browser.submit(page, 'form') : page
  const enter = async (browser: Browser, name: Name): Promise<Page> => {
    const there = await browser.open(secret(name))
    const back = find(there.document, '#page-login') ? await browser.submit(there, '#continue', asAlice) : there
    const page = await posted(browser, back)
    assert.equal(find(page.document, '#iss')?.text, gatehouse.issuer, `${name}: ${page.url}\n${page.body}`)
    return page
  }
  /** Apache lets the person in without asking the provider. */
  const isIn = async (browser: Browser, name: Name): Promise<boolean> =>
    (await browser.open(secret(name))).url.href === secret(name)
  const logOut = async (browser: Browser): Promise<Page> =>
    browser.submit(await browser.open(`${gatehouse.issuer}/session/end`), '#logout-yes')

  test('code, hybrid and id_token sign people in', async () => {
    const browser = new Browser()
    for (const name of ['back', 'hybrid', 'implicit'] as const) await enter(browser, name)
  })

  test('back channel: it believes our logout token and ends the session', async () => {
    const browser = new Browser()
    await enter(browser, 'back')
    const other = new Browser()
    await enter(other, 'back')
    assert.equal(await isIn(browser, 'back'), true)
    await logOut(browser)
    const told = async () => {
      const { deliveries } = JSON.parse(await gatehouse.command('deliveries', '--client', 'back', '--json')) as {
        deliveries: { state: string; attempts: { status?: number; problem?: string }[] }[]
      }
      return deliveries[0]
    }
    await settled('it is told', async () => (await told())?.state !== 'waiting')
    assert.equal((await told())?.state, 'delivered', `${JSON.stringify(await told())}\n${apaches.back.log()}`)
    assert.equal((await told())?.attempts.length, 1, 'at the first attempt')
    assert.equal(await isIn(browser, 'back'), false)
    assert.equal(await isIn(other, 'back'), true, 'the session of another browser goes on')
  })

  test('front channel: its address in our frame, with its own query, ends the session', async () => {
    const browser = new Browser()
    await enter(browser, 'front')
    const page = await logOut(browser)
    const frame = find(page.document, 'iframe')?.attributes.src ?? assert.fail(page.body)
    assert.match(frame, /\/callback\?logout=get&iss=[^&]+&sid=[^&]+$/)
    assert.equal((await browser.open(frame)).status, 200)
    assert.equal(await isIn(browser, 'front'), false)
  })

  describe('session management in a browser', { skip: noBrowser }, () => {
    const visit = openBrowser()
    const framesOf = (tab: Tab) => tab.frames().map((frame) => frame.url())

    test('its frames find the session unchanged, and a logout in another tab ends it', async (t) => {
      const { page, context } = await visit(t)
      const said: string[] = []
      page.on('console', (message) => void said.push(message.text()))
      await page.goto(secret('watch'))
      await page.fill('[name=username]', asAlice.username)
      await page.fill('[name=password]', asAlice.password)
      const answered = page.waitForEvent('console', (message) => message.text().includes('receiveMessage: unchanged'))
      await page.click('#continue')
      await answered
      assert.ok(framesOf(page).includes(`${gatehouse.issuer}/session/check`), framesOf(page).join())

      const other = await context.newPage()
      await other.goto(`${gatehouse.issuer}/session/end`)
      await other.click('#logout-yes')
      await other.waitForSelector('#page-logged-out')
      // It forgets its own session, asks us to end ours, and comes back to its page, which needs a sign-in now.
      await page.waitForSelector('#page-login')
      assert.ok(said.some((line) => line.includes('receiveMessage: changed')))
    })
  })
})
