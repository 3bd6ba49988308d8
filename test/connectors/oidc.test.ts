/** OpenID Connect upstream: the connector contract, and CONTRACT 6 parameter by parameter. */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { Connector } from '#connectors/connector.ts'
import { openConnector, protocolSettings } from '#connectors/index.ts'
import { systemClock } from '#kernel/clock.ts'
import { Fault, type FaultCode } from '#kernel/faults.ts'
import type { Identity, Wish } from '#kernel/identity.ts'
import { silentLog } from '#kernel/log.ts'
import { createOutbound, type Outbound } from '#kernel/outbound.ts'
import { randomToken } from '#kernel/random.ts'
import { providerRecord } from '#kernel/records/provider.ts'
import { connectorContract } from '#test/contracts/connector.ts'
import { type Tamper, Upstream, type UpstreamOptions } from '#test/world/upstream.ts'

const returnTo = new URL('https://id.example.org/federation/acme/callback')
const quiet: Wish = { forceLogin: false, passive: false }

interface House {
  readonly upstream: Upstream
  readonly outbound: Outbound
  readonly connector: Connector
  login(wish?: Wish): Promise<Identity>
  depart(wish?: Wish): Promise<URL>
  refused(tamper: Tamper, wish?: Wish): Promise<Fault>
  close(): Promise<void>
}

const schema = providerRecord(protocolSettings)

/** An honest provider and a connector to it. @param oidc members of the oidc block to add; @param rest of the record */
const open = async (
  given: {
    upstream?: UpstreamOptions
    oidc?: (upstream: Upstream) => Record<string, unknown>
    rest?: Record<string, unknown>
    now?: () => number
  } = {},
): Promise<House> => {
  const upstream = await Upstream.start(given.upstream)
  const clock = given.now ? { now: given.now } : systemClock
  const outbound = createOutbound({
    egress: { allowPrivate: ['127.0.0.0/8'], insecureHosts: [] },
    clock,
    log: silentLog,
    limits: { totalMs: 400, failures: 1000 },
  })
  const record = schema.parse({
    id: 'acme',
    protocol: 'oidc',
    ...given.rest,
    oidc: {
      issuer: upstream.issuer,
      client_id: upstream.clientId,
      client_secret: upstream.clientSecret,
      ...given.oidc?.(upstream),
    },
  })
  const connector = openConnector(record, { clock, fetch: outbound.fetch })
  const login = async (wish = quiet): Promise<Identity> => {
    const state = randomToken()
    const { departure, memo } = await connector.depart({ state, returnTo, wish })
    const back = await upstream.visit(departure.url)
    return connector.arrive({ state, returnTo, wish, memo }, { method: 'GET', url: back, fields: back.searchParams })
  }
  return {
    upstream,
    outbound,
    connector,
    login,
    depart: async (wish = quiet) => (await connector.depart({ state: randomToken(), returnTo, wish })).departure.url,
    async refused(tamper, wish = quiet) {
      upstream.tamper = tamper
      const error = await login(wish).then(
        () => undefined,
        (caught: unknown) => caught,
      )
      upstream.tamper = undefined
      assert.ok(error instanceof Fault, `${tamper}: expected a Fault, got ${error}`)
      return error
    },
    close: async () => {
      await outbound.close()
      await upstream.close()
    },
  }
}

const lies = [
  'signature',
  'foreign key',
  'alg none',
  'alg HS256 with the public key',
  'unknown kid',
  'embedded key',
  'issuer',
  'audience',
  'further audience without azp',
  'azp',
  'nonce',
  'no nonce',
  'expired',
  'no exp',
  'not yet valid',
  'issued in the future',
  'issued long ago',
  'no subject',
  'empty subject',
  'subject not a string',
  'endless subject',
  'no id token',
  'id token no JWT',
  'response iss of another',
  'no response iss',
  'another state',
  'no state',
  'code twice',
  'no code',
  'userinfo sub',
  'userinfo without sub',
  'token huge',
  'token not JSON',
  'token redirects',
  'token says invalid_grant',
  'userinfo huge',
  'userinfo not JSON',
  'userinfo redirects',
] as const satisfies readonly Tamper[]

