/** The `oidc` block of an identity provider: where it is, who we are there, and the registration's own members (CONTRACT 3 and 6). */
import { z } from 'zod'
import { secret, webUrl } from '#kernel/kinds.ts'

/** What openid-client verifies with the provider's keys. */
const ASYMMETRIC = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const
/** What is verified with our client secret (OIDC Core 10.1). */
const SYMMETRIC = ['HS256', 'HS384', 'HS512'] as const
export const signingAlgorithms: readonly string[] = [...ASYMMETRIC, ...SYMMETRIC]

/** A list, or the space-separated text that requests carry. */
const values = z.union([
  z.array(z.string().min(1)),
  z.string().transform((text) => text.split(' ').filter((value) => value !== '')),
])

/** RFC 8414 2 and OIDC Discovery 3, as far as it is used; the rest is kept. */
const serverMetadata = z.looseObject({
  issuer: webUrl,
  authorization_endpoint: webUrl,
  token_endpoint: webUrl,
  jwks_uri: webUrl.optional(),
  userinfo_endpoint: webUrl.optional(),
  end_session_endpoint: webUrl.optional(),
  pushed_authorization_request_endpoint: webUrl.optional(),
})

const addresses = z.array(z.string().min(1))

/**
 * What else a registration says (OIDC Registration 2, RFC 7591 2 and 3.2.1, the logout specifications): kept beside, so
 * that the provider's answer can be pasted as it is. The provider acts on it, not we. Members that demand something of us
 * which is not built, such as encryption, are no settings.
 */
const registered = {
  redirect_uris: addresses.optional(),
  response_types: addresses.optional(),
  grant_types: addresses.optional(),
  application_type: z.enum(['web', 'native']).optional(),
  contacts: addresses.optional(),
  client_name: z.string().optional(),
  client_uri: webUrl.optional(),
  logo_uri: webUrl.optional(),
  policy_uri: webUrl.optional(),
  tos_uri: webUrl.optional(),
  subject_type: z.enum(['public', 'pairwise']).optional(),
  sector_identifier_uri: webUrl.optional(),
  initiate_login_uri: webUrl.optional(),
  post_logout_redirect_uris: addresses.optional(),
  backchannel_logout_uri: webUrl.optional(),
  backchannel_logout_session_required: z.boolean().optional(),
  frontchannel_logout_uri: webUrl.optional(),
  frontchannel_logout_session_required: z.boolean().optional(),
  software_id: z.string().optional(),
  software_version: z.string().optional(),
  client_id_issued_at: z.number().int().min(0).optional(),
  client_secret_expires_at: z.number().int().min(0).optional(),
  registration_client_uri: webUrl.optional(),
  registration_access_token: secret.optional(),
}

const shape = z.strictObject({
  issuer: webUrl.optional().meta({ help: 'The provider; everything else is discovered there (OIDC Discovery 4).' }),
  metadata: serverMetadata.optional().meta({ help: 'The discovery document, for providers that publish none.' }),
  jwks: z
    .looseObject({ keys: z.array(z.record(z.string(), z.json())).min(1) })
    .optional()
    .meta({ help: "The provider's public keys, instead of those at its jwks_uri." }),
  client_id: z.string().min(1).max(1024),
  client_secret: secret.optional(),
  token_endpoint_auth_method: z
    .enum(['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'none'])
    .optional()
    .meta({ help: 'Without it: what the provider supports, client_secret_basic first; none without a secret.' }),
  scope: z
    .string()
    .default('openid')
    .refine((scope) => scope.split(' ').includes('openid'), 'must contain "openid" (OIDC Core 3.1.2.1)'),
  par: z.boolean().default(false).meta({ help: 'Push the request (RFC 9126) instead of plain query parameters.' }),
  default_acr_values: values.optional(),
  default_ui_locales: values
    .optional()
    .meta({ help: 'Sent where neither the relying party nor the browser asks for a language that we have.' }),
  default_max_age: z.number().int().min(0).optional().meta({ unit: 'seconds' }),
  require_auth_time: z.boolean().default(false),
  id_token_signed_response_alg: z
    .enum([...ASYMMETRIC, ...SYMMETRIC, 'none'])
    .optional()
    .meta({ help: '"none": signatures of ID tokens are not checked. Absent: what the provider announces.' }),
  userinfo_signed_response_alg: z.enum(ASYMMETRIC).optional(),
  ...registered,
})

export const oidcSettings = shape.superRefine((settings, context) => {
  const issue = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
  const { metadata, issuer, token_endpoint_auth_method: method, id_token_signed_response_alg: alg } = settings
  if (!issuer && !metadata) issue('issuer', 'is needed unless metadata is given')
  if (issuer && metadata && metadata.issuer !== issuer) issue('metadata', 'names another issuer than issuer does')
  if (metadata && !metadata.jwks_uri && !settings.jwks && alg !== 'none' && !alg?.startsWith('HS'))
    issue('jwks', 'is needed when metadata has no jwks_uri')
  if (!settings.client_secret && ((method !== undefined && method !== 'none') || alg?.startsWith('HS')))
    issue('client_secret', `is needed for ${alg?.startsWith('HS') ? alg : method}`)
  if (settings.response_types?.includes('code') === false) issue('response_types', 'must contain "code"')
  if (settings.grant_types?.includes('authorization_code') === false)
    issue('grant_types', 'must contain "authorization_code"')
  if (settings.userinfo_signed_response_alg && (alg === 'none' || alg?.startsWith('HS')))
    issue('userinfo_signed_response_alg', `cannot be combined with id_token_signed_response_alg ${alg}`)
})
export type OidcSettings = z.output<typeof oidcSettings>

/** The issuer, discovered or stated. */
export const issuerOf = ({ issuer, metadata }: OidcSettings): string => issuer ?? metadata?.issuer ?? ''
