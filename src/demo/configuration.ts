/**
 * What `serve --demo` adds: resources laid over the main Gatehouse, the whole configuration of the demo identity
 * provider (a second Gatehouse with settings, stores and people of its own), and the test relying party's registration.
 * Everything is written as a configuration file would have it (CONTRACT 2 and 3); the schema gives the defaults.
 */
import type { Seed } from './seed.ts'

export const PROVIDER_ID = 'demo-idp'
export const PROVIDER_NAME = 'Northwind ID'
/** An `acrs` entry as an example: any one way in, under a name that a relying party may ask for. */
export const EXAMPLE_ACR = 'urn:gatehouse:demo:any'
/** The same, and a one-time code after it. */
export const STRONG_ACR = 'urn:gatehouse:demo:strong'

/** A configuration before the schema has seen it. */
export type Written = Readonly<Record<string, unknown>>

/** The registration of the test relying party, or one that it made itself (OIDC Registration 2 and 3.2.1). */
export interface RelyingPartyClient {
  readonly client_id: string
  readonly client_secret?: string
  readonly token_endpoint_auth_method?: string
  readonly id_token_signed_response_alg?: string
  readonly userinfo_signed_response_alg?: string
  readonly [member: string]: unknown
}

export interface DemoPerson {
  readonly username: string
  readonly password: string
  /** Where this account lives, for the line that is printed. */
  readonly at: string
}

export interface DemoConfiguration {
  /** Laid over the main Gatehouse: `settings` where neither file nor environment sets them, `resources` as an overlay. */
  readonly main: { readonly settings: Written; readonly resources: Written }
  /** The demo identity provider: a complete configuration, settings and resources in one object, as in a file. */
  readonly upstream: Written
  readonly relyingParty: {
    readonly host: string
    readonly port: number
    readonly url: string
    readonly client: RelyingPartyClient
  }
  /** To be printed at start. */
  readonly people: readonly DemoPerson[]
}

export interface DemoInput {
  /** The main Gatehouse's issuer; the demo is served under the same host name. */
  readonly issuer: string
  /** Address to listen on; one beyond loopback is replaced by 127.0.0.1. */
  readonly host: string
  readonly ports: { readonly upstream: number; readonly relyingParty: number }
  readonly seed: Seed
  /** Directory of the upstream's stores. */
  readonly data?: string
}

/** Every response type but bare `token`, which OIDC Core 3 does not define and OAuth 2.1 removes. */
export const RESPONSE_TYPES = [
  'code',
  'id_token',
  'id_token token',
  'code id_token',
  'code token',
  'code id_token token',
] as const

/** The relying party's own addresses below its base. */
export const CALLBACK = '/callback'
export const LOGGED_OUT = '/logged-out'
export const LOGO = '/logo.svg'
export const BACKCHANNEL = '/backchannel-logout'
export const FRONTCHANNEL = '/frontchannel-logout'

/** An API that nobody serves: what an access token for one looks like can be seen without it. */
export const DEMO_API = 'https://api.demo.example'
export const DEMO_API_SCOPE = 'things:read'

/**
 * The metadata that the relying party is registered with, by the demo or by itself.
 * `native`, because that is the registration for http on loopback with implicit types (OIDC Registration 2,
 * application_type): a web client would need https. It exists only with --demo.
 */
export const relyingPartyMetadata = (url: string) => ({
  client_name: 'Test relying party',
  client_uri: url,
  logo_uri: `${url}${LOGO}`,
  application_type: 'native',
  redirect_uris: [`${url}${CALLBACK}`],
  post_logout_redirect_uris: [`${url}${LOGGED_OUT}`],
  backchannel_logout_uri: `${url}${BACKCHANNEL}`,
  backchannel_logout_session_required: true,
  frontchannel_logout_uri: `${url}${FRONTCHANNEL}`,
  frontchannel_logout_session_required: true,
  response_types: [...RESPONSE_TYPES],
  grant_types: ['authorization_code', 'implicit', 'refresh_token', 'client_credentials'],
  token_endpoint_auth_method: 'client_secret_basic',
})

/** @param issuer gives scheme and host name */
const under = (issuer: string, port: number): string => {
  const url = new URL(issuer)
  return `http://${url.hostname}:${port}`
}

/** People of the main Gatehouse, who sign in with a password there. */
const alice = (seed: Seed) => ({
  username: 'alice',
  password: seed.password('alice'),
  email: 'alice@example.org',
  email_verified: true,
  claims: { name: 'Alice Andersson', given_name: 'Alice', family_name: 'Andersson', locale: 'en' },
})

