/**
 * A client as a file writes it: the members of RFC 7591, OIDC Registration and their extensions, typed, and what only
 * administrators set. The engine validates the whole against the specifications; here is what can be said of a file.
 */
import { z } from 'zod'
import { webUrl } from '#kernel/kinds.ts'
import { type Client, clientRecord } from '#kernel/records/client.ts'

const text = z.string().min(1)
const texts = z.array(text)

const fields = <const Names extends readonly string[], T extends z.ZodType>(names: Names, kind: T) =>
  Object.fromEntries(names.map((name) => [name, kind])) as Record<Names[number], T>

const REDIRECT = 'an absolute URI without fragment (RFC 6749 3.1.2)'
const redirectUri = z
  .string()
  .refine((uri) => URL.canParse(uri) && !uri.includes('#'), `must be ${REDIRECT}`)
  .meta({ allowed: REDIRECT })
const url = webUrl.meta({ allowed: 'an absolute http or https URL' })
const authMethods = [
  'client_secret_basic',
  'client_secret_post',
  'client_secret_jwt',
  'private_key_jwt',
  'none',
] as const

const members = {
  client_secret: z.string().min(1).meta({ secret: true }).optional(),
  redirect_uris: z.array(redirectUri).optional(),
  response_types: texts.optional(),
  grant_types: texts.optional(),
  application_type: z.enum(['web', 'native']).optional(),
  subject_type: z.enum(['public', 'pairwise']).optional(),
  token_endpoint_auth_method: z.enum(authMethods).optional(),
  default_max_age: z.number().int().min(0).optional(),
  client_id_issued_at: z.number().int().min(0).optional(),
  client_secret_expires_at: z.number().int().min(0).optional(),
  jwks: z.looseObject({ keys: z.array(z.looseObject({ kty: text })) }).optional(),
  ...fields(
    [
      'backchannel_logout_uri',
      'client_uri',
      'frontchannel_logout_uri',
      'initiate_login_uri',
      'jwks_uri',
      'logo_uri',
      'policy_uri',
      'sector_identifier_uri',
      'tos_uri',
    ] as const,
    url.optional(),
  ),
  ...fields(['contacts', 'default_acr_values', 'response_modes', 'request_uris'] as const, texts.optional()),
  logout_uri: url.optional().meta({ help: 'Another name of frontchannel_logout_uri.' }),
  expires_at: z.number().int().min(0).optional().meta({ help: 'Epoch seconds; gone afterwards.' }),
  post_logout_redirect_uris: z.array(redirectUri).optional(),
  ...fields(
    [
      'backchannel_logout_session_required',
      'dpop_bound_access_tokens',
      'frontchannel_logout_session_required',
      'require_auth_time',
      'require_pushed_authorization_requests',
      'require_signed_request_object',
      'tls_client_certificate_bound_access_tokens',
    ] as const,
    z.boolean().optional(),
  ),
  ...fields(
    [
      'authorization_encrypted_response_alg',
      'authorization_encrypted_response_enc',
      'authorization_signed_response_alg',
      'client_name',
      'id_token_encrypted_response_alg',
      'id_token_encrypted_response_enc',
      'id_token_signed_response_alg',
      'introspection_encrypted_response_alg',
      'introspection_encrypted_response_enc',
      'introspection_signed_response_alg',
      'request_object_encryption_alg',
      'request_object_encryption_enc',
      'request_object_signing_alg',
      'scope',
      'software_id',
      'software_version',
      'token_endpoint_auth_signing_alg',
      'userinfo_encrypted_response_alg',
      'userinfo_encrypted_response_enc',
      'userinfo_signed_response_alg',
    ] as const,
    text.optional(),
  ),
}

/** Members that may be written in several languages: `client_name#de` (OIDC Registration 2.1). */
const LOCALISED = /^(client_name|client_uri|logo_uri|policy_uri|tos_uri)#[A-Za-z0-9-]+$/

type Written = Record<string, unknown>

const needsSecret = ({ token_endpoint_auth_method: method = 'client_secret_basic' }: Written): boolean =>
  String(method).startsWith('client_secret_')
const needsRedirect = ({ grant_types: grants = ['authorization_code'] }: Written): boolean =>
  Array.isArray(grants) && (grants.includes('authorization_code') || grants.includes('implicit'))

const rules = (client: Written, context: z.RefinementCtx) => {
  const issue = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
  const method = client.token_endpoint_auth_method ?? 'client_secret_basic'
  // A member that is neither known nor another language of one is a mistake: silence would hide it.
  const unknown = Object.keys(client).filter((name) => !Object.hasOwn(object.shape, name) && !LOCALISED.test(name))
  if (unknown.length > 0) context.addIssue({ code: 'unrecognized_keys', keys: unknown, input: client })
  if (needsSecret(client) && client.client_secret === undefined)
    issue('client_secret', `missing, must be set for token_endpoint_auth_method ${method} (none: a public client)`)
  if (method === 'private_key_jwt' && !client.jwks && !client.jwks_uri)
    issue('jwks', 'missing, must be set (or jwks_uri) for token_endpoint_auth_method private_key_jwt')
  if (client.jwks && client.jwks_uri) issue('jwks_uri', 'must not be set beside jwks (RFC 7591 2)')
  const redirects = client.redirect_uris
  if (needsRedirect(client) && !(Array.isArray(redirects) && redirects.length > 0))
    issue('redirect_uris', 'missing, must be set for the grant types authorization_code and implicit')
  if (client.logout_uri !== undefined && client.frontchannel_logout_uri !== undefined)
    issue('logout_uri', 'must not be set beside frontchannel_logout_uri, whose other name it is')
}

const object = clientRecord.extend(members)

/** What a file writes → the record: `logout_uri` is read as `frontchannel_logout_uri`, `trusted` implies remembering. */
export const clientInput = object.superRefine(rules).transform(
  ({ logout_uri, ...client }): Client => ({
    // The default is the code flow (RFC 7591 2), which a client that only acts for itself has not.
    ...(!needsRedirect(client) && { response_types: [] }),
    ...client,
    ...(logout_uri !== undefined && { frontchannel_logout_uri: logout_uri }),
    persist_authorizations: client.trusted || client.persist_authorizations,
  }),
)
