/**
 * The registration policy (ENGINE 5): what strangers may write into a client of their own, at registration and at each
 * update. In this order: the software statement, addresses and texts, what only administrators write, scopes, the
 * deployment's hook, the client's life; last, one use of the initial access token.
 */
import { decodeJwt } from 'jose'
import { type Client, type ClientMetadata, errors, type KoaContextWithOIDC } from 'oidc-provider'
import { type Clock, epochSeconds } from '#kernel/clock.ts'
import { readAllowed } from '#kernel/outbound/addresses.ts'
import { clientRecord } from '#kernel/records/client.ts'
import { hardenedMembers, ours } from './clients.ts'
import type { HookSeams } from './hooks.ts'
import type { InitialAccess } from './initial-access.ts'
import { createRegistrationFault } from './redirects.ts'
import type { Sectors } from './sectors.ts'
import { isHardened, type OpSettings } from './settings.ts'
import { type ReadStatement, statedMetadata } from './software-statements.ts'

export interface RegistrationParts {
  readonly settings: OpSettings
  readonly clock: Clock
  /** Scopes that a client may register for itself, unless `registration.scopes` says otherwise. */
  readonly registrable: readonly string[]
  readonly hooks: Pick<HookSeams, 'registration'>
  readonly readStatement: ReadStatement
  readonly initialAccess: Pick<InitialAccess, 'use'>
  readonly sectors: Pick<Sectors, 'listed'>
}

/** Metadata under way through the registration endpoint; the policy changes it in place. */
type Draft = ClientMetadata & Record<string, unknown>

/** What the engine made for this client, which is nobody's to change. */
const made = ['client_id', 'client_id_issued_at', 'client_secret', 'client_secret_expires_at']

/** The other name of the front-channel address (CONTRACT 3). */
const readLogoutUri = (draft: Draft) => {
  const { logout_uri: uri } = draft
  if (uri !== undefined && draft.frontchannel_logout_uri === undefined) draft.frontchannel_logout_uri = uri
  delete draft.logout_uri
}

/** The default of `response_types` is that of the code flow, which a client that only acts for itself has not (RFC 7591 2.1). */
const agreeOnGrants = (draft: Draft) => {
  const { grant_types: grants } = draft
  if (!Array.isArray(grants) || grants.includes('authorization_code') || grants.includes('implicit')) return
  draft.response_types ??= []
}

const wordsOf = (scope: unknown): string[] =>
  typeof scope === 'string' ? scope.split(' ').filter((word) => word !== '') : []

/** A client without `scope` could ask for every scope, so it always gets one (RFC 7591 2: a default set, or less than asked). */
const limitScopes = (draft: Draft, allowed: readonly string[], current: Client | undefined) => {
  // What an administrator added to it stays open to its own updates.
  const open = new Set([...allowed, ...wordsOf(current?.scope)])
  const asked = draft.scope === undefined ? (current ? [...open] : allowed) : wordsOf(draft.scope)
  const left = asked.filter((scope) => open.has(scope))
  draft.scope = (left.length > 0 ? left : ['openid']).join(' ')
}

/** RFC 7592 2.2: an update replaces everything but what is not the client's to write. */
const keepOurs = (draft: Draft, current: Client | undefined) => {
  for (const name of ours) {
    if (current?.[name] === undefined) delete draft[name]
    else draft[name] = current[name]
  }
}

/** A statement was verified when the client registered with it; it may have expired since. It goes first all the same. */
const known = (written: string) => {
  const claims = decodeJwt(written)
  return { claims, metadata: statedMetadata(claims) }
}

const stated = async (draft: Draft, current: Client | undefined, read: ReadStatement) => {
  const written = draft.software_statement
  const kept = typeof written === 'string' && written === current?.software_statement
  const statement = kept ? known(written) : await read(written)
  if (statement) Object.assign(draft, statement.metadata)
  return statement?.claims
}

/** The deployment's hook decides last, also about what only administrators write. */
const changedByHook = async (
  ctx: KoaContextWithOIDC,
  draft: Draft,
  statement: Record<string, unknown> | undefined,
  hooks: RegistrationParts['hooks'],
) => {
  const answer = await hooks.registration(ctx, draft, statement)
  if (answer === draft) return
  for (const name of Object.keys(draft)) if (!made.includes(name)) delete draft[name]
  for (const [name, value] of Object.entries(answer)) if (!made.includes(name)) draft[name] = value
}

/** Whoever is in a sector sees the same subjects as all others in it, so the document has to name the client's addresses. */
const inSector = async (draft: Draft, sectors: RegistrationParts['sectors']) => {
  const listed = await sectors.listed(draft.sector_identifier_uri)
  const uris = Array.isArray(draft.redirect_uris) ? draft.redirect_uris : []
  if (listed && !uris.every((uri) => listed.includes(uri)))
    throw new errors.InvalidClientMetadata('sector_identifier_uri does not list all redirect_uris')
}

/** What the hook wrote must be what a record can hold. */
const checkOurs = (draft: Draft) => {
  const result = clientRecord.safeParse(JSON.parse(JSON.stringify(draft)))
  const [issue] = result.error?.issues ?? []
  if (issue) throw new errors.InvalidClientMetadata(`${issue.path.join('.')} ${issue.message}`)
}

const limitLife = (draft: Draft, settings: OpSettings, clock: Clock) => {
  const lifetime = settings.registration.clientLifetime
  if (lifetime === null) return
  const end = epochSeconds(clock) + lifetime
  const sooner = typeof draft.expires_at === 'number' ? Math.min(draft.expires_at, end) : end
  draft.expires_at = sooner
  if (draft.client_secret !== undefined) draft.client_secret_expires_at = sooner
}

/** The initial access token of a registration that came this far; given back when it fails after all. */
export interface Entered {
  readonly token: string
  readonly id: string
}
export const entered = new WeakMap<object, Entered>()

const useToken = async (
  ctx: KoaContextWithOIDC,
  initialAccess: RegistrationParts['initialAccess'],
  isHouse: (token: string) => boolean,
) => {
  const token = ctx.oidc.getAccessToken()
  if (isHouse(token)) return
  const id = await initialAccess.use(token)
  if (id === undefined) throw new errors.InvalidToken('the initial access token was used up')
  entered.set(ctx, { token, id })
}

/** @param isHouse tells the tokens that are no issued ones: open registration's, and the one of the configuration */
export const createRegistrationPolicy = (given: RegistrationParts, isHouse: (token: string) => boolean) => {
  const { settings, clock, hooks, readStatement, initialAccess, sectors } = given
  const { scopes } = settings.registration
  const allowed = scopes ?? given.registrable
  const fault = createRegistrationFault(readAllowed(settings.egress.allowPrivate), `${settings.issuer}/sector/`)
  return async (ctx: KoaContextWithOIDC, properties: ClientMetadata): Promise<void> => {
    const draft = properties as Draft
    const current = ctx.oidc.route === 'client_update' ? ctx.oidc.client : undefined
    const statement = await stated(draft, current, readStatement)
    readLogoutUri(draft)
    agreeOnGrants(draft)
    const wrong = fault(draft)
    if (wrong) throw new errors.InvalidClientMetadata(wrong)
    keepOurs(draft, current)
    limitScopes(draft, allowed, current)
    await changedByHook(ctx, draft, statement, hooks)
    await inSector(draft, sectors)
    checkOurs(draft)
    if (isHardened(settings)) Object.assign(draft, hardenedMembers)
    if (current) return
    limitLife(draft, settings, clock)
    await useToken(ctx, initialAccess, isHouse)
  }
}