/** People of the demo identity provider. Bob's profile is bare, so that both ends of the mapping can be seen. */
const northwindPeople = (seed: Seed) => [
  {
    id: 'nw-1001',
    username: 'nora',
    password: seed.password('nora'),
    email: 'nora@northwind.example',
    email_verified: true,
    claims: {
      name: 'Nora Nordström',
      given_name: 'Nora',
      middle_name: 'Ingrid',
      family_name: 'Nordström',
      nickname: 'Nono',
      profile: 'https://northwind.example/people/nora',
      picture: 'https://northwind.example/people/nora.png',
      website: 'https://nora.example',
      gender: 'female',
      birthdate: '1988-03-14',
      zoneinfo: 'Europe/Stockholm',
      locale: 'sv-SE',
      phone_number: '+46 8 123 456 78',
      phone_number_verified: true,
      address: {
        formatted: 'Strandvägen 12\n114 56 Stockholm\nSweden',
        street_address: 'Strandvägen 12',
        locality: 'Stockholm',
        postal_code: '114 56',
        country: 'Sweden',
      },
      groups: ['engineering', 'release-managers'],
    },
  },
  { id: 'nw-1002', username: 'bob', password: seed.password('bob'), claims: { name: 'Bob' } },
]

const LOOPBACK = new Set(['localhost', '127.0.0.1', '::1'])

const upstreamConfiguration = (input: DemoInput, issuer: string, callback: string, secret: string): Written => {
  const data = input.data ?? './data/upstream'
  return {
    issuer,
    listen: { host: input.host, port: input.ports.upstream },
    stores: { artifacts: `sqlite:${data}/artifacts.db`, directory: `sqlite:${data}/directory.db` },
    registration: { enabled: false },
    // Gatehouse is told of a logout there, and lives on loopback.
    egress: { allowPrivate: ['127.0.0.0/8', '::1/128', new URL(issuer).hostname] },
    clients: [
      {
        client_id: 'gatehouse',
        client_secret: secret,
        client_name: 'Gatehouse',
        redirect_uris: [callback],
        post_logout_redirect_uris: [callback.replace(/callback$/, 'logged-out')],
        backchannel_logout_uri: callback.replace(/callback$/, 'backchannel-logout'),
        backchannel_logout_session_required: true,
        // The person consented to Gatehouse by being employed at Northwind, so that the demo asks once, not twice.
        trusted: true,
      },
    ],
    accounts: northwindPeople(input.seed),
  }
}

const identityProvider = (upstream: string, secret: string) => ({
  id: PROVIDER_ID,
  protocol: 'oidc',
  displayName: PROVIDER_NAME,
  emailDomains: ['northwind.example'],
  oidc: {
    issuer: upstream,
    client_id: 'gatehouse',
    client_secret: secret,
    scope: 'openid profile email address phone',
    token_endpoint_auth_method: 'client_secret_basic',
  },
})

/**
 * Everything that the demo starts, from one set of addresses.
 * @returns the overlay, the upstream's configuration, the relying party's registration and the passwords to print
 */
export const demoConfiguration = (input: DemoInput): DemoConfiguration => {
  const { seed, ports } = input
  // The start page shows passwords: whatever Gatehouse itself listens on, these two stay on this machine.
  const host = LOOPBACK.has(input.host) ? input.host : '127.0.0.1'
  const issuer = input.issuer.replace(/\/$/, '')
  const upstream = under(issuer, ports.upstream)
  const url = under(issuer, ports.relyingParty)
  const secret = seed.secret('upstream client')
  const client = {
    client_id: 'demo-rp',
    client_secret: seed.secret('relying party'),
    ...relyingPartyMetadata(url),
  }
  const own = alice(seed)
  const people = northwindPeople(seed).map(({ username, password }) => ({ username, password, at: PROVIDER_NAME }))
  return {
    main: {
      // The upstream and the relying party live on loopback, which production never contacts.
      settings: {
        methods: { otp: {} },
        resourceServers: [{ resource: DEMO_API, scopes: [DEMO_API_SCOPE] }],
        egress: { allowPrivate: ['127.0.0.0/8', '::1/128', new URL(issuer).hostname] },
      },
      resources: {
        clients: [client],
        accounts: [own],
        identityProviders: [identityProvider(upstream, secret)],
        acrs: [
          { name: EXAMPLE_ACR, steps: [['basic', PROVIDER_ID]], level: 1 },
          { name: STRONG_ACR, steps: [['basic', PROVIDER_ID], ['otp']], level: 2, amr: ['mfa'] },
        ],
      },
    },
    upstream: upstreamConfiguration(
      { ...input, host },
      upstream,
      `${issuer}/federation/${PROVIDER_ID}/callback`,
      secret,
    ),
    relyingParty: { host, port: ports.relyingParty, url, client },
    people: [{ username: own.username, password: own.password, at: 'Gatehouse' }, ...people],
  }
}
