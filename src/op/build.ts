/**
 * oidc-provider's configuration, made of our settings and records. One function per topic; nothing is contacted here,
 * so that a new instance costs milliseconds and can replace the running one (DESIGN 3.2).
 */
import Provider, { type Client, type Configuration, errors, type JWK } from 'oidc-provider'
import { bitsOfRandomness } from '#artifacts/ids.ts'
import type { SigningKey } from '#directory/records.ts'
import type { Clock } from '#kernel/clock.ts'
import { epochSeconds } from '#kernel/clock.ts'
import type { Mapping } from '#kernel/records/provider.ts'
import { claimsOf } from './claims.ts'
import type { SecretGuard } from './client-secrets.ts'
import { asymmetric, encryption, extraMembers, responseTypes } from './clients.ts'
import { createFeatures, type FeatureParts, type Pages } from './features.ts'
import { checkFrontchannel } from './logout.ts'
import type { ScopeTable } from './scopes.ts'
import type { SessionExtras } from './seams.ts'
import { CHECK_PATH } from './session-management.ts'
import { basePath, grantLifetime, isHardened, type OpSettings } from './settings.ts'
import type { Subjects } from './subjects.ts'
import { createTokenClaims } from './token-claims.ts'

/** CONTRACT 4. */
const routes: Configuration['routes'] = {
  authorization: '/authorize',
  token: '/token',
  userinfo: '/userinfo',
  jwks: '/jwks',
  registration: '/register',
  introspection: '/introspect',
  revocation: '/revoke',
  pushed_authorization_request: '/par',
  end_session: '/session/end',
}

/**
 * Cookie names and attributes (DESIGN 22): prefixed and Secure over https; over http on loopback neither, and the port in
 * the name, because cookies do not know ports.
 */
export const cookiesFor = (
  issuer: string,
): { names: Record<'session' | 'interaction' | 'resume', string>; secure: boolean } => {
  const { protocol, port } = new URL(issuer)
  if (protocol === 'https:')
    return {
      names: { session: '__Host-session', interaction: '__Secure-interaction', resume: '__Secure-resume' },
      secure: true,
    }
  const suffix = port || '80'
  return {
    names: { session: `session_${suffix}`, interaction: `interaction_${suffix}`, resume: `resume_${suffix}` },
    secure: false,
  }
}

const cookies = (issuer: string, keys: readonly string[]): Configuration['cookies'] => {
  const { names, secure } = cookiesFor(issuer)
  const common = { httpOnly: true, sameSite: 'lax', signed: true, secure } as const
  return { names, keys: [...keys], long: { ...common, path: '/' }, short: common }
}

/** The first of equal keys signs (ENGINE 9): the active ones come first. */
const jwks = (keys: readonly SigningKey[]): { keys: JWK[] } => ({
  keys: keys.map(({ jwk, kid, alg }) => ({ use: 'sig', ...jwk, kid, alg }) as JWK),
})

/** The session's absolute end bounds its idle time; both in seconds. */
const sessionLife = (settings: OpSettings, clock: Clock, since: number | undefined): number => {
  const { session, sessionIdle } = settings.lifetimes
  const left = since === undefined ? session : since + session - epochSeconds(clock)
  return Math.max(1, Math.min(sessionIdle, left))
}

/** What manages a client ends with it; at the registration that has just begun. In seconds. */
const registrationTokenLife =
  (clock: Clock, lifetime: number) =>
  (_ctx: unknown, _token: unknown, client?: Client): number =>
    typeof client?.expires_at === 'number' ? Math.max(1, client.expires_at - epochSeconds(clock)) : lifetime

const ttl = (settings: OpSettings, clock: Clock): Configuration['ttl'] => {
  const { lifetimes, registration } = settings
  return {
    ...(registration.clientLifetime !== null && {
      RegistrationAccessToken: registrationTokenLife(clock, registration.clientLifetime),
    }),
    AccessToken: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? lifetimes.accessToken,
    ClientCredentials: (_ctx, token) => token.resourceServer?.accessTokenTTL ?? lifetimes.accessToken,
    AuthorizationCode: lifetimes.authorizationCode,
    IdToken: lifetimes.idToken,
    RefreshToken: lifetimes.refreshToken,
    Interaction: lifetimes.interaction,
    Grant: grantLifetime(settings),
    // Not `loginTs`: a provider may have authenticated the person long before we saw them.
    Session: (_ctx, session) => sessionLife(settings, clock, (session as SessionExtras).signedInAt ?? session.loginTs),
  }
}

