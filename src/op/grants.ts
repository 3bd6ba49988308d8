/**
 * Grants and consent (ENGINE 11 and 13). A grant's id follows from session, account and client, so that parallel first
 * requests agree on it; what people allowed is kept apart from it, because grants end with the session.
 */
import type { Client, Grant, KoaContextWithOIDC } from 'oidc-provider'
import { GrantRevoked } from '#artifacts/adapter.ts'
import type { Records } from '#directory/records.ts'
import { hmac, randomToken } from '#kernel/random.ts'
import type { Consent } from '#kernel/records/account.ts'
import type { Engine } from './engine.ts'
import type { HookSeams } from './hooks.ts'
import {
  addResourceScopes,
  missingResourceScopes,
  type ResourceScopes,
  rememberedResourceScopes,
} from './resource-servers.ts'
import type { Spontaneous } from './spontaneous.ts'

/** A revoked grant's id stays refused; the next one of the same session takes the next number. */
const GENERATIONS = 16

export interface GrantOwner {
  readonly sessionUid: string
  readonly accountId: string
  readonly clientId: string
}

/** Names grants and sids. @param key 32 bytes that all nodes share */
export const createNames = (key: Uint8Array) => ({
  grant: ({ sessionUid, accountId, clientId }: GrantOwner, epoch: number, generation: number): string =>
    hmac(key, JSON.stringify(['grant', sessionUid, accountId, clientId, epoch, generation])).toString('base64url'),
  sid: (sessionUid: string, clientId: string): string =>
    hmac(key, JSON.stringify(['sid', sessionUid, clientId]))
      .toString('base64url')
      .slice(0, 22),
})
export type Names = ReturnType<typeof createNames>

/** What a grant lacks of a request. */
interface Missing {
  readonly scopes: string[]
  readonly claims: string[]
  readonly resources: ResourceScopes
}

const isNothing = ({ scopes, claims, resources }: Missing): boolean =>
  scopes.length === 0 && claims.length === 0 && Object.keys(resources).length === 0

const missing = (ctx: KoaContextWithOIDC, grant: Grant | undefined): Missing => {
  const scopes = new Set(grant?.getOIDCScopeEncountered().split(' '))
  const claims = new Set(grant?.getOIDCClaimsEncountered())
  return {
    scopes: [...ctx.oidc.requestParamOIDCScopes].filter((scope) => !scopes.has(scope)),
    claims: [...ctx.oidc.requestParamClaims].filter((claim) => !claims.has(claim)),
    resources: missingResourceScopes(ctx, grant),
  }
}

const remembers = (client: Client): boolean => client.trusted === true || client.persist_authorizations !== false

/** Saves a grant under the first id of its owner that was not revoked. */
const saveNewGrant = async (grant: Grant, names: Names, owner: GrantOwner, epoch: number): Promise<string> => {
  for (let generation = 0; generation < GENERATIONS; generation++) {
    grant.jti = names.grant(owner, epoch, generation)
    try {
      return await grant.save()
    } catch (error) {
      if (!(error instanceof GrantRevoked)) throw error
    }
  }
  grant.jti = randomToken()
  return grant.save()
}

/** Saves a grant, under a new id when it is new or was revoked this moment. */
const saveGrant = async (grant: Grant, names: Names, owner: GrantOwner, epoch: number): Promise<string> => {
  if (!grant.jti) return saveNewGrant(grant, names, owner, epoch)
  try {
    return await grant.save()
  } catch (error) {
    if (!(error instanceof GrantRevoked)) throw error
    return saveNewGrant(grant, names, owner, epoch)
  }
}

