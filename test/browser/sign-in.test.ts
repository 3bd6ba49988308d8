/** A person signs in at the demo's relying party: every way in, every way out, and what goes wrong on the way. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openBrowser, skip } from './chromium.ts'
import { openDemo } from './demo.ts'
import { allow, at, begin, check, fact, signInAlice, signInNora, typePassword } from './person.ts'

const visit = openBrowser()
const demo = openDemo(skip)

test('by password: a wrong one is said so, what was typed stays, the right one leads on through consent', {
  skip,
}, async (t) => {
  const { page, complaints } = await visit(t)
  await begin(page, demo(), {}, 'start-basic')
  await typePassword(page, 'alice', 'not hers')
  await page.waitForSelector('#fault')
  assert.match(String(await page.title()), /^Error: /)
  assert.equal(await page.inputValue('#username'), 'alice')
  assert.equal(await page.inputValue('#password'), '')
  await typePassword(page, 'alice', demo().passwords.alice)
  await allow(page)
  await at(page, 'result')
  assert.equal(await page.getAttribute('#summary', 'data-ok'), 'true')
  assert.deepEqual([await fact(page, 'acr'), await fact(page, 'amr')], ['basic', 'pwd'])
  assert.equal(await page.isVisible('#fact-idp'), false, 'a local login has no idp')
  assert.deepEqual(complaints, [])
})

test('by the identity provider that acr_values names; the second time neither password nor consent is asked', {
  skip,
}, async (t) => {
  const { page, complaints } = await visit(t)
  await begin(page, demo(), {}, 'start-demo-idp')
  await at(page, 'login')
  assert.equal(new URL(page.url()).origin, demo().upstream, 'straight to the provider, no page of ours between')
  await typePassword(page, 'nora', demo().passwords.nora)
  await at(page, 'consent')
  assert.match(String(await page.textContent('#page-consent')), /Test relying party.*nora/s)
  await page.click('#allow')
  await at(page, 'result')
  assert.deepEqual([await fact(page, 'acr'), await fact(page, 'idp')], ['demo-idp', 'demo-idp'])
  const subject = await fact(page, 'sub')
  await page.click('#userinfo')
  await page.waitForSelector('#outcome[data-ok="true"]')
  assert.match(String(await page.textContent('#outcome-claims')), /Nora Nordström/)
  await begin(page, demo(), {}, 'start-demo-idp')
  await at(page, 'result')
  assert.equal(await fact(page, 'sub'), subject)
  assert.deepEqual(complaints, [])
})

test('a scope that was unticked is not granted', { skip }, async (t) => {
  const { page, complaints } = await visit(t)
  await begin(page, demo(), { scope: 'openid profile email phone', prompt: 'consent' }, 'start-basic')
  await typePassword(page, 'alice', demo().passwords.alice)
  await at(page, 'consent')
  await page.uncheck('[name=scope][value=email]')
  await page.click('#allow')
  await at(page, 'result')
  await page.click('#userinfo')
  await page.waitForSelector('#outcome[data-ok="true"]')
  const claims = String(await page.textContent('#outcome-claims'))
  assert.match(claims, /Alice Andersson/)
  assert.doesNotMatch(claims, /alice@example\.org/)
  assert.deepEqual(complaints, [])
})

test('the choice page: by its button, by the domain of an e-mail address, by password', { skip }, async (t) => {
  const { page, complaints } = await visit(t)
  await begin(page, demo())
  await at(page, 'choose')
  await page.click('[data-provider="demo-idp"]')
  await at(page, 'login')
  assert.equal(new URL(page.url()).origin, demo().upstream)

  await begin(page, demo())
  await at(page, 'choose')
  await page.fill('[name=email]', 'nora@northwind.example')
  await page.click('#continue')
  await at(page, 'login')
  assert.equal(new URL(page.url()).origin, demo().upstream)

  await begin(page, demo())
  await at(page, 'choose')
  await page.fill('[name=email]', 'alice@example.org')
  await page.click('#continue')
  await at(page, 'login')
  assert.equal(new URL(page.url()).origin, demo().issuer)
  assert.equal(await page.inputValue('#username'), 'alice@example.org')

  await begin(page, demo())
  await at(page, 'choose')
  await page.click('[data-method="basic"]')
  await typePassword(page, 'alice', demo().passwords.alice)
  await page.waitForSelector('#page-consent, #page-result')
  assert.deepEqual(complaints, [])
})

test('cancelled at login, at the choice, at consent: the application is told, and may begin again', {
  skip,
}, async (t) => {
  const { page, complaints } = await visit(t)
  const told = async () => {
    await at(page, 'result')
    assert.equal(await page.getAttribute('#summary', 'data-ok'), 'false')
    assert.match(String(await page.textContent('#response')), /access_denied/)
  }
  await begin(page, demo(), {}, 'start-basic')
  await page.click('#cancel')
  await told()
  await begin(page, demo())
  await page.click('#page-choose #cancel')
  await told()
  await begin(page, demo(), { prompt: 'consent' }, 'start-basic')
  await typePassword(page, 'alice', demo().passwords.alice)
  await page.click('#deny')
  await told()
  await begin(page, demo(), {}, 'start-demo-idp')
  await at(page, 'login')
  assert.equal(new URL(page.url()).origin, demo().upstream)
  await page.click('#cancel')
  await page.waitForSelector('#page-result, #page-choose')
  assert.deepEqual(complaints, [])
})

test('refused at the provider: back at the choice with the reason, and another way still leads in', {
  skip,
}, async (t) => {
  const { page, complaints } = await visit(t)
  await begin(page, demo())
  await page.click('[data-provider="demo-idp"]')
  await at(page, 'login')
  await page.click('#cancel')
  await page.waitForSelector('#page-choose #fault')
  await page.click('[data-method="basic"]')
  await typePassword(page, 'alice', demo().passwords.alice)
  await page.waitForSelector('#page-consent, #page-result')
  assert.deepEqual(complaints, [])
})

test('German: as the browser prefers, and as the application asks', { skip }, async (t) => {
  const german = await visit(t, { locale: 'de-DE' })
  await begin(german.page, demo(), {}, 'start-basic')
  await at(german.page, 'login')
  assert.equal(await german.page.getAttribute('html', 'lang'), 'de')
  assert.equal((await german.page.textContent('#continue'))?.trim(), 'Anmelden')

  const english = await visit(t)
  await begin(english.page, demo(), { ui_locales: 'fr de en' }, 'start-basic')
  await at(english.page, 'login')
  assert.equal(await english.page.getAttribute('html', 'lang'), 'de')
  await typePassword(english.page, 'alice', 'nicht ihres')
  await english.page.waitForSelector('#fault')
  assert.match(String(await english.page.textContent('#fault')), /Passwort/)
  assert.deepEqual([...german.complaints, ...english.complaints], [])
})

test('asked silently: signed in is enough, signed out is an honest error', { skip }, async (t) => {
  const { page, complaints } = await visit(t)
  await signInAlice(page, demo())
  const subject = await fact(page, 'sub')
  const signedInAt = await fact(page, 'auth_time')
  await page.click('#silent')
  await page.waitForSelector('#page-result #request:has-text("none")')
  assert.equal(await page.getAttribute('#summary', 'data-ok'), 'true')
  assert.deepEqual([await fact(page, 'sub'), await fact(page, 'auth_time')], [subject, signedInAt])

  await page.click('#logout')
  await page.click('#logout-yes')
  await at(page, 'logged-out')
  await begin(page, demo(), { prompt: 'none' })
  await at(page, 'result')
  assert.match(String(await page.textContent('#response')), /login_required/)
  assert.deepEqual(complaints, [])
})

test('logout: no keeps the session, yes ends it and comes back with the state', { skip }, async (t) => {
  const { page, complaints } = await visit(t)
  await signInNora(page, demo())
  await page.click('#logout')
  await at(page, 'logout')
  await page.click('#logout-no')
  await page.waitForURL(`${demo().party}/logged-out**`)
  await begin(page, demo(), { prompt: 'none' })
  await at(page, 'result')
  assert.equal(await page.getAttribute('#summary', 'data-ok'), 'true', 'still signed in')
  await page.click('#logout')
  await page.click('#logout-yes')
  await page.waitForURL(`${demo().party}/logged-out**`)
  assert.equal(await check(page, 'logout-state'), 'passed')
  await begin(page, demo(), { prompt: 'none' })
  await at(page, 'result')
  assert.match(String(await page.textContent('#response')), /login_required/)
  assert.deepEqual(complaints, [])
})
