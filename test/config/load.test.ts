/* biome-ignore-all lint/suspicious/noTemplateCurlyInString: placeholders of the configuration are what is tested */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ConfigurationError, type Loaded, loadConfiguration, loadResources } from '#config/load.ts'
import { rateLimitOf } from '#config/rate-limit.ts'
import { loadText, mistakesIn, rooms } from './golden.ts'

const load = (written: unknown, env: Record<string, string> = {}, under?: unknown): Loaded =>
  loadConfiguration({ ...rooms, written, env, under })

const inFolder = (t: { after(done: () => void): void }): string => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-config-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

test('without anything all defaults hold, and they are those of the contract', () => {
  const { settings, resources, sources } = load(undefined)
  assert.deepEqual(settings, {
    issuer: 'http://localhost:3000',
    listen: { host: '127.0.0.1', port: 3000 },
    trustProxy: false,
    stores: { artifacts: 'sqlite:./data/artifacts.db', directory: 'sqlite:./data/directory.db' },
    masterKey: undefined,
    keys: {
      algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'],
      encryption: ['RSA-OAEP-256', 'ECDH-ES'],
      default: 'RS256',
      rotateEvery: 90 * 86_400,
      publishBefore: 2 * 86_400,
      keepAfter: 7 * 86_400,
    },
    lifetimes: {
      session: 14 * 3600,
      sessionIdle: 4 * 3600,
      accessToken: 3600,
      idToken: 3600,
      refreshToken: 14 * 86_400,
      authorizationCode: 60,
      interaction: 3600,
      grant: 14 * 86_400,
    },
    refreshReuseGrace: 0,
    security: 'standard',
    features: {
      par: true,
      jar: true,
      jarm: true,
      dpop: true,
      encryption: true,
      frontchannelLogout: true,
      backchannelLogout: true,
      webfinger: true,
      requestUri: true,
      sessionManagement: true,
    },
    registration: {
      enabled: true,
      initialAccessToken: false,
      clientLifetime: null,
      scopes: null,
      softwareStatements: { required: false, trusted: [] },
    },
    subjects: { default: 'public', publicAttribute: 'id', pairwise: 'algorithmic' },
    spontaneousScopeLifetime: 86400,
    authorizationParameters: ['preselectedExternalProvider'],
    resourceServers: [],
    methods: { basic: { enabled: true }, otp: { enabled: false, enrolment: true } },
    logins: { default: ['basic'] },
    discovery: { page: true, emailFirst: false, preselectParameter: 'preselectedExternalProvider' },
    inbound: { enabled: true },
    rateLimit: undefined,
    rateLimitWindowMs: undefined,
    rateLimitMaxRequestAllow: undefined,
    logging: { level: 'info', consoleOnly: true },
    egress: { allowPrivate: false, insecureHosts: [] },
    i18n: { default: 'en', available: ['en', 'de'] },
    hooks: [],
  })
  assert.deepEqual(resources, {
    clients: [],
    accounts: [],
    identityProviders: [],
    mappings: [],
    acrs: [],
    scopes: [],
    sectorIdentifiers: [],
  })
  assert.ok(Object.values(sources).every((source) => source === 'default'))
})

test('the environment wins over the file, the file over the defaults, and it is known which did', () => {
  const { settings, sources } = load(
    { lifetimes: { session: 'PT10H', idToken: 'PT2H' }, security: 'hardened' },
    { GATEHOUSE__LIFETIMES__IDTOKEN: 'PT3H', GATEHOUSE__SECURITY: '', UNRELATED: 'x' },
  )
  assert.deepEqual(
    [settings.lifetimes.session, settings.lifetimes.idToken, settings.lifetimes.accessToken, settings.security],
    [36_000, 10_800, 3600, 'hardened'],
  )
  assert.deepEqual(
    ['lifetimes.session', 'lifetimes.idToken', 'lifetimes.accessToken', 'security'].map((path) => sources[path]),
    ['file', 'environment', 'default', 'file'],
  )
})

test('other defaults lie below the file', () => {
  const under = { egress: { allowPrivate: ['127.0.0.0/8'], insecureHosts: ['a.test'] }, listen: { port: 1 } }
  const { settings, sources } = load({ egress: { allowPrivate: false } }, { GATEHOUSE__LISTEN__PORT: '2' }, under)
  assert.deepEqual(settings.egress, { allowPrivate: false, insecureHosts: ['a.test'] })
  assert.equal(settings.listen.port, 2)
  assert.equal(sources['egress.insecureHosts'], 'default')
})

