/** Claims that are worked out when they are asked for. The scope is declared with `type: dynamic`; here is what it gives. */
import type { Hooks } from 'gatehouse/hooks'

export default {
  dynamicScopes(claims, { scopes, account }) {
    if (!scopes.includes('work_time')) return claims
    const since = Number(account.claims.hired_in ?? 2026)
    return { ...claims, years_of_service: Math.max(0, 2026 - since) }
  },
} satisfies Hooks
