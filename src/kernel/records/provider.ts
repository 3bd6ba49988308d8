/** An external identity provider: what is common to all protocols. Each connector adds its own block under its protocol's name. */
import { z } from 'zod'
import { claimName, recordId } from '../kinds.ts'

export const providerBase = z.strictObject({
  id: recordId.meta({ help: 'Part of URLs and of the external uid passport-<id>:<uid>.' }),
  displayName: z.string().min(1).max(120).optional(),
  logo: z.string().optional().meta({ help: 'https or data URL of an image.' }),
  enabled: z.boolean().default(true),
  order: z.number().int().default(0),
  acrs: z.array(z.string().min(1)).default([]).meta({ help: 'Further acr values that select this provider.' }),
  trustAcr: z.boolean().default(false).meta({ help: 'Report such an acr even when the provider did not confirm it.' }),
  trusted: z.boolean().default(false),
  linkByEmail: z.boolean().default(false).meta({ help: 'Needs trusted; excludes requestForEmail.' }),
  requestForEmail: z.boolean().default(false),
  provisioning: z.enum(['create', 'linkOnly', 'none']).default('create'),
  updateOnLogin: z.boolean().default(true),
  emailDomains: z.array(z.string().toLowerCase()).default([]),
  hosts: z.array(z.string().toLowerCase()).default([]),
  paths: z.array(z.string().startsWith('/')).default([]),
  mapping: z.string().optional().meta({ help: 'Name of a mapping; the protocol has a default one.' }),
  forward: z
    .strictObject({
      login_hint: z.boolean().default(true),
      ui_locales: z.boolean().default(true),
      prompt: z.boolean().default(true),
      max_age: z.boolean().default(true),
      acr_values: z.array(z.string()).optional(),
    })
    .prefault({}),
  logout: z
    .strictObject({
      upstream: z.boolean().default(true).meta({ help: 'A logout here goes on to the provider.' }),
      backchannel: z.boolean().default(true).meta({ help: "The provider's logout tokens end sessions here." }),
      frontchannel: z.boolean().default(true).meta({ help: "The provider's frames end sessions here." }),
    })
    .prefault({}),
})

const emailRules = (provider: Record<string, unknown>, context: z.RefinementCtx) => {
  const issue = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
  if (provider.linkByEmail && !provider.trusted) issue('linkByEmail', 'needs trusted: true')
  // Joined by an address that a newcomer typed, anyone could take over any account.
  if (provider.linkByEmail && provider.requestForEmail) issue('linkByEmail', 'cannot be combined with requestForEmail')
}

/**
 * The schema of `identityProviders`, one alternative per connector.
 * @param protocols protocol name → schema of the block under that name, from the connector registry
 */
export const providerRecord = (protocols: Readonly<Record<string, z.ZodType>>) => {
  const alternatives = Object.entries(protocols).map(([protocol, settings]) =>
    providerBase.extend({ protocol: z.literal(protocol), [protocol]: settings }).superRefine(emailRules),
  )
  const [first, ...rest] = alternatives
  if (!first) throw new TypeError('at least one protocol is needed')
  return z.discriminatedUnion('protocol', [first, ...rest]) as unknown as z.ZodType<IdentityProvider>
}

/** A provider record with its protocol's settings under the protocol's name. */
export type IdentityProvider = z.output<typeof providerBase> & { readonly protocol: string } & {
  readonly [block: string]: unknown
}

const transform = z.union([
  claimName,
  z.array(claimName).min(1),
  z.strictObject({
    from: z.union([claimName, z.array(claimName).min(1)]),
    split: z.string().min(1).optional(),
    lowercase: z.boolean().default(false),
    default: z.json().optional(),
  }),
])

/** Names claims of an account after what a provider sends: the first source that is present wins. */
export const mappingRecord = z.strictObject({ name: recordId, attributes: z.record(claimName, transform) })
export type Mapping = z.output<typeof mappingRecord>

/** A named way of signing in: steps in order, each satisfied by any one of its values (method or provider ids). */
export const acrRecord = z.strictObject({
  name: z.string().min(1).max(255),
  steps: z.array(z.array(z.string().min(1)).min(1)).min(1),
  level: z.number().int().min(0).default(1),
  amr: z.array(z.string()).default([]),
})
export type Acr = z.output<typeof acrRecord>
