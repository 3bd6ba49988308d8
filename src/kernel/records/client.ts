/** A relying party: the registration metadata of RFC 7591 and OIDC Registration, plus what only administrators set (CONTRACT 3). */
import { z } from 'zod'
import { isPattern } from '../pattern.ts'

/** Fields beyond the registration metadata. `adminOnly` ones are refused at dynamic registration and kept on update. */
export const clientExtras = {
  disabled: z.boolean().default(false).meta({ adminOnly: true, help: 'Refused everywhere, its tokens too.' }),
  trusted: z
    .boolean()
    .default(false)
    .meta({ adminOnly: true, help: 'No consent prompt; implies persist_authorizations.' }),
  persist_authorizations: z.boolean().default(true).meta({ adminOnly: true, help: 'Remember what people allowed.' }),
  providers: z
    .array(z.string())
    .optional()
    .meta({ adminOnly: true, help: 'Identity providers this client may use; all when absent.' }),
  access_token_as_jwt: z
    .boolean()
    .default(false)
    .meta({ adminOnly: true, help: 'Access tokens are JWT (RFC 9068) instead of opaque.' }),
  access_token_signing_alg: z
    .string()
    .optional()
    .meta({ adminOnly: true, help: 'What signs them, one of keys.algorithms; keys.default when absent.' }),
  access_token_audience: z
    .string()
    .min(1)
    .optional()
    .meta({ adminOnly: true, help: 'Their `aud` where the request names no resource; the issuer when absent.' }),
  allow_spontaneous_scopes: z
    .boolean()
    .default(false)
    .meta({ adminOnly: true, help: 'It may ask for scopes that match spontaneous_scopes and exist only then.' }),
  spontaneous_scopes: z
    .array(z.string().min(1).refine(isPattern, 'must be a regular expression (RE2) of at most 200 characters'))
    .max(20)
    .optional()
    .meta({ adminOnly: true, help: 'Regular expressions (RE2) that the whole scope must match.' }),
} as const

/** Everything else is validated by the engine against the specifications, so unknown registration members pass here. */
export const clientRecord = z.looseObject({
  client_id: z
    .string()
    .min(1)
    .max(255)
    .regex(/^[\x21-\x7e]+$/, 'must be printable ASCII without spaces (RFC 6749 A.1)'),
  client_secret: z.string().meta({ secret: true }).optional(),
  client_name: z.string().max(256).optional(),
  redirect_uris: z.array(z.string()).optional(),
  default_acr_values: z.array(z.string()).optional(),
  logo_uri: z.string().optional(),
  policy_uri: z.string().optional(),
  tos_uri: z.string().optional(),
  client_uri: z.string().optional(),
  initiate_login_uri: z.string().optional(),
  ...clientExtras,
})
export type Client = z.output<typeof clientRecord>
