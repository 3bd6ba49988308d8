/** The relying party in Debian's Chromium under its real security policy: axe on every page, fragments by script, forms without. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { after, before, test } from 'node:test'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { openHouse } from './house.ts'

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'
// On a developer's machine without it the suite goes on; where tests decide (CI) its absence is a failure.
const skip = !existsSync(executablePath) && !process.env.CI && `no Chromium at ${executablePath}`
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

const house = openHouse()
let browser: Browser
before(async () => {
  if (!skip) browser = await chromium.launch({ executablePath, args: ARGS })
})
after(() => browser?.close())

/** A page that keeps what its policy or its scripts complain about. */
const visit = async (t: { after(close: () => Promise<void>): void }, options: BrowserContextOptions = {}) => {
  const context = await browser.newContext(options)
  t.after(() => context.close())
  const page = await context.newPage()
  const complaints: string[] = []
  page.on('console', (message) => void (message.type() === 'error' && complaints.push(message.text())))
  page.on('pageerror', (error) => void complaints.push(String(error)))
  return { page, complaints }
}

/** Runs in the page, as text: this project's types know no DOM. */
const AXE = `(async () => {
  const values = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
  const found = await axe.run(document, { runOnly: { type: 'tag', values }, rules: { 'target-size': { enabled: true } } })
  return found.violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html).join(' | '))
})()`

const assertFine = async (page: Page, what: string) => {
  await page.evaluate(axe)
  assert.deepEqual(await page.evaluate<string[]>(AXE), [], what)
  assert.equal(await page.evaluate('document.documentElement.scrollWidth > innerWidth'), false, `${what} is too wide`)
}

/** Signs in with a hybrid request, whose response comes in the fragment unless told otherwise. */
const signIn = async (page: Page, mode = '') => {
  await page.goto(`${house.url}/`)
  await page.check('#response_type-code-id_token-token')
  await page.check(`#response_mode-${mode || 'usual'}`)
  await page.fill('#scope', 'openid profile email address offline_access')
  await page.selectOption('#prompt', 'consent')
  await page.click('#start-login')
}

const looks: [string, BrowserContextOptions][] = [
  ['light, desktop', { colorScheme: 'light', viewport: { width: 1200, height: 800 } }],
  ['dark, phone', { colorScheme: 'dark', viewport: { width: 360, height: 740 } }],
]
for (const [look, options] of looks)
  test(`axe finds nothing, the policy blocks nothing, nothing is wider than the screen: ${look}`, {
    skip,
  }, async (t) => {
    const { page, complaints } = await visit(t, options)
    await page.goto(`${house.url}/`)
    await assertFine(page, 'start')
    await signIn(page)
    await page.waitForURL(`${house.url}/result`)
    await assertFine(page, 'result')
    await page.click('#userinfo')
    await page.waitForSelector('#outcome')
    for (const call of await page.locator('.call summary').all()) await call.click()
    await assertFine(page, 'result of a button')
    for (const path of ['/provider', '/client', '/callback', '/logged-out', '/callback?error=access_denied&state=x']) {
      await page.goto(house.url + path)
      await assertFine(page, path)
    }
    await page.goto(`${house.url}/client`)
    await page.click('#register')
    await page.waitForSelector('#registered')
    await assertFine(page, 'a registered client')
    assert.deepEqual(complaints, [])
  })

test('a fragment is handed over by script and leaves the history', { skip }, async (t) => {
  const { page, complaints } = await visit(t)
  await signIn(page)
  await page.waitForURL(`${house.url}/result`)
  assert.equal(await page.getAttribute('#summary', 'data-ok'), 'true')
  assert.equal(await page.getAttribute('#check-front-c_hash', 'data-outcome'), 'passed')
  assert.equal(await page.textContent('#who'), 'Alice Andersson')
  await page.goBack()
  assert.equal(page.url().includes('id_token'), false)
  assert.deepEqual(complaints, [])
})

test('without JavaScript: a pasted address, and every button', { skip }, async (t) => {
  const { page } = await visit(t, { javaScriptEnabled: false })
  await signIn(page)
  await page.waitForSelector('#page-fragment')
  const address = page.url()
  assert.match(address, /#.*id_token=/)
  await page.fill('#fragment', address)
  await page.click('#submit-fragment')
  for (const button of ['userinfo', 'refresh', 'introspect', 'client-credentials', 'revoke']) {
    await page.click(`#${button}`)
    assert.equal(await page.getAttribute('#outcome', 'data-ok'), 'true', button)
  }
  await page.click('#logout')
  await page.click('#yes')
  await page.waitForSelector('#page-logged-out')
  assert.equal(await page.getAttribute('#check-logout-state', 'data-outcome'), 'passed')
})
