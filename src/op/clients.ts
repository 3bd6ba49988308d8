/** Relying parties: what their records may say here, and what dynamic registration may write (CONTRACT 3, ENGINE 5). */
import { type ClientMetadata, errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { Vocabulary } from '#artifacts/client-rows.ts'
import { type Clock, epochSeconds } from '#kernel/clock.ts'
import { readAllowed } from '#kernel/outbound/addresses.ts'
import { clientExtras } from '#kernel/records/client.ts'
import type { HookSeams } from './hooks.ts'
import { frontchannelMembers } from './logout.ts'
import { registrationFault } from './redirects.ts'
import { isHardened, type OpSettings } from './settings.ts'

/** Name of the policy that every registration passes. */
export const POLICY = 'gatehouse'

/** Members beyond the specifications; `expires_at` (epoch seconds) ends a registered client whatever its secret says. */
export const extraMembers: readonly string[] = [...Object.keys(clientExtras), 'expires_at', ...frontchannelMembers]

const adminOnly = Object.entries(clientExtras)
  .filter(([, schema]) => schema.meta()?.adminOnly)
  .map(([name]) => name)
const ours: readonly string[] = [...adminOnly, 'expires_at']

/** OAuth 2.0 Multiple Response Type Encoding Practices; bare `token` is not offered. */
const codeTypes = ['code', 'none']
const frontChannelTypes = ['id_token', 'id_token token', 'code id_token', 'code token', 'code id_token token']

export const responseTypes = (settings: OpSettings): string[] =>
  isHardened(settings) ? codeTypes : [...codeTypes, ...frontChannelTypes]

const authMethods = ['none', 'client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt']

/** DESIGN 3.15: every client of a hardened issuer pushes its requests and binds its tokens. */
const hardenedMembers = { require_pushed_authorization_requests: true, dpop_bound_access_tokens: true }

/** @param known what the running configuration offers */
export const createVocabulary = (
  settings: OpSettings,
  known: {
    readonly scopes: readonly string[]
    readonly acrs: readonly string[]
    readonly algorithms: readonly string[]
  },
): Vocabulary => ({
  scopes: new Set(known.scopes),
  acrs: new Set(known.acrs),
  responseTypes: new Set(responseTypes(settings)),
  grantTypes: new Set([
    'authorization_code',
    'refresh_token',
    'client_credentials',
    ...(isHardened(settings) ? [] : ['implicit']),
  ]),
  subjectTypes: new Set(['public', 'pairwise']),
  signingAlgs: new Set(known.algorithms),
  authMethods: new Set(authMethods),
  ...(isHardened(settings) && { forced: hardenedMembers }),
})

/** Metadata under way through the registration endpoint; the policy changes it in place. */
type Draft = ClientMetadata & Record<string, unknown>

/** Which hosts that are not public this deployment may contact. */
const contactable = ({ egress }: OpSettings): ((host: string) => boolean) => {
  const allowed = readAllowed(egress.allowPrivate)
  return (host) => allowed.host(host) || allowed.address(host)
}

/** The other name of the front-channel address (CONTRACT 3). */
const readLogoutUri = (draft: Draft) => {
  const { logout_uri: uri } = draft
  if (uri !== undefined && draft.frontchannel_logout_uri === undefined) draft.frontchannel_logout_uri = uri
  delete draft.logout_uri
}

const onlyKnownScopes = (draft: Draft, scopes: ReadonlySet<string>) => {
  if (typeof draft.scope !== 'string') return
  // RFC 7591 2: the server may register less than was asked.
  const left = draft.scope.split(' ').filter((scope) => scopes.has(scope))
  if (left.length > 0) draft.scope = left.join(' ')
  else delete draft.scope
}

/** What the engine made for this client, which is nobody's to change. */
const made = ['client_id', 'client_id_issued_at', 'client_secret', 'client_secret_expires_at']

/** The deployment's hook decides last, also about what only administrators write. */
const changedByHook = async (ctx: KoaContextWithOIDC, draft: Draft, hooks: Pick<HookSeams, 'registration'>) => {
  const answer = await hooks.registration(ctx, draft, undefined)
  if (answer === draft) return
  for (const name of Object.keys(draft)) if (!made.includes(name)) delete draft[name]
  for (const [name, value] of Object.entries(answer)) if (!made.includes(name)) draft[name] = value
}

/**
 * The registration policy: administrators' members cannot be registered and survive an update, which replaces all others
 * (RFC 7592 2.2); addresses are checked; the client's life is limited.
 */
export const createRegistrationPolicy =
  (settings: OpSettings, scopes: readonly string[], clock: Clock, hooks: Pick<HookSeams, 'registration'>) =>
  async (ctx: KoaContextWithOIDC, properties: ClientMetadata): Promise<void> => {
    const draft = properties as Draft
    readLogoutUri(draft)
    const wrong = registrationFault(draft, contactable(settings))
    if (wrong) throw new errors.InvalidClientMetadata(wrong)
    const current = ctx.oidc.route === 'client_update' ? ctx.oidc.client : undefined
    for (const name of ours) {
      if (current?.[name] === undefined) delete draft[name]
      else draft[name] = current[name]
    }
    onlyKnownScopes(draft, new Set(scopes))
    await changedByHook(ctx, draft, hooks)
    if (isHardened(settings)) Object.assign(draft, hardenedMembers)
    const lifetime = settings.registration.clientLifetime
    if (current || lifetime === null) return
    draft.expires_at = epochSeconds(clock) + lifetime
    if (draft.client_secret !== undefined) draft.client_secret_expires_at = draft.expires_at as number
  }

/** What a relying party may see of its own record (RFC 7591 3.2.1): nothing that only administrators write. */
export const withoutOurs = (body: unknown): unknown => {
  if (typeof body !== 'object' || body === null) return body
  return Object.fromEntries(Object.entries(body).filter(([name]) => !ours.includes(name)))
}
