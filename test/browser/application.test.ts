/** The test relying party as a workbench: every response type and mode, its buttons, and a client of one's own. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Page } from 'playwright-core'
import { RESPONSE_TYPES } from '#demo/configuration.ts'
import { openBrowser, skip } from './chromium.ts'
import { openDemo } from './demo.ts'
import { allow, at, begin, check, fact, signInAlice, typePassword } from './person.ts'

const visit = openBrowser()
const demo = openDemo(skip)

/** Expects a sign-in with which everything is right, arrived as it should. */
const assertArrived = async (page: Page, wishes: string, by: string): Promise<void> => {
  await at(page, 'result')
  assert.equal(
    await page.getAttribute('#summary', 'data-ok'),
    'true',
    `${wishes}: ${await page.textContent('#summary')}`,
  )
  assert.equal(await page.locator('.check.failed').count(), 0, wishes)
  assert.equal(await fact(page, 'arrived_by'), by, wishes)
}

test('every response type, in the fragment or the query as usual, and by form_post', { skip }, async (t) => {
  const { page, complaints } = await visit(t)
  await signInAlice(page, demo())
  for (const type of RESPONSE_TYPES)
    for (const mode of ['', 'form_post']) {
      await begin(page, demo(), { response_type: type, response_mode: mode })
      await assertArrived(page, `${type} ${mode}`, mode || (type === 'code' ? 'query' : 'fragment'))
      const fronted = type.includes('id_token')
      assert.equal(await page.isVisible('#check-front-signature'), fronted, type)
      assert.equal(await page.isVisible('#check-back-signature'), type.includes('code'), type)
      assert.ok(!page.url().includes('#'), 'tokens do not stay in the address')
    }
  assert.deepEqual(complaints, [])
})

test('every response mode, signed ones too', { skip }, async (t) => {
  const { page, complaints } = await visit(t)
  await signInAlice(page, demo())
  const modes = {
    query: 'query',
    fragment: 'fragment',
    jwt: 'query',
    'query.jwt': 'query',
    'fragment.jwt': 'fragment',
    'form_post.jwt': 'form_post',
  }
  for (const [mode, by] of Object.entries(modes)) {
    await begin(page, demo(), { response_type: 'code', response_mode: mode })
    await assertArrived(page, mode, by)
    assert.equal(await page.isVisible('#check-envelope-signature'), mode.endsWith('jwt'), mode)
  }
  assert.deepEqual(complaints, [])
})

test('a token that came is used, renewed, looked at and revoked', { skip }, async (t) => {
  const { page, complaints } = await visit(t)
  await signInAlice(page, demo(), { scope: 'openid profile email offline_access', prompt: 'consent' })
  const press = async (id: string, said: RegExp) => {
    await page.click(`#${id}`)
    await page.waitForSelector('#outcome')
    assert.equal(await page.getAttribute('#outcome', 'data-ok'), 'true', id)
    assert.match(String(await page.textContent('#outcome-sentence')), said, id)
  }
  await press('userinfo', /released/)
  await press('userinfo-post-header', /released/)
  await press('userinfo-post-body', /released/)
  await press('refresh', /refresh token too/)
  await press('introspect', /is active/)
  await press('introspect-refresh', /is active/)
  await press('revoke', /revoked/)
  await press('introspect', /not active/)
  await press('revoke-refresh', /revoked/)
  await press('introspect-refresh', /not active/)
  await press('client-credentials', /token of its own/)
  assert.deepEqual(complaints, [])
})

test('a client registered here: shown with logo and links where people decide, read, changed, deleted', {
  skip,
}, async (t) => {
  const { page, complaints } = await visit(t)
  await page.goto(`${demo().party}/client`)
  const metadata = JSON.parse(await page.inputValue('#metadata')) as Record<string, unknown>
  const logo = 'https://harbour.example/logo.svg'
  const circle = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle cx="4" cy="4" r="4"/></svg>'
  await page.route(logo, (route) => route.fulfill({ contentType: 'image/svg+xml', body: circle }))
  const shown = {
    client_name: 'Harbour Tours',
    logo_uri: logo,
    policy_uri: 'https://harbour.example/privacy',
    tos_uri: 'https://harbour.example/terms',
  }
  await page.fill('#metadata', JSON.stringify({ ...metadata, ...shown }))
  await page.click('#register')
  await page.waitForSelector('#registered')
  if (await page.isVisible('#use-registered')) await page.click('#use-registered')
  const clientId = await page.textContent('#client-id')
  assert.notEqual(clientId, 'demo-rp')

  const assertIntroduced = async () => {
    assert.match(String(await page.textContent('h1')), /Harbour Tours/)
    assert.equal(await page.getAttribute('.tile-logo img', 'src'), logo)
    const links = await page.locator('.terms a').evaluateAll((found) => found.map((link) => link.getAttribute('href')))
    assert.ok(links.includes(shown.policy_uri) && links.includes(shown.tos_uri), String(links))
    assert.ok(await page.evaluate(`document.querySelector('.tile-logo img').naturalWidth > 0`), 'the logo is drawn')
  }
  await begin(page, demo(), {}, 'start-basic')
  await at(page, 'login')
  await assertIntroduced()
  await typePassword(page, 'alice', demo().passwords.alice)
  await at(page, 'consent')
  await assertIntroduced()
  await allow(page)
  await assertArrived(page, 'registered client', 'query')
  assert.equal(await check(page, 'back-aud'), 'passed')

  await page.goto(`${demo().party}/client`)
  await page.click('#registration-read')
  await page.waitForSelector('#notice')
  await page.fill('#metadata', (await page.inputValue('#metadata')).replace('Harbour Tours', 'Harbour Cruises'))
  await page.click('#registration-update')
  await page.waitForSelector('#registered:has-text("Harbour Cruises")')
  await page.click('#registration-delete')
  await page.waitForSelector('#registered', { state: 'detached' })
  assert.deepEqual(complaints, [])
})