test('variables are matched whatever their case and read as the setting takes them', () => {
  const { settings, resources } = load(
    { clients: [{ client_id: 'web', client_secret: 'from the file', redirect_uris: ['https://a.example/cb'] }] },
    {
      GATEHOUSE__TRUSTPROXY: '[10.0.0.0/8, "::1"]',
      GATEHOUSE__FEATURES__PAR: 'false',
      GATEHOUSE__LISTEN__PORT: '4711',
      GATEHOUSE__LISTEN: '{ host: 0.0.0.0, port: 1 }',
      GATEHOUSE__DISCOVERY__EMAIL_FIRST: 'true',
      GATEHOUSE__EGRESS__ALLOWPRIVATE: '[idp.internal]',
      GATEHOUSE__METHODS__BASIC__ENABLED: 'true',
      GATEHOUSE__CLIENTS__0__CLIENT_SECRET: '12345: [not, yaml',
      GATEHOUSE__CLIENTS__0__CLIENT_NAME: '0123',
    },
  )
  assert.deepEqual(settings.trustProxy, ['10.0.0.0/8', '::1'])
  assert.equal(settings.features.par, false)
  assert.deepEqual(settings.listen, { host: '0.0.0.0', port: 4711 })
  assert.equal(settings.discovery.emailFirst, true)
  assert.deepEqual(settings.egress.allowPrivate, ['idp.internal'])
  assert.equal(resources.clients[0]?.client_secret, '12345: [not, yaml')
  assert.equal(resources.clients[0]?.client_name, '0123')
})

test('a variable that is no setting is a mistake, and a wrong value names its variable', () => {
  const env = {
    GATEHOUSE__TRUST_PROXI: 'true',
    GATEHOUSE__METRICS__ENABLED: 'true',
    GATEHOUSE__LOGGING__LEVEL: 'inform',
    GATEHOUSE__MASTERKEY: 'hunter2',
  }
  assert.deepEqual(mistakesIn('', env), [
    'GATEHOUSE__METRICS__ENABLED: found a setting that is not built in this version, must be left out',
    'GATEHOUSE__TRUST_PROXI: found no setting of this name, must be GATEHOUSE__ and the path of one in upper case; did you mean "GATEHOUSE__TRUSTPROXY"?',
    'masterKey: found text (not shown) in GATEHOUSE__MASTERKEY, must be 32 bytes as base64url (43 characters)',
    'logging.level: found "inform" in GATEHOUSE__LOGGING__LEVEL, must be one of debug, info, warn, error; did you mean "info"?',
  ])
})

test('placeholders stand anywhere, hold values and never syntax', () => {
  const text = `
    # \${NOBODY_ASKS_FOR_THIS}
    listen: { host: \${HOST}, port: \${PORT:-3100} }
    trustProxy: \${PROXY:-true}
    discovery: { emailFirst: \${EMPTY:-true} }
    accounts:
      - username: "\${USER_NAME}"
        password: \${PASSWORD}
        claims: { motto: 'costs $\${5}', home: /home/\${USER_NAME}, note: \${NOTE:-a, b: c # d} }
  `
  const { settings, resources } = loadText(text, {
    HOST: '::1',
    EMPTY: '',
    USER_NAME: 'alice',
    PASSWORD: 'x, roles: [admin]\nroles: [admin] # {',
  })
  assert.deepEqual(settings.listen, { host: '::1', port: 3100 })
  assert.equal(settings.issuer, 'http://localhost:3100')
  assert.equal(settings.trustProxy, true)
  assert.equal(settings.discovery.emailFirst, true)
  const alice = resources.accounts[0]
  assert.equal(alice?.password, 'x, roles: [admin]\nroles: [admin] # {')
  assert.deepEqual(alice?.roles, [])
  assert.deepEqual(alice?.claims, { motto: 'costs ${5}', home: '/home/alice', note: 'a, b: c # d' })
})

test('an empty placeholder and an empty section count as not written', () => {
  const { settings, resources } = loadText('security: ${X:-}\nclients:\nkeys:\nlisten: { tls: }', {})
  assert.equal(settings.security, 'standard')
  assert.equal(settings.keys.default, 'RS256')
  assert.deepEqual(resources.clients, [])
  assert.equal('tls' in settings.listen, false)
})

test('secrets come from files, without the line break at their end', (t) => {
  const folder = inFolder(t)
  const key = Buffer.alloc(32, 1).toString('base64url')
  writeFileSync(join(folder, 'key'), `${key}\n`)
  writeFileSync(join(folder, 'secret'), 'two\nlines\r\n')
  writeFileSync(join(folder, 'empty'), '\n')
  writeFileSync(
    join(folder, 'gatehouse.yaml'),
    `masterKey: [{ file: ${folder}/key }, "${key}"]
clients: [{ client_id: a, client_secret: { file: "\${FOLDER}/secret" }, redirect_uris: ["https://a.example/cb"] }]`,
  )
  const file = join(folder, 'gatehouse.yaml')
  const { settings, resources, file: from } = loadConfiguration({ ...rooms, file, env: { FOLDER: folder } })
  assert.deepEqual(settings.masterKey, [key, key])
  assert.equal(resources.clients[0]?.client_secret, 'two\nlines')
  assert.equal(from, file)
  const more = loadConfiguration({
    ...rooms,
    file,
    env: { FOLDER: folder, GATEHOUSE__MASTERKEY: `{ file: ${folder}/key }` },
  })
  assert.equal(more.settings.masterKey, key)
  assert.deepEqual(mistakesIn(`masterKey: { file: ${folder}/empty }\nissuer: { file: ${folder}/key }`), [
    `masterKey: found the file ${folder}/empty, which is empty, must be a readable file with the secret`,
    'issuer: found a section, must be an https URL without query, fragment, or slash at the end',
  ])
})

