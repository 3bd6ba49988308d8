/** What one resource asks of another: names that must exist, ids that must not meet. */
import { isReservedScope, isStandardScope } from '#kernel/scopes.ts'
import type { Known, Report } from './checks.ts'
import { reservedWays } from './later.ts'
import { didYouMean, nearest } from './mistakes.ts'
import type { Resources } from './resources.ts'
import type { Settings } from './settings.ts'

/** Lists as written; of an entry that is wrong by itself, what is right in it. */
export type PartialResources = { readonly [Name in keyof Resources]: readonly Partial<Resources[Name][number]>[] }

/** Names that may be referred to: the file's, an entry that is wrong otherwise included, and those stored before. */
export interface Names {
  readonly providers: readonly string[]
  readonly mappings: readonly string[]
  readonly acrs: readonly string[]
}

/** @param read answers what must be one of its kind; undefined does not count */
const unique = <T>(
  report: Report,
  list: readonly T[],
  place: (index: number) => string,
  read: (item: T) => string | undefined,
) => {
  const seen = new Map<string, string>()
  list.forEach((item, index) => {
    const value = read(item)
    if (value === undefined) return
    const before = seen.get(value)
    if (before === undefined) seen.set(value, place(index))
    else report(place(index), `found ${JSON.stringify(value)} again, must differ from ${before}`)
  })
}

const duplicates = (resources: PartialResources, report: Report) => {
  const { clients, accounts, identityProviders, mappings, acrs, scopes, sectorIdentifiers } = resources
  unique(
    report,
    clients,
    (index) => `clients.${index}.client_id`,
    ({ client_id }) => client_id,
  )
  unique(
    report,
    accounts,
    (index) => `accounts.${index}.id`,
    ({ id }) => id,
  )
  unique(
    report,
    accounts,
    (index) => `accounts.${index}.username`,
    ({ username }) => username?.normalize('NFKC').toLowerCase(),
  )
  unique(
    report,
    identityProviders,
    (index) => `identityProviders.${index}.id`,
    ({ id }) => id,
  )
  unique(
    report,
    mappings,
    (index) => `mappings.${index}.name`,
    ({ name }) => name,
  )
  unique(
    report,
    acrs,
    (index) => `acrs.${index}.name`,
    ({ name }) => name,
  )
  unique(
    report,
    scopes,
    (index) => `scopes.${index}.name`,
    ({ name }) => name,
  )
  unique(
    report,
    sectorIdentifiers,
    (index) => `sectorIdentifiers.${index}.id`,
    ({ id }) => id,
  )
}

/** A value that several providers would answer to (CONTRACT 5) has no meaning. */
const sharedSelectors = ({ identityProviders }: PartialResources, report: Report) => {
  for (const field of ['acrs', 'hosts', 'paths'] as const) {
    const flat = identityProviders.flatMap((provider, index) =>
      (provider[field] ?? []).map((value, place) => ({ value, at: `identityProviders.${index}.${field}.${place}` })),
    )
    unique(
      report,
      flat,
      (index) => flat[index]?.at ?? field,
      ({ value }) => value,
    )
  }
}

const oneOf = (found: string, allowed: readonly string[], what: string): string => {
  const list = allowed.length > 0 ? `must be one of ${allowed.join(', ')}` : `must be one of them, and there is none`
  return `found ${JSON.stringify(found)}, which is no ${what}, ${list}${didYouMean(found, allowed)}`
}

const providers = ({ identityProviders }: PartialResources, names: Names, known: Known, report: Report) =>
  identityProviders.forEach((provider, index) => {
    const place = `identityProviders.${index}`
    if (provider.id !== undefined && reservedWays.includes(provider.id))
      report(`${place}.id`, `found "${provider.id}", which names a local method or group, must be another id`)
    const mappings = [...new Set([...known.mappings, ...names.mappings])]
    if (provider.mapping !== undefined && !mappings.includes(provider.mapping))
      report(`${place}.mapping`, oneOf(provider.mapping, mappings, 'mapping'))
    provider.acrs?.forEach((value, at) => {
      if (reservedWays.includes(value) || names.providers.includes(value) || names.acrs.includes(value))
        report(
          `${place}.acrs.${at}`,
          `found ${JSON.stringify(value)}, which selects something else already, must be another value`,
        )
    })
  })