const absences = [
  'token hangs',
  'token dribbles',
  'token breaks off',
  'token 500',
  'token 503',
  'token says temporarily_unavailable',
  'userinfo hangs',
  'userinfo 500',
  'says temporarily_unavailable',
  'says server_error',
] as const satisfies readonly Tamper[]

const words: Readonly<Record<string, FaultCode>> = {
  'says access_denied': 'upstream.denied',
  'says user_cancelled_login': 'upstream.denied',
  'says login_required': 'upstream.interaction',
  'says interaction_required': 'upstream.interaction',
  'says consent_required': 'upstream.interaction',
  'says account_selection_required': 'upstream.interaction',
  'says unmet_authentication_requirements': 'upstream.acr',
  'says invalid_scope': 'upstream.misconfigured',
  'says unauthorized_client': 'upstream.misconfigured',
  'says constructor': 'upstream.denied',
  'token says invalid_client': 'upstream.misconfigured',
}

connectorContract('oidc', {
  async open() {
    const house = await open({ upstream: { userinfo: { given_name: 'Alice' } } })
    const { upstream, connector } = house
    return {
      connector,
      returnTo,
      user: { uid: 'Alice.01', claims: { sub: 'Alice.01', email: 'alice@acme.example', given_name: 'Alice' } },
      secrets: [upstream.clientSecret],
      contacts: () => upstream.seen.length,
      tamper(name) {
        upstream.tamper = name as Tamper | undefined
      },
      async visit(departure) {
        const back = await upstream.visit(departure.url)
        return { method: 'GET', url: back, fields: back.searchParams }
      },
      close: house.close,
    }
  },
  tampers: {
    ...Object.fromEntries(lies.map((lie) => [lie, 'upstream.invalid' as const])),
    ...Object.fromEntries(absences.map((absence) => [absence, 'upstream.unavailable' as const])),
    ...words,
  },
})

describe('the upstream request (CONTRACT 6)', async () => {
  const plain = await open()
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
    const registered = await open({ oidc })
    const forwarding = await open({ oidc, rest: { forward: { acr_values: ['urn:own', 'urn:other'] } } })
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
    const house = await open({ rest: { forward } })
    t.after(house.close)
    const wish: Wish = { forceLogin: true, passive: false, maxAge: 0, loginHint: 'alice', uiLocales: 'de' }
    const { searchParams } = await house.depart(wish)
    for (const name of ['login_hint', 'ui_locales', 'prompt', 'max_age'])
      assert.equal(searchParams.get(name), null, name)
    // Without prompt=none the provider would show pages that the relying party forbade.
    await assert.rejects(house.depart({ ...quiet, passive: true }), { code: 'upstream.interaction' })
  })

  test('PAR where configured: only the reference is in the URL', async (t) => {
    const house = await open({ oidc: () => ({ par: true }) })
    t.after(house.close)
    const url = await house.depart({ ...quiet, loginHint: 'alice' })
    assert.deepEqual([...url.searchParams.keys()].sort(), ['client_id', 'request_uri'])
    assert.equal(house.upstream.last('par').get('login_hint'), 'alice')
    assert.equal((await house.login()).uid, 'Alice.01')
  })
})