test('a file that cannot be read is told in one line', () => {
  assert.throws(
    () => loadConfiguration({ ...rooms, file: '/nowhere/gatehouse.yaml', env: {} }),
    (error) =>
      error instanceof ConfigurationError &&
      error.message === '/nowhere/gatehouse.yaml: found no file that can be read (ENOENT), must be YAML or JSON',
  )
})

test('JSON is read like YAML', () => {
  const { settings } = loadText('{"listen":{"port":"${PORT}"},"features":{"jar":false}}', { PORT: '3456' })
  assert.deepEqual([settings.listen.port, settings.features.jar], [3456, false])
})

test('issuers that are fine', () => {
  const tls = { certFile: '/dev/null', keyFile: '/dev/null' }
  for (const written of [
    { issuer: 'https://id.example.org', listen: { tls } },
    { issuer: 'https://id.example.org/tenant', trustProxy: ['10.0.0.0/8'] },
    { issuer: 'http://id.example.org', trustProxy: true },
    { issuer: 'http://127.0.0.2:8080' },
    { issuer: 'http://[::1]:8080' },
    { issuer: 'http://op.localhost:8080' },
  ])
    assert.equal(load(written).settings.issuer, written.issuer)
})

test('clients are read as the contract says', () => {
  const common = {
    redirect_uris: ['https://a.example/cb?x=y', 'com.example.app:/cb'],
    token_endpoint_auth_method: 'none',
  }
  const { resources } = load({
    clients: [
      { ...common, client_id: 'a', logout_uri: 'https://a.example/out', 'client_name#de': 'Netz' },
      { ...common, client_id: 'b', trusted: true, persist_authorizations: false },
      { client_id: 'c', client_secret: 's', grant_types: ['client_credentials'], response_types: [] },
    ],
  })
  const [a, b, c] = resources.clients
  assert.equal(a?.frontchannel_logout_uri, 'https://a.example/out')
  assert.equal(a && 'logout_uri' in a, false)
  assert.equal(a?.['client_name#de'], 'Netz')
  assert.equal(b?.persist_authorizations, true)
  assert.deepEqual([c?.disabled, c?.trusted], [false, false])
})

test('resources alone may refer to what is there already, and hold no settings', () => {
  const { settings } = load({})
  const from = (written: unknown, names = {}) =>
    loadResources({
      ...rooms,
      written,
      env: {},
      settings,
      names: { providers: [], mappings: [], acrs: [], ...names },
    })
  const acrs = [{ name: 'strong', steps: [['acme', 'basic']] }]
  assert.deepEqual(from({ acrs }, { providers: ['acme'] }).acrs[0]?.steps, [['acme', 'basic']])
  assert.throws(
    () => from({ acrs, issuer: 'https://id.example.org', metrics: {} }),
    (error) => {
      assert.ok(error instanceof ConfigurationError)
      assert.deepEqual(error.message.split('\n'), [
        'issuer: found a setting, must be a resource (clients, accounts, identityProviders, mappings, acrs, scopes, sectorIdentifiers)',
        'metrics: found a setting that is not built in this version, must be left out',
        'acrs.0.steps.0.0: found "acme", which is no method or provider, must be one of basic, otp',
      ])
      return true
    },
  )
})

test('the limit on requests, however it is written', () => {
  const limit = (written: unknown, env: Record<string, string> = {}) => rateLimitOf(load(written, env).settings)
  assert.equal(limit(undefined), undefined)
  assert.equal(limit({ rateLimit: false }), undefined)
  assert.deepEqual(limit({ rateLimit: {} }), { windowMs: 86_400_000, max: 1000 })
  assert.deepEqual(limit({ rateLimit: { max: 7 } }), { windowMs: 86_400_000, max: 7 })
  assert.deepEqual(limit({ rateLimit: { windowMs: 50 } }), { windowMs: 50, max: 1000 })
  const synonyms = { rateLimitWindowMs: 60_000, rateLimitMaxRequestAllow: 5 }
  assert.deepEqual(limit({ rateLimit: synonyms }), { windowMs: 60_000, max: 5 })
  assert.deepEqual(limit(synonyms), { windowMs: 60_000, max: 5 })
  assert.deepEqual(limit({ rateLimitMaxRequestAllow: 5 }), { windowMs: 86_400_000, max: 5 })
  assert.equal(limit(synonyms, { GATEHOUSE__RATELIMIT: 'false' }), undefined)
  assert.deepEqual(limit({ rateLimit: { max: 7 } }, { GATEHOUSE__RATE_LIMIT__MAX: '9' }), {
    windowMs: 86_400_000,
    max: 9,
  })
  for (const wrong of [{ max: 0 }, { windowMs: 0 }, { max: 1.5 }, { most: 3 }, { max: 3, rateLimitWindowMs: 3 }])
    assert.throws(() => load({ rateLimit: wrong }), ConfigurationError, JSON.stringify(wrong))
  assert.throws(
    () => load({ rateLimit: { max: 3 }, rateLimitWindowMs: 3 }),
    /rateLimitWindowMs: found beside rateLimit/,
  )
})
