/** `max_age` where a sign-in has two steps (OIDC Core 3.1.2.1, DESIGN 3.10): only what is too old is asked again. */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { Secret, TOTP } from 'otpauth'
import { Browser, type Page } from '#test/world/browser.ts'
import { find } from '#test/world/html.ts'
import { answerOf, askTokens, codeOf } from '../attacks/house.ts'
import { APP, alice, asAlice, authorizationUrl, claimsOf, client, startGatehouse } from './world.ts'

const GOLD = 'urn:example:gold'
const idOf = ({ body }: Page) => /<main [^>]*id="([\w-]+)"/.exec(body)?.[1]

/** Alice, whose one-time codes are set up, in a browser of her own; time moves by `pass` alone. */
const begin = async (t: TestContext) => {
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
  const pass = (seconds: number) => t.mock.timers.setTime(Date.now() + seconds * 1000)
  const op = await startGatehouse({
    clients: [client({ trusted: true }), client({ client_id: 'young', trusted: true, default_max_age: 60 })],
    accounts: [alice],
    methods: { otp: {} },
    acrs: [{ name: GOLD, steps: [['basic'], ['otp']], level: 2 }],
  })
  const fresh = () => new Browser({ stopAt: ({ origin }) => origin === APP })
  const ask = (more: Record<string, string> = {}) => authorizationUrl(op.issuer, { acr_values: GOLD, ...more })
  const setting = fresh()
  const setup = await setting.submit(await setting.open(ask()), '#continue', asAlice)
  const secret = find(setup.document, '#secret')?.text.replaceAll(' ', '') ?? assert.fail(setup.body)
  const shown = () => new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: Date.now() })
  await setting.submit(setup, '#continue', { code: shown() })
  pass(60)
  const browser = fresh()
  return {
    ask: (more: Record<string, string>) => browser.open(ask(more)),
    password: (page: Page) => {
      assert.equal(idOf(page), 'page-login', page.body)
      return browser.submit(page, '#continue', asAlice)
    },
    code: (page: Page) => {
      assert.equal(idOf(page), 'page-otp', page.body)
      return browser.submit(page, '#continue', { code: shown() })
    },
    pass,
    seconds: () => Math.floor(Date.now() / 1000),
    /** What the ID token says. */
    async told(page: Page, as = 'web') {
      const { body } = await askTokens(op, { grant_type: 'authorization_code', code: codeOf(page) }, as)
      const { acr, auth_time, sub } = claimsOf(String(body.id_token))
      return { acr, auth_time: Number(auth_time), sub }
    },
  }
}

describe('max_age and two steps', () => {
  test('the password is asked alone while the code is young, and the other way round', async (t) => {
    const her = await begin(t)
    const first = her.seconds()
    const middle = await her.password(await her.ask({}))
    her.pass(100)
    const second = her.seconds()
    const { auth_time, sub } = await her.told(await her.code(middle))
    assert.equal(auth_time, first, 'the oldest step’s')

    her.pass(30)
    const young = { max_age: '60' }
    const silent = await her.ask({ ...young, prompt: 'none' })
    assert.equal(answerOf(silent).get('error'), 'login_required')
    const third = her.seconds()
    const renewed = await her.told(await her.password(await her.ask(young)))
    assert.deepEqual(renewed, { acr: GOLD, auth_time: second, sub })
    her.pass(20)
    assert.deepEqual(await her.told(await her.ask({ ...young, prompt: 'none' })), renewed, 'nothing is too old yet')

    her.pass(20)
    assert.deepEqual(await her.told(await her.code(await her.ask(young))), { acr: GOLD, auth_time: third, sub })
  })

  test('both too old: both are asked, and the client’s default_max_age counts like the parameter', async (t) => {
    const her = await begin(t)
    await her.code(await her.password(await her.ask({})))
    her.pass(100)
    const both = await her.ask({ client_id: 'young' })
    const first = her.seconds()
    const middle = await her.password(both)
    her.pass(30)
    const { auth_time } = await her.told(await her.code(middle), 'young')
    assert.equal(auth_time, first)
  })

  test('an old code is nothing to somebody who asks for the password only', async (t) => {
    const her = await begin(t)
    await her.code(await her.password(await her.ask({})))
    her.pass(100)
    const first = her.seconds()
    await her.password(await her.ask({ acr_values: 'basic', max_age: '60' }))
    her.pass(30)
    const { acr, auth_time } = await her.told(await her.ask({ acr_values: 'basic', max_age: '60', prompt: 'none' }))
    assert.deepEqual([acr, auth_time], ['basic', first])
    assert.equal(idOf(await her.ask({ max_age: '60' })), 'page-otp', 'but not to who asks for both')
  })
})
