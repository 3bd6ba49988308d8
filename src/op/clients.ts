/** Relying parties: what their records may say here (CONTRACT 3, ENGINE 5). What they may register is in registration.ts. */
import type { Vocabulary } from '#artifacts/client-rows.ts'
import { clientExtras } from '#kernel/records/client.ts'
import { frontchannelMembers } from './logout.ts'
import { isHardened, type OpSettings } from './settings.ts'

/** Name of the policy that every registration passes. */
export const POLICY = 'gatehouse'

/** RFC 7591 2 and 2.3: kept and given back, without a meaning here. */
const software = ['software_id', 'software_version', 'software_statement']

/** Members beyond the engine's; `expires_at` (epoch seconds) ends a registered client whatever its secret says. */
export const extraMembers: readonly string[] = [
  ...Object.keys(clientExtras),
  'expires_at',
  'request_uris',
  ...frontchannelMembers,
  ...software,
]

const adminOnly = Object.entries(clientExtras)
  .filter(([, schema]) => schema.meta()?.adminOnly)
  .map(([name]) => name)
/** What only administrators and this server write into a client. */
export const ours: readonly string[] = [...adminOnly, 'expires_at']

/** OAuth 2.0 Multiple Response Type Encoding Practices; bare `token` is not offered. */
const codeTypes = ['code', 'none']
const frontChannelTypes = ['id_token', 'id_token token', 'code id_token', 'code token', 'code id_token token']

export const responseTypes = (settings: OpSettings): string[] =>
  isHardened(settings) ? codeTypes : [...codeTypes, ...frontChannelTypes]

/** What clients may sign with; an Ed25519 key is known by both its names (RFC 8037, RFC 9864). */
export const asymmetric = ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'] as const
const clientAlgorithms = [...asymmetric, 'HS256']

/** RFC 7518 4.1 and 5.1: what the engine encrypts with. */
export const encryption = {
  alg: ['A128KW', 'A256KW', 'ECDH-ES', 'RSA-OAEP', 'RSA-OAEP-256', 'dir'],
  enc: ['A128CBC-HS256', 'A128GCM', 'A256CBC-HS512', 'A256GCM'],
} as const

const responseModes = ['query', 'fragment', 'form_post']
const jwtModes = ['jwt', 'query.jwt', 'fragment.jwt', 'form_post.jwt']

const authMethods = ['none', 'client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt']

/** DESIGN 3.15: every client of a hardened issuer pushes its requests and binds its tokens. */
export const hardenedMembers = { require_pushed_authorization_requests: true, dpop_bound_access_tokens: true }

/** @param known what the running configuration offers */
export const createVocabulary = (
  settings: OpSettings,
  known: {
    readonly scopes: readonly string[]
    readonly acrs: readonly string[]
    readonly algorithms: readonly string[]
  },
): Vocabulary => ({
  scopes: new Set(known.scopes),
  acrs: new Set(known.acrs),
  responseTypes: new Set(responseTypes(settings)),
  grantTypes: new Set([
    'authorization_code',
    'refresh_token',
    'client_credentials',
    ...(isHardened(settings) ? [] : ['implicit']),
  ]),
  subjectTypes: new Set(['public', 'pairwise']),
  signingAlgs: new Set(known.algorithms),
  clientAlgs: new Set(clientAlgorithms),
  encryptionAlgs: new Set(encryption.alg),
  encryptionEncs: new Set(encryption.enc),
  responseModes: new Set([...responseModes, ...(settings.features.jarm ? jwtModes : [])]),
  authMethods: new Set(authMethods),
  ...(isHardened(settings) && { forced: hardenedMembers }),
})

/** What a relying party may see of its own record (RFC 7591 3.2.1): nothing that only administrators write. */
export const withoutOurs = (body: unknown): unknown => {
  if (typeof body !== 'object' || body === null) return body
  return Object.fromEntries(Object.entries(body).filter(([name]) => !ours.includes(name)))
}