const acrs = (
  resources: PartialResources,
  { methods }: Partial<Settings>,
  names: Names,
  known: Known,
  report: Report,
) =>
  resources.acrs.forEach((acr, index) => {
    if (acr.name !== undefined && (reservedWays.includes(acr.name) || names.providers.includes(acr.name)))
      report(
        `acrs.${index}.name`,
        `found ${JSON.stringify(acr.name)}, which selects something else already, must be another name`,
      )
    const ways = [...new Set([...known.methods, ...names.providers])]
    acr.steps?.forEach((step, at) => {
      step.forEach((way, place) => {
        const path = `acrs.${index}.steps.${at}.${place}`
        if (!ways.includes(way)) report(path, oneOf(way, ways, 'method or provider'))
        else if (methods?.[way]?.enabled === false)
          report(path, `found "${way}", which methods.${way} does not turn on`)
      })
    })
  })

/** The standard ones may give more claims; the rest of a name that has a meaning already is nobody's to define. */
const scopes = ({ scopes }: PartialResources, report: Report) =>
  scopes.forEach(({ name, type }, index) => {
    if (name === undefined) return
    if (isReservedScope(name))
      report(`scopes.${index}.name`, `found ${JSON.stringify(name)}, which has a meaning already, must be another name`)
    else if (isStandardScope(name) && type !== undefined && type !== 'openid')
      report(`scopes.${index}.type`, `found "${type}", must be openid for a standard scope`)
  })

/** Providers and acrs may be stored rather than declared, so that only what looks like a slip of the pen is a mistake. */
const clients = (
  resources: PartialResources,
  settings: Partial<Settings>,
  names: Names,
  known: Known,
  report: Report,
) =>
  resources.clients.forEach((client, index) => {
    const ways = [...known.methods, ...names.providers, ...names.acrs]
    const slips = (field: string, values: readonly string[] | undefined, candidates: readonly string[]) =>
      values?.forEach((value, at) => {
        const near = candidates.includes(value) || reservedWays.includes(value) ? undefined : nearest(value, candidates)
        if (near) report(`clients.${index}.${field}.${at}`, `${oneOf(value, candidates, 'provider')}`)
      })
    slips('providers', client.providers, names.providers)
    slips('default_acr_values', client.default_acr_values, [...ways, ...acrsOf(resources)])
    const own = client.access_token_signing_alg
    if (own !== undefined && settings.keys?.algorithms && !settings.keys.algorithms.some((one) => one === own))
      report(
        `clients.${index}.access_token_signing_alg`,
        `found ${JSON.stringify(own)}, must be one of keys.algorithms (${settings.keys.algorithms.join(', ')})`,
      )
    const alg = client.id_token_signed_response_alg
    const algorithms = settings.keys?.algorithms
    if (
      typeof alg === 'string' &&
      algorithms &&
      !/^HS(256|384|512)$/.test(alg) &&
      !algorithms.some((one) => one === alg)
    )
      report(
        `clients.${index}.id_token_signed_response_alg`,
        `found ${JSON.stringify(alg)}, must be one of keys.algorithms (${algorithms.join(', ')}) or HS256, HS384, HS512`,
      )
  })

const acrsOf = ({ identityProviders }: PartialResources): string[] =>
  identityProviders.flatMap((provider) => provider.acrs ?? [])

/** All that resources ask of each other and of the settings. */
export const checkResources = (
  resources: PartialResources,
  settings: Partial<Settings>,
  names: Names,
  known: Known,
  report: Report,
): void => {
  duplicates(resources, report)
  sharedSelectors(resources, report)
  providers(resources, names, known, report)
  acrs(resources, settings, names, known, report)
  scopes(resources, report)
  clients(resources, settings, names, known, report)
}
