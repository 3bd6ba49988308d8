/** CONTRACT 6 parameter by parameter, and what is read from the answer. */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { Wish } from '#kernel/identity.ts'
import { randomToken } from '#kernel/random.ts'
import { openHouse, quiet, returnTo } from '#test/world/oidc-house.ts'

describe('the upstream request (CONTRACT 6)', async () => {
  const plain = await openHouse()
  after(plain.close)

  test('plain query parameters: code, PKCE S256, random state and nonce, scope openid', async () => {
    const [one, two] = [await plain.depart(), await plain.depart()]
    const { searchParams } = one
    assert.equal(one.origin + one.pathname, `${plain.upstream.issuer}/authorize`)
    assert.equal(searchParams.get('response_type'), 'code')
    assert.equal(searchParams.get('client_id'), 'gatehouse')
    assert.equal(searchParams.get('redirect_uri'), returnTo.href)
    assert.equal(searchParams.get('scope'), 'openid')
    assert.equal(searchParams.get('code_challenge_method'), 'S256')
    for (const secret of ['state', 'nonce', 'code_challenge']) {
      assert.match(searchParams.get(secret) ?? '', /^[\w-]{43}$/)
      assert.notEqual(searchParams.get(secret), two.searchParams.get(secret))
    }
    const unasked = ['prompt', 'max_age', 'ui_locales', 'login_hint', 'acr_values', 'request_uri', 'client_secret']
    for (const name of unasked) assert.equal(searchParams.get(name), null, name)
  })

  test('a forced login sends prompt=login and max_age=0', async () => {
    const { searchParams } = await plain.depart({ ...quiet, forceLogin: true, maxAge: 600 })
    assert.equal(searchParams.get('prompt'), 'login')
    assert.equal(searchParams.get('max_age'), '0')
  })

  test('a passive request sends prompt=none', async () => {
    const { searchParams } = await plain.depart({ ...quiet, passive: true })
    assert.equal(searchParams.get('prompt'), 'none')
    assert.equal(searchParams.get('max_age'), null)
  })

  test('max_age, login_hint, ui_locales and asked acr values go through; an endless hint is cut', async () => {
    const wish: Wish = {
      ...quiet,
      maxAge: 600,
      loginHint: 'alice+x@acme.example',
      uiLocales: 'de en',
      acrValues: ['urn:a'],
    }
    const { searchParams } = await plain.depart(wish)
    assert.equal(searchParams.get('max_age'), '600')
    assert.equal(searchParams.get('login_hint'), 'alice+x@acme.example')
    assert.equal(searchParams.get('ui_locales'), 'de en')
    assert.equal(searchParams.get('acr_values'), 'urn:a')
    const cut = await plain.depart({ ...quiet, loginHint: 'x'.repeat(5000) })
    assert.equal(cut.searchParams.get('login_hint')?.length, 512)
  })

  test('the registration gives scope and defaults; the page’s language and the provider’s acr_values go before', async (t) => {
    const oidc = () => ({ scope: 'openid email', default_ui_locales: 'sv fi', default_acr_values: ['urn:default'] })
    const registered = await openHouse({ oidc })
    const forwarding = await openHouse({ oidc, rest: { forward: { acr_values: ['urn:own', 'urn:other'] } } })
    t.after(() => Promise.all([registered.close(), forwarding.close()]))
    const bare = (await registered.depart()).searchParams
    assert.equal(bare.get('scope'), 'openid email')
    assert.equal(bare.get('ui_locales'), 'sv fi')
    assert.equal(bare.get('acr_values'), 'urn:default')
    assert.equal((await registered.depart({ ...quiet, uiLocales: 'de' })).searchParams.get('ui_locales'), 'de')
    const own = await forwarding.depart({ ...quiet, acrValues: ['urn:asked'] })
    assert.equal(own.searchParams.get('acr_values'), 'urn:own urn:other')
  })

  test('what is not to be forwarded stays here', async (t) => {
    const forward = { login_hint: false, ui_locales: false, prompt: false, max_age: false }
    const house = await openHouse({ rest: { forward } })
    t.after(house.close)
    const wish: Wish = { forceLogin: true, passive: false, maxAge: 0, loginHint: 'alice', uiLocales: 'de' }
    const { searchParams } = await house.depart(wish)
    for (const name of ['login_hint', 'ui_locales', 'prompt', 'max_age'])
      assert.equal(searchParams.get(name), null, name)
    // Without prompt=none the provider would show pages that the relying party forbade.
    await assert.rejects(house.depart({ ...quiet, passive: true }), { code: 'upstream.interaction' })
  })

  test('PAR where configured: only the reference is in the URL', async (t) => {
    const house = await openHouse({ oidc: () => ({ par: true }) })
    t.after(house.close)
    const url = await house.depart({ ...quiet, loginHint: 'alice' })
    assert.deepEqual([...url.searchParams.keys()].sort(), ['client_id', 'request_uri'])
    assert.equal(house.upstream.last('par').get('login_hint'), 'alice')
    assert.equal((await house.login()).uid, 'Alice.01')
  })
})

