/** Which of oidc-provider's features are on, and with what (ENGINE 8). Every callback is given: a default would write notices. */
import { type Configuration, errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { Clock } from '#kernel/clock.ts'
import { randomId } from '#kernel/random.ts'
import type { SecretGuard } from './client-secrets.ts'
import { POLICY } from './clients.ts'
import type { HookSeams } from './hooks.ts'
import type { createRegistrationPolicy } from './registration.ts'
import { createResourceIndicators } from './resource-servers.ts'
import { isHardened, type OpSettings } from './settings.ts'
import type { Subjects } from './subjects.ts'

type Features = NonNullable<Configuration['features']>
type AllowedPolicy = NonNullable<NonNullable<Features['introspection']>['allowedPolicy']>

/** What the engine shows to people; wire renders them (CONTRACT 11). */
export interface Pages {
  logout(ctx: KoaContextWithOIDC, form: { action: string; xsrf: string }): void | Promise<void>
  loggedOut(ctx: KoaContextWithOIDC): void | Promise<void>
  /** The engine's bare form that ends a session unasked (another person signed in, or nobody is there) becomes a page of ours. */
  endSession(ctx: KoaContextWithOIDC): void
  /** Posts an authorization response to the relying party. */
  formPost(ctx: KoaContextWithOIDC, url: string, fields: Readonly<Record<string, string>>, status: number): void
  /** @param out safe to show; @param cause for the log and the trace only */
  error(
    ctx: KoaContextWithOIDC,
    out: { error: string; error_description?: string | undefined },
    cause: unknown,
  ): void | Promise<void>
}

export interface FeatureParts {
  readonly pages: Pages
  readonly clock: Clock
  /** 32 bytes. */
  readonly nonceSecret: Buffer
  readonly guard: Pick<SecretGuard, 'requestObject'>
  /** Whether an account exists and is not disabled. */
  readonly isAlive: (accountId: string) => Promise<boolean>
  readonly hooks: HookSeams
  readonly subjects: Subjects
  readonly registrationPolicy: ReturnType<typeof createRegistrationPolicy>
}

const logout = (pages: Pages): Features['rpInitiatedLogout'] => ({
  enabled: true,
  logoutSource: async (ctx) => {
    const { secret } = ctx.oidc.session?.state ?? {}
    await pages.logout(ctx, { action: ctx.oidc.urlFor('end_session_confirm'), xsrf: String(secret) })
  },
  postLogoutSuccessSource: async (ctx) => {
    await pages.loggedOut(ctx)
  },
})

/** Whoever may not authenticate sees only its own tokens (RFC 7662 2.1); a token is as dead as its client or its account. */
const mayIntrospect =
  ({ isAlive, hooks, subjects }: Pick<FeatureParts, 'isAlive' | 'hooks' | 'subjects'>): AllowedPolicy =>
  async (ctx, client, token) => {
    if (client.clientAuthMethod === 'none' && token.clientId !== client.clientId) return false
    if (token.clientId === undefined) return false
    const own = token.clientId === client.clientId
    const owner = own ? client : await ctx.oidc.provider.Client.find(token.clientId)
    const accountId = 'accountId' in token ? token.accountId : undefined
    if (!owner || (accountId !== undefined && !(await isAlive(accountId)))) return false
    if (!(await hooks.introspection(ctx, owner, token))) return false
    // The engine writes the account's id, and these members after it.
    if (subjects.isMapped && accountId !== undefined && owner.subjectType !== 'pairwise')
      Object.assign(token, { extra: { ...('extra' in token && token.extra), sub: await subjects.public(accountId) } })
    return true
  }

/** A client revokes its own tokens only (RFC 7009 2.1). */
const revocation: Features['revocation'] = {
  enabled: true,
  allowedPolicy: (_ctx, client, token) => {
    if (token.clientId === client.clientId) return true
    if (client.clientAuthMethod === 'none') return false
    throw new errors.InvalidRequest('client is not authorized to revoke the presented token')
  },
}

/** For the engine's `features`; what is not named here stays off. */
export const createFeatures = (settings: OpSettings, given: FeatureParts): Features => {
  const hardened = isHardened(settings)
  const { features } = settings
  return {
    devInteractions: { enabled: false },
    claimsParameter: { enabled: true },
    clientCredentials: { enabled: true },
    userinfo: { enabled: true },
    jwtUserinfo: { enabled: true },
    introspection: { enabled: true, allowedPolicy: mayIntrospect(given) },
    jwtIntrospection: { enabled: true },
    revocation,
    rpInitiatedLogout: logout(given.pages),
    resourceIndicators: createResourceIndicators(settings),
    backchannelLogout: { enabled: features.backchannelLogout },
    pushedAuthorizationRequests: {
      enabled: features.par || hardened,
      requirePushedAuthorizationRequests: hardened,
    },
    requestObjects: {
      enabled: features.jar,
      // In place of what the engine demands of FAPI and CIBA requests, which there are none of.
      assertJwtClaimsAndHeader: (ctx, _claims, header, client) => given.guard.requestObject(ctx, client, header.alg),
    },
    jwtResponseModes: { enabled: features.jarm },
    encryption: { enabled: features.encryption },
    // RFC 9449 8: offered to all, demanded where proofs made in advance must be worth nothing.
    dPoP: { enabled: features.dpop || hardened, nonceSecret: given.nonceSecret, requireNonce: () => hardened },
    rpMetadataChoices: { enabled: true },
    registration: {
      enabled: settings.registration.enabled,
      // Policies run only behind initial access tokens; open registration brings one of ours (ENGINE 5).
      initialAccessToken: true,
      policies: { [POLICY]: given.registrationPolicy },
      issueRegistrationAccessToken: true,
      idFactory: () => randomId(32),
    },
    registrationManagement: { enabled: settings.registration.enabled, rotateRegistrationAccessToken: true },
  }
}
