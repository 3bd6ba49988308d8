/**
 * The settings: one slice per topic (CONTRACT 2). Types, validation, defaults, environment names, the reference page and
 * the editor's schema all come from here. What another version will have is in later.ts.
 */
import { z } from 'zod'
import { duration, secret } from '#kernel/kinds.ts'
import { keys } from './keys.ts'
import { rateLimit, rateLimitMaxRequestAllow, rateLimitWindowMs } from './rate-limit.ts'
import { registration } from './registration.ts'
import { resourceServers } from './resource-servers.ts'
import { storeAddress } from './store-address.ts'
import { subjects } from './subjects.ts'
import { addressRange, distinct, flag, hostName, hostOrRange, language, parameterName, seconds } from './words.ts'

const issuerRules = (text: string): boolean => {
  if (!URL.canParse(text)) return false
  const url = new URL(text)
  const web = url.protocol === 'https:' || url.protocol === 'http:'
  return web && !url.username && !url.password && !/[?#]|\/$/.test(text)
}
const ISSUER = 'an https URL without query, fragment, or slash at the end'

/** Discovery 3 and 4.1: the issuer is compared as text and discovery is found below it. */
export const issuer = z.string().refine(issuerRules, `must be ${ISSUER}`).prefault('http://localhost:3000').meta({
  allowed: ISSUER,
  help: 'Who we are, exactly as tokens say it. Absent: http://localhost and the port of `listen`.',
})

const listen = z
  .strictObject({
    host: hostName.default('127.0.0.1').meta({ help: 'The address to listen on; 0.0.0.0 for all.' }),
    port: z.number().int().min(0).max(65_535).default(3000).meta({ help: '0: any free one.' }),
    tls: z
      .strictObject({
        certFile: z.string().min(1).meta({ help: 'PEM, the chain included.' }),
        keyFile: z.string().min(1).meta({ help: 'PEM.' }),
      })
      .optional()
      .meta({ help: 'Without it plain http is served, for a loopback issuer or behind `trustProxy` only.' }),
  })
  .prefault({})

const trustProxy = z
  .union([z.boolean(), z.array(addressRange).min(1)])
  .default(false)
  .meta({
    allowed: 'true, false or a list of addresses and ranges such as 10.0.0.0/8',
    help: 'Whose X-Forwarded-* headers are believed: nobody, everybody, or these addresses. With `true` whoever reaches the port names its own address and scheme, past every limit per address: only where the proxy alone can.',
  })

const stores = z
  .strictObject({
    artifacts: storeAddress(
      ['sqlite', 'redis', 'mongodb'],
      'sqlite:./data/artifacts.db',
      'Sessions, codes, tokens: what expires.',
    ),
    directory: storeAddress(
      ['sqlite', 'mongodb'],
      'sqlite:./data/directory.db',
      'Accounts, clients, providers, keys: what stays. SQLite beside SQLite or Redis, MongoDB beside Redis or MongoDB.',
    ),
  })
  .prefault({})

const MASTER_KEY = '32 bytes as base64url (43 characters)'
const oneMasterKey = secret
  .regex(/^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]=?$/, `must be ${MASTER_KEY}`)
  .meta({ allowed: MASTER_KEY, secret: true })
const masterKey = z
  .union([oneMasterKey, z.array(oneMasterKey).min(1)])
  .optional()
  .meta({
    secret: true,
    allowed: `${MASTER_KEY}, or a list of such, the newest first`,
    help: 'Seals what is stored: the first seals, all open. Absent: made once and kept as `master.key` (mode 0600) beside the SQLite file of the artifacts, else of the directory; required where no store is SQLite.',
  })

const lifetimes = z
  .strictObject({
    session: seconds('PT14H', 'The browser is signed out so long after the sign-in, whatever happens.'),
    sessionIdle: seconds('PT4H', 'The browser is signed out after so long without use.'),
    accessToken: seconds('PT1H', 'Access tokens.'),
    idToken: seconds('PT1H', 'ID tokens.'),
    refreshToken: seconds('P14D', 'Refresh tokens.'),
    authorizationCode: seconds('PT1M', 'Authorization codes.'),
    interaction: seconds('PT1H', 'How long a person may take to sign in.'),
    grant: seconds('P14D', 'How long what was allowed to a client holds for its tokens.'),
  })
  .prefault({})

const MOST_GRACE = 60
const refreshReuseGrace = duration
  .refine((value) => value <= MOST_GRACE, 'must be at most PT1M')
  .prefault('PT0S')
  .meta({
    help: 'A refresh token that is used again within this time gives the same answer again instead of ending the grant.',
  })

const security = z.enum(['standard', 'hardened']).default('standard').meta({
  help: 'hardened: pushed requests, sender-constrained tokens, neither implicit nor hybrid, PKCE for everyone.',
})

