/** What the test relying party must not believe of ended sessions (Back-Channel Logout 2.6, Front-Channel Logout 2). */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { BACKCHANNEL, FRONTCHANNEL } from '#demo/configuration.ts'
import { openHouse } from './house.ts'
import { Browser, textOf } from './visitor.ts'

const house = openHouse()
const EVENT = 'http://schemas.openid.net/event/backchannel-logout'
const now = () => Math.floor(Date.now() / 1000)

/** What an honest one says of Alice. */
const honest = (): JWTPayload => ({
  iss: house.issuer,
  aud: 'demo-rp',
  sub: 'alice-id',
  iat: now(),
  exp: now() + 120,
  jti: crypto.randomUUID(),
  events: { [EVENT]: {} },
})

describe('a logout token', () => {
  let key: CryptoKey
  let stranger: CryptoKey
  // The provider publishes a key that this file has, so that only what is wrong on purpose is wrong.
  before(async () => {
    const [own, other] = await Promise.all([
      generateKeyPair('RS256', { extractable: true }),
      generateKeyPair('RS256', { extractable: true }),
    ])
    key = own.privateKey
    stranger = other.privateKey
    const jwk = { ...(await exportJWK(own.publicKey)), kid: 'of-this-test', use: 'sig', alg: 'RS256' }
    house.tamper('/jwks', (body) => ({ keys: [...(body.keys as unknown[]), jwk] }))
  })
  after(() => house.tamper('/jwks', undefined))

  const signed = (payload: JWTPayload, header: { typ?: string } = {}, by = key) =>
    new SignJWT(payload)
      .setProtectedHeader({ alg: 'RS256', kid: 'of-this-test', typ: 'logout+jwt', ...header })
      .sign(by)
  const send = async (token: string) => {
    const body = new URLSearchParams({ logout_token: token })
    return (await fetch(`${house.url}${BACKCHANNEL}`, { method: 'POST', body })).status
  }
  const signIn = async () => {
    const browser = new Browser()
    const page = await house.login(browser)
    assert.ok(textOf(page, 'who'))
    return browser
  }
  const isIn = async (browser: Browser) => textOf(await browser.open(`${house.url}/result`), 'who') !== undefined

  test('control: an honest one ends the sign-in, once', async () => {
    const browser = await signIn()
    const token = await signed(honest())
    assert.equal(await send(token), 200)
    assert.equal(await isIn(browser), false)
    const again = await signIn()
    assert.equal(await send(token), 400, 'the same token')
    assert.equal(await isIn(again), true)
  })

  const wrong: readonly (readonly [string, () => Promise<string>])[] = [
    ['signed with a foreign key', () => signed(honest(), {}, stranger)],
    [
      'unsigned',
      async () => {
        const [, payload] = (await signed(honest())).split('.')
        return `${Buffer.from('{"alg":"none","typ":"logout+jwt"}').toString('base64url')}.${payload}.`
      },
    ],
    [
      'signed with the client’s secret',
      () =>
        new SignJWT(honest()).setProtectedHeader({ alg: 'HS256', typ: 'logout+jwt' }).sign(Buffer.from(house.secret)),
    ],
    ['an ID token by its type', () => signed(honest(), { typ: 'JWT' })],
    ['of another issuer', () => signed({ ...honest(), iss: 'https://evil.example' })],
    ['for another client', () => signed({ ...honest(), aud: 'other' })],
    ['issued long ago', () => signed({ ...honest(), iat: now() - 3600 })],
    ['issued in the future', () => signed({ ...honest(), iat: now() + 3600, exp: now() + 7200 })],
    ['expired', () => signed({ ...honest(), exp: now() - 1 })],
    ['without an end', () => signed({ ...honest(), exp: undefined })],
    ['of nobody', () => signed({ ...honest(), sub: undefined })],
    ['without the event', () => signed({ ...honest(), events: {} })],
    ['with another event', () => signed({ ...honest(), events: { [`${EVENT}s`]: {} } })],
    ['with a nonce, as ID tokens have one', () => signed({ ...honest(), nonce: 'n1' })],
    ['without a name of its own', () => signed({ ...honest(), jti: undefined })],
    ['nonsense', async () => 'x.y.z'],
    ['nothing', async () => ''],
  ]
  for (const [name, make] of wrong)
    test(`${name}: 400, and nothing is done`, async () => {
      const browser = await signIn()
      assert.equal(await send(await make()), 400)
      assert.equal(await isIn(browser), true)
    })

  test('a forged one does not use up the name of the honest one', async () => {
    const browser = await signIn()
    const claims = honest()
    assert.equal(await send(await signed(claims, {}, stranger)), 400)
    assert.equal(await send(await signed(claims)), 200)
    assert.equal(await isIn(browser), false)
  })

  test('frames: of another issuer, or with half of what belongs together, 400 and nothing is done', async () => {
    const browser = await signIn()
    const frame = async (query: Record<string, string>) =>
      (await fetch(`${house.url}${FRONTCHANNEL}?${new URLSearchParams(query)}`)).status
    assert.equal(await frame({ iss: 'https://evil.example', sid: 's1' }), 400)
    assert.equal(await frame({ sid: 's1' }), 400)
    assert.equal(await frame({ iss: house.issuer }), 400)
    assert.equal(await frame({ iss: house.issuer, sid: 'of-somebody-else' }), 200)
    assert.equal(await frame({}), 200, 'without a cookie it is nobody’s')
    assert.equal(await isIn(browser), true)
  })
})
