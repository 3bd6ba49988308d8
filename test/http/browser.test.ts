/** The pages in Debian's Chromium, under their real security policy: axe, keyboard and script, and without script. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BrowserContextOptions } from 'playwright-core'
import type { PageName } from '#http/pages.ts'
import { type Route, seeOther } from '#http/route.ts'
import { violations } from '#test/browser/axe.ts'
import { openBrowser, skip } from '#test/browser/chromium.ts'
import { samples } from './samples.ts'
import { open, says } from './world.ts'

const names = Object.keys(samples) as PageName[]
const visit = openBrowser()

const show = (view: Parameters<Parameters<typeof open>[1]>[0]['view']): Route => ({
  method: 'get',
  path: '/show/:page',
  run: (ctx, query) => {
    const name = ctx.params.page as PageName
    const fault = query.get('fault')
    view(ctx, name, { ...samples[name], ...(fault !== undefined && { fault }) } as never)
  },
})

const looks: [string, BrowserContextOptions][] = [
  ['light, desktop', { colorScheme: 'light', reducedMotion: 'reduce', viewport: { width: 1200, height: 800 } }],
  ['dark, phone', { colorScheme: 'dark', reducedMotion: 'reduce', viewport: { width: 360, height: 740 } }],
]
for (const [look, options] of looks)
  test(`axe finds nothing, the policy blocks nothing, nothing is wider than the screen: ${look}`, {
    skip,
  }, async (t) => {
    const world = await open(t, ({ view }) => ({ routes: [show(view)] }))
    const { page, complaints } = await visit(t, options)
    // Keeps the pages that leave by themselves where they are.
    await page.route(/\/(auto-post|frontchannel-logout)[^/]*\.js/, (route) =>
      route.fulfill({ contentType: 'text/javascript', body: '' }),
    )
    for (const path of [...names, 'login?fault=login.wrong', 'choose?fault=upstream.denied', 'login?ui_locales=de']) {
      await page.goto(`${world.issuer}/show/${path}`)
      assert.deepEqual(await violations(page), [], path)
      assert.equal(await page.evaluate('document.documentElement.scrollWidth > innerWidth'), false, path)
    }
    // Its own route allows its frames (test/browser/logout.test.ts); here it is shown under the policy of every page.
    const blocked = (complaint: string) =>
      samples['frontchannel-logout'].frames.some(({ url }) =>
        complaint.startsWith(`${world.issuer}/show/frontchannel-logout: Framing '${new URL(url).origin}/' violates `),
      )
    assert.deepEqual(
      complaints.filter((complaint) => !blocked(complaint)),
      [],
    )
  })

/** A login page that takes what it is sent. */
const loginRoutes = (view: Parameters<typeof show>[0], posted: Readonly<Record<string, string>>[]): Route[] => {
  const path = '/interaction/:uid/login'
  const bind = () => 'uid'
  return [
    { method: 'get', path, bind, run: (ctx) => view(ctx, 'login', { ...samples.login, username: undefined }) },
    {
      method: 'post',
      path,
      bind,
      run: (ctx, form) => {
        posted.push(form.plain())
        seeOther(ctx, '/show/logged-out')
      },
    },
    show(view),
  ]
}
const LOGIN = '/interaction/S4mpleUidS4mpleUid123/login'

test('a login by keyboard alone, the password shown on the way', { skip }, async (t) => {
  const posted: Readonly<Record<string, string>>[] = []
  const world = await open(t, ({ view }) => ({ routes: loginRoutes(view, posted) }))
  const { page, complaints } = await visit(t)
  await page.goto(`${world.issuer}${LOGIN}`)
  assert.equal(await page.evaluate('document.activeElement.id'), 'username')
  await page.keyboard.type('ada')
  await page.keyboard.press('Tab')
  await page.keyboard.type('lovelace')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  assert.equal(await page.getAttribute('#password', 'type'), 'text')
  await page.keyboard.press('Enter')
  await page.waitForSelector('#page-logged-out')
  assert.deepEqual(
    posted.map(({ username, password }) => [username, password]),
    [['ada', 'lovelace']],
  )
  assert.deepEqual(complaints, [])
})

