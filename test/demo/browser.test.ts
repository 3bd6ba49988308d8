/** The relying party in Debian's Chromium under its real security policy: fragments by script, forms without. Its looks are in test/browser. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Page } from 'playwright-core'
import { openBrowser, skip } from '#test/browser/chromium.ts'
import { openHouse } from './house.ts'

const house = openHouse()
const visit = openBrowser()

/** Signs in with a hybrid request, whose response comes in the fragment unless told otherwise. */
const signIn = async (page: Page, mode = '') => {
  await page.goto(`${house.url}/`)
  await page.check('#response_type-code-id_token-token')
  await page.check(`#response_mode-${mode || 'usual'}`)
  await page.fill('#scope', 'openid profile email address offline_access')
  await page.selectOption('#prompt', 'consent')
  await page.click('#start-login')
}

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
