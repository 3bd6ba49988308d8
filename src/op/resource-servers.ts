/** Resource indicators (RFC 8707): tokens for one API each, with its audience, its scopes and its form. */
import { type Configuration, errors, type Grant, type KoaContextWithOIDC } from 'oidc-provider'
import type { OpSettings } from './settings.ts'

type Feature = NonNullable<NonNullable<Configuration['features']>['resourceIndicators']>

/** Scopes by resource. */
export type ResourceScopes = Readonly<Record<string, readonly string[]>>

/** A client that acts for itself is asked by nobody what it may, so it has to be named. */
const actsForItself = (ctx: KoaContextWithOIDC): boolean => ctx.oidc.params?.grant_type === 'client_credentials'

/** For the engine's `features.resourceIndicators`. Throws InvalidTarget for what the settings do not allow (RFC 8707 2). */
export const createResourceIndicators = ({ resourceServers }: Pick<OpSettings, 'resourceServers'>): Feature => ({
  enabled: resourceServers.length > 0,
  // Of several granted ones the client has to name one; where it names none, the token is for userinfo.
  defaultResource: (_ctx, _client, oneOf) => oneOf as string[],
  useGrantedResource: () => false,
  getResourceServerInfo(ctx, resource, client) {
    const server = resourceServers.find((each) => each.resource === resource)
    if (!server) throw new errors.InvalidTarget('the resource is unknown here')
    if (server.clients ? !server.clients.includes(client.clientId) : actsForItself(ctx))
      throw new errors.InvalidTarget('the client may not ask for this resource')
    const { scopes, audience = resource, lifetime, accessToken, signingAlg } = server
    return {
      scope: scopes.join(' '),
      audience,
      ...(lifetime !== undefined && { accessTokenTTL: lifetime }),
      // To the engine all are opaque: what it signs itself could be neither introspected nor revoked (access-tokens.ts).
      accessTokenFormat: 'opaque',
      ...(accessToken === 'jwt' && { jwt: { sign: signingAlg === undefined ? {} : { alg: signingAlg } } }),
    } as ReturnType<NonNullable<Feature['getResourceServerInfo']>>
  },
})

/** What a request wants of resources and its grant does not have yet. */
export const missingResourceScopes = (ctx: KoaContextWithOIDC, grant: Grant | undefined): Record<string, string[]> => {
  const requested = ctx.oidc.requestParamScopes
  return Object.fromEntries(
    Object.entries(ctx.oidc.resourceServers ?? {})
      .map(([resource, server]): [string, string[]] => {
        const known = new Set(grant?.getResourceScopeEncountered(resource).split(' '))
        return [resource, [...server.scopes].filter((scope) => requested.has(scope) && !known.has(scope))]
      })
      .filter(([, scopes]) => scopes.length > 0),
  )
}

/** Of what is wanted, that which was answered before. */
export const rememberedResourceScopes = (
  wanted: ResourceScopes,
  { resources, rejectedScopes }: { readonly resources: ResourceScopes; readonly rejectedScopes: readonly string[] },
): Record<string, string[]> =>
  Object.fromEntries(
    Object.entries(wanted)
      .map(([resource, scopes]): [string, string[]] => [
        resource,
        scopes.filter((scope) => resources[resource]?.includes(scope) || rejectedScopes.includes(scope)),
      ])
      .filter(([, scopes]) => scopes.length > 0),
  )

/** @param rejected scopes among them that the person declined: they count as asked, and are not granted */
export const addResourceScopes = (grant: Grant, given: ResourceScopes, rejected: readonly string[] = []): void => {
  for (const [resource, scopes] of Object.entries(given)) {
    grant.addResourceScope(resource, scopes.join(' '))
    const declined = scopes.filter((scope) => rejected.includes(scope))
    if (declined.length > 0) grant.rejectResourceScope(resource, declined.join(' '))
  }
}

/** The same without those scopes. */
export const withoutScopes = (given: ResourceScopes, without: readonly string[]): Record<string, string[]> =>
  Object.fromEntries(
    Object.entries(given).map(([resource, scopes]): [string, string[]] => [
      resource,
      scopes.filter((scope) => !without.includes(scope)),
    ]),
  )
