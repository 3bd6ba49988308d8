/** Only what is new is asked, and what people said is kept (ENGINE 11, OIDC Core 3.1.2.4). */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { redeem, userinfo, Visitor } from './browser.ts'
import { client, type House, signIn, suiteHouse } from './house.ts'

const errorOf = ({ url }: { url: URL }) => url.searchParams.get('error')

describe('consent', () => {
  const open = suiteHouse(() => ({
    resources: {
      clients: [
        client('trusted'),
        client('asks', { trusted: false }),
        client('forgets', { trusted: false, persist_authorizations: false }),
      ],
    },
  }))
  const asked = (house: House) =>
    house.shown.filter(({ prompt }) => prompt === 'consent').map(({ details }) => details.missingOIDCScope)

  test('trusted clients’ users are never asked, even when the client asks to ask', async () => {
    const house = open()
    house.shown.length = 0
    const visitor = new Visitor(house)
    await visitor.code('trusted', { scope: 'openid email' })
    const code = await visitor.code('trusted', { scope: 'openid profile offline_access', prompt: 'consent' })
    assert.equal(typeof (await redeem(house, 'trusted', code)).refresh_token, 'string')
    assert.deepEqual(asked(house), [])
  })

  test('only what is new is asked, in another browser too; the login’s time stays the login’s', async () => {
    const house = open()
    house.shown.length = 0
    const visitor = new Visitor(house)
    await visitor.code('asks', { scope: 'openid email' })
    await visitor.code('asks', { scope: 'openid email' })
    assert.deepEqual(asked(house), [['openid', 'email']])
    await visitor.code('asks', { scope: 'openid email profile' })
    assert.deepEqual(asked(house)[1], ['profile'])
    await new Visitor(house).code('asks', { scope: 'openid profile' })
    assert.equal(asked(house).length, 2)
    const claims = JSON.stringify({ userinfo: { phone_number: null } })
    house.shown.length = 0
    await visitor.code('asks', { claims })
    assert.deepEqual(
      house.shown.map(({ details }) => details.missingOIDCClaims),
      [['phone_number']],
    )
    await new Visitor(house).code('asks', { claims })
    assert.equal(asked(house).length, 1)
  })

  test('a declined scope is not granted and not asked again, until the client asks to ask', async () => {
    const house = open()
    house.person = { login: () => signIn('bob'), consent: () => ({ rejectedScopes: ['email'], remember: true }) }
    const visitor = new Visitor(house)
    house.shown.length = 0
    const scope = 'openid profile email'
    assert.equal((await redeem(house, 'asks', await visitor.code('asks', { scope }))).scope, 'openid profile')
    assert.equal((await redeem(house, 'asks', await visitor.code('asks', { scope }))).scope, 'openid profile')
    assert.equal(
      (await redeem(house, 'asks', await new Visitor(house).code('asks', { scope }))).scope,
      'openid profile',
    )
    assert.equal(asked(house).length, 1)
    house.person = { login: () => signIn('bob') }
    const again = await redeem(house, 'asks', await visitor.code('asks', { scope, prompt: 'consent' }))
    assert.equal(again.scope, scope)
    assert.equal((await redeem(house, 'asks', await new Visitor(house).code('asks', { scope }))).scope, scope)
    house.person = {}
  })

  test('a client that does not remember asks in every browser', async () => {
    const house = open()
    house.person = { consent: () => ({ rejectedScopes: [], remember: false }) }
    house.shown.length = 0
    const visitor = new Visitor(house)
    await visitor.code('forgets')
    await visitor.code('forgets')
    await new Visitor(house).code('forgets')
    assert.equal(asked(house).length, 2)
    house.person = {}
  })

  test('declined as a whole: access_denied; prompt=none: consent_required', async () => {
    const house = open()
    house.person = { login: () => signIn('bob'), consent: () => undefined }
    const visitor = new Visitor(house)
    const over = { scope: 'openid phone' }
    assert.equal(errorOf(await visitor.authorize('asks', over)), 'access_denied')
    assert.equal(errorOf(await visitor.authorize('asks', { ...over, prompt: 'none' })), 'consent_required')
    house.person = {}
  })

  test('after consent was withdrawn the person is asked again and gets working tokens', async () => {
    const house = open()
    house.person = { login: () => signIn('bob') }
    const visitor = new Visitor(house)
    const over = { scope: 'openid address' }
    await visitor.code('asks', over)
    await house.records.consents.forget('bob', 'asks')
    const other = new Visitor(house)
    house.shown.length = 0
    const tokens = await redeem(house, 'asks', await other.code('asks', over))
    assert.equal(asked(house).length, 1)
    assert.equal((await userinfo(house, tokens.access_token ?? '')).status, 200)
    house.person = {}
  })
})