describe('what comes back', () => {
  test('userinfo adds claims and the ID token wins; session, context and issuer are read', async (t) => {
    const house = await openHouse({
      upstream: {
        user: {
          sub: 'u1',
          name: 'From the token',
          sid: 's-1',
          acr: 'urn:loa2',
          amr: ['pwd', 'otp'],
          auth_time: 1_700_000_000,
        },
        userinfo: { name: 'From userinfo', address: { country: 'SE' } },
      },
    })
    t.after(house.close)
    const identity = await house.login()
    assert.equal(identity.claims.name, 'From the token')
    assert.deepEqual(identity.claims.address, { country: 'SE' })
    assert.equal(identity.sid, 's-1')
    assert.equal(identity.acr, 'urn:loa2')
    assert.deepEqual(identity.amr, ['pwd', 'otp'])
    assert.equal(identity.authTime, 1_700_000_000)
    assert.equal(identity.issuer, house.upstream.issuer)
    assert.equal(identity.idToken?.split('.').length, 3)
  })

  test('without a userinfo endpoint the ID token is enough', async (t) => {
    const house = await openHouse({ upstream: { userinfo: null } })
    t.after(house.close)
    assert.equal((await house.login()).claims.email, 'alice@acme.example')
    assert.equal(house.upstream.count('userinfo'), 0)
  })

  test('a posted answer counts like a redirected one', async (t) => {
    const house = await openHouse()
    t.after(house.close)
    const state = randomToken()
    const { departure, memo } = await house.connector.depart({ state, returnTo, wish: quiet })
    const fields = (await house.upstream.visit(departure.url)).searchParams
    const identity = await house.connector.arrive(
      { state, returnTo, wish: quiet, memo },
      { method: 'POST', url: returnTo, fields },
    )
    assert.equal(identity.uid, 'Alice.01')
  })

  test('a forced login is proved by auth_time', async (t) => {
    const house = await openHouse()
    t.after(house.close)
    const forced: Wish = { ...quiet, forceLogin: true }
    assert.equal((await house.login(forced)).uid, 'Alice.01')
    for (const lie of ['old authentication', 'no auth_time'] as const)
      assert.equal((await house.refused(lie, forced)).code, 'upstream.invalid', lie)
    // Control: where nothing was asked of the time, it is not looked at.
    house.upstream.tamper = 'old authentication'
    assert.equal((await house.login()).uid, 'Alice.01')
  })

  test('the faults name what was wrong, and never the answer’s own values', async (t) => {
    const house = await openHouse()
    t.after(house.close)
    assert.equal((await house.refused('nonce')).detail.member, 'nonce')
    assert.equal((await house.refused('audience')).detail.member, 'aud')
    assert.equal((await house.refused('userinfo sub')).detail.leg, 'userinfo')
    assert.equal((await house.refused('token hangs')).detail.reason, 'timeout')
    assert.equal((await house.refused('says access_denied')).detail.description, 'as the test wanted')
    const told = JSON.stringify((await house.refused('nonce')).detail)
    assert.ok(!told.includes('alice'), told)
  })
})
