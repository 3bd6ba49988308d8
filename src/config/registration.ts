/** Dynamic registration: who may register a client, and what it may say of itself. */
import { z } from 'zod'
import { duration, secret, webUrl } from '#kernel/kinds.ts'
import { distinct, flag, scope } from './words.ts'

const KEYS = 'a JWK set with public keys'
const statementIssuer = z
  .strictObject({
    issuer: z.string().min(1).meta({ help: 'Its `iss`, exactly.' }),
    jwks: z
      .looseObject({ keys: z.array(z.looseObject({ kty: z.string() })).min(1) })
      .optional()
      .meta({ allowed: KEYS, help: 'The public keys that sign its statements.' }),
    jwksUri: webUrl.optional().meta({ help: 'Where to read them instead.' }),
  })
  .superRefine(({ jwks, jwksUri }, context) => {
    if ((jwks === undefined) === (jwksUri === undefined))
      context.addIssue({ code: 'custom', path: ['jwks'], message: 'must be set, or jwksUri, and only one of them' })
  })

export const registration = z
  .strictObject({
    enabled: flag(true, 'Clients may register themselves (RFC 7591).'),
    initialAccessToken: z
      .union([z.boolean(), secret.min(16)])
      .default(false)
      .meta({
        secret: true,
        allowed: 'true, false or the token itself (16 characters or more)',
        help: 'Whether registering needs an initial access token: none, one that `gatehouse registration-token` issued, or this one.',
      }),
    clientLifetime: z
      .union([z.null(), duration.refine((value) => value >= 1, 'must be at least PT1S')])
      .default(null)
      .meta({
        allowed: 'null or an ISO 8601 duration such as P30D',
        help: 'A registered client is gone after so long.',
      }),
    scopes: z
      .union([z.null(), distinct(scope)])
      .default(null)
      .meta({
        allowed: 'null or a list of scopes',
        help: 'Scopes that registered clients may have. null: the standard ones, and those of `scopes` with allowDynamicRegistration.',
      }),
    softwareStatements: z
      .strictObject({
        required: flag(false, 'Registering needs a software statement (RFC 7591 2.3).'),
        trusted: z.array(statementIssuer).default([]).meta({ help: 'Whose statements are believed.' }),
      })
      .prefault({}),
  })
  .prefault({})
