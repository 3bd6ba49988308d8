/** Scopes whose meaning is given: by OpenID Connect, and by our own APIs. Neither can be defined anew or come up spontaneously. */

/** OIDC Core 5.4; a deployment may add claims to them. */
const standard = new Set(['profile', 'email', 'address', 'phone'])

/** OIDC Core 3.1.2.1 and 11, and what our APIs are opened by (CONTRACT 3). */
const reserved = new Set(['openid', 'offline_access', 'sso-api', 'admin:read', 'admin:write', 'passport:config'])
const RESOURCE =
  /^(clients|apiClients|accounts|identityProviders|mappings|scopes|sectorIdentifiers|acrs|tokenProxyClients|endpoints):(read|write)$/

export const isStandardScope = (name: string): boolean => standard.has(name)
export const isReservedScope = (name: string): boolean => reserved.has(name) || RESOURCE.test(name)
