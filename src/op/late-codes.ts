/**
 * A code that is presented again ends the tokens that it gave (RFC 6749 4.1.2), also when its own life is over by then:
 * the engine looks at the life first. Rows of codes stay for a while so that their redemption is remembered.
 */
import Provider, { type AuthorizationCode } from 'oidc-provider'

/** Seconds that a code is remembered beyond its life. */
export const CODE_MEMORY = 300

/** Ends the grant of a code that was found redeemed and expired, by the client that it belongs to. */
export const endLateReplay = async (
  engine: Provider,
  code: (AuthorizationCode & { readonly consumed?: unknown }) | undefined,
): Promise<void> => {
  const ctx = Provider.ctx
  if (!code?.consumed || !code.isExpired || code.grantId === undefined || ctx?.oidc.route !== 'token') return
  if (code.clientId !== ctx.oidc.client?.clientId) return
  await engine.AccessToken.revokeByGrantId(code.grantId)
  engine.emit('grant.revoked', ctx, code.grantId)
}
