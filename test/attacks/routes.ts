/** Every address of the server with a request that it would accept, for tests that spoil one thing at a time. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { endpoints } from '#http/endpoints.ts'
import { APP, alice, authorizationUrl, basicAuth, CALLBACK, client, type Gatehouse } from '#test/flows/world.ts'
import { Browser, type Page } from '#test/world/browser.ts'
import { find } from '#test/world/html.ts'
import { FORM, type Header, HTML, JSON_TYPE } from './raw.ts'

export interface Target {
  readonly name: string
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  /** Software calls it: errors are JSON. */
  readonly machine: boolean
  readonly headers: readonly Header[]
  /** Query of a GET, form of a POST; members of the document where `json`. */
  readonly fields: Readonly<Record<string, string>>
  readonly json?: true
}

/** Settings of a server that has every address. */
export const everything: Record<string, unknown> = {
  // Too many wrong secrets close a client: those are tried at one that nothing else needs.
  clients: [client(), client({ client_id: 'guessed' })],
  methods: { otp: {} },
  acrs: [{ name: 'urn:example:gold', steps: [['basic'], ['otp']] }],
  identityProviders: [
    {
      id: 'acme',
      protocol: 'oidc',
      emailDomains: ['acme.example'],
      // All that is known of it, so that nothing is asked there.
      oidc: {
        metadata: {
          issuer: 'https://acme.invalid',
          authorization_endpoint: 'https://acme.invalid/authorize',
          token_endpoint: 'https://acme.invalid/token',
        },
        jwks: { keys: [generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' })] },
        client_id: 'gatehouse',
        client_secret: 'of-the-provider',
      },
    },
  ],
  sectorIdentifiers: [{ id: 'family', redirectUris: ['https://one.example/cb'], clients: ['web'] }],
}

/** Every address that a server answers, by its pattern, with the methods that mean something there. */
export const patternsOf = ({ routes }: Pick<Gatehouse, 'routes'>): ReadonlyMap<string, ReadonlySet<string>> => {
  const found = new Map<string, Set<string>>()
  const add = (pattern: string, methods: readonly string[]) => {
    const known = found.get(pattern) ?? new Set()
    for (const method of methods) if (!['HEAD', 'OPTIONS'].includes(method)) known.add(method)
    found.set(pattern, known)
  }
  for (const { path, methods, below } of endpoints) {
    add(path, methods)
    if (below) add(`${path}/:id`, below)
  }
  for (const route of routes) {
    const [method = '', pattern = ''] = route.split(' ')
    add(pattern, [method])
  }
  return found
}

/** Whether a path is one of a pattern's. */
export const fits = (pattern: string, path: string): boolean => {
  const [parts, segments] = [pattern.split('/'), path.split('/')]
  return parts.length === segments.length && parts.every((part, at) => part.startsWith(':') || part === segments[at])
}

export const freshBrowser = (): Browser => new Browser({ stopAt: ({ origin }) => origin === APP })

/** The hidden token of the page's forms. */
export const formToken = (page: Page): string => {
  const token = find(page.document, '[name=csrf]')?.attributes.value
  assert.ok(token, `no form on the page:\n${page.body}`)
  return token
}

const cookieFor = (browser: Browser, url: URL, method: string): Header => [
  'cookie',
  browser.cookies.header(url, { crossSite: false, method }) ?? '',
]

/** A sign-in with a person, an unanswered consent, and a client of its own: everything alive, so that bad input gets far. */
export interface Live {
  readonly login: { readonly base: string; readonly headers: readonly Header[]; readonly csrf: string }
  readonly consent: { readonly base: string; readonly headers: readonly Header[]; readonly csrf: string }
  /** At the set-up of one-time codes, where the server has them. */
  readonly setup: { readonly base: string; readonly headers: readonly Header[]; readonly csrf: string }
  readonly logout: { readonly headers: readonly Header[]; readonly xsrf: string }
  readonly tokens: Readonly<Record<string, string>>
  readonly registered: Readonly<Record<string, string>>
}

const liveForm = (browser: Browser, page: Page) => {
  const base = page.url.pathname.split('/').slice(0, 3).join('/')
  return {
    base,
    headers: [HTML, cookieFor(browser, new URL(`${base}/x`, page.url), 'POST')],
    csrf: formToken(page),
  }
}

export const comeAlive = async (op: Gatehouse): Promise<Live> => {
  const waiting = freshBrowser()
  const login = liveForm(waiting, await waiting.open(authorizationUrl(op.issuer)))
  const person = freshBrowser()
  const page = await person.open(authorizationUrl(op.issuer, { acr_values: 'basic', scope: 'openid profile' }))
  const asked = await person.submit(page, '#continue', { username: alice.username, password: alice.password })
  assert.match(asked.body, /id="page-consent"/)
  const consent = liveForm(person, asked)
  const second = freshBrowser()
  const otp = await second.open(
    authorizationUrl(op.issuer, { acr_values: 'urn:example:gold basic', scope: 'openid profile' }),
  )
  const setup = liveForm(
    second,
    await second.submit(otp, '#continue', { username: alice.username, password: alice.password }),
  )
  const out = await person.open(`${op.issuer}/session/end`)
  const answer = await fetch(`${op.issuer}/token`, {
    method: 'POST',
    headers: { authorization: basicAuth() },
    body: new URLSearchParams({ grant_type: 'client_credentials' }),
  })
  const register = await fetch(`${op.issuer}/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ redirect_uris: ['https://dyn.example/cb'] }),
  })
  assert.deepEqual([answer.status, register.status], [200, 201])
  return {
    login,
    consent,
    setup,
    logout: {
      headers: [HTML, cookieFor(person, new URL(`${op.issuer}/session/end/confirm`), 'POST')],
      xsrf: find(out.document, '[name=xsrf]')?.attributes.value ?? assert.fail(out.body),
    },
    tokens: (await answer.json()) as Record<string, string>,
    registered: (await register.json()) as Record<string, string>,
  }
}

const request = {
  client_id: 'web',
  response_type: 'code',
  scope: 'openid profile',
  redirect_uri: CALLBACK,
  state: 's1',
  nonce: 'n1',
  acr_values: 'basic',
  prompt: 'login',
  max_age: '60',
  claims: '{"id_token":{"acr":null}}',
  claims_locales: 'en',
  ui_locales: 'de en',
  display: 'page',
  login_hint: 'alice',
  id_token_hint: 'x.y.z',
  code_challenge: 'x'.repeat(43),
  code_challenge_method: 'S256',
  response_mode: 'query',
  registration: '{}',
  dpop_jkt: 'x'.repeat(43),
  preselectedExternalProvider: 'eyJwcm92aWRlciI6ImFjbWUifQ',
}
/** Members that end most requests at once when they are there at all. */
const rare = { request: 'x.y.z', request_uri: 'urn:ietf:params:oauth:request_uri:x' }
const pick = (fields: Record<string, string>, ...names: string[]) =>
  Object.fromEntries(Object.entries(fields).filter(([name]) => names.includes(name)))
/** What a request needs. */
const core = pick(request, 'client_id', 'response_type', 'scope', 'redirect_uri', 'state')
/** Everything that may stand beside it. */
const { id_token_hint: _hint, dpop_jkt: _jkt, registration: _registration, ...sound } = request

const machines = (live: Live): Target[] => {
  const basic: Header = ['authorization', basicAuth()]
  const bearer: Header = ['authorization', `Bearer ${live.tokens.access_token}`]
  const own: Header = ['authorization', `Bearer ${live.registered.registration_access_token}`]
  const at = (
    method: Target['method'],
    path: string,
    headers: readonly Header[],
    fields: Record<string, string> = {},
    more: Partial<Target> = {},
  ): Target => ({ name: `${method} ${path}`, method, path, machine: true, headers, fields, ...more })
  const token = (grant_type: string, fields: Record<string, string>) =>
    at('POST', '/token', [basic, FORM], { grant_type, ...fields }, { name: `POST /token ${grant_type}` })
  const metadata = {
    redirect_uris: '["https://dyn.example/cb"]',
    client_name: '"Dynamic"',
    response_types: '["code"]',
    grant_types: '["authorization_code"]',
    contacts: '["a@dyn.example"]',
    jwks: '{"keys":[]}',
    scope: '"openid"',
    default_max_age: '60',
    subject_type: '"public"',
    token_endpoint_auth_method: '"client_secret_basic"',
    logo_uri: '"https://dyn.example/logo.png"',
    post_logout_redirect_uris: '["https://dyn.example/out"]',
    default_acr_values: '["basic"]',
    backchannel_logout_uri: '"https://dyn.example/bc"',
    initiate_login_uri: '"https://dyn.example/login"',
  }
  return [
    at('GET', '/.well-known/openid-configuration', []),
    at('GET', '/.well-known/oauth-authorization-server', []),
    at('GET', '/jwks', []),
    at('GET', '/.well-known/webfinger', [], { resource: 'acct:alice@localhost', rel: 'x' }, { machine: false }),
    token('authorization_code', { code: 'x'.repeat(43), redirect_uri: CALLBACK, code_verifier: 'x'.repeat(43) }),
    token('refresh_token', { refresh_token: 'x'.repeat(43), scope: 'openid' }),
    token('client_credentials', { scope: '', resource: 'https://api.example' }),
    at(
      'POST',
      '/token',
      [FORM],
      { grant_type: 'client_credentials', client_id: 'guessed', client_secret: 'wrong', ...assertion },
      { name: 'POST /token client_assertion' },
    ),
    at('GET', '/userinfo', [bearer], { access_token: 'x' }),
    at('POST', '/userinfo', [FORM], { access_token: 'x'.repeat(43) }),
    at('POST', '/introspect', [basic, FORM], { token: 'x'.repeat(43), token_type_hint: 'access_token' }),
    at('POST', '/revoke', [basic, FORM], { token: 'x'.repeat(43), token_type_hint: 'refresh_token' }),
    at('POST', '/par', [basic, FORM], sound),
    at('POST', '/register', [JSON_TYPE], metadata, { json: true }),
    at('GET', `/register/${live.registered.client_id}`, [own]),
    at('PUT', `/register/${live.registered.client_id}`, [own, JSON_TYPE], metadata, { json: true }),
    at('DELETE', '/register/somebody-else', [own]),
  ]
}

const assertion = {
  client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  client_assertion: 'x.y.z',
}

const browsers = (live: Live): Target[] => {
  const at = (
    method: Target['method'],
    path: string,
    fields: Record<string, string> = {},
    headers: readonly Header[] = [HTML],
  ): Target => ({
    name: `${method} ${path.replace(/interaction\/[^/]{20,}/, 'interaction/:uid')}`,
    method,
    path,
    machine: false,
    headers: method === 'POST' ? [...headers, FORM] : headers,
    fields,
  })
  const { login, consent, setup, logout } = live
  const step = (path: string, fields: Record<string, string> = {}): Target[] => [
    at('GET', `${login.base}${path}`, {}, login.headers),
    at('POST', `${login.base}${path}`, { csrf: login.csrf, ...fields }, login.headers),
  ]
  return [
    at('GET', '/authorize', sound),
    {
      ...at('GET', '/authorize', { ...core, ...pick(request, 'id_token_hint', 'dpop_jkt', 'registration') }),
      name: 'GET /authorize with rarities',
    },
    { ...at('GET', '/authorize', { ...core, ...rare }), name: 'GET /authorize with request objects' },
    {
      ...at('GET', '/authorize', {
        ...core,
        request_uri: 'https://app.example/request.jwt',
        resource: 'https://api.example',
      }),
      name: 'GET /authorize with a request object by reference',
    },
    {
      ...at('GET', '/authorize', { client_id: 'web', posted_request: 'x'.repeat(43) }),
      name: 'GET /authorize with a handle',
    },
    at('POST', '/authorize', core),
    at('GET', '/authorize/nobody-knows'),
    at('GET', '/authorize/nobody-knows', {}, login.headers),
    at('GET', login.base, {}, login.headers),
    ...step('/choose', { provider: 'acme' }),
    ...step('/identify', { email: 'nora@acme.example' }),
    ...step('/email', { email: 'nora@acme.example' }),
    ...step('/basic', { username: 'alice', password: 'not-hers' }),
    at('GET', `${login.base}/cancel`, {}, login.headers),
    at('GET', `${login.base}/continue`, { h: 'x'.repeat(43) }, login.headers),
    { ...at('GET', `${login.base}/continue`, { r: 'x'.repeat(43) }, login.headers), name: 'GET continue refused' },
    at('GET', `${login.base}/restart`, {}, login.headers),
    ...['', '/setup', '/keep', '/codes'].flatMap((path) => [
      at('GET', `${setup.base}/otp${path}`, {}, setup.headers),
      at('POST', `${setup.base}/otp${path}`, { csrf: setup.csrf, code: '000000' }, setup.headers),
    ]),
    at('POST', '/interaction/nobody-knows/basic', { csrf: 'x.y', username: 'alice', password: 'p' }),
    at('GET', `${consent.base}/consent`, {}, consent.headers),
    // Without its token: a good one would end what the others need.
    at('POST', `${consent.base}/consent`, { csrf: 'x.y', scope: 'profile' }, consent.headers),
    at('POST', `${login.base}/cancel`, { csrf: 'x.y' }, login.headers),
    ...(['GET', 'POST'] as const).map((method) =>
      at(method, '/federation/acme/callback', {
        state: 'x'.repeat(43),
        code: 'x'.repeat(43),
        iss: 'https://acme.example',
        error: 'access_denied',
        error_description: 'no',
        session_state: 'x',
      }),
    ),
    at('POST', '/federation/acme/backchannel-logout', { logout_token: 'x.y.z' }, []),
    at('GET', '/federation/acme/frontchannel-logout', { iss: 'https://acme.invalid', sid: 'x' }),
    at('GET', '/federation/acme/logged-out', { state: 'x'.repeat(43) }),
    at('GET', '/sector/family', { x: 'y' }),
    at('GET', '/sector/nobody-knows', {}),
    at('GET', '/federation/nobody/callback', { state: 'x', code: 'y' }),
    ...(['GET', 'POST'] as const).map((method) =>
      at(method, '/session/end', {
        id_token_hint: 'x.y.z',
        client_id: 'web',
        post_logout_redirect_uri: `${APP}/out`,
        state: 's1',
        ui_locales: 'de',
        logout_hint: 'alice',
      }),
    ),
    at('POST', '/session/end/confirm', { xsrf: 'x'.repeat(43), logout: 'yes' }, logout.headers),
    at('GET', '/session/end/success', { client_id: 'web' }),
    at('GET', '/session/check', { x: 'y' }),
    at('GET', '/', {}),
    at('GET', '/healthz', {}),
    at('GET', '/readyz', {}),
    at('GET', '/assets/gatehouse.css', {}),
    at('GET', '/assets/..%2f..%2fpackage.json', {}),
    at('GET', '/no/such/page', {}),
  ]
}

export const targetsOf = (live: Live): Target[] => [...machines(live), ...browsers(live)]

const encode = (text: string) => encodeURIComponent(text).replaceAll('%20', '+')

/** @param fields pairs whose values are encoded already */
export const written = (fields: readonly (readonly [string, string])[]): string =>
  fields.map(([name, value]) => `${name}=${value}`).join('&')

export const encodedFields = ({ fields }: Target): [string, string][] =>
  Object.entries(fields).map(([name, value]) => [encode(name), encode(value)])

/** A request to a target with this query, form or document. */
export const askedOf = (
  target: Target,
  text: string,
): { method: string; target: string; headers: readonly Header[]; body?: string } =>
  target.method === 'GET' || target.method === 'DELETE'
    ? { method: target.method, target: text ? `${target.path}?${text}` : target.path, headers: target.headers }
    : { method: target.method, target: target.path, headers: target.headers, body: text }

/** What the target would accept. */
export const goodText = (target: Target): string =>
  target.json
    ? `{${Object.entries(target.fields)
        .map(([name, value]) => `${JSON.stringify(name)}:${value}`)
        .join(',')}}`
    : written(encodedFields(target))
