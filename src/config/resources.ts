/** The resources: what the served file and `apply` declare (CONTRACT 3). One schema behind both. */
import { z } from 'zod'
import { type AccountInput, accountInput } from '#kernel/records/account.ts'
import type { Client } from '#kernel/records/client.ts'
import {
  type Acr,
  acrRecord,
  type IdentityProvider,
  type Mapping,
  mappingRecord,
  providerRecord,
} from '#kernel/records/provider.ts'
import { type Scope, type SectorIdentifier, scopeRecord, sectorRecord } from '#kernel/records/scope.ts'
import { clientInput } from './clients.ts'

/** The validated resources of one file. */
export interface Resources {
  readonly clients: readonly Client[]
  readonly accounts: readonly AccountInput[]
  readonly identityProviders: readonly IdentityProvider[]
  readonly mappings: readonly Mapping[]
  readonly acrs: readonly Acr[]
  readonly scopes: readonly Scope[]
  readonly sectorIdentifiers: readonly SectorIdentifier[]
}

const PHC = /^\$argon2id\$v=19\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$/

const account = accountInput.superRefine((input, context) => {
  const issue = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
  if (input.password !== undefined && input.passwordHash !== undefined)
    issue('passwordHash', 'must not be set beside password')
  if (input.passwordHash !== undefined && !PHC.test(input.passwordHash))
    issue('passwordHash', 'must be an argon2id hash in PHC form ($argon2id$v=19$…)')
})

/** @param protocols protocol → schema of its block, from the connector registry */
export const resourcesShape = (protocols: Readonly<Record<string, z.ZodType>>) => ({
  clients: z.array(clientInput).prefault([]).meta({ title: 'Clients', help: 'Relying parties.' }),
  accounts: z
    .array(account)
    .prefault([])
    .meta({ title: 'Accounts', help: 'Created when the username is new, never overwritten by the served file.' }),
  identityProviders: z
    .array(providerRecord(protocols))
    .prefault([])
    .meta({ title: 'Identity providers', help: 'External providers that people may sign in with.' }),
  mappings: z
    .array(mappingRecord)
    .prefault([])
    .meta({ title: 'Mappings', help: 'Which claim of an account comes from what.' }),
  acrs: z.array(acrRecord).prefault([]).meta({ title: 'Ways of signing in', help: 'Named sequences of steps.' }),
  scopes: z.array(scopeRecord).prefault([]).meta({
    title: 'Scopes',
    help: 'Scopes beside the standard ones; profile, email, address and phone may be extended.',
  }),
  sectorIdentifiers: z
    .array(sectorRecord)
    .prefault([])
    .meta({ title: 'Sector identifiers', help: 'Published for clients with pairwise subjects (OIDC Core 8.1).' }),
})

export const resourceNames = [
  'clients',
  'accounts',
  'identityProviders',
  'mappings',
  'acrs',
  'scopes',
  'sectorIdentifiers',
] as const
export type ResourceName = (typeof resourceNames)[number]
