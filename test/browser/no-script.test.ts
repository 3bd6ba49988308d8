/** The same walk with JavaScript off: every step is a page of its own and a plain form (DESIGN 4). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Page } from 'playwright-core'
import { openBrowser, skip } from './chromium.ts'
import { openDemo } from './demo.ts'
import { allow, at, begin, check, fact, signInAlice, typePassword } from './person.ts'

const visit = openBrowser()
const demo = openDemo(skip)
const plain = { javaScriptEnabled: false }

const assertSound = async (page: Page): Promise<void> => {
  await at(page, 'result')
  assert.equal(await page.getAttribute('#summary', 'data-ok'), 'true', String(await page.textContent('#summary')))
}

test('scripts are really off', { skip }, async (t) => {
  const { page } = await visit(t, plain)
  await page.setContent('<noscript><p id="off">off</p></noscript>')
  assert.equal(await page.textContent('#off'), 'off')
})

test('by password, with a wrong one first, in German', { skip }, async (t) => {
  const { page, complaints } = await visit(t, plain)
  await begin(page, demo(), { ui_locales: 'de' }, 'start-basic')
  await typePassword(page, 'alice', 'nicht ihres')
  await page.waitForSelector('#fault')
  assert.equal(await page.isVisible('.reveal, .copy'), false, 'what needs a script is not shown')
  await typePassword(page, 'alice', demo().passwords.alice)
  await allow(page)
  await assertSound(page)
  assert.equal(await fact(page, 'acr'), 'basic')
  assert.deepEqual(complaints, [])
})

test('the choice, the e-mail address, the provider, consent; then silently, and out', { skip }, async (t) => {
  const { page, complaints } = await visit(t, plain)
  await begin(page, demo())
  await at(page, 'choose')
  await page.click('[data-provider="demo-idp"]')
  await at(page, 'login')
  await page.click('#cancel')
  await page.waitForSelector('#page-choose #fault')
  await page.fill('[name=email]', 'nora@northwind.example')
  await page.click('#continue')
  await typePassword(page, 'nora', demo().passwords.nora)
  await allow(page)
  await assertSound(page)
  assert.equal(await fact(page, 'idp'), 'demo-idp')
  await page.click('#silent')
  await page.waitForSelector('#request:has-text("none")')
  await assertSound(page)
  await page.click('#userinfo')
  await page.waitForSelector('#outcome[data-ok="true"]')
  await page.click('#logout')
  await page.click('#logout-no')
  await page.waitForURL(`${demo().party}/logged-out**`)
  await page.goto(`${demo().issuer}/session/end`)
  await page.click('#logout-yes')
  // The session came from the demo's identity provider, so the logout goes on there.
  await page.waitForURL(`${demo().upstream}/session/end**`)
  await page.click('#logout-yes')
  await at(page, 'logged-out')
  await begin(page, demo(), { prompt: 'none' })
  await at(page, 'result')
  assert.match(String(await page.textContent('#response')), /login_required/)
  assert.deepEqual(complaints, [])
})

test('a logout where nobody is signed in has a button, and ends like any other', { skip }, async (t) => {
  const { page, complaints } = await visit(t, plain)
  await page.goto(`${demo().issuer}/session/end?client_id=demo-rp`)
  await page.click('#page-auto-post #continue')
  await at(page, 'logged-out')
  assert.equal(await page.textContent('main a.button'), 'Back to Test relying party')
  assert.deepEqual(complaints, [])
})

test('the front page leads to the demo and says who may sign in there', { skip }, async (t) => {
  const { page } = await visit(t, { javaScriptEnabled: false })
  await page.goto(demo().issuer)
  assert.deepEqual(
    [await page.textContent('#demo-username'), await page.textContent('#demo-password')],
    ['alice', demo().passwords.alice],
  )
  await page.click('#demo')
  await at(page, 'start')
})

test('form_post by its button, a fragment by hand', { skip }, async (t) => {
  const { page, complaints } = await visit(t, plain)
  await signInAlice(page, demo())
  await begin(page, demo(), { response_mode: 'form_post' })
  await page.click('button:has-text("Continue")')
  await assertSound(page)
  assert.equal(await fact(page, 'arrived_by'), 'form_post')
  await begin(page, demo(), { response_type: 'code id_token token', response_mode: '' })
  await at(page, 'fragment')
  await page.fill('#fragment', page.url())
  await page.click('#submit-fragment')
  await assertSound(page)
  assert.equal(await check(page, 'front-c_hash'), 'passed')
  assert.deepEqual(complaints, [])
})

test('cancelled, denied, and begun again from an error', { skip }, async (t) => {
  const { page, complaints } = await visit(t, plain)
  await begin(page, demo(), { prompt: 'consent' }, 'start-basic')
  await typePassword(page, 'alice', demo().passwords.alice)
  await page.click('#deny')
  await at(page, 'result')
  assert.match(String(await page.textContent('#response')), /access_denied/)
  await page.context().clearCookies()
  await begin(page, demo())
  await at(page, 'choose')
  await page.context().clearCookies()
  await page.click('[data-provider="demo-idp"]')
  await at(page, 'error')
  await page.click('.ways a[href$="/restart"]')
  await at(page, 'choose')
  await page.click('#cancel')
  await page.waitForURL(`${demo().party}/**`)
  assert.deepEqual(complaints, [])
})

test('a client of one’s own is registered, used and deleted', { skip }, async (t) => {
  const { page, complaints } = await visit(t, plain)
  await page.goto(`${demo().party}/client`)
  await page.click('#register')
  await page.waitForSelector('#registered')
  if (await page.isVisible('#use-registered')) await page.click('#use-registered')
  await signInAlice(page, demo())
  await assertSound(page)
  assert.notEqual(await page.textContent('#client-id'), 'demo-rp')
  await page.goto(`${demo().party}/client`)
  await page.click('#registration-delete')
  await page.waitForSelector('#registered', { state: 'detached' })
  assert.deepEqual(complaints, [])
})