const features = z
  .strictObject({
    par: flag(true, 'Pushed authorization requests (RFC 9126).'),
    jar: flag(true, 'Signed request objects (RFC 9101).'),
    jarm: flag(true, 'Signed authorization responses (JARM).'),
    dpop: flag(true, 'Sender-constrained tokens (RFC 9449).'),
    encryption: flag(true, 'Encrypted ID tokens, userinfo and request objects (JWE).'),
    frontchannelLogout: flag(
      true,
      'Applications are told of a logout in frames of the browser (Front-Channel Logout 1.0).',
    ),
    backchannelLogout: flag(true, 'Applications are told of the end of a session directly (Back-Channel Logout 1.0).'),
    webfinger: flag(true, 'WebFinger tells that we are the provider of every account at our host (RFC 7033).'),
    requestUri: flag(true, 'Request objects that clients publish at registered addresses (OIDC Core 6.2).'),
    sessionManagement: flag(true, 'Applications may watch for the end of a session (Session Management 1.0).'),
  })
  .prefault({})

const spontaneousScopeLifetime = seconds(
  'P1D',
  'A spontaneous scope is gone so long after it was first granted to a person (or to a client that acts for itself).',
)

const authorizationParameters = distinct(parameterName)
  .default(['preselectedExternalProvider'])
  .meta({ help: 'Extra parameters of authorization requests that are let through.' })

const logins = z
  .strictObject({
    default: distinct(z.string().min(1))
      .default(['basic'])
      .meta({ help: 'Local methods that are offered where nothing was asked for.' }),
  })
  .prefault({})

const discovery = z
  .strictObject({
    page: flag(true, 'Whether there is a page to choose a provider.'),
    emailFirst: flag(false, 'Ask for the e-mail address alone first.'),
    preselectParameter: parameterName
      .default('preselectedExternalProvider')
      .meta({ help: 'The request parameter that names the provider: base64url of {"provider":"ID"}.' }),
  })
  .prefault({})

const inbound = z
  .strictObject({ enabled: flag(true, 'Whether people may sign in with external providers at all.') })
  .prefault({})

const logging = z
  .strictObject({
    level: z.enum(['debug', 'info', 'warn', 'error']).default('info').meta({ help: 'What is less is left out.' }),
    consoleOnly: z
      .literal(true)
      .default(true)
      .meta({ help: 'Logs go to standard output, one JSON object a line, at most 100 ms after what they tell of.' }),
  })
  .prefault({})

const egress = z
  .strictObject({
    allowPrivate: z
      .union([z.literal(false), z.array(hostOrRange).min(1)])
      .default(false)
      .meta({
        allowed: 'false or a list of host names and address ranges',
        help: 'Private addresses that we may contact. None: only public ones.',
      }),
    caFile: z.string().min(1).optional().meta({ help: 'PEM of further certificate authorities to trust.' }),
    insecureHosts: z.array(hostName).default([]).meta({ help: 'Hosts whose certificates are not checked. For tests.' }),
  })
  .prefault({})

const hooks = distinct(z.string().min(1))
  .default([])
  .meta({ help: 'Files of code of your own, or patterns such as ./hooks/*.ts (docs/hooks.md).', reload: 'restart' })

const i18n = z
  .strictObject({
    default: language.default('en').meta({ help: 'Where the browser asks for none that is available.' }),
    available: distinct(language).min(1).default(['en', 'de']).meta({ help: 'Languages of the pages.' }),
  })
  .prefault({})

/** One block a method, under its id. */
export interface MethodBlock {
  readonly enabled?: boolean
  readonly [setting: string]: unknown
}

/** Each block says itself what its absence means. */
const methodsOf = (methods: Readonly<Record<string, z.ZodType>>) =>
  z.strictObject(methods as Record<string, z.ZodType<MethodBlock>>).prefault({})

/** @param methods method id → schema of its block, from the method registry */
export const settingsShape = (methods: Readonly<Record<string, z.ZodType>>) => ({
  issuer,
  listen: listen.meta({ title: 'Address', reload: 'restart' as const }),
  trustProxy,
  stores: stores.meta({ title: 'Stores', reload: 'restart' as const }),
  masterKey,
  keys: keys.meta({ title: 'Signing keys' }),
  lifetimes: lifetimes.meta({ title: 'Lifetimes' }),
  refreshReuseGrace,
  security,
  features: features.meta({ title: 'Features' }),
  registration: registration.meta({ title: 'Dynamic registration' }),
  subjects: subjects.meta({ title: 'Subjects' }),
  spontaneousScopeLifetime,
  authorizationParameters,
  resourceServers: resourceServers.meta({ title: 'Resource servers' }),
  methods: methodsOf(methods).meta({ title: 'Local sign-in methods' }),
  logins: logins.meta({ title: 'Local sign-in' }),
  discovery: discovery.meta({ title: 'Choosing a provider' }),
  inbound: inbound.meta({ title: 'External providers' }),
  rateLimit: rateLimit.meta({ title: 'Limit on requests' }),
  rateLimitWindowMs,
  rateLimitMaxRequestAllow,
  logging: logging.meta({ title: 'Logs' }),
  egress: egress.meta({ title: 'Outbound requests' }),
  i18n: i18n.meta({ title: 'Languages' }),
  hooks,
})

type Shape = ReturnType<typeof settingsShape>
/** Validated settings. Durations are seconds. */
export type Settings = { readonly [Name in keyof Shape]: z.output<Shape[Name]> }
