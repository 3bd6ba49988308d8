/**
 * Spontaneous scopes (CONTRACT 3): a client asks for a scope that nobody defined, and one of its patterns allows it
 * (`transaction:4711`). Such a scope begins when it is first granted and is gone after its lifetime: what was granted no
 * longer counts, tokens neither carry it nor outlive it. It never takes the place of a scope that has a meaning.
 */
import type { Client, Grant, KoaContextWithOIDC } from 'oidc-provider'
import type { Box } from '#artifacts/box.ts'
import type { Clock } from '#kernel/clock.ts'
import { compilePattern } from '#kernel/pattern.ts'
import { isReservedScope } from '#kernel/scopes.ts'
import type { HookSeams } from './hooks.ts'

const MODEL = 'SpontaneousScope'
const LONGEST = 200
/** Of one request. */
const MOST = 20

/** An access token while it is made. */
export interface ScopedToken {
  readonly kind?: string
  readonly client?: Client | undefined
  readonly accountId?: string | undefined
  readonly resourceServer?: unknown
  scope?: string | undefined
  /** Seconds. */
  expiresIn?: number
  readonly expiration: number
}

export interface Spontaneous {
  /** Those of the requested scopes that may come up for this client; without the hook's say. */
  matching(client: Client | undefined, requested: Iterable<string>): string[]
  /** What of a running request's scopes is spontaneous; the hook's decision, once there is one. */
  of(ctx: KoaContextWithOIDC): readonly string[]
  /** Asks the hook about a request, and takes what it does not allow out of it. */
  decide(ctx: KoaContextWithOIDC): Promise<void>
  /** Takes scopes whose time is over out of a grant that was read: they have to be granted anew. */
  expire(grant: Grant): Promise<void>
  /** Scopes are granted: their time begins, unless it has begun before. */
  begin(clientId: string, accountId: string | undefined, scopes: readonly string[]): Promise<void>
  /** A token that is about to be issued: it carries no scope that is gone, and does not outlive those that it carries. */
  limit(token: ScopedToken): Promise<void>
}

const wordsOf = (scope: unknown): string[] =>
  typeof scope === 'string' ? scope.split(' ').filter((word) => word !== '') : []

const NONE: readonly string[] = []

const mayHave = (client: Client | undefined): client is Client => client?.allow_spontaneous_scopes === true

const patternsOf = (client: Client | undefined) =>
  mayHave(client) && Array.isArray(client.spontaneous_scopes)
    ? client.spontaneous_scopes.map((pattern) => compilePattern(String(pattern)))
    : []

interface Parts {
  /** Scopes that are defined. */
  readonly names: readonly string[]
  readonly hooks: Pick<HookSeams, 'spontaneousScopes'>
  readonly box: Pick<Box, 'look' | 'put'>
  readonly clock: Clock
  /** Seconds. */
  readonly lifetime: number
}

/** When each scope of an account (or of a client that acts for itself) ends. */
const createLives = ({ box, clock, lifetime }: Parts) => {
  const id = (clientId: string, accountId: string | undefined, scope: string) =>
    JSON.stringify([clientId, accountId ?? null, scope])
  const endOf = async (clientId: string, accountId: string | undefined, scope: string): Promise<number | undefined> => {
    const found = await box.look<{ endsAt: number }>(MODEL, id(clientId, accountId, scope))
    return found && found.value.endsAt > clock.now() ? found.value.endsAt : undefined
  }
  return {
    endOf,
    async begin(clientId: string, accountId: string | undefined, scopes: readonly string[]) {
      for (const scope of scopes) {
        if ((await endOf(clientId, accountId, scope)) !== undefined) continue
        const value = { scope, endsAt: clock.now() + lifetime * 1000 }
        await box.put(MODEL, id(clientId, accountId, scope), value, { ttl: lifetime })
      }
    },
  }
}

export const createSpontaneous = (given: Parts): Spontaneous => {
  const { hooks, clock } = given
  const defined = new Set(given.names)
  const lives = createLives(given)
  const decided = new WeakMap<object, readonly string[]>()

  const matching = (client: Client | undefined, requested: Iterable<string>): string[] => {
    const patterns = patternsOf(client)
    if (patterns.length === 0) return []
    return [...new Set(requested)]
      .filter((scope) => scope.length <= LONGEST && !defined.has(scope) && !isReservedScope(scope))
      .filter((scope) => patterns.some((pattern) => pattern.matches(scope)))
      .slice(0, MOST)
  }
  const permitted = async (client: Client | undefined, requested: Iterable<string>, accountId?: string) => {
    const found = matching(client, requested)
    return client && found.length > 0 ? hooks.spontaneousScopes(client, found, accountId) : found
  }

  return {
    matching,
    // Asked several times for each request: most clients have no such scopes.
    of: (ctx) =>
      mayHave(ctx.oidc.client) ? (decided.get(ctx) ?? matching(ctx.oidc.client, ctx.oidc.requestParamScopes)) : NONE,
    async decide(ctx) {
      const { client, account, params } = ctx.oidc
      if (!mayHave(client)) return
      const found = matching(client, ctx.oidc.requestParamScopes)
      if (found.length === 0) return
      const allowed = await permitted(client, found, account?.accountId)
      decided.set(ctx, allowed)
      const without = found.filter((scope) => !allowed.includes(scope))
      if (without.length > 0 && params)
        params.scope = wordsOf(params.scope)
          .filter((scope) => !without.includes(scope))
          .join(' ')
    },
    async expire(grant) {
      const { openid, clientId, accountId } = grant
      const words = wordsOf(openid?.scope)
      const gone: string[] = []
      for (const scope of words)
        if (!defined.has(scope) && (await lives.endOf(String(clientId), accountId, scope)) === undefined)
          gone.push(scope)
      if (openid && gone.length > 0) openid.scope = words.filter((scope) => !gone.includes(scope)).join(' ')
    },
    begin: lives.begin,
    async limit(token) {
      const { client, accountId, kind } = token
      const words = wordsOf(token.scope)
      const unknown = words.filter((scope) => !defined.has(scope))
      // A resource server's scopes are its own.
      if (!client || unknown.length === 0 || token.resourceServer !== undefined) return
      const alive = new Map<string, number>()
      if (kind === 'ClientCredentials') await lives.begin(client.clientId, undefined, await permitted(client, unknown))
      for (const scope of matching(client, unknown)) {
        const end = await lives.endOf(client.clientId, accountId, scope)
        if (end !== undefined) alive.set(scope, end)
      }
      token.scope = words.filter((scope) => defined.has(scope) || alive.has(scope)).join(' ') || undefined
      const left = Math.min(...alive.values())
      if (alive.size > 0)
        token.expiresIn = Math.max(1, Math.min(token.expiration, Math.floor((left - clock.now()) / 1000)))
    },
  }
}
