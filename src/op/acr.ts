/**
 * Which authentication context satisfies which request (CONTRACT 5, DESIGN 3.10). Pure: a table made of the enabled
 * methods, the enabled providers and the `acrs` records. More is never claimed than was done.
 */
import { groups } from '#kernel/acr.ts'
import type { Acr, IdentityProvider } from '#kernel/records/provider.ts'

/** How the person of a browser session signed in. */
export interface Done {
  /** What the sign-in ended with: the value that was asked for, or the id of what was done. */
  readonly acr?: string | undefined
  /** The external provider, if it was one. */
  readonly provider?: string | undefined
  /** Ids of everything that was done; absent where a session does not say. */
  readonly ways?: readonly string[] | undefined
}

export interface AcrTable {
  /** Everything that a request may name, for discovery and client metadata. */
  readonly values: readonly string[]
  /** The first of `values` that is satisfied. */
  met(values: readonly string[], done: Done): string | undefined
  /** Those of `values` that are known and that a client with this allow list of providers could get to. */
  reachable(values: readonly string[], providers?: readonly string[]): string[]
}

/** @param given ids of the enabled local methods, enabled providers only, all acr records */
export const createAcrTable = (given: {
  readonly methods: readonly string[]
  /** Of the methods those that answer for somebody who is known already. */
  readonly secondary?: ReadonlySet<string>
  readonly providers: readonly IdentityProvider[]
  readonly acrs: readonly Acr[]
}): AcrTable => {
  const methods = new Set(given.methods)
  const { secondary = new Set() } = given
  const providers = new Map(given.providers.map((provider) => [provider.id, provider]))
  const records = new Map(given.acrs.map((acr) => [acr.name, acr]))
  const byAcr = Map.groupBy(
    given.providers.flatMap((provider) => provider.acrs.map((value) => ({ value, provider }))),
    ({ value }) => value,
  )
  const membersOf = (group: string): IdentityProvider[] =>
    given.providers.filter(({ protocol }) => groups.get(group)?.includes(protocol))

  /** Every way in that certainly was taken. */
  const taken = ({ acr, provider, ways = [] }: Done): Set<string> => {
    const taken = new Set(ways)
    if (acr !== undefined) taken.add(acr)
    if (provider !== undefined) taken.add(provider)
    if (ways.length > 0) return taken
    for (const step of (acr === undefined ? undefined : records.get(acr))?.steps ?? [])
      if (step.length === 1 && step[0] !== undefined) taken.add(step[0])
    return taken
  }

  const wasDone = ({ steps }: Acr, ways: ReadonlySet<string>): boolean =>
    steps.every((step) => step.some((option) => ways.has(option)))

  /** The highest level of all that was done: of the acr that the sign-in ended with, and of every other that it covers. */
  const levelOf = ({ acr }: Done, ways: ReadonlySet<string>): number => {
    const covered = given.acrs.filter((record) => record.name === acr || wasDone(record, ways))
    return Math.max(Number.NEGATIVE_INFINITY, ...covered.map(({ level }) => level))
  }

  /** A second factor by itself is what an acr record may call enough; its own name means that another way came first. */
  const stoodAlone = ({ acr, ways }: Done): boolean => {
    const done = ways ?? (acr === undefined ? [] : (records.get(acr)?.steps.map(([first = '']) => first) ?? [acr]))
    return done.every((way) => secondary.has(way))
  }

  const satisfied = (value: string, done: Done, ways: ReadonlySet<string>): boolean => {
    if (secondary.has(value)) return ways.has(value) && !stoodAlone(done)
    if (ways.has(value)) return true
    // A provider's own value is reported only when the provider confirmed it, or is trusted to mean it.
    if (byAcr.get(value)?.some(({ provider }) => provider.id === done.provider && provider.trustAcr)) return true
    if (membersOf(value).some(({ id }) => id === done.provider)) return true
    const record = records.get(value)
    return record !== undefined && (wasDone(record, ways) || levelOf(done, ways) > record.level)
  }

  const reach = (value: string, allows: (id: string) => boolean, depth = 0): boolean => {
    if (methods.has(value) || (providers.has(value) && allows(value))) return true
    if (byAcr.get(value)?.some(({ provider }) => allows(provider.id))) return true
    if (membersOf(value).some(({ id }) => allows(id))) return true
    const record = depth === 0 ? records.get(value) : undefined
    return record?.steps.every((step) => step.some((option) => reach(option, allows, 1))) ?? false
  }

  const values = [
    ...methods,
    ...providers.keys(),
    ...byAcr.keys(),
    ...[...groups.keys()].filter((group) => membersOf(group).length > 0),
    ...records.keys(),
  ]
  return {
    values: [...new Set(values)],
    met(wanted, done) {
      const ways = taken(done)
      return wanted.find((value) => satisfied(value, done, ways))
    },
    reachable: (wanted, allowed) =>
      wanted.filter((value) => reach(value, (id) => allowed === undefined || allowed.includes(id))),
  }
}