test('a form is sent once, and again after coming back', { skip }, async (t) => {
  const posted: Readonly<Record<string, string>>[] = []
  const world = await open(t, ({ view }) => ({ routes: loginRoutes(view, posted) }))
  const { page } = await visit(t)
  await page.goto(`${world.issuer}${LOGIN}`)
  const twice = `(() => {
    const form = document.forms[0]
    form.username.value = 'ada'
    form.password.value = 'x'
    const press = () => document.getElementById('continue').click()
    press()
    const busy = document.getElementById('continue').getAttribute('aria-busy')
    press()
    return [busy, form.password.type]
  })()`
  assert.deepEqual(await page.evaluate(twice), ['true', 'password'])
  await page.waitForSelector('#page-logged-out')
  assert.equal(posted.length, 1)
  await page.goBack()
  await page.waitForSelector('#page-login')
  await page.evaluate(twice)
  await page.waitForSelector('#page-logged-out')
  assert.equal(posted.length, 2)
})

test('without JavaScript every form still works, and its chain may end at another site', { skip }, async (t) => {
  const party = await open(t, () => ({
    routes: [{ method: 'get', path: '/cb', run: says(() => 'at the relying party') }],
  }))
  const posted: string[] = []
  const world = await open(t, ({ view }) => ({
    routes: [
      show(view),
      ...['/interaction/:uid/login', '/interaction/:uid/cancel', '/interaction/:uid/choose'].map(
        (path): Route => ({
          method: 'post',
          path,
          run: (ctx, form) => {
            posted.push(`${path.split('/').pop()} ${form.get('provider') ?? form.get('username') ?? ''}`)
            seeOther(ctx, `${party.issuer}/cb`)
          },
        }),
      ),
    ],
  }))
  const { page, complaints } = await visit(t, { javaScriptEnabled: false })
  const walk: [path: string, act: () => Promise<void>][] = [
    [
      'login',
      async () => {
        await page.fill('#password', 'x')
        await page.click('#continue')
      },
    ],
    ['login', () => page.click('#cancel')],
    ['choose', () => page.click('[data-provider="uni"]')],
  ]
  for (const [path, act] of walk) {
    await page.goto(`${world.issuer}/show/${path}`)
    assert.equal(await page.isVisible('.reveal, .copy'), false, 'what needs script stays hidden')
    await act()
    await page.waitForURL(`${party.issuer}/cb`)
  }
  assert.deepEqual(posted, ['login ada', 'cancel ', 'choose uni'])
  assert.deepEqual(complaints, [])
})

test('the page that leaves for a provider sends itself, without JavaScript by its button', { skip }, async (t) => {
  const sent: Readonly<Record<string, string>>[] = []
  const idp = await open(t, () => ({
    routes: [
      {
        method: 'post',
        path: '/sso',
        crossSite: true,
        run: (ctx, form) => {
          sent.push(form.plain())
          ctx.body = 'provider'
        },
      },
    ],
  }))
  const world = await open(t, ({ view }) => ({
    routes: [
      {
        method: 'get',
        path: '/leave',
        run: (ctx) => view(ctx, 'auto-post', { ...samples['auto-post'], url: `${idp.issuer}/sso` }),
      },
    ],
  }))
  const { page } = await visit(t)
  await page.goto(`${world.issuer}/leave`)
  await page.waitForURL(`${idp.issuer}/sso`)
  const { page: plain } = await visit(t, { javaScriptEnabled: false })
  await plain.goto(`${world.issuer}/leave`)
  await plain.click('#continue')
  await plain.waitForURL(`${idp.issuer}/sso`)
  assert.deepEqual(
    sent.map((fields) => ({ ...fields })),
    [samples['auto-post'].fields, samples['auto-post'].fields],
  )
})

test('a sign-in in a pop-up keeps its opener', { skip }, async (t) => {
  const world = await open(t, ({ view }) => ({
    routes: [{ method: 'get', path: '/interaction/:uid', run: (ctx) => view(ctx, 'login', samples.login) }],
  }))
  const party = await open(t, () => ({
    routes: [{ method: 'get', path: '/cb', run: says(() => 'party') }],
  }))
  const { page } = await visit(t)
  await page.goto(`${party.issuer}/nowhere`)
  // A relying party's own page has no such policy; ours have it for themselves.
  await page.route('**/party', (route) => route.fulfill({ contentType: 'text/html', body: '<p>party</p>' }))
  await page.goto(`${party.issuer}/party`)
  const [popup] = await Promise.all([
    page.waitForEvent('popup'),
    page.evaluate(`void open('${world.issuer}/interaction/x')`),
  ])
  await popup.waitForSelector('#page-login')
  assert.equal(await popup.evaluate('opener !== null'), true)
})
