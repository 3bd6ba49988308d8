/** The buttons of the result page, each against a real provider. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { assertSound, openHouse } from './house.ts'
import { Browser, outcomeOf, successOf, textOf } from './visitor.ts'

const house = openHouse()

describe('the buttons', () => {
  const offline = { scope: 'openid profile email offline_access', prompt: 'consent' }

  for (const button of ['userinfo', 'userinfo-post-header', 'userinfo-post-body'])
    test(`#${button}`, async () => {
      const browser = new Browser()
      const page = await browser.submit(await house.login(browser), `#${button}`)
      assert.equal(successOf(page, 'outcome'), true)
      assert.equal(outcomeOf(page, 'userinfo-sub'), 'passed')
      assert.match(textOf(page, 'outcome-claims') ?? '', /alice@example\.org/)
    })

  test('#refresh brings new tokens for the same person', async () => {
    const browser = new Browser()
    const page = await house.login(browser, offline)
    const before = textOf(page, 'access-token-raw')
    const refreshed = await browser.submit(page, '#refresh')
    assert.equal(successOf(refreshed, 'outcome'), true)
    assert.equal(outcomeOf(refreshed, 'refreshed-sub'), 'passed')
    assert.ok(before)
    assert.notEqual(textOf(refreshed, 'access-token-raw'), before)
  })

  test('#introspect and #revoke, of both tokens', async () => {
    const browser = new Browser()
    let page = await house.login(browser, offline)
    for (const [suffix, name] of [
      ['', 'access token'],
      ['-refresh', 'refresh token'],
    ] as const) {
      page = await browser.submit(page, `#introspect${suffix}`)
      assert.equal(textOf(page, 'outcome-sentence'), `The ${name} is active.`)
    }
    for (const suffix of ['', '-refresh']) {
      page = await browser.submit(page, `#revoke${suffix}`)
      assert.equal(successOf(page, 'outcome'), true)
      page = await browser.submit(page, `#introspect${suffix}`)
      assert.match(textOf(page, 'outcome-sentence') ?? '', /is not active\.$/)
    }
    page = await browser.submit(page, '#userinfo')
    assert.equal(successOf(page, 'outcome'), false)
    assert.match(textOf(page, 'outcome-sentence') ?? '', /invalid_token/)
  })

  test('#client-credentials', async () => {
    const browser = new Browser()
    const page = await browser.submit(await browser.open(`${house.url}/result`), '#client-credentials')
    assert.equal(successOf(page, 'outcome'), true)
    assert.match(textOf(page, 'outcome-data') ?? '', /access_token/)
  })

  test('#silent asks with prompt=none and the last ID token', async () => {
    const browser = new Browser()
    const page = await house.login(browser)
    const silent = await browser.submit(page, '#silent')
    assertSound(silent)
    const departure = house.departureOf(silent)
    assert.equal(departure.get('prompt'), 'none')
    assert.equal(departure.get('id_token_hint'), textOf(page, 'id-token-raw'))
  })

  test('#logout ends it at the provider too and comes back', async () => {
    const browser = new Browser()
    const confirm = await browser.submit(await house.login(browser), '#logout')
    assert.equal(confirm.url.origin, house.issuer)
    const back = await browser.submit(confirm, '#yes', { logout: 'yes' })
    assert.equal(back.url.href.split('?')[0], `${house.url}/logged-out`)
    assert.equal(outcomeOf(back, 'logout-state'), 'passed')
    const silent = await browser.submit(await browser.open(`${house.url}/result`), '#silent')
    assert.match(textOf(silent, 'problem') ?? '', /^login_required/)
  })

  test('#forget ends it here only', async () => {
    const browser = new Browser()
    const page = await browser.submit(await house.login(browser), '#forget')
    assert.equal(textOf(page, 'who'), undefined)
    assertSound(await browser.submit(await browser.open(`${house.url}/result`), '#silent'))
  })

  test('a button without its token says what is missing', async () => {
    const browser = new Browser()
    const start = await browser.open(`${house.url}/result`)
    for (const button of ['userinfo', 'refresh', 'introspect', 'revoke']) {
      const page = await browser.submit(start, `#${button}`)
      assert.match(textOf(page, 'outcome-sentence') ?? '', /There is no (access|refresh) token/)
    }
  })

  test('secrets are masked in the record of exchanges', async () => {
    const page = await house.login(new Browser())
    assert.match(page.body, /authorization: Basic demo-rp:••••••/)
    assert.ok(house.secret.length > 20)
    assert.equal(page.body.includes(house.secret), false)
  })
})
