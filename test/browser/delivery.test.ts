/** What reaches the browser: how little it is, and that the security policy lets a sign-in end at the application. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Page, Request } from 'playwright-core'
import { openBrowser, skip } from './chromium.ts'
import { openDemo } from './demo.ts'
import { at, begin, signInNora, typePassword } from './person.ts'

const visit = openBrowser()
const demo = openDemo(skip)

/** DESIGN 4, headers included. */
const MOST_LOGIN_BYTES = 30_000

/** Every request of a page with what it cost on the wire. */
const weigh = async (page: Page, path: string): Promise<Map<string, number>> => {
  const requests: Request[] = []
  const collect = (request: Request) => void requests.push(request)
  page.on('requestfinished', collect)
  await page.goto(path)
  await page.waitForLoadState('networkidle')
  page.off('requestfinished', collect)
  const weights = new Map<string, number>()
  for (const request of requests) {
    const { responseHeadersSize, responseBodySize } = await request.sizes()
    weights.set(request.url(), responseHeadersSize + responseBodySize)
  }
  return weights
}

test('the whole login page weighs less than 30 kB, and all of it but the application’s logo is ours', {
  skip,
}, async (t) => {
  const { page, complaints } = await visit(t)
  await begin(page, demo(), {}, 'start-basic')
  await at(page, 'login')
  const { page: fresh } = await visit(t)
  const state = await page.context().storageState()
  await fresh.context().addCookies(state.cookies)
  const weights = await weigh(fresh, page.url())
  await at(fresh, 'login')
  const kinds = [...weights.keys()].map((url) => url.replace(/.*\./, '')).sort()
  assert.ok(kinds.includes('css') && kinds.includes('js'), `${kinds}`)
  // The application's own logo, from where it was registered (CONTRACT 11), is all that comes from elsewhere.
  const foreign = [...weights.keys()].filter((url) => new URL(url).origin !== demo().issuer)
  assert.deepEqual(foreign, [`${demo().party}/logo.svg`])
  const total = [...weights.values()].reduce((sum, bytes) => sum + bytes, 0)
  assert.ok(total > 2_000, 'it was weighed')
  assert.ok(total < MOST_LOGIN_BYTES, JSON.stringify([...weights]))
  assert.deepEqual(complaints, [])
})

test('a second look at the login page costs one request: everything else is kept', { skip }, async (t) => {
  const { page } = await visit(t)
  await begin(page, demo(), {}, 'start-basic')
  await at(page, 'login')
  await page.goto(page.url())
  await page.waitForLoadState('networkidle')
  const loaded = await page.evaluate<[string, number][]>(
    `performance.getEntriesByType('resource').map(({ name, transferSize }) => [name, transferSize])`,
  )
  assert.ok(loaded.length >= 2, String(loaded))
  for (const [name, bytes] of loaded) assert.equal(bytes, 0, name)
})

/** Sends a person who is known everywhere through login form, callback and engine to the application, without a page between. */
const longChain = async (page: Page): Promise<void> => {
  await signInNora(page, demo())
  // Only the provider's own session ends, so that its login form starts the next chain.
  await page.context().clearCookies({ name: new RegExp(`${new URL(demo().upstream).port}`) })
  await begin(page, demo(), { prompt: 'login' }, 'start-demo-idp')
  await typePassword(page, 'nora', demo().passwords.nora)
}

test('a login form’s chain of redirects over three sites ends at the application', { skip }, async (t) => {
  const { page, complaints } = await visit(t)
  await longChain(page)
  await page.waitForURL(`${demo().party}/result`)
  assert.equal(await page.getAttribute('#summary', 'data-ok'), 'true')
  assert.deepEqual(complaints, [])
})

test('that this is no matter of course: with form-action Chromium blocks the same chain', { skip }, async (t) => {
  const { page, complaints } = await visit(t)
  await signInNora(page, demo())
  await page.route(`${demo().upstream}/interaction/**`, async (route) => {
    const response = await route.fetch({ maxRedirects: 0 })
    const policy = `${response.headers()['content-security-policy']};form-action 'self'`
    await route.fulfill({ response, headers: { ...response.headers(), 'content-security-policy': policy } })
  })
  await begin(page, demo(), { prompt: 'login' }, 'start-demo-idp')
  await at(page, 'login')
  // Only a page that was not redirected to can be changed on its way.
  await page.goto(page.url())
  const blocked = page.waitForEvent('console', (message) => message.text().includes('form-action'))
  await typePassword(page, 'nora', demo().passwords.nora)
  await blocked
  await at(page, 'login')
  assert.equal(complaints.length, 1)
})

test('no page lets itself be framed, and none runs what is written into it', { skip }, async (t) => {
  const { page } = await visit(t)
  await begin(page, demo(), {}, 'start-basic')
  await at(page, 'login')
  const login = page.url()
  const ran = await page.evaluate(`(() => {
    const script = document.createElement('script')
    try { script.textContent = 'window.ran = true' } catch {}
    document.body.append(script)
    try { document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="window.ran = true">') } catch {}
    return window.ran === true
  })()`)
  assert.equal(ran, false)
  const { page: thief } = await visit(t)
  await thief.route('https://thief.example/', (route) =>
    route.fulfill({ contentType: 'text/html', body: `<iframe src="${login}"></iframe>` }),
  )
  await thief.goto('https://thief.example/')
  await thief.waitForLoadState('networkidle')
  for (const frame of thief.frames()) assert.equal(await frame.$('#page-login'), null)
})