describe('what comes back', () => {
  test('userinfo adds claims and the ID token wins; session, context and issuer are read', async (t) => {
    const house = await open({
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
    const house = await open({ upstream: { userinfo: null } })
    t.after(house.close)
    assert.equal((await house.login()).claims.email, 'alice@acme.example')
    assert.equal(house.upstream.count('userinfo'), 0)
  })

  test('a posted answer counts like a redirected one', async (t) => {
    const house = await open()
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
    const house = await open()
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
    const house = await open()
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

describe('keys and metadata', () => {
  test('both are fetched once for many logins, whatever Cache-Control says', async (t) => {
    const house = await open({ upstream: { cacheControl: 'no-store' } })
    t.after(house.close)
    for (let round = 0; round < 3; round += 1) await house.login()
    assert.equal(house.upstream.count('discovery'), 1)
    assert.equal(house.upstream.count('jwks'), 1)
  })

  test('a new signing key is found at once, twice in a row', async (t) => {
    const house = await open({ upstream: { cacheControl: 'public, max-age=86400' } })
    t.after(house.close)
    await house.login()
    for (const round of [2, 3]) {
      await house.upstream.rotate()
      assert.equal((await house.login()).uid, 'Alice.01')
      assert.equal(house.upstream.count('jwks'), round)
    }
  })

  test('a provider that is away at first is asked again; one that goes away later still serves logins', async (t) => {
    let now = Date.now()
    const house = await open({ now: () => now })
    t.after(house.close)
    for (const tamper of ['discovery 503', 'discovery hangs'] as const)
      assert.equal((await house.refused(tamper)).code, 'upstream.unavailable')
    assert.equal((await house.login()).uid, 'Alice.01')
    now += 2 * 3_600_000
    const before = house.upstream.count('discovery')
    house.upstream.tamper = 'discovery 503'
    assert.ok(await house.depart(), 'the metadata of an hour ago still serves')
    assert.equal(house.upstream.count('discovery'), before + 1, 'and was asked for')
  })

  test('keys that cannot be had: a clear fault before the code is spent', async (t) => {
    const house = await open()
    t.after(house.close)
    assert.equal((await house.refused('jwks 500')).code, 'upstream.unavailable')
    assert.equal((await house.refused('jwks not JSON')).code, 'upstream.invalid')
    assert.equal((await house.refused('jwks huge')).code, 'upstream.invalid')
    assert.equal(house.upstream.count('token'), 0)
    assert.equal((await house.login()).uid, 'Alice.01')
  })

  test('a discovery document of another issuer is a configuration to mend, and is not kept', async (t) => {
    const house = await open()
    t.after(house.close)
    assert.equal((await house.refused('discovery issuer')).code, 'upstream.misconfigured')
    assert.equal((await house.refused('discovery not JSON')).code, 'upstream.misconfigured')
    assert.equal((await house.login()).uid, 'Alice.01')
  })

  test('stated metadata and keys need no discovery and no jwks_uri', async (t) => {
    const house = await open({
      oidc: (upstream) => ({
        issuer: undefined,
        metadata: { ...upstream.discovery, jwks_uri: undefined },
        jwks: upstream.publicKeys,
      }),
    })
    t.after(house.close)
    assert.equal((await house.login()).uid, 'Alice.01')
    assert.equal(house.upstream.count('discovery') + house.upstream.count('jwks'), 0)
    assert.equal((await house.refused('unknown kid')).code, 'upstream.invalid')
    assert.equal((await house.refused('signature')).code, 'upstream.invalid')
  })

  test('a clock that was moved moves with it what is expired', async (t) => {
    let now = Date.now()
    const house = await open({ now: () => now })
    t.after(house.close)
    assert.equal((await house.login()).uid, 'Alice.01')
    now += 3_600_000
    const error = await house.login().catch((caught: unknown) => caught)
    assert.ok(error instanceof Fault && error.code === 'upstream.invalid')
  })
})

describe('signatures by agreement', () => {
  const agreed = (alg: 'none' | 'HS256', registered = alg) =>
    open({ upstream: { alg }, oidc: () => ({ id_token_signed_response_alg: registered }) })

  test('none: the signature is not looked at, everything else is', async (t) => {
    const house = await agreed('none')
    const signing = await open({ oidc: () => ({ id_token_signed_response_alg: 'none' }) })
    t.after(() => Promise.all([house.close(), signing.close()]))
    assert.equal((await house.login()).uid, 'Alice.01')
    for (const lie of ['issuer', 'audience', 'nonce', 'expired'] as const)
      assert.equal((await house.refused(lie)).code, 'upstream.invalid', lie)
    signing.upstream.tamper = 'foreign key'
    assert.equal((await signing.login()).uid, 'Alice.01')
  })

  test('HS256 is verified with the client secret', async (t) => {
    const house = await agreed('HS256')
    t.after(house.close)
    assert.equal((await house.login()).uid, 'Alice.01')
    for (const lie of ['signature', 'alg none', 'alg HS256 with the public key'] as const)
      assert.equal((await house.refused(lie)).code, 'upstream.invalid', lie)
  })

  test('another algorithm than the registered one is refused', async (t) => {
    const house = await open({ oidc: () => ({ id_token_signed_response_alg: 'PS256' }) })
    t.after(house.close)
    await assert.rejects(house.login(), { code: 'upstream.invalid' })
  })

  test('ES256 as announced', async (t) => {
    const house = await open({ upstream: { alg: 'ES256' } })
    t.after(house.close)
    assert.equal((await house.login()).uid, 'Alice.01')
    assert.equal((await house.refused('signature')).code, 'upstream.invalid')
  })
})

describe('client authentication', () => {
  for (const [method, supported, sentIn] of [
    ['client_secret_basic', undefined, 'header'],
    ['client_secret_post', undefined, 'body'],
    [undefined, undefined, 'header'],
    [undefined, ['client_secret_post'], 'body'],
    [undefined, ['private_key_jwt', 'client_secret_basic', 'client_secret_post'], 'header'],
  ] as const)
    test(`${method ?? 'nothing stated'}, supported ${supported ?? 'unsaid'}: in the ${sentIn}`, async (t) => {
      const house = await open({
        oidc: () => (method ? { token_endpoint_auth_method: method } : {}),
        upstream: { metadata: { token_endpoint_auth_methods_supported: supported } },
      })
      t.after(house.close)
      assert.equal((await house.login()).uid, 'Alice.01')
      const seen = house.upstream.seen.findLast(({ endpoint }) => endpoint === 'token')
      assert.equal(seen?.authorization !== undefined, sentIn === 'header')
      assert.equal(seen?.params.has('client_secret'), sentIn === 'body')
    })

  test('a wrong secret is a configuration to mend', async (t) => {
    const house = await open({ oidc: () => ({ client_secret: 'wrong' }) })
    t.after(house.close)
    await assert.rejects(house.login(), { code: 'upstream.misconfigured' })
  })
})

describe('logout and settings', () => {
  test('logout goes to the end session endpoint with the hint, or nowhere', async (t) => {
    const [house, without] = [await open(), await open({ upstream: { metadata: { end_session_endpoint: undefined } } })]
    t.after(() => Promise.all([house.close(), without.close()]))
    const back = new URL('https://id.example.org/federation/acme/logged-out')
    const departure = await house.connector.logout?.({ uid: 'u', idToken: 'a.b.c' }, back, 'st')
    assert.equal(departure?.url.origin + (departure?.url.pathname ?? ''), `${house.upstream.issuer}/end`)
    assert.equal(departure?.url.searchParams.get('id_token_hint'), 'a.b.c')
    assert.equal(departure?.url.searchParams.get('post_logout_redirect_uri'), back.href)
    assert.equal(departure?.url.searchParams.get('state'), 'st')
    assert.equal(await without.connector.logout?.({ uid: 'u' }, back, 'st'), undefined)
  })

  const good = { issuer: 'https://op.example', client_id: 'c', client_secret: 's' }
  const metadata = {
    issuer: 'https://op.example',
    authorization_endpoint: 'https://op.example/a',
    token_endpoint: 'https://op.example/t',
  }
  const record = (oidc: Record<string, unknown>) => schema.safeParse({ id: 'acme', protocol: 'oidc', oidc })

  for (const [what, oidc, path] of [
    ['neither issuer nor metadata', { issuer: undefined }, 'oidc.issuer'],
    ['an issuer that is no web address', { issuer: 'op.example' }, 'oidc.issuer'],
    [
      'metadata of another issuer',
      { metadata: { ...metadata, issuer: 'https://b.example', jwks_uri: 'https://b.example/j' } },
      'oidc.metadata',
    ],
    ['metadata without any keys', { metadata }, 'oidc.jwks'],
    ['no client_id', { client_id: undefined }, 'oidc.client_id'],
    ['a scope without openid', { scope: 'email' }, 'oidc.scope'],
    [
      'a secret method without a secret',
      { client_secret: undefined, token_endpoint_auth_method: 'client_secret_post' },
      'oidc.client_secret',
    ],
    ['an unknown member', { clientId: 'c' }, 'oidc'],
    ['an unknown algorithm', { id_token_signed_response_alg: 'RS1' }, 'oidc.id_token_signed_response_alg'],
  ] as const)
    test(`settings refused: ${what}`, () => {
      assert.equal(record(good).success, true, 'control')
      const result = record({ ...good, ...oidc })
      assert.equal(result.success, false)
      assert.deepEqual([...new Set(result.error?.issues.map((issue) => issue.path.join('.')))], [path])
    })
})
