/** People wait, go back, open two tabs and come by bookmark: no sign-in ends in a dead page (DESIGN 2). */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { Browser, type Page } from '#test/world/browser.ts'
import { type Pair, signIn, startPair } from './upstream.ts'
import { APP, asAlice, authorizationUrl, client } from './world.ts'

const browser = () => new Browser({ stopAt: ({ origin }) => origin === APP })
const arrived = (page: Page, state: string) => {
  assert.equal(page.url.origin, APP, page.body)
  assert.equal(page.url.searchParams.get('state'), state)
  assert.ok(page.url.searchParams.get('code'), page.url.href)
}
const way = (page: Page, text: RegExp): string => {
  const link = [...page.body.matchAll(/href="([^"]+)"/g)].map(([, href]) => href ?? '').find((href) => text.test(href))
  return new URL(link ?? assert.fail(`no way on like ${text}:\n${page.body}`), page.url).href
}

describe('recoverable sign-ins', () => {
  let pair: Pair
  let now = Date.now()
  before(async () => {
    pair = await startPair(
      { clients: [client({ trusted: true })] },
      {},
      {},
      { clock: { now: () => Math.max(now, Date.now()) } },
    )
  })
  const start = (more: Record<string, string> = {}) => authorizationUrl(pair.op.issuer, { acr_values: 'acme', ...more })

  test('the back button from the provider shows where one stands, and every way on works', async () => {
    const someone = browser()
    const there = await someone.open(start())
    const callback = new URL(there.trail.find(({ pathname }) => pathname.startsWith('/interaction/')) ?? assert.fail())
    const waiting = await someone.open(callback)
    assert.match(waiting.body, /id="page-choose"/)
    const again = await someone.submit(waiting, '[data-provider=acme]')
    assert.equal(again.url.origin, pair.upstream.issuer)
    arrived(await signIn(someone, again), 's1')
  })

  test('the back button into a finished sign-in offers to go on', async () => {
    const someone = browser()
    const there = await someone.open(start())
    const back = await signIn(someone, there)
    arrived(back, 's1')
    const page = there.trail.find(({ pathname }) => pathname.startsWith('/interaction/')) ?? assert.fail()
    const stale = await someone.open(page)
    assert.match(stale.body, /id="page-error"/)
    assert.ok(stale.status < 500)
    arrived(await someone.open(way(stale, /restart$/)), 's1')
  })

  test('two tabs do not clobber each other, in any order', async () => {
    const someone = browser()
    const first = await someone.open(start({ state: 'tab-1' }))
    const second = await someone.open(authorizationUrl(pair.op.issuer, { acr_values: 'basic', state: 'tab-2' }))
    arrived(await someone.submit(second, '#continue', asAlice), 'tab-2')
    // The other tab began before anybody was signed in; it still ends, as whoever signs in there.
    const done = await signIn(someone, first)
    // Another person than the session's: the engine first ends that session, by a form that scripts submit.
    arrived(await someone.submit(done, 'form'), 'tab-1')
  })

  test('two tabs at the same provider both end at the application', async () => {
    const someone = browser()
    const tabs = [await someone.open(start({ state: 'a' })), await someone.open(start({ state: 'b' }))] as const
    arrived(await signIn(someone, tabs[1]), 'b')
    const done = await signIn(someone, tabs[0])
    arrived(done.body.includes('page-error') ? await someone.open(way(done, /restart$/)) : done, 'a')
  })

  test('the provider’s answer a second time shows where one stands', async () => {
    const someone = browser()
    const back = await signIn(someone, await someone.open(start()))
    const answer = back.trail.find(({ pathname }) => pathname.endsWith('/callback')) ?? assert.fail()
    const repeated = await someone.open(answer)
    assert.ok(repeated.status < 500 && /page-(error|choose)/.test(repeated.body), repeated.body)
    arrived(await someone.open(way(repeated, /restart$/)), 's1')
  })

  test('a stale form after the sign-in moved on is no error', async () => {
    const someone = browser()
    const choice = await someone.open(authorizationUrl(pair.op.issuer))
    const login = await someone.click(choice, '[data-method=basic]')
    arrived(await someone.submit(login, '#continue', asAlice), 's1')
    const stale = await someone.submit(login, '#continue', asAlice)
    assert.match(stale.body, /id="page-error"/)
    assert.ok(stale.status < 500)
    arrived(await someone.open(way(stale, /restart$/)), 's1')
  })

  test('another browser, or a lost cookie: said so, and the request starts again there', async () => {
    const someone = browser()
    const there = await someone.open(start())
    const page = there.trail.find(({ pathname }) => pathname.startsWith('/interaction/')) ?? assert.fail()
    const other = browser()
    const foreign = await other.open(page)
    assert.match(foreign.body, /id="page-error"/)
    const again = await other.open(way(foreign, /restart$/))
    arrived(await signIn(other, again), 's1')
  })

  test('a foreign browser cannot finish a sign-in that this one began (login CSRF)', async () => {
    const attacker = new Browser({ stopAt: ({ pathname, origin }) => origin === APP || pathname.endsWith('/callback') })
    const back = await signIn(attacker, await attacker.open(start()))
    assert.match(back.url.pathname, /callback$/)
    const victim = browser()
    const page = await victim.open(back.url)
    assert.match(page.body, /id="page-error"/)
    assert.equal(page.url.searchParams.get('code'), null)
  })

  test('a provider that never answers: the sign-in can be cancelled or chosen anew', async () => {
    const someone = browser()
    const there = await someone.open(start())
    const page = there.trail.find(({ pathname }) => pathname.startsWith('/interaction/')) ?? assert.fail()
    const back = await someone.submit(await someone.open(page), '#cancel')
    assert.equal(back.url.origin, APP)
    assert.equal(back.url.searchParams.get('error'), 'access_denied')
  })

  test('an expired sign-in keeps its request and starts again', async () => {
    const someone = browser()
    const there = await someone.open(start({ state: 'late' }))
    const page = there.trail.find(({ pathname }) => pathname.startsWith('/interaction/')) ?? assert.fail()
    now = Date.now() + 2 * 3_600_000
    const expired = await someone.open(page)
    assert.match(expired.body, /id="page-error"/)
    assert.equal(expired.status, 410)
    now = 0
    const again = await someone.open(way(expired, /restart$/))
    arrived(await signIn(someone, again), 'late')
  })
})
