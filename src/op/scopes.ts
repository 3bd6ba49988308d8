/** The scopes of a running engine: the standard ones and those that the deployment defines, with their claims (CONTRACT 3). */
import type { Account } from '#kernel/records/account.ts'
import type { Scope } from '#kernel/records/scope.ts'
import { isReservedScope, standardScopes } from '#kernel/scopes.ts'

/** OIDC Core 5.4; `openid` carries what every ID token tells of the sign-in (CONTRACT 5). */
const standard: Readonly<Record<string, readonly string[]>> = {
  openid: ['sub', 'acr', 'amr', 'auth_time', 'idp'],
  ...standardScopes,
}

export interface ScopeTable {
  /** For `scopes_supported`; offline_access: OIDC Core 11. */
  readonly names: readonly string[]
  /** Those that clients may register for themselves. */
  readonly registrable: readonly string[]
  readonly isDynamic: (name: string) => boolean
  /** Scope → its claims, for those that have any. */
  readonly claims: Readonly<Record<string, readonly string[]>>
  /** What of an account goes into claims of another name. */
  readonly mapped: (account: Account) => Record<string, unknown>
}

/** Members of the account itself; everything else is one of its claims. */
const attributeOf = (account: Account, name: string): unknown => {
  const { id, username, email, email_verified, roles, claims } = account
  const own: Readonly<Record<string, unknown>> = { id, username, email, email_verified, roles }
  return Object.hasOwn(own, name) ? own[name] : Object.hasOwn(claims, name) ? claims[name] : undefined
}

const nameOf = (claim: Scope['claims'][number]): string => (typeof claim === 'string' ? claim : claim.claim)

export const createScopeTable = (defined: readonly Scope[]): ScopeTable => {
  const own = defined.filter(({ name }) => !isReservedScope(name))
  const claims: Record<string, string[]> = Object.fromEntries(
    Object.entries(standard).map(([name, members]) => [name, [...members]]),
  )
  for (const scope of own) {
    const names = scope.claims.map(nameOf)
    if (names.length > 0) claims[scope.name] = [...new Set([...(claims[scope.name] ?? []), ...names])]
  }
  const base = [...Object.keys(standard), 'offline_access']
  const dynamic = new Set(own.filter(({ type }) => type === 'dynamic').map(({ name }) => name))
  // A claim is the same whatever scope releases it: of two sources the first counts.
  const sources = new Map<string, string>()
  for (const claim of own.flatMap((scope) => scope.claims))
    if (typeof claim !== 'string' && !sources.has(claim.claim)) sources.set(claim.claim, claim.from)
  // What a plain name stands for that is no claim of the account: its roles, its username.
  for (const claim of own.flatMap((scope) => scope.claims))
    if (typeof claim === 'string' && !sources.has(claim) && (claim === 'roles' || claim === 'username'))
      sources.set(claim, claim)

  return {
    names: [...new Set([...base, ...own.map(({ name }) => name)])],
    registrable: [
      ...new Set([...base, ...own.filter((scope) => scope.allowDynamicRegistration).map(({ name }) => name)]),
    ],
    isDynamic: (name) => dynamic.has(name),
    claims,
    mapped: (account) =>
      Object.fromEntries(
        [...sources]
          .map(([name, from]): [string, unknown] => [name, attributeOf(account, from)])
          .filter(([, value]) => value !== undefined),
      ),
  }
}
