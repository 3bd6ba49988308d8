/** When the person is asked, and what the relying party hears otherwise (ENGINE 3 and 11, OIDC Core 3.1.2). */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { epochSeconds, systemClock } from '#kernel/clock.ts'
import { claimsOf, redeem, userinfo, Visitor } from './browser.ts'
import { acr, client, type House, openHouse, provider, signIn, suiteHouse } from './house.ts'

const essential = (...values: string[]) => JSON.stringify({ id_token: { acr: { essential: true, values } } })
const errorOf = ({ url }: { url: URL }) => url.searchParams.get('error')
const idToken = async (house: House, visitor: Visitor, over: Record<string, string> = {}) =>
  claimsOf((await redeem(house, 'web', await visitor.code('web', over))).id_token)

describe('acr', () => {
  const open = suiteHouse(() => ({
    resources: {
      clients: [
        client('web'),
        client('wants-acme', { default_acr_values: ['acme'] }),
        client('only-idp', { providers: ['idp'] }),
      ],
      identityProviders: [
        provider('acme', { acrs: ['urn:loa2'] }),
        provider('idp'),
        provider('off', { enabled: false }),
      ],
      acrs: [acr({ name: 'gold', steps: [['acme']], level: 2 })],
    },
    // The room above knows what goes before the defaults (CONTRACT 5); this answer stands for it.
    options: { byDefaults: async ({ params }) => params.preselectedExternalProvider === undefined },
  }))
  const asAcme = (value = 'acme') => signIn('alice', { acr: value, amr: ['fed'], provider: 'acme' })

  test('a session that does not satisfy acr_values is stepped up once, then reused', async () => {
    const house = open()
    const visitor = new Visitor(house)
    await visitor.code('web')
    house.person = { login: () => asAcme() }
    house.shown.length = 0
    const claims = await idToken(house, visitor, { acr_values: 'acme' })
    assert.deepEqual([claims.acr, claims.idp], ['acme', 'acme'])
    assert.deepEqual(
      house.shown.map(({ prompt, details }) => [prompt, details.acr]),
      [['login', { values: ['acme'], essential: false }]],
    )
    await idToken(house, visitor, { acr_values: 'acme' })
    assert.equal(house.shown.length, 1, 'single sign-on')
    assert.equal((await idToken(house, visitor, { acr_values: 'passport_social' })).acr, 'passport_social')
    house.person = {}
  })

  test('a voluntary value that was not reached gives the true acr; unknown ones ask nothing', async () => {
    const house = open()
    const visitor = new Visitor(house)
    house.shown.length = 0
    assert.equal((await idToken(house, visitor, { acr_values: 'urn:loa2' })).acr, 'basic')
    assert.equal((await idToken(house, visitor, { acr_values: 'nonsense' })).acr, 'basic')
    assert.equal(house.shown.length, 1)
    assert.equal((await idToken(house, visitor, { acr_values: 'acme', prompt: 'none' })).acr, 'basic')
  })

  test('essential and out of reach: unmet_authentication_requirements at once, also beside acr_values', async () => {
    const house = open()
    house.shown.length = 0
    for (const [id, over] of [
      ['web', { claims: essential('nonsense') }],
      ['web', { claims: essential('off') }],
      ['web', { claims: essential('nonsense'), acr_values: 'basic' }],
      ['only-idp', { claims: essential('acme') }],
    ] as const)
      assert.equal(errorOf(await new Visitor(house).authorize(id, over)), 'unmet_authentication_requirements')
    assert.equal(house.shown.length, 0)
  })

  test('essential and tried in vain: unmet_authentication_requirements, never a lesser token', async () => {
    const house = open()
    const visitor = new Visitor(house)
    const over = { claims: essential('acme'), acr_values: 'basic' }
    assert.equal(errorOf(await visitor.authorize('web', over)), 'unmet_authentication_requirements')
    assert.equal(
      errorOf(await visitor.authorize('web', { ...over, prompt: 'none' })),
      'unmet_authentication_requirements',
    )
    house.person = { login: () => asAcme() }
    assert.equal((await idToken(house, visitor, over)).acr, 'acme')
    house.person = {}
  })

  test('default_acr_values count where nothing was asked, and not beside a preselected provider', async () => {
    const house = open()
    const visitor = new Visitor(house)
    await visitor.code('web')
    house.shown.length = 0
    await visitor.code('wants-acme', { acr_values: 'basic' })
    await visitor.code('wants-acme', { preselectedExternalProvider: 'eyJwcm92aWRlciI6ImlkcCJ9' })
    assert.equal(house.shown.length, 0)
    let seen: unknown = 'not asked'
    house.person = {
      login: ({ params }) => {
        seen = params.acr_values
        return asAcme()
      },
    }
    await visitor.code('wants-acme')
    assert.equal(seen, undefined, 'defaults are told from what was asked')
    house.person = {}
  })
})

