/** The claims that are sent: the public `sub` is the deployment's choice, and hooks have their say. */
import type { KoaContextWithOIDC } from 'oidc-provider'
import { ASKED, type Asked } from '../hooks.ts'
import type { Seams } from '../seams.ts'
import type { Instance, Original } from './model.ts'

interface Overridden {
  readonly ctx: KoaContextWithOIDC | undefined
  readonly client: Instance<'Client'>
  readonly available: Record<string | symbol, unknown>
  scope(value?: string): this
  result(): Promise<Record<string, unknown>>
}

/** The engine gives the account's id for a public subject; here it becomes the one that the deployment chose. */
const withPublicSubject = async (
  { subjects }: Pick<Seams, 'subjects'>,
  client: Instance<'Client'>,
  asked: boolean,
  claims: Record<string, unknown>,
): Promise<Record<string, unknown>> => {
  if (!subjects.isMapped || typeof claims.sub !== 'string' || client.subjectType === 'pairwise') return claims
  try {
    return { ...claims, sub: await subjects.public(claims.sub) }
  } catch (error) {
    if (asked) throw error
    // A logout token for an account that is gone: the client knows the session by its sid (Back-Channel Logout 2.4).
    const { sub: _, ...rest } = claims
    return rest
  }
}

export const claimsClass = (
  Above: Original<'Claims', Overridden>,
  seams: Pick<Seams, 'subjects' | 'isDynamicScope' | 'hooks'>,
) =>
  class Claims extends Above {
    #scope: string | undefined

    override scope(value?: string) {
      this.#scope = value
      return super.scope(value)
    }

    override async result() {
      const { ctx, client, available } = this
      const asked = available[ASKED] as Asked | undefined
      const claims = await withPublicSubject(seams, client, ctx !== undefined, await super.result())
      if (!asked || !seams.hooks.giveClaims()) return claims
      const scopes = this.#scope?.split(' ') ?? []
      const dynamic = scopes.filter((name) => seams.isDynamicScope(name))
      const all = dynamic.length > 0 ? await seams.hooks.dynamicScopes(ctx, client, asked, dynamic, claims) : claims
      return seams.hooks.claims(ctx, client, asked, scopes, all)
    }
  }
