/** What the served file declares: it wins on read, is read-only elsewhere, and is gone when removed from the file (CONTRACT 3). */
import type { AccountInput } from '#kernel/records/account.ts'
import type { Client } from '#kernel/records/client.ts'
import type { Acr, IdentityProvider, Mapping } from '#kernel/records/provider.ts'
import type { Scope, SectorIdentifier } from '#kernel/records/scope.ts'

/** The resources of one file. */
export interface Resources {
  readonly clients: readonly Client[]
  readonly accounts: readonly AccountInput[]
  readonly identityProviders: readonly IdentityProvider[]
  readonly mappings: readonly Mapping[]
  readonly acrs: readonly Acr[]
  readonly scopes: readonly Scope[]
  readonly sectorIdentifiers: readonly SectorIdentifier[]
}

export const noResources: Resources = {
  clients: [],
  accounts: [],
  identityProviders: [],
  mappings: [],
  acrs: [],
  scopes: [],
  sectorIdentifiers: [],
}