describe('prompts', () => {
  const open = suiteHouse(() => ({ resources: { clients: [client('web')] } }))

  test('prompt=none: login_required without a session, a code right after a login', async () => {
    const house = open()
    const visitor = new Visitor(house)
    assert.equal(errorOf(await visitor.authorize('web', { prompt: 'none' })), 'login_required')
    await visitor.code('web')
    await visitor.code('web', { prompt: 'none' })
  })

  test('prompt=login and max_age ask again, and auth_time moves', async () => {
    const house = open()
    const visitor = new Visitor(house)
    const longAgo = epochSeconds(systemClock) - 100
    house.person = { login: () => ({ login: { ...signIn('alice').login, ts: longAgo } }) }
    assert.equal((await idToken(house, visitor)).auth_time, longAgo)
    house.person = {}
    house.shown.length = 0
    assert.equal((await idToken(house, visitor, { max_age: '1000' })).auth_time, longAgo)
    assert.equal(house.shown.length, 0)
    assert.notEqual((await idToken(house, visitor, { max_age: '50' })).auth_time, longAgo)
    await idToken(house, visitor, { prompt: 'login' })
    await idToken(house, visitor, { max_age: '0' })
    assert.deepEqual(
      house.shown.map(({ prompt }) => prompt),
      ['login', 'login', 'login'],
    )
  })

  test('prompt=create and prompt=select_account are resolved by a sign-in', async () => {
    const house = open()
    for (const prompt of ['create', 'select_account']) {
      const visitor = new Visitor(house)
      house.shown.length = 0
      await visitor.code('web', { prompt })
      assert.deepEqual(
        house.shown.map((each) => each.prompt),
        [prompt],
      )
    }
  })

  test('id_token_hint of another person asks for a sign-in; with prompt=none it is login_required', async () => {
    const house = open()
    const visitor = new Visitor(house)
    const { id_token: hint } = await redeem(house, 'web', await visitor.code('web'))
    const other = new Visitor(house)
    house.person = { login: () => signIn('bob') }
    await other.code('web')
    assert.equal(errorOf(await other.authorize('web', { prompt: 'none', id_token_hint: hint })), 'login_required')
    house.person = {}
    await visitor.code('web', { prompt: 'none', id_token_hint: hint })
  })

  test('a person who says no: the relying party hears it', async () => {
    const house = open()
    house.person = { login: () => ({ error: 'access_denied', error_description: 'cancelled' }) }
    const answer = await new Visitor(house).authorize('web', { state: 'abc' })
    assert.deepEqual([errorOf(answer), answer.url.searchParams.get('state')], ['access_denied', 'abc'])
    house.person = {}
  })

  test('an account that was disabled is asked to sign in, and its tokens are dead', async () => {
    const house = open()
    const visitor = new Visitor(house)
    house.person = { login: () => signIn('bob') }
    const tokens = await redeem(house, 'web', await visitor.code('web'))
    await house.records.accounts.update('bob', (bob) => ({ ...bob, disabled: true }))
    assert.equal((await userinfo(house, tokens.access_token ?? '')).status, 401)
    assert.equal(errorOf(await visitor.authorize('web', { prompt: 'none' })), 'login_required')
    await house.records.accounts.update('bob', (bob) => ({ ...bob, disabled: false }))
    await visitor.code('web', { prompt: 'none' })
    house.person = {}
  })

  test('switching accounts ends the first one’s session on the way', async () => {
    const house = open()
    const visitor = new Visitor(house)
    const first = await redeem(house, 'web', await visitor.code('web'))
    house.person = { login: () => signIn('bob') }
    const page = await visitor.authorize('web', { prompt: 'login' })
    assert.equal(page.status, 200, 'a form that submits itself')
    assert.match(page.body, /id="page-auto-post"/)
    assert.doesNotMatch(page.body, /<script(?! type="module" src=)/)
    const field = (name: string) => new RegExp(`name="${name}" value="([^"]*)"`).exec(page.body)?.[1] ?? ''
    const body = new URLSearchParams({ xsrf: field('xsrf'), logout: field('logout') })
    const left = await visitor.ask('/session/end/confirm', { method: 'POST', body })
    const end = await visitor.go(left.headers.get('location') ?? '')
    assert.equal((await redeem(house, 'web', end.url.searchParams.get('code') ?? '')).status, 200)
    assert.equal((await userinfo(house, first.access_token ?? '')).status, 401)
    house.person = {}
  })
})

describe('a passive request for one provider', () => {
  test('travels there and back without a page; what is still missing is an error', async (t) => {
    const house = await openHouse(t, {
      resources: {
        clients: [client('web'), client('asks', { trusted: false })],
        identityProviders: [provider('acme')],
      },
      options: { passive: async ({ params }) => params.acr_values === 'acme' },
    })
    house.person = { login: () => signIn('alice', { acr: 'acme', provider: 'acme' }) }
    const passive = { prompt: 'none', acr_values: 'acme' }
    await new Visitor(house).code('web', passive)
    assert.equal(errorOf(await new Visitor(house).authorize('web', { prompt: 'none' })), 'login_required')
    assert.equal(errorOf(await new Visitor(house).authorize('asks', passive)), 'consent_required')
    house.person = { login: () => ({ error: 'interaction_required' }) }
    assert.equal(errorOf(await new Visitor(house).authorize('web', passive)), 'interaction_required')
  })
})
