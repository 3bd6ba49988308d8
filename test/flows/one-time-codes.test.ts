/** A second factor: set up on the way, asked for when something wants more, recovered when it is lost. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { Secret, TOTP } from 'otpauth'
import { Browser, type Page } from '#test/world/browser.ts'
import { find } from '#test/world/html.ts'
import { answerOf, askTokens, codeOf } from '../attacks/house.ts'
import { command } from './command.ts'
import { APP, alice, asAlice, authorizationUrl, claimsOf, client, type Gatehouse, startGatehouse } from './world.ts'

const GOLD = 'urn:example:gold'
const essential = (...values: string[]) => ({
  claims: JSON.stringify({ id_token: { acr: { essential: true, values } } }),
})
const people = ['bob', 'carol', 'dave', 'erin', 'frank', 'grace', 'heidi', 'ivan', 'judy'].map((username) => ({
  username,
  password: `${username}-password-1`,
}))
const passwordOf = (username: string) => ({ username, password: `${username}-password-1` })

describe('one-time codes', () => {
  let op: Gatehouse
  let now = Date.now()
  const pass = (seconds: number) => {
    now += seconds * 1000
  }
  before(async () => {
    op = await startGatehouse(
      {
        clients: [client({ trusted: true }), client({ client_id: 'gold', trusted: true, default_acr_values: [GOLD] })],
        accounts: [alice, ...people],
        methods: { otp: {} },
        acrs: [
          { name: GOLD, steps: [['basic'], ['otp']], level: 2, amr: ['mfa'] },
          { name: 'urn:example:silver', steps: [['basic']], level: 1 },
          { name: 'urn:example:code', steps: [['otp']], level: 1 },
        ],
      },
      { clock: { now: () => now } },
    )
  })
  const fresh = () => new Browser({ stopAt: ({ origin }) => origin === APP })
  const ask = (more: Record<string, string> = {}) => authorizationUrl(op.issuer, more)
  const idOf = ({ body }: Page) => /<main [^>]*id="([\w-]+)"/.exec(body)?.[1]
  const idToken = async (page: Page) => {
    const { body } = await askTokens(op, { grant_type: 'authorization_code', code: codeOf(page) })
    return claimsOf(String(body.id_token))
  }
  const secretOn = (page: Page) => find(page.document, '#secret')?.text.replaceAll(' ', '') ?? assert.fail(page.body)
  const shown = (secret: string) => new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: now })

  /** From the password page over the set-up to the application. */
  const enrol = async (browser: Browser, username: string, more: Record<string, string> = { acr_values: GOLD }) => {
    const login = await browser.open(ask(more))
    assert.equal(idOf(login), 'page-login')
    const setup = await browser.submit(login, '#continue', username === 'alice' ? asAlice : passwordOf(username))
    assert.equal(idOf(setup), 'page-otp-setup', setup.body)
    const secret = secretOn(setup)
    const codes = await browser.submit(setup, '#continue', { code: shown(secret) })
    assert.equal(idOf(codes), 'page-otp-codes')
    const recovery = [...codes.body.matchAll(/<code>(\d{4}-\d{4}-\d{4})<\/code>/g)].map(([, code]) => code ?? '')
    assert.equal(recovery.length, 10)
    const claims = await idToken(await browser.submit(codes, '#continue'))
    pass(60)
    return { secret, recovery, codes, claims }
  }

  test('who has none sets them up after the password; next time they are asked for', async () => {
    const browser = fresh()
    const { secret, claims, codes } = await enrol(browser, 'alice')
    const { acr, amr, auth_time } = claims
    assert.deepEqual([acr, amr], [GOLD, ['pwd', 'otp', 'mfa']])
    assert.ok(Number(auth_time) <= now / 1000)
    const over = await browser.open(codes.url)
    assert.doesNotMatch(over.body, /\d{4}-\d{4}-\d{4}/, 'recovery codes are shown once')

    const other = fresh()
    const page = await other.submit(await other.open(ask({ acr_values: GOLD })), '#continue', asAlice)
    assert.equal(idOf(page), 'page-otp')
    assert.equal(find(page.document, '[name=username]'), undefined, 'the person is known')
    assert.match(page.body, /alice/)
    const wrong = await other.submit(page, '#continue', { code: '000000' })
    assert.deepEqual([wrong.status, idOf(wrong)], [401, 'page-otp'])
    assert.equal((await idToken(await other.submit(wrong, '#continue', { code: shown(secret) }))).acr, GOLD)
  })

  test('a session of the password is asked for the code only; then it is enough for everything', async () => {
    const browser = fresh()
    const { secret } = await enrol(fresh(), 'bob')
    const first = await browser.submit(await browser.open(ask({ acr_values: 'basic' })), '#continue', passwordOf('bob'))
    const before = await idToken(first)
    assert.deepEqual([before.acr, before.amr], ['basic', ['pwd']])
    pass(120)
    const page = await browser.open(ask({ acr_values: GOLD }))
    assert.equal(idOf(page), 'page-otp', page.body)
    const after = await idToken(await browser.submit(page, '#continue', { code: shown(secret) }))
    assert.deepEqual([after.acr, after.amr, after.auth_time], [GOLD, ['pwd', 'otp', 'mfa'], before.auth_time])
    for (const [value, acr] of [
      [GOLD, GOLD],
      ['otp', 'otp'],
      ['basic', 'basic'],
      ['urn:example:silver', 'urn:example:silver'],
      ['', GOLD],
    ] as const) {
      const again = await browser.open(ask(value ? { acr_values: value, prompt: 'none' } : { prompt: 'none' }))
      assert.equal((await idToken(again)).acr, acr, value)
    }
  })

  test('by the client’s default, and by an essential claim; prompt=none is honest about it', async () => {
    const { secret } = await enrol(fresh(), 'carol')
    const browser = fresh()
    await browser.submit(await browser.open(ask({ acr_values: 'basic' })), '#continue', passwordOf('carol'))
    const silent = await browser.open(ask({ prompt: 'none', ...essential(GOLD) }))
    assert.equal(answerOf(silent).get('error'), 'unmet_authentication_requirements')
    const voluntary = await browser.open(ask({ prompt: 'none', acr_values: GOLD }))
    assert.equal((await idToken(voluntary)).acr, 'basic')
    const byDefault = await browser.open(ask({ client_id: 'gold' }))
    assert.equal(idOf(byDefault), 'page-otp')
    const asked = await browser.open(ask(essential(GOLD)))
    const done = await browser.submit(asked, '#continue', { code: shown(secret) })
    assert.equal((await idToken(done)).acr, GOLD)
  })

  test('by its own name it comes after a first factor; alone only where a record says so', async () => {
    const { secret } = await enrol(fresh(), 'dave', { acr_values: 'otp' })
    const browser = fresh()
    const named = await browser.open(ask({ acr_values: 'otp' }))
    assert.equal(idOf(named), 'page-login')
    const alone = await browser.open(ask({ acr_values: 'urn:example:code' }))
    assert.equal(idOf(alone), 'page-otp')
    assert.ok(find(alone.document, '[name=username]'))
    const done = await browser.submit(alone, '#continue', { username: 'dave', code: shown(secret) })
    const { acr, amr } = await idToken(done)
    assert.deepEqual([acr, amr], ['urn:example:code', ['otp']])
    pass(60)
    const more = await browser.open(ask({ acr_values: GOLD }))
    assert.equal(idOf(more), 'page-login', 'only the password is missing')
    assert.equal((await idToken(await browser.submit(more, '#continue', passwordOf('dave')))).acr, GOLD)
  })

  test('prompt=login and max_age=0 ask for everything, and auth_time moves', async () => {
    const browser = fresh()
    const { secret, claims } = await enrol(browser, 'erin')
    const before = Number(claims.auth_time)
    pass(60)
    for (const more of [{ prompt: 'login' }, { max_age: '0' }] as Record<string, string>[]) {
      const login = await browser.open(ask({ acr_values: GOLD, ...more }))
      assert.equal(idOf(login), 'page-login')
      const page = await browser.submit(login, '#continue', passwordOf('erin'))
      const { auth_time } = await idToken(await browser.submit(page, '#continue', { code: shown(secret) }))
      assert.ok(Number(auth_time) >= before + 60)
      pass(60)
    }
  })

  test('a lost app: a recovery code gets in once, and a new app takes the old one’s place', async () => {
    const { secret, recovery } = await enrol(fresh(), 'frank')
    const browser = fresh()
    const enter = async () =>
      browser.submit(await browser.open(ask({ acr_values: GOLD, prompt: 'login' })), '#continue', passwordOf('frank'))
    const offer = await browser.submit(await enter(), '#continue', { code: recovery[0] ?? '' })
    assert.equal(idOf(offer), 'page-otp-setup')
    assert.ok(find(offer.document, '#keep'))
    assert.notEqual(secretOn(offer), secret)
    assert.equal((await idToken(await browser.submit(offer, '#keep'))).acr, GOLD)
    const repeated = await browser.submit(await enter(), '#continue', { code: recovery[0] ?? '' })
    assert.equal(repeated.status, 401)
    const second = await browser.submit(repeated, '#continue', { code: recovery[1] ?? '' })
    const fresher = secretOn(second)
    const codes = await browser.submit(second, '#continue', { code: shown(fresher) })
    assert.equal((await idToken(await browser.submit(codes, '#continue'))).acr, GOLD)
    pass(60)
    const old = await browser.submit(await enter(), '#continue', { code: shown(secret) })
    assert.equal(old.status, 401)
    assert.equal((await idToken(await browser.submit(old, '#continue', { code: shown(fresher) }))).acr, GOLD)
  })

  test('people go back and look again: the same secret, the same codes, and no step is lost', async () => {
    const browser = fresh()
    const login = await browser.open(ask({ acr_values: GOLD }))
    const setup = await browser.submit(login, '#continue', passwordOf('grace'))
    assert.equal(secretOn(await browser.open(login.url)), secretOn(setup))
    const mistyped = await browser.submit(setup, '#continue', { code: '12' })
    assert.deepEqual([mistyped.status, secretOn(mistyped)], [401, secretOn(setup)])
    const codes = await browser.submit(mistyped, '#continue', { code: shown(secretOn(setup)) })
    const again = await browser.open(login.url)
    assert.equal(idOf(again), 'page-otp-codes')
    assert.equal(again.body.match(/<code>[\d-]+<\/code>/)?.[0], codes.body.match(/<code>[\d-]+<\/code>/)?.[0])
    assert.equal((await idToken(await browser.submit(again, '#continue'))).acr, GOLD)
    const stale = await browser.submit(setup, '#continue', { code: shown(secretOn(setup)) })
    assert.equal(idOf(stale), 'page-error')
  })

  test('lost altogether: an administrator looks, takes them away, and the person sets up new ones', async () => {
    const { secret } = await enrol(fresh(), 'ivan')
    const status = JSON.parse((await command(op, 'account', 'otp', 'ivan', '--json')).text) as Record<string, unknown>
    assert.equal(status.recoveryCodes, 10)
    assert.doesNotMatch(JSON.stringify(status), new RegExp(secret))
    assert.match((await command(op, 'account', 'otp-reset', 'ivan')).text, /^ivan can set up/)
    assert.match((await command(op, 'account', 'otp', 'ivan')).text, /^enrolled: false$/m)
    assert.match((await command(op, 'account', 'otp-reset', 'ivan')).text, /^ivan has no/)
    const again = await enrol(fresh(), 'ivan')
    assert.notEqual(again.secret, secret)
  })

  test('a session of long ago does not set up anything by itself: the password comes first', async () => {
    const browser = fresh()
    await browser.submit(await browser.open(ask({ acr_values: 'basic' })), '#continue', passwordOf('judy'))
    pass(700)
    const page = await browser.open(ask({ acr_values: GOLD }))
    assert.equal(idOf(page), 'page-login', page.body)
    const setup = await browser.submit(page, '#continue', passwordOf('judy'))
    assert.equal(idOf(setup), 'page-otp-setup')
  })

  test('without JavaScript and in German', async () => {
    const browser = fresh()
    const login = await browser.open(ask({ acr_values: GOLD, ui_locales: 'de' }))
    const setup = await browser.submit(login, '#continue', passwordOf('heidi'))
    assert.match(setup.body, /<html lang="de"/)
    assert.match(setup.body, /Einmalcodes einrichten/)
    assert.match(setup.body, /<img src="data:image\/svg\+xml;base64,/)
  })
})
