/** The APIs that access tokens can be made for: what RFC 8707 calls resources. */
import { z } from 'zod'
import { duration } from '#kernel/kinds.ts'
import { signingAlgorithms } from './keys.ts'
import { distinct, scope } from './words.ts'

const RESOURCE = 'an absolute URI without fragment (RFC 8707 2)'
const resource = z
  .string()
  .refine((text) => URL.canParse(text) && !text.includes('#'), `must be ${RESOURCE}`)
  .meta({ allowed: RESOURCE, help: 'What requests name as `resource`, compared exactly.' })

const resourceServer = z.strictObject({
  resource,
  audience: z.string().min(1).optional().meta({ help: 'The `aud` of its tokens; the resource itself when absent.' }),
  scopes: distinct(scope).default([]).meta({ help: 'What may be asked for there.' }),
  accessToken: z.enum(['jwt', 'opaque']).default('jwt').meta({ help: 'The form of its tokens.' }),
  signingAlg: z
    .enum(signingAlgorithms)
    .optional()
    .meta({ help: "What signs them; the client's choice, then keys.default, when absent." }),
  lifetime: duration
    .refine((value) => value >= 1, 'must be at least PT1S')
    .optional()
    .meta({ help: 'How long its tokens live; lifetimes.accessToken when absent.' }),
  clients: distinct(z.string().min(1)).optional().meta({
    help: 'Who may ask for it. Absent: every client on behalf of a person who allows it, none for itself.',
  }),
})

export const resourceServers = z
  .array(resourceServer)
  .refine((list) => new Set(list.map((each) => each.resource)).size === list.length, 'must not name a resource twice')
  .prefault([])
  .meta({ help: 'APIs that clients may ask tokens for by the parameter `resource` (RFC 8707).' })

export type ResourceServer = z.output<typeof resourceServer>
