/**
 * Where the deployment's hooks meet the engine: each point gets copies of what it needs, and what goes wrong becomes an
 * OAuth error of the 4xx kind, so that nothing is issued that a hook had not its say about (DESIGN 3.23).
 */
import Provider, { type Client, errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { Records } from '#directory/records.ts'
import { isFault } from '#kernel/faults.ts'
import type { HookAccount, HookClient, HookRunner } from '#kernel/hooks.ts'
import type { Account } from '#kernel/records/account.ts'
import { referenceOf } from '#trace/trace.ts'
import type { TokenExtras } from './seams.ts'

type Members = Record<string, unknown>

/** The hook was away: the request may be repeated. */
class HookAway extends errors.OIDCProviderError {
  constructor(cause: unknown) {
    super(400, 'temporarily_unavailable', { cause })
    this.name = 'HookAway'
    this.error_description = 'a rule of this service could not be checked'
  }
}

/** A hook's Fault as an OAuth error; everything else as it is. */
export const asOAuthError = (error: unknown): unknown => {
  if (isFault(error, 'hook.refused')) return new errors.AccessDenied(String(error.detail.reason), error.code)
  return isFault(error, 'hook.failed') ? new HookAway(error) : error
}

const oauth = async <T>(work: Promise<T>): Promise<T> => {
  try {
    return await work
  } catch (error) {
    throw asOAuthError(error)
  }
}

export const hookAccount = ({ id, username, email, email_verified, claims, roles }: Account): HookAccount => ({
  id,
  username,
  ...(email !== undefined && { email }),
  email_verified,
  claims,
  roles,
})

export const hookClient = (client: Client): HookClient => {
  const { client_secret: _, ...metadata } = client.metadata() as Members
  return { ...metadata, client_id: client.clientId }
}

/** The login's reference, where the request belongs to one: its interaction, or the code that came of it. */
export const loginOf = (ctx: KoaContextWithOIDC | undefined): string | undefined => {
  const cid = ctx?.oidc?.entities.Interaction?.cid
  if (cid !== undefined) return referenceOf(cid)
  return (ctx?.oidc?.entities.AuthorizationCode as TokenExtras | undefined)?.login
}

/** What `account.claims()` was asked for; travels with its answer under a symbol, which no claim can be named. */
export const ASKED = Symbol('asked')
export interface Asked {
  readonly use: 'id_token' | 'userinfo'
  readonly account: Account
}

/** Claims of the protocol, which are not the hook's to give (OIDC Core 2, RFC 9068, Front-Channel Logout 3). */
const ofProtocol = new Set(
  'sub iss aud exp iat nbf jti azp nonce at_hash c_hash s_hash acr amr auth_time idp sid client_id cnf scope'.split(
    ' ',
  ),
)

const partition = (claims: Members) => {
  const entries = Object.entries(claims)
  const take = (protocol: boolean) => Object.fromEntries(entries.filter(([name]) => ofProtocol.has(name) === protocol))
  return { fixed: take(true), free: take(false) }
}

/** One function for each point that the engine passes. */
export interface HookSeams {
  /** Whether any hook has a say about claims. */
  giveClaims(): boolean
  /** The claims of an ID token or of userinfo as they are sent. */
  claims(
    ctx: KoaContextWithOIDC | undefined,
    client: Client,
    asked: Asked,
    scopes: readonly string[],
    claims: Members,
  ): Promise<Members>
  /** The same with the claims of granted scopes of the type `dynamic`. */
  dynamicScopes(
    ctx: KoaContextWithOIDC | undefined,
    client: Client,
    asked: Asked,
    scopes: readonly string[],
    claims: Members,
  ): Promise<Members>
  /** Which of these may come up; none while the hook is broken. */
  spontaneousScopes(client: Client, scopes: string[], accountId: string | undefined): Promise<string[]>
  /** For the engine's `extraTokenClaims`. */
  accessToken(ctx: KoaContextWithOIDC | undefined, token: object): Promise<Members | undefined>
  /** Adds to what an introspection tells; false: it tells nothing. */
  introspection(ctx: KoaContextWithOIDC, owner: Client, token: object): Promise<boolean>
  /** Whether everything that is missing may be granted without asking. Throws `access_denied`. */
  consent(ctx: KoaContextWithOIDC, missing: { scopes: string[]; claims: string[] }): Promise<boolean>
  /** The metadata to register. @throws `invalid_client_metadata` */
  registration(ctx: KoaContextWithOIDC, metadata: Members, softwareStatement: Members | undefined): Promise<Members>
  /** The login's reference to keep in a code, when there are hooks that could write into its trace. */
  login(): string | undefined
}

interface Token {
  readonly kind: string
  readonly scope?: string
  readonly aud?: string | string[]
  readonly accountId?: string
  readonly client?: Client
  extra?: Members
}

const wordsOf = (scope: string | undefined): string[] => scope?.split(' ').filter((word) => word !== '') ?? []

export const createHookSeams = (hooks: HookRunner, accounts: Records['accounts']): HookSeams => {
  const accountOf = async (id: string | undefined): Promise<{ account?: HookAccount }> => {
    const account = id === undefined ? undefined : await accounts.get(id)
    return account ? { account: hookAccount(account) } : {}
  }
  return {
    giveClaims: () => hooks.has('claims') || hooks.has('dynamicScopes'),
    async claims(ctx, client, asked, scopes, claims) {
      if (!hooks.has('claims')) return claims
      const { fixed, free } = partition(claims)
      const given = { use: asked.use, scopes, client: hookClient(client), account: hookAccount(asked.account) }
      const answer = await oauth(hooks.run('claims', free, given, loginOf(ctx)))
      return { ...partition(answer).free, ...fixed }
    },
    async dynamicScopes(ctx, client, asked, scopes, claims) {
      if (!hooks.has('dynamicScopes')) return claims
      const given = { use: asked.use, scopes, client: hookClient(client), account: hookAccount(asked.account) }
      const answer = await oauth(hooks.run('dynamicScopes', {}, given, loginOf(ctx)))
      return { ...partition(answer).free, ...claims }
    },
    async spontaneousScopes(client, scopes, accountId) {
      if (!hooks.has('spontaneousScopes')) return scopes
      const given = { client: hookClient(client), ...(await accountOf(accountId)) }
      try {
        const answer = await hooks.run('spontaneousScopes', scopes, given, loginOf(Provider.ctx))
        return scopes.filter((scope) => answer.includes(scope))
      } catch {
        return []
      }
    },
    async accessToken(ctx, issued) {
      if (!hooks.has('accessToken')) return undefined
      const token = issued as Token
      if (!token.client || (token.kind !== 'AccessToken' && token.kind !== 'ClientCredentials')) return undefined
      const given = {
        kind: token.kind,
        scopes: wordsOf(token.scope),
        ...(token.aud !== undefined && { audience: token.aud }),
        client: hookClient(token.client),
        ...(await accountOf(token.accountId)),
      } as const
      const answer = await oauth(hooks.run('accessToken', token.extra ?? {}, given, loginOf(ctx)))
      return partition(answer).free
    },
    async introspection(ctx, owner, found) {
      if (!hooks.has('introspection') || !ctx.oidc.client) return true
      const token = found as Token
      const given = {
        kind: token.kind,
        scopes: wordsOf(token.scope),
        asking: hookClient(ctx.oidc.client),
        client: hookClient(owner),
        ...(await accountOf(token.accountId)),
      }
      try {
        // The engine spreads these first: what RFC 7662 defines cannot be overwritten.
        token.extra = partition(await hooks.run('introspection', token.extra ?? {}, given)).free
        return true
      } catch {
        return false
      }
    },
    async consent(ctx, missing) {
      const { client, account } = ctx.oidc
      if (!client || !account || !hooks.has('consent')) return false
      const found = await accountOf(account.accountId)
      if (!found.account) return false
      const given = { ...missing, client: hookClient(client), account: found.account }
      const answer = await oauth(hooks.run('consent', { decision: 'ask' }, given, loginOf(ctx)))
      return answer.decision === 'allow'
    },
    async registration(ctx, metadata, softwareStatement) {
      if (!hooks.has('registration')) return metadata
      const update = ctx.oidc.route === 'client_update' && ctx.oidc.client
      const { client_secret: _, ...shown } = metadata
      const given = {
        operation: update ? 'update' : 'create',
        address: ctx.ip,
        ...(update && { client: hookClient(update) }),
        ...(softwareStatement && { softwareStatement }),
      } as const
      try {
        // Registered metadata are JSON; what is undefined is not there.
        return await hooks.run('registration', JSON.parse(JSON.stringify(shown)), given)
      } catch (error) {
        if (isFault(error, 'hook.refused')) throw new errors.InvalidClientMetadata(String(error.detail.reason))
        throw asOAuthError(error)
      }
    },
    login: () =>
      hooks.has('claims') || hooks.has('accessToken') || hooks.has('dynamicScopes') ? loginOf(Provider.ctx) : undefined,
  }
}
