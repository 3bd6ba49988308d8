/**
 * What is kept with an access token beyond the engine's own: how the person signed in, for the API to judge and to ask for
 * more (RFC 9470 6.2, seen at introspection; in a JWT it stands anyway), and what a hook adds.
 */
import type { Configuration } from 'oidc-provider'
import { signInOf } from './access-tokens.ts'

type TokenClaims = NonNullable<Configuration['extraTokenClaims']>

/** For the engine's `extraTokenClaims`. @param hook its claims go before nothing of ours */
export const createTokenClaims =
  (hook: TokenClaims): TokenClaims =>
  async (ctx, token) => {
    const added = await hook(ctx, token)
    if (!('accountId' in token) || token.accountId === undefined) return added
    const { acr, authTime } = signInOf()
    return {
      ...added,
      ...(acr !== undefined && { acr }),
      ...(authTime !== undefined && { auth_time: authTime }),
    }
  }
