/** CONTRACT 5 as a table: what was asked, what this house offers, what comes of it. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Asked, choose, type Offer, preselection } from '#federation/discovery.ts'
import { type IdentityProvider, providerBase } from '#kernel/records/provider.ts'

const provider = (id: string, more: Record<string, unknown> = {}, protocol = 'oidc'): IdentityProvider => ({
  ...providerBase.parse({ id, ...more }),
  protocol,
})

const acme = provider('acme', {
  emailDomains: ['acme.org', 'bücher.example'],
  hosts: ['acme.id.example.org'],
  paths: ['/acme'],
  acrs: ['urn:loa2'],
  order: 2,
})
const beta = provider('beta', { emailDomains: ['beta.org'], acrs: ['urn:loa2', 'urn:beta'], order: 1 })
const saml = provider('uni', { order: 3 }, 'saml')
const off = provider('off', {
  enabled: false,
  acrs: ['urn:off'],
  emailDomains: ['off.org'],
  hosts: ['off.example.org'],
  paths: ['/off'],
})

const offer: Offer = {
  providers: [off, acme, beta, saml],
  methods: ['basic', 'otp'],
  logins: ['basic'],
  acrs: [
    {
      name: 'urn:strong',
      steps: [
        ['basic', 'acme'],
        ['otp', 'fido2'],
      ],
      level: 2,
      amr: ['mfa'],
    },
    { name: 'urn:hardware', steps: [['basic'], ['fido2']], level: 3, amr: [] },
    { name: 'urn:only-off', steps: [['off']], level: 1, amr: [] },
    { name: 'basic', steps: [['acme']], level: 1, amr: [] },
  ],
  page: true,
  emailFirst: false,
}
const nothing: Asked = { acrValues: [], client: {} }
const everything = ['basic', 'beta', 'acme', 'uni']

interface Expected {
  readonly by: string
  readonly steps: readonly (readonly string[])[]
  readonly acr?: string
  readonly amr?: readonly string[]
  readonly email?: string
}
const rows: readonly (readonly [what: string, asked: Partial<Asked>, expected: Expected, offered?: Partial<Offer>])[] =
  [
    // acr_values
    ['an id', { acrValues: ['acme'] }, { by: 'acr_values', steps: [['acme']], acr: 'acme' }],
    [
      'the first known value',
      { acrValues: ['urn:?', 'off', 'beta', 'acme'] },
      { by: 'acr_values', steps: [['beta']], acr: 'beta' },
    ],
    [
      'a further value of one provider',
      { acrValues: ['urn:beta'] },
      { by: 'acr_values', steps: [['beta']], acr: 'urn:beta' },
    ],
    [
      'a further value of two',
      { acrValues: ['urn:loa2'] },
      { by: 'acr_values', steps: [['beta', 'acme']], acr: 'urn:loa2' },
    ],
    [
      'of two, one allowed to the client',
      { acrValues: ['urn:loa2'], client: { providers: ['acme'] } },
      { by: 'acr_values', steps: [['acme']], acr: 'urn:loa2' },
    ],
    ['a local method', { acrValues: ['otp'] }, { by: 'acr_values', steps: [['otp']], acr: 'otp' }],
    [
      'a method goes before an acr entry of its name',
      { acrValues: ['basic'] },
      { by: 'acr_values', steps: [['basic']], acr: 'basic' },
    ],
    [
      'the social group',
      { acrValues: ['passport_social'] },
      { by: 'acr_values', steps: [['beta', 'acme']], acr: 'passport_social' },
    ],
    ['the SAML group', { acrValues: ['passport_saml'] }, { by: 'acr_values', steps: [['uni']], acr: 'passport_saml' }],
    [
      'an entry: usable options of each step',
      { acrValues: ['urn:strong'] },
      { by: 'acr_values', steps: [['basic', 'acme'], ['otp']], acr: 'urn:strong', amr: ['mfa'] },
    ],
    [
      'an entry for a client without the provider',
      { acrValues: ['urn:strong'], client: { providers: [] } },
      { by: 'acr_values', steps: [['basic'], ['otp']], acr: 'urn:strong', amr: ['mfa'] },
    ],
    [
      'an entry with a step out of reach is unknown',
      { acrValues: ['urn:hardware', 'urn:only-off'] },
      { by: 'open', steps: [everything], email: 'beside' },
    ],
    [
      'disabled, unknown and foreign values fall through',
      { acrValues: ['off', 'urn:off', 'fido2', 'constructor'] },
      { by: 'open', steps: [everything], email: 'beside' },
    ],
    [
      'not allowed to the client',
      { acrValues: ['acme'], client: { providers: ['beta'] } },
      { by: 'open', steps: [['basic', 'beta']], email: 'beside' },
    ],
    [
      'an empty group',
      { acrValues: ['passport_saml'] },
      { by: 'open', steps: [['basic', 'acme']], email: 'beside' },
      { providers: [acme] },
    ],
    // essential
    [
      'essential goes before acr_values',
      { acrValues: ['acme'], essential: ['urn:x', 'otp'] },
      { by: 'essential', steps: [['otp']], acr: 'otp' },
    ],
    [
      'essential out of reach: nothing else will do',
      { acrValues: ['acme'], essential: ['urn:x', 'off'] },
      { by: 'essential', steps: [[]] },
    ],
    // preselection
    ['the preselection parameter', { preselected: preselection('beta') }, { by: 'preselected', steps: [['beta']] }],
    [
      'acr_values go before it',
      { preselected: preselection('beta'), acrValues: ['acme'] },
      { by: 'acr_values', steps: [['acme']], acr: 'acme' },
    ],
    [
      'it goes before host, hint and defaults',
      {
        preselected: preselection('beta'),
        host: 'acme.id.example.org',
        loginHint: 'a@acme.org',
        client: { default_acr_values: ['acme'] },
      },
      { by: 'preselected', steps: [['beta']] },
    ],
    [
      'plain base64 counts too',
      { preselected: Buffer.from('{ "provider" : "beta" }').toString('base64') },
      { by: 'preselected', steps: [['beta']] },
    ],
    ['a disabled one', { preselected: preselection('off') }, { by: 'open', steps: [everything], email: 'beside' }],
    ['nonsense', { preselected: '%%%' }, { by: 'open', steps: [everything], email: 'beside' }],
    [
      'JSON that is no object',
      { preselected: Buffer.from('null').toString('base64url') },
      { by: 'open', steps: [everything], email: 'beside' },
    ],
    [
      'a list of two parameters',
      { preselected: [preselection('beta')] },
      { by: 'open', steps: [everything], email: 'beside' },
    ],
    [
      'an endless one',
      { preselected: preselection('beta').padEnd(5000, 'A') },
      { by: 'open', steps: [everything], email: 'beside' },
    ],
    // host and path
    ['a host', { host: 'ACME.id.example.org' }, { by: 'place', steps: [['acme']] }],
    ['a path', { path: '/acme/authorize' }, { by: 'place', steps: [['acme']] }],
    [
      'a place goes before the hint',
      { path: '/acme/authorize', loginHint: 'b@beta.org' },
      { by: 'place', steps: [['acme']] },
    ],
    [
      'another path',
      { path: '/acmes/authorize', host: 'id.example.org' },
      { by: 'open', steps: [everything], email: 'beside' },
    ],
    [
      'a disabled one’s place',
      { host: 'off.example.org', path: '/off/authorize' },
      { by: 'open', steps: [everything], email: 'beside' },
    ],
    [
      'a place not for this client',
      { path: '/acme/authorize', client: { providers: ['beta'] } },
      { by: 'open', steps: [['basic', 'beta']], email: 'beside' },
    ],
    // login_hint and typed address
    ['a hint’s domain', { loginHint: 'Bob@Beta.ORG' }, { by: 'login_hint', steps: [['beta']] }],
    [
      'a hint’s domain in either script',
      { loginHint: 'a@xn--bcher-kva.example' },
      { by: 'login_hint', steps: [['acme']] },
    ],
    [
      'it goes before the defaults',
      { loginHint: 'b@beta.org', client: { default_acr_values: ['acme'] } },
      { by: 'login_hint', steps: [['beta']] },
    ],
    [
      'a subdomain is another domain',
      { loginHint: 'b@mail.beta.org' },
      { by: 'open', steps: [everything], email: 'beside' },
    ],
    [
      'two at signs are no address',
      { loginHint: 'b@evil.example@beta.org' },
      { by: 'open', steps: [everything], email: 'beside' },
    ],
    ['a plain name', { loginHint: 'beta.org' }, { by: 'open', steps: [everything], email: 'beside' }],
    ['a typed address', { email: 'b@beta.org' }, { by: 'email', steps: [['beta']] }],
    ['a typed address of nobody', { email: 'b@nobody.org' }, { by: 'open', steps: [everything], email: 'beside' }],
    // defaults
    [
      'default_acr_values',
      { client: { default_acr_values: ['urn:?', 'urn:strong'] } },
      { by: 'default_acr_values', steps: [['basic', 'acme'], ['otp']], acr: 'urn:strong', amr: ['mfa'] },
    ],
    [
      'unknown asked, then the defaults',
      { acrValues: ['urn:?'], client: { default_acr_values: ['beta'] } },
      { by: 'default_acr_values', steps: [['beta']], acr: 'beta' },
    ],
    // the choice
    ['nothing asked: everything, in order', {}, { by: 'open', steps: [everything], email: 'beside' }],
    [
      'the client’s providers only',
      { client: { providers: ['uni', 'off'] } },
      { by: 'open', steps: [['basic', 'uni']] },
    ],
    ['one way in all', { client: { providers: [] } }, { by: 'open', steps: [['basic']] }],
    ['one provider and no local login', {}, { by: 'open', steps: [['acme']] }, { providers: [acme, off], logins: [] }],
    [
      'a login that is not enabled',
      {},
      { by: 'open', steps: [['acme', 'uni']], email: 'beside' },
      { providers: [acme, saml], logins: ['fido2'] },
    ],
    ['no way at all', { client: { providers: [] } }, { by: 'open', steps: [[]] }, { logins: [] }],
    ['no e-mail field without domains', {}, { by: 'open', steps: [['basic', 'uni']] }, { providers: [saml] }],
    ['e-mail first', {}, { by: 'open', steps: [everything], email: 'first' }, { emailFirst: true }],
    [
      'e-mail first, answered',
      { email: 'x@y.example' },
      { by: 'open', steps: [everything], email: 'beside' },
      { emailFirst: true },
    ],
    [
      'e-mail first with one way',
      { client: { providers: [] } },
      { by: 'open', steps: [['basic']] },
      { emailFirst: true },
    ],
    [
      'a second factor by its name: whatever is on offer first',
      { acrValues: ['otp'] },
      { by: 'acr_values', steps: [everything, ['otp']], acr: 'otp' },
      { secondary: new Set(['otp']), logins: ['otp', 'basic'] },
    ],
    [
      'a second factor by its name, with nothing that could come first',
      { acrValues: ['otp'], client: { providers: [] } },
      { by: 'open', steps: [['otp']] },
      { secondary: new Set(['otp']), logins: ['otp'] },
    ],
    [
      'a second factor alone, where a record says so',
      { acrValues: ['urn:code'] },
      { by: 'acr_values', steps: [['otp']], acr: 'urn:code' },
      { secondary: new Set(['otp']), acrs: [{ name: 'urn:code', steps: [['otp']], level: 1, amr: [] }] },
    ],
    ['no page: the first way', {}, { by: 'open', steps: [['basic']] }, { page: false }],
  ]

describe('choosing how to sign in (CONTRACT 5)', () => {
  for (const [what, asked, expected, offered] of rows)
    test(what, () => {
      const { by, steps, acr, amr, email } = choose({ ...nothing, ...asked }, { ...offer, ...offered })
      assert.deepEqual({ by, steps, acr, amr, email }, { amr: [], email: 'none', acr: undefined, ...expected })
    })

  test('the providers among the options are told apart from the methods', () => {
    assert.deepEqual([...choose(nothing, offer).providers], ['beta', 'acme', 'uni'])
  })
})
