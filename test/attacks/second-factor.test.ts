/** Getting past the second factor: repeating codes, guessing, skipping the step, bringing a factor of one's own. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { Secret, TOTP } from 'otpauth'
import { authorizationUrl, client, type Gatehouse, startGatehouse } from '#test/flows/world.ts'
import type { Browser, Page } from '#test/world/browser.ts'
import { find } from '#test/world/html.ts'
import { answerOf, audits, browser, codeOf } from './house.ts'

const GOLD = 'urn:example:gold'
const names = ['victim', 'mallory', 'guessed', 'busy', 'newcomer'] as const
type Name = (typeof names)[number]
const passwordOf = (username: Name) => ({ username, password: `${username}-password-1` })

describe('second factor', () => {
  let op: Gatehouse
  // The begin of a day, so that no window ends while the test runs, and every step is ours to take.
  let now = Math.floor(Date.now() / 86_400_000) * 86_400_000 + 1
  const secrets = new Map<Name, string>()
  const ask = (more: Record<string, string> = {}) => authorizationUrl(op.issuer, { acr_values: GOLD, ...more })
  const idOf = ({ body }: Page) => /<main [^>]*id="([\w-]+)"/.exec(body)?.[1]
  const secretOn = (page: Page) => find(page.document, '#secret')?.text.replaceAll(' ', '')
  const shown = (secret: string | undefined) =>
    new TOTP({ secret: Secret.fromBase32(secret ?? assert.fail('no secret')) }).generate({ timestamp: now })
  const enter = async (someone: Browser, name: Name, more: Record<string, string> = {}) =>
    someone.submit(await someone.open(ask(more)), '#continue', passwordOf(name))

  before(async () => {
    op = await startGatehouse(
      {
        clients: [client({ trusted: true })],
        accounts: names.map(passwordOf),
        methods: { otp: {} },
        acrs: [{ name: GOLD, steps: [['basic'], ['otp']], level: 2 }],
      },
      { clock: { now: () => now } },
    )
    for (const name of ['victim', 'mallory', 'guessed', 'busy'] as const) {
      const someone = browser()
      const setup = await enter(someone, name)
      const secret = secretOn(setup) ?? assert.fail(setup.body)
      secrets.set(name, secret)
      const codes = await someone.submit(setup, '#continue', { code: shown(secret) })
      codeOf(await someone.submit(codes, '#continue'))
    }
    now += 60_000
  })

  test('control: password and code get in', async () => {
    const someone = browser()
    codeOf(await someone.submit(await enter(someone, 'busy'), '#continue', { code: shown(secrets.get('busy')) }))
  })

  test('replay: a code that was seen opens nothing, in this browser or another, at once or in parallel', async () => {
    now += 60_000
    const code = shown(secrets.get('victim'))
    const owner = browser()
    codeOf(await owner.submit(await enter(owner, 'victim'), '#continue', { code }))
    const thief = browser()
    const page = await enter(thief, 'victim')
    const answers = await Promise.all(Array.from({ length: 3 }, () => thief.submit(page, '#continue', { code })))
    for (const answer of answers) {
      assert.deepEqual([answer.status, idOf(answer)], [401, 'page-otp'])
      assert.match(answer.body, /was used already/)
    }
    const used = audits(op, 'login.failed').filter(({ detail }) => (detail as { fault: string }).fault === 'otp.used')
    assert.equal(used.length, 3)
    assert.doesNotMatch(JSON.stringify(op.log), new RegExp(`"${code}"`))
  })

  test('guessing: five tries, then the right code waits too; nobody else does', async () => {
    now += 60_000
    const thief = browser()
    const page = await enter(thief, 'guessed')
    const right = shown(secrets.get('guessed'))
    const guesses = Array.from({ length: 30 }, (_, index) => String(100_000 + index * 7)).filter(
      (code) => code !== right,
    )
    const answers = await Promise.all(guesses.map((code) => thief.submit(page, '#continue', { code })))
    assert.ok(answers.filter(({ status }) => status === 401).length <= 5)
    const last = await thief.submit(page, '#continue', { code: right })
    assert.deepEqual([last.status, idOf(last)], [429, 'page-otp'])
    assert.ok(Number(last.headers['retry-after']) > 0)
    const fresh = browser()
    const locked = await fresh.submit(await enter(fresh, 'guessed'), '#continue', { code: right })
    assert.equal(locked.status, 429, 'another browser is the same network')
    const other = browser()
    codeOf(await other.submit(await enter(other, 'busy'), '#continue', { code: shown(secrets.get('busy')) }))
  })

  test('skipping: after the password alone there is no session, and no address that ends the sign-in', async () => {
    const thief = browser()
    const page = await enter(thief, 'victim')
    assert.equal(idOf(page), 'page-otp')
    const silent = await thief.open(authorizationUrl(op.issuer, { prompt: 'none' }))
    assert.equal(answerOf(silent).get('error'), 'login_required')
    const uid = /interaction\/([\w-]+)/.exec(page.url.href)?.[1] ?? assert.fail()
    const resumed = await thief.open(`${op.issuer}/authorize/${uid}`)
    assert.ok(!answerOf(resumed).has('code'), resumed.url.href)

    const again = await enter(thief, 'victim')
    const base = again.url.href.replace(/\/(basic|otp)$/, '')
    const csrf = find(again.document, '[name=csrf]')?.attributes.value ?? assert.fail()
    for (const [path, fields] of [
      ['/consent', { scope: 'openid' }],
      ['/otp/codes', {}],
      ['/otp/keep', {}],
      ['/otp/setup', { code: shown(secrets.get('mallory')) }],
      ['/choose', { provider: 'basic' }],
      ['/basic', passwordOf('victim')],
      ['/email', { email: 'x@example.org' }],
      ['/otp', { code: '' }],
      ['/otp', { code: shown(secrets.get('mallory')), username: 'mallory' }],
    ] as [string, Record<string, string>][]) {
      const url = new URL(base + path)
      const answer = await fetch(url, {
        method: 'POST',
        redirect: 'manual',
        headers: { cookie: thief.cookies.header(url, { crossSite: false, method: 'POST' }) ?? '', accept: 'text/html' },
        body: new URLSearchParams({ csrf, ...fields }),
      })
      assert.doesNotMatch(answer.headers.get('location') ?? '', /\/authorize/, path)
      assert.ok(answer.status < 500, path)
    }
    for (const path of ['', '/otp/setup', '/otp/codes', '/otp/keep', '/continue'])
      assert.equal(secretOn(await thief.open(base + path)), undefined, path)
  })

  test('an own factor: not over one that is there, not with somebody else’s code, not without the first factor', async () => {
    now += 900_000
    const thief = browser()
    const page = await enter(thief, 'victim')
    const wrong = await thief.submit(page, '#continue', { code: shown(secrets.get('mallory')) })
    assert.equal(wrong.status, 401)
    const own = await enter(browser(), 'newcomer')
    assert.ok(secretOn(own), 'control: who has none is asked to set it up')
    const bare = await browser().open(authorizationUrl(op.issuer, { acr_values: 'otp' }))
    assert.equal(idOf(bare), 'page-login', 'the name of the method does not do away with the password')
    const owner = browser()
    codeOf(await owner.submit(await enter(owner, 'victim'), '#continue', { code: shown(secrets.get('victim')) }))
  })

  test('stripping: what was asked is what is said; essential holds beside acr_values', async () => {
    const someone = browser()
    const claims = JSON.stringify({ id_token: { acr: { essential: true, values: [GOLD] } } })
    const page = await someone.open(authorizationUrl(op.issuer, { acr_values: 'basic', claims }))
    const second = await someone.submit(page, '#continue', passwordOf('mallory'))
    assert.equal(idOf(second), 'page-otp')
    const cancelled = await someone.submit(second, '#cancel')
    assert.equal(answerOf(cancelled).get('error'), 'access_denied')
  })
})