/** For the engine's `loadExistingGrant`: the grant that this request may use without asking, as far as it goes. */
export const createLoadExistingGrant =
  (consents: Records['consents'], names: Names, hooks: Pick<HookSeams, 'consent'>, spontaneous: Spontaneous) =>
  async (ctx: KoaContextWithOIDC): Promise<Grant | undefined> => {
    const { client, session, account, provider, result } = ctx.oidc
    if (!client || !session || !account) return undefined
    await spontaneous.decide(ctx)
    const known = result?.consent?.grantId ?? session.grantIdFor(client.clientId)
    const found = known === undefined ? undefined : await provider.Grant.find(known)
    const grant = found?.accountId === account.accountId && found.clientId === client.clientId ? found : undefined
    if (grant) await spontaneous.expire(grant)

    const wanted = missing(ctx, grant)
    if (grant && isNothing(wanted)) return grant
    const owner = { sessionUid: session.uid, accountId: account.accountId, clientId: client.clientId }
    const consent = await consents.get(owner.accountId, owner.clientId)
    const silent = client.trusted === true ? wanted : remembered(ctx, client, wanted, consent)
    const given = covers(silent, wanted) || asksAgain(ctx) || !(await hooks.consent(ctx, wanted)) ? silent : wanted
    if (!given) return grant

    const next = grant ?? new provider.Grant({ accountId: owner.accountId, clientId: owner.clientId })
    next.addOIDCScope(given.scopes)
    addResourceScopes(next, given.resources, client.trusted === true ? [] : consent?.rejectedScopes)
    if (given.claims.length > 0) next.addOIDCClaims(given.claims)
    const rejected = given.scopes.filter((scope) => consent?.rejectedScopes.includes(scope) && client.trusted !== true)
    // A rejected scope counts as asked only when it is added and rejected.
    if (rejected.length > 0) next.rejectOIDCScope(rejected)
    await spontaneous.begin(owner.clientId, owner.accountId, spontaneous.matching(client, given.scopes))
    await saveGrant(next, names, owner, consent?.epoch ?? 0)
    return next
  }

/** OIDC Core 3.1.2.1: prompt=consent asks although it was allowed before. */
const asksAgain = (ctx: KoaContextWithOIDC): boolean =>
  ctx.oidc.prompts.has('consent') && ctx.oidc.promptPending('consent')

const covers = (given: Missing | undefined, wanted: Missing): boolean =>
  given !== undefined &&
  given.scopes.length === wanted.scopes.length &&
  given.claims.length === wanted.claims.length &&
  Object.values(given.resources).flat().length === Object.values(wanted.resources).flat().length

const remembered = (
  ctx: KoaContextWithOIDC,
  client: Client,
  wanted: Missing,
  consent: Consent | undefined,
): Missing | undefined => {
  if (!consent || !remembers(client) || asksAgain(ctx)) return undefined
  const scopes = wanted.scopes.filter(
    (scope) => consent.scopes.includes(scope) || consent.rejectedScopes.includes(scope),
  )
  const claims = wanted.claims.filter((claim) => consent.claims.includes(claim))
  const given = { scopes, claims, resources: rememberedResourceScopes(wanted.resources, consent) }
  return isNothing(given) ? undefined : given
}

/** What the person decided on the consent page. */
export interface Decision {
  readonly owner: GrantOwner
  /** The grant so far, if there is one. */
  readonly grantId?: string | undefined
  /** Everything that the request asks for. */
  readonly scopes: readonly string[]
  readonly claims: readonly string[]
  readonly rejectedScopes: readonly string[]
  readonly resources: ResourceScopes
  /** Scopes of resources that were declined. */
  readonly declined: readonly string[]
  readonly epoch: number
}

/** Writes a decision into the grant. @returns the grant's id */
export const grantDecision = async (engine: Engine, names: Names, decision: Decision): Promise<string> => {
  const { owner, scopes, claims, epoch } = decision
  // OIDC Core 3.1.2.1: without `openid` it is no OpenID request; it cannot be declined apart.
  const rejected = decision.rejectedScopes.filter((scope) => scopes.includes(scope) && scope !== 'openid')
  const found = decision.grantId === undefined ? undefined : await engine.Grant.find(decision.grantId)
  const existing = found?.accountId === owner.accountId && found.clientId === owner.clientId ? found : undefined
  const grant = existing ?? new engine.Grant({ accountId: owner.accountId, clientId: owner.clientId })

  const before = grant.getRejectedOIDCScope().split(' ')
  const still = before.filter((scope) => scope !== '' && !scopes.includes(scope))
  if (scopes.length > 0) grant.addOIDCScope([...scopes])
  if (claims.length > 0) grant.addOIDCClaims([...claims])
  addResourceScopes(grant, decision.resources, decision.declined)
  // What is allowed now is no longer rejected.
  if (grant.rejected?.openid) grant.rejected.openid.scope = still.join(' ') || undefined
  if (rejected.length > 0) grant.rejectOIDCScope(rejected)
  return saveGrant(grant, names, owner, epoch)
}
