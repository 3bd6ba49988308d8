/** Consent by rule: nothing beyond the profile is asked of staff; the address is never given to applications without terms. */
import type { Hooks } from 'gatehouse/hooks'

const HARMLESS = new Set(['openid', 'profile', 'email'])

export default {
  consent(answer, { scopes, account, client }, { refuse }) {
    if (scopes.includes('address') && client.tos_uri === undefined) refuse('this application may not ask for addresses')
    const harmless = scopes.every((scope) => HARMLESS.has(scope))
    return account.roles.includes('staff') && harmless ? { decision: 'allow' } : answer
  },
} satisfies Hooks
