/** Three-way merges of what parallel requests write into one row (ENGINE 13). Pure. */
import type { AdapterPayload } from 'oidc-provider'

/** Whether two JSON values are the same. Members that are undefined are none, as in JSON. */
export const sameJson = (a: unknown, b: unknown): boolean => {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || !a || !b || Array.isArray(a) !== Array.isArray(b)) return false
  for (const name of Object.keys(a)) if (!sameJson(Reflect.get(a, name), Reflect.get(b, name))) return false
  for (const name of Object.keys(b)) if (Reflect.get(b, name) !== undefined && !Object.hasOwn(a, name)) return false
  return true
}

type Authorizations = NonNullable<AdapterPayload['authorizations']>

const mergeAuthorizations = (
  base: Authorizations = {},
  ours: Authorizations = {},
  theirs: Authorizations = {},
): Authorizations => {
  const merged: Authorizations = { ...theirs }
  for (const [client, state] of Object.entries(ours))
    if (!sameJson(state, base[client])) merged[client] = { ...theirs[client], ...state }
  for (const client of Object.keys(base)) if (!Object.hasOwn(ours, client)) delete merged[client]
  return merged
}

/**
 * A browser session that another request wrote since we read it: each side keeps what it changed.
 * @param base as we read it, `ours` as we want it, `theirs` as it stands now
 * @returns undefined when the session belongs to another account now and we did not sign anyone in
 */
export const mergeSession = (
  base: AdapterPayload,
  ours: AdapterPayload,
  theirs: AdapterPayload,
): AdapterPayload | undefined => {
  if (ours.accountId !== theirs.accountId && theirs.accountId !== base.accountId)
    return ours.accountId === base.accountId ? undefined : ours
  const merged: Record<string, unknown> = { ...theirs }
  for (const name of new Set([...Object.keys(base), ...Object.keys(ours)])) {
    if (sameJson(ours[name], base[name])) continue
    if (ours[name] === undefined) delete merged[name]
    else merged[name] = ours[name]
  }
  if (ours.authorizations || theirs.authorizations)
    merged.authorizations = mergeAuthorizations(base.authorizations, ours.authorizations, theirs.authorizations)
  return merged as AdapterPayload
}

interface Allowed {
  readonly scope?: string
  readonly claims?: readonly string[]
}
type GrantPayload = AdapterPayload & {
  openid?: Allowed
  rejected?: { openid?: Allowed; resources?: Record<string, string> }
  resources?: Record<string, string>
}

const words = (...texts: (string | undefined)[]): string[] => [
  ...new Set(texts.flatMap((text) => text?.split(' ') ?? []).filter((word) => word !== '')),
]

const mergeAllowed = (a: Allowed | undefined, b: Allowed | undefined): Allowed | undefined => {
  if (!a || !b) return a ?? b
  const scope = words(a.scope, b.scope).join(' ')
  const claims = [...new Set([...(a.claims ?? []), ...(b.claims ?? [])])]
  return { ...(scope && { scope }), ...(claims.length > 0 && { claims }) }
}

const mergeResources = (a: Record<string, string> = {}, b: Record<string, string> = {}): Record<string, string> =>
  Object.fromEntries(
    [...new Set([...Object.keys(a), ...Object.keys(b)])].map((name) => [name, words(a[name], b[name]).join(' ')]),
  )

/** Declined by them, and not allowed by us. */
const stillDeclined = (theirs: Allowed | undefined, allowed: Allowed | undefined): Allowed | undefined => {
  if (!theirs) return undefined
  const scope = words(theirs.scope).filter((word) => !words(allowed?.scope).includes(word))
  const claims = theirs.claims?.filter((claim) => !allowed?.claims?.includes(claim)) ?? []
  return { ...(scope.length > 0 && { scope: scope.join(' ') }), ...(claims.length > 0 && { claims }) }
}

/**
 * A grant that a parallel request wrote too: what either was allowed stays allowed, both came from the same person.
 * Where one allows what the other declined, ours is the newer word.
 */
export const mergeGrant = (ours: AdapterPayload, theirs: AdapterPayload): AdapterPayload => {
  const [a, b] = [ours as GrantPayload, theirs as GrantPayload]
  const merged: GrantPayload = { ...theirs, ...ours, openid: mergeAllowed(a.openid, b.openid) }
  if (a.resources || b.resources) merged.resources = mergeResources(a.resources, b.resources)
  const declined = mergeAllowed(a.rejected?.openid, stillDeclined(b.rejected?.openid, a.openid))
  const resources = mergeResources(a.rejected?.resources, b.rejected?.resources)
  if (a.rejected || b.rejected)
    merged.rejected = { openid: declined, ...(Object.keys(resources).length > 0 && { resources }) }
  return merged
}

/** Whether a write would change nothing that matters: the expiry moved by less than `tolerance` seconds. */
export const onlyExpiryMoved = (before: AdapterPayload, after: AdapterPayload, tolerance: number): boolean => {
  if (Math.abs((after.exp ?? 0) - (before.exp ?? 0)) >= tolerance) return false
  for (const name of Object.keys(after))
    if (name !== 'exp' && name !== 'iat' && !sameJson(before[name], after[name])) return false
  return Object.keys(before).every((name) => before[name] === undefined || Object.hasOwn(after, name))
}