const algorithms = (settings: OpSettings): Configuration['enabledJWA'] => {
  const signing = [...settings.keys.algorithms]
  return {
    idTokenSigningAlgValues: [...signing, 'HS256'],
    userinfoSigningAlgValues: [...signing, 'HS256'],
    introspectionSigningAlgValues: [...signing, 'HS256'],
    authorizationSigningAlgValues: [...signing, 'HS256'],
    requestObjectSigningAlgValues: [...asymmetric, 'HS256'],
    clientAuthSigningAlgValues: [...asymmetric, 'HS256'],
    dPoPSigningAlgValues: [...asymmetric],
    idTokenEncryptionAlgValues: [...encryption.alg],
    idTokenEncryptionEncValues: [...encryption.enc],
    userinfoEncryptionAlgValues: [...encryption.alg],
    userinfoEncryptionEncValues: [...encryption.enc],
    introspectionEncryptionAlgValues: [...encryption.alg],
    introspectionEncryptionEncValues: [...encryption.enc],
    authorizationEncryptionAlgValues: [...encryption.alg],
    authorizationEncryptionEncValues: [...encryption.enc],
    requestObjectEncryptionAlgValues: [...encryption.alg],
    requestObjectEncryptionEncValues: [...encryption.enc],
  }
}

/** The browser may call from where the client's redirect addresses are: public clients everywhere, all at userinfo. */
const clientBasedCORS: Configuration['clientBasedCORS'] = (ctx, origin, client) => {
  if (origin === 'null' || (ctx.oidc.route !== 'userinfo' && client.clientAuthMethod !== 'none')) return false
  return client.redirectUris?.some((uri) => URL.parse(uri)?.origin === origin) ?? false
}

/** Longest life that a client assertion may ask for, seconds: its replay marker is kept as long. */
const LONGEST_ASSERTION = 86_400

const checkAssertion =
  ({ clock, guard }: Pick<Ingredients, 'clock' | 'guard'>): Configuration['assertJwtClientAuthClaimsAndHeader'] =>
  async (ctx, claims, header, client) => {
    await guard.assertion(ctx, client, header.alg)
    if (Number(claims.exp) > epochSeconds(clock) + LONGEST_ASSERTION)
      throw new errors.InvalidClientAuth('exp of the client assertion is too far ahead')
  }

/** A sector document was checked when the client registered; a host that is down later must not take the client along. */
const isRegistering = (): boolean => ['registration', 'client_update'].includes(Provider.ctx?.oidc.route ?? '')

const discovery = (settings: OpSettings): Configuration['discovery'] => ({
  claim_types_supported: ['normal'],
  display_values_supported: ['page', 'popup', 'touch', 'wap'],
  ui_locales_supported: [...settings.i18n.available],
  ...(settings.features.frontchannelLogout && {
    frontchannel_logout_supported: true,
    frontchannel_logout_session_supported: true,
  }),
  ...(settings.features.sessionManagement && { check_session_iframe: `${settings.issuer}${CHECK_PATH}` }),
  prompt_values_supported: ['none', 'login', 'consent', 'select_account', 'create'],
})

/** What the running deployment adds to the settings. */
export interface Ingredients {
  readonly settings: OpSettings
  readonly clock: Clock
  readonly keys: readonly SigningKey[]
  /** Newest first, base64url. */
  readonly cookieKeys: readonly string[]
  readonly mappings: readonly Mapping[]
  readonly scopes: ScopeTable
  readonly acrs: readonly string[]
  readonly adapter: NonNullable<Configuration['adapter']>
  readonly policy: NonNullable<NonNullable<Configuration['interactions']>['policy']>
  readonly findAccount: NonNullable<Configuration['findAccount']>
  readonly loadExistingGrant: NonNullable<Configuration['loadExistingGrant']>
  readonly subjects: Subjects
  readonly pages: Pages
  readonly nonceSecret: Buffer
  readonly guard: SecretGuard
  readonly isAlive: FeatureParts['isAlive']
  readonly hooks: FeatureParts['hooks']
  readonly registrationPolicy: FeatureParts['registrationPolicy']
  /** The guarded outbound client; it replaces the engine's own guard. */
  readonly fetch: typeof globalThis.fetch
}

