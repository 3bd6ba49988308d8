/** People wait, go back, open two tabs and come by bookmark: none of it ends in a dead page (DESIGN 2). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Page } from 'playwright-core'
import { settled } from '#test/world/settled.ts'
import { openBrowser, skip } from './chromium.ts'
import { openDemo, startDemo } from './demo.ts'
import { at, begin, signInAlice, typePassword } from './person.ts'

const visit = openBrowser()
const demo = openDemo(skip)

const signedIn = async (page: Page): Promise<void> => {
  await page.waitForSelector('#page-consent, #page-result')
  if (await page.isVisible('#page-consent')) await page.click('#allow')
  await at(page, 'result')
  assert.equal(await page.getAttribute('#summary', 'data-ok'), 'true', String(await page.textContent('#summary')))
}

test('two tabs, each with a sign-in of its own: both end well, whichever is first', { skip }, async (t) => {
  const { context, page: first, complaints } = await visit(t)
  const second = await context.newPage()
  await begin(first, demo())
  await at(first, 'choose')
  await begin(second, demo(), {}, 'start-basic')
  await typePassword(second, 'alice', demo().passwords.alice)
  await signedIn(second)
  await first.click('[data-method="basic"]')
  await typePassword(first, 'alice', demo().passwords.alice)
  await signedIn(first)
  assert.deepEqual(complaints, [])
})

test('back and forth between the pages of a sign-in, and back after its end', { skip }, async (t) => {
  const { page, complaints } = await visit(t)
  await begin(page, demo())
  await at(page, 'choose')
  await page.click('[data-provider="demo-idp"]')
  await at(page, 'login')
  await page.goBack()
  await at(page, 'choose')
  await page.click('[data-method="basic"]')
  await typePassword(page, 'alice', 'mistyped')
  await page.waitForSelector('#fault')
  await page.goBack()
  await at(page, 'login')
  await typePassword(page, 'alice', demo().passwords.alice)
  await signedIn(page)
  // Back over the redirects, to what was the sign-in's last page: it is over, and says so.
  await page.goBack()
  await at(page, 'error')
  await page.click('.ways a:has-text("Test relying party")')
  await at(page, 'start')
  assert.deepEqual(complaints, [])
})

test('in another browser: said so, and begun again from there', { skip }, async (t) => {
  const { page } = await visit(t)
  await begin(page, demo())
  await at(page, 'choose')
  const { page: other, complaints } = await visit(t)
  await other.goto(page.url())
  await at(other, 'error')
  assert.equal(await other.textContent('#error'), 'access_denied')
  assert.match(String(await other.textContent('#reference')), /^[0-9A-Z]{10}$/)
  await other.click('.ways a[href$="/restart"]')
  await at(other, 'choose')
  await page.reload()
  await at(page, 'choose')
  assert.deepEqual(complaints, [])
})

test('a finished sign-in by bookmark leads to the application, where the session is enough', { skip }, async (t) => {
  const { page, complaints } = await visit(t)
  await begin(page, demo(), {}, 'start-basic')
  await at(page, 'login')
  const bookmark = page.url()
  await typePassword(page, 'alice', demo().passwords.alice)
  await signedIn(page)
  await page.goto(bookmark)
  await at(page, 'error')
  assert.equal(await page.textContent('h1'), 'This sign-in is finished')
  assert.deepEqual(await page.locator('.ways a').allTextContents(), ['Back to Test relying party'])
  await page.click('.ways a:has-text("Test relying party")')
  await at(page, 'start')
  await page.click('#start-login')
  await page.waitForURL(`${demo().party}/result`)
  await signedIn(page)
  assert.deepEqual(complaints, [])
})

test('an expired sign-in offers to begin again', { skip }, async (t) => {
  const { page, complaints } = await visit(t)
  const hasty = await startDemo(() => ({ lifetimes: { interaction: 'PT3S' } }))
  t.after(() => hasty.close())
  await begin(page, hasty)
  await at(page, 'choose')
  await settled('expired', async () => !(await page.request.get(page.url())).ok())
  await page.click('[data-provider="demo-idp"]')
  await at(page, 'error')
  await page.click('.ways a[href$="/restart"]')
  await at(page, 'choose')
  assert.deepEqual(complaints, [])
})

test('nonsense, and a request that must not go back to the application, are pages with a way on', {
  skip,
}, async (t) => {
  const { page, complaints } = await visit(t)
  for (const path of ['/nowhere', '/interaction/unknown', '/federation/demo-idp/callback?state=x&code=y']) {
    const response = await page.goto(demo().issuer + path)
    assert.ok(response && response.status() >= 400 && response.status() < 500, path)
    await at(page, 'error')
    assert.ok(await page.isVisible('#page-error .ways a'), path)
  }
  const wrong = new URLSearchParams({
    client_id: 'demo-rp',
    response_type: 'code',
    redirect_uri: 'http://localhost:1/',
  })
  await page.goto(`${demo().issuer}/authorize?${wrong}`)
  await at(page, 'error')
  assert.equal(await page.textContent('#error'), 'invalid_redirect_uri')
  await page.click('.ways a:has-text("Test relying party")')
  await at(page, 'start')
  assert.deepEqual(complaints, [])
})

test('the application’s own page, reloaded and gone back to, repeats nothing', { skip }, async (t) => {
  const { page, complaints } = await visit(t)
  await signInAlice(page, demo())
  await page.reload()
  assert.equal(await page.getAttribute('#summary', 'data-ok'), 'true')
  assert.deepEqual(complaints, [])
})
