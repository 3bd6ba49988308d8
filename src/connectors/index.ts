/** The registry of upstream protocols: one word a protocol (STYLE 1). */
import type { z } from 'zod'
import { Fault } from '#kernel/faults.ts'
import type { IdentityProvider, Mapping } from '#kernel/records/provider.ts'
import type { Connector, ConnectorType, World } from './connector.ts'
import { oidc } from './oidc.ts'

/** One word a protocol. */
const types = [oidc] as const

const byProtocol: ReadonlyMap<string, ConnectorType> = new Map(
  types.map((type) => [type.protocol, type as unknown as ConnectorType]),
)

/** Protocol → schema of the block under its name; `providerRecord` is made of these. */
export const protocolSettings: Readonly<Record<string, z.ZodType>> = Object.fromEntries(
  types.map((type) => [type.protocol, type.settings]),
)

/** Mappings that exist without being declared, by name; a declared one of the same name wins. */
export const builtInMappings: ReadonlyMap<string, Mapping> = new Map(
  types.map((type) => [type.defaultMapping.name, type.defaultMapping]),
)

/** The name of the mapping that is used where a provider of this protocol names none. */
export const defaultMappingName = (protocol: string): string | undefined =>
  byProtocol.get(protocol)?.defaultMapping.name

/** @throws Fault `upstream.misconfigured` for a protocol that is not built in */
export const openConnector = (provider: IdentityProvider, world: World): Connector => {
  const type = byProtocol.get(provider.protocol)
  if (!type) throw new Fault('upstream.misconfigured', { provider: provider.id, reason: 'unknown protocol' })
  return type.open(provider, provider[provider.protocol], world)
}