/** Limits, bytes, of what clients publish. */
const fetchResponseBodyLimits = { jwks_uri: 262_144, sector_identifier_uri: 262_144 }

const guarded =
  (fetch: Ingredients['fetch']): NonNullable<Configuration['fetch']> =>
  (url, options) => {
    // The engine's own dispatcher knows no proxy and no allow list; ours does, and guards at connect time as well.
    const { dispatcher: _own, ...rest } = options as RequestInit & { dispatcher?: unknown }
    return fetch(url as string, rest)
  }

/** What the engine judges clients' metadata by. */
export const clientRules = (settings: OpSettings) =>
  ({
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'none'],
    clientDefaults: {
      id_token_signed_response_alg: settings.keys.default,
      // The engine's own default is RS256, which these settings need not have a key of.
      introspection_signed_response_alg: settings.keys.default,
      authorization_signed_response_alg: settings.keys.default,
      subject_type: settings.subjects.default,
      ...(isHardened(settings) && { dpop_bound_access_tokens: true }),
    },
    enabledJWA: algorithms(settings),
    extraClientMetadata: {
      properties: [...extraMembers],
      validator: (_ctx, key, value, metadata) => checkFrontchannel(key, value, metadata),
    },
    responseTypes: responseTypes(settings) as NonNullable<Configuration['responseTypes']>,
    subjectTypes: ['public', 'pairwise'],
  }) satisfies Configuration

/** @returns a configuration for `new Engine` */
export const buildConfiguration = (given: Ingredients): Configuration => {
  const { settings, clock, pages } = given
  const base = basePath(settings.issuer)
  const renderError: Configuration['renderError'] = async (ctx, out, cause) => {
    await pages.error(ctx, out, cause)
  }
  return {
    ...clientRules(settings),
    adapter: given.adapter,
    acrValues: [...given.acrs],
    allowOmittingSingleRegisteredRedirectUri: false,
    assertJwtClientAuthClaimsAndHeader: checkAssertion(given),
    claims: claimsOf(given.mappings, given.scopes),
    clientBasedCORS,
    cookies: cookies(settings.issuer, given.cookieKeys),
    discovery: discovery(settings),
    expiresWithSession: (_ctx, source) => !source.scopes.has('offline_access'),
    extraParams: [...new Set([...settings.authorizationParameters, settings.discovery.preselectParameter])],
    extraTokenClaims: createTokenClaims(given.hooks.accessToken),
    features: createFeatures(settings, given),
    fetch: guarded(given.fetch),
    fetchResponseBodyLimits,
    findAccount: given.findAccount,
    formats: { bitsOfOpaqueRandomness: (_ctx, token) => bitsOfRandomness(token.kind) },
    interactions: { policy: given.policy, url: (_ctx, interaction) => `${base}/interaction/${interaction.uid}` },
    issueRefreshToken: (_ctx, client, source) =>
      client.grantTypeAllowed('refresh_token') && source.scopes.has('offline_access'),
    jwks: jwks(given.keys),
    loadExistingGrant: given.loadExistingGrant,
    pairwiseIdentifier: (_ctx, accountId, client) =>
      given.subjects.pairwise(String(client.sectorIdentifier), accountId),
    pkce: { required: (_ctx, client) => client.clientAuthMethod === 'none' || isHardened(settings) },
    renderError,
    // RFC 9700 4.14.2; one access token is revoked by itself (artifacts/adapter.ts).
    revokeGrantPolicy: (ctx) => !(ctx.oidc.route === 'revocation' && ctx.oidc.entities.AccessToken),
    rotateRefreshToken: true,
    routes,
    scopes: [...given.scopes.names],
    // What we publish ourselves the registration policy has looked at.
    sectorIdentifierUriValidate: ({ sectorIdentifierUri: uri }) =>
      isRegistering() && !uri?.startsWith(`${settings.issuer}/sector/`),
    ttl: ttl(settings, clock),
  }
}
