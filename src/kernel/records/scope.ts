/** Scopes that a deployment defines (CONTRACT 3), and sector identifiers that it publishes (OIDC Core 8.1). */
import { z } from 'zod'
import { claimName, recordId } from '../kinds.ts'

/** RFC 6749 3.3. */
export const scopeName = z
  .string()
  .max(200)
  .regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'must be a scope (RFC 6749 3.3)')

/** Claims with a meaning in the protocol, which no scope can give. */
const ofProtocol = new Set(
  'sub iss aud exp iat nbf jti azp nonce at_hash c_hash s_hash acr amr auth_time sid idp'.split(' '),
)

const claim = claimName.refine((name) => !ofProtocol.has(name), 'must not be a claim of the protocol')

const mappedClaim = z.strictObject({
  claim: claim.meta({ help: 'What relying parties see.' }),
  from: z
    .string()
    .min(1)
    .meta({ help: 'The attribute of the account: username, email, roles …, or one of its claims.' }),
})

export const scopeRecord = z
  .strictObject({
    name: scopeName,
    displayName: z.string().min(1).max(120).optional().meta({ help: 'On the consent page.' }),
    description: z.string().min(1).max(500).optional().meta({ help: 'On the consent page, below the name.' }),
    type: z.enum(['openid', 'dynamic', 'oauth']).default('openid').meta({
      help: 'openid: gives claims; dynamic: the dynamicScopes hook gives them; oauth: gives none, for APIs.',
    }),
    claims: z
      .array(z.union([claim, mappedClaim]))
      .default([])
      .meta({ help: 'Claims of the same name, or { claim, from } for another attribute.' }),
    allowDynamicRegistration: z
      .boolean()
      .default(false)
      .meta({ help: 'Clients that register themselves may have it.' }),
  })
  .refine(({ type, claims }) => type !== 'oauth' || claims.length === 0, {
    path: ['claims'],
    message: 'must be empty for a scope of the type oauth',
  })
export type Scope = z.output<typeof scopeRecord>

/** Published at `/sector/<id>`: the redirect URIs named here, and those of the clients named here. */
export const sectorRecord = z.strictObject({
  id: recordId.meta({ help: 'Part of the address /sector/<id>.' }),
  redirectUris: z
    .array(z.string().refine((uri) => URL.canParse(uri), 'must be an absolute URI'))
    .default([])
    .meta({ help: 'Redirect URIs that are published whoever has them, beside those of `clients`.' }),
  clients: z.array(z.string().min(1)).default([]).meta({ help: 'Client ids whose redirect URIs are published too.' }),
})
export type SectorIdentifier = z.output<typeof sectorRecord>
