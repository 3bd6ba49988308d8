/** What an account tells relying parties: scopes and their claims (OIDC Core 5.1 and 5.4), and the account as the engine sees it. */
import type { Account as EngineAccount, FindAccount } from 'oidc-provider'
import type { Records } from '#directory/records.ts'
import type { Account } from '#kernel/records/account.ts'
import type { Mapping } from '#kernel/records/provider.ts'
import { ASKED, type Asked } from './hooks.ts'
import type { ScopeTable } from './scopes.ts'
import type { SessionExtras, TokenExtras } from './seams.ts'

/**
 * For the engine's `claims`: scopes with their claims, and beside them single claims that a relying party may ask for by
 * the `claims` parameter: whatever a mapping of this deployment writes.
 */
export const claimsOf = (mappings: readonly Mapping[], { claims }: ScopeTable): Record<string, null | string[]> => {
  const inScopes = new Set(Object.values(claims).flat())
  const mapped = mappings
    .flatMap((mapping) => Object.keys(mapping.attributes))
    .filter((name) => name !== 'username' && !inScopes.has(name) && !Object.hasOwn(claims, name))
  return {
    ...Object.fromEntries(Object.entries(claims).map(([scope, members]) => [scope, [...members]])),
    ...Object.fromEntries(mapped.map((name) => [name, null])),
  }
}

/** The account's claims under their standard names; `sub` is added by the engine. */
const claimsOfAccount = (account: Account, scopes: ScopeTable): Record<string, unknown> => ({
  preferred_username: account.username,
  ...(account.updatedAt !== undefined && { updated_at: Math.floor(account.updatedAt / 1000) }),
  ...(account.email !== undefined && { email: account.email, email_verified: account.email_verified }),
  ...account.claims,
  ...scopes.mapped(account),
})

/** For the engine's `findAccount`: a disabled account is as good as none, in every flow and at once. */
export const createFindAccount =
  (accounts: Records['accounts'], scopes: ScopeTable) =>
  async (...[ctx, sub, token]: Parameters<FindAccount>): Promise<EngineAccount | undefined> => {
    const account = await accounts.get(sub)
    if (!account || account.disabled) return undefined
    return {
      accountId: sub,
      claims(use) {
        const asked: Asked = { use: use === 'id_token' ? use : 'userinfo', account }
        if (use !== 'id_token') return { ...claimsOfAccount(account, scopes), sub, [ASKED]: asked }
        const idp = token
          ? (token as TokenExtras).idp
          : (ctx.oidc.session as SessionExtras | undefined)?.upstream?.provider
        return { ...claimsOfAccount(account, scopes), ...(idp !== undefined && { idp }), sub, [ASKED]: asked }
      },
    }
  }
