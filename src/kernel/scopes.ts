/** Scopes whose meaning is given: by OpenID Connect, and by our own APIs. Neither can be defined anew or come up spontaneously. */

/** OIDC Core 5.4: the standard scopes and their claims; a deployment may add claims to them. */
export const standardScopes = {
  profile: [
    'name',
    'family_name',
    'given_name',
    'middle_name',
    'nickname',
    'preferred_username',
    'profile',
    'picture',
    'website',
    'gender',
    'birthdate',
    'zoneinfo',
    'locale',
    'updated_at',
  ],
  email: ['email', 'email_verified'],
  address: ['address'],
  phone: ['phone_number', 'phone_number_verified'],
} as const satisfies Readonly<Record<string, readonly string[]>>

/** Of a person, all with a single value (OIDC Core 5.1). */
export const standardClaims: readonly string[] = Object.values(standardScopes).flat()

/** OIDC Core 3.1.2.1 and 11, and what our APIs are opened by (CONTRACT 3). */
const reserved = new Set(['openid', 'offline_access', 'sso-api', 'admin:read', 'admin:write', 'passport:config'])
const RESOURCE =
  /^(clients|apiClients|accounts|identityProviders|mappings|scopes|sectorIdentifiers|acrs|tokenProxyClients|endpoints):(read|write)$/

export const isStandardScope = (name: string): boolean => Object.hasOwn(standardScopes, name)
export const isReservedScope = (name: string): boolean => reserved.has(name) || RESOURCE.test(name)
