/**
 * How the person is to sign in, from what was asked (CONTRACT 5). Pure: the order of the contract is the order of the
 * list in `choose`, and its test is a table. The answer is a list of steps, each met by any one of its options: one step
 * with one option needs no page, several options are the choice page's.
 */
import { domainToASCII } from 'node:url'
import { groups } from '#kernel/acr.ts'
import { withoutPort } from '#kernel/network.ts'
import type { Acr, IdentityProvider } from '#kernel/records/provider.ts'
import { isEmail } from './profile.ts'

/** What the request says. */
export interface Asked {
  readonly acrValues: readonly string[]
  /** Values of an essential `acr` claim (OIDC Core 5.5.1.1): only these will do. */
  readonly essential?: readonly string[]
  /** The preselection parameter as sent: base64url of `{"provider":"<id>"}`. */
  readonly preselected?: unknown
  readonly loginHint?: string
  /** Where the request arrived, when that is not the issuer itself. */
  readonly host?: string
  readonly path?: string
  /** What the person typed into the e-mail field of the choice. */
  readonly email?: string
  readonly client: { readonly providers?: readonly string[]; readonly default_acr_values?: readonly string[] }
}

/** What this deployment offers. */
export interface Offer {
  readonly providers: readonly IdentityProvider[]
  /** Ids of the local methods that are enabled. */
  readonly methods: readonly string[]
  /** Of the methods those that answer for somebody who is known already (a one-time code, a security key). */
  readonly secondary?: ReadonlySet<string>
  /** `logins.default`: those offered where nothing was asked. */
  readonly logins: readonly string[]
  readonly acrs: readonly Acr[]
  /** `discovery.page` and `discovery.emailFirst`. */
  readonly page: boolean
  readonly emailFirst: boolean
}

export type Reason =
  | 'essential'
  | 'acr_values'
  | 'preselected'
  | 'place'
  | 'login_hint'
  | 'email'
  | 'default_acr_values'
  | 'open'

export interface Choice {
  readonly by: Reason
  /** In order; each is met by any one of its ids of methods and providers. A step without options cannot be met. */
  readonly steps: readonly (readonly string[])[]
  /** The asked value that all steps together satisfy; absent: report the id of what was done. */
  readonly acr?: string
  /** amr values that the acr adds. */
  readonly amr: readonly string[]
  /** Ids among the options that are providers, in the order to show them. */
  readonly providers: ReadonlySet<string>
  /** Whether the choice asks for an e-mail address too, or for it alone first. */
  readonly email: 'none' | 'beside' | 'first'
}

type Way = Pick<Choice, 'steps' | 'acr' | 'amr'>

const byOrder = (a: IdentityProvider, b: IdentityProvider): number =>
  a.order - b.order || (a.displayName ?? a.id).localeCompare(b.displayName ?? b.id)

/** The providers that this client may use, in the order to show them. */
export const usableProviders = (
  providers: readonly IdentityProvider[],
  client: Asked['client'],
): readonly IdentityProvider[] =>
  providers.filter(({ id, enabled }) => enabled && (client.providers?.includes(id) ?? true)).toSorted(byOrder)

const idsOf = (providers: readonly IdentityProvider[]) => providers.map(({ id }) => id)

const oneStep = (options: readonly string[], acr?: string): Way | undefined =>
  options.length === 0 ? undefined : { steps: [options], amr: [], ...(acr !== undefined && { acr }) }

/** Everything on offer, where nothing was asked. */
const openChoice = (usable: readonly IdentityProvider[], offer: Offer): Way => {
  const methods = offer.logins.filter((id) => offer.methods.includes(id))
  const all = [...methods, ...idsOf(usable)]
  return { steps: [offer.page ? all : all.slice(0, 1)], amr: [] }
}

/**
 * A second factor by its own name: whatever is on offer first, then it. Anybody can write acr_values into an address, so
 * the name alone must not do away with the password; an `acrs` record may.
 */
const secondStep = (value: string, usable: readonly IdentityProvider[], offer: Offer): Way | undefined => {
  const logins = offer.logins.filter((id) => !offer.secondary?.has(id))
  const [first = []] = openChoice(usable, { ...offer, logins }).steps
  return first.length === 0 ? undefined : { steps: [first, [value]], acr: value, amr: [] }
}

/** What an acr value means here; undefined when it is unknown, disabled or not for this client. */
const resolve = (value: string, usable: readonly IdentityProvider[], offer: Offer): Way | undefined => {
  const ids = idsOf(usable)
  if (ids.includes(value)) return oneStep([value], value)
  if (offer.secondary?.has(value)) return secondStep(value, usable, offer)
  const named = usable.filter(({ acrs }) => acrs.includes(value))
  if (named.length > 0) return oneStep(idsOf(named), value)
  if (offer.methods.includes(value)) return oneStep([value], value)
  const protocols = groups.get(value)
  if (protocols) return oneStep(idsOf(usable.filter(({ protocol }) => protocols.includes(protocol))), value)
  const acr = offer.acrs.find(({ name }) => name === value)
  if (!acr) return undefined
  const steps = acr.steps.map((options) => options.filter((id) => ids.includes(id) || offer.methods.includes(id)))
  return steps.every((options) => options.length > 0) ? { steps, acr: value, amr: acr.amr } : undefined
}

const firstOf = (values: readonly string[], usable: readonly IdentityProvider[], offer: Offer): Way | undefined => {
  for (const value of values) {
    const way = resolve(value, usable, offer)
    if (way) return way
  }
  return undefined
}

/** Characters of a preselection parameter that are looked at. */
const LONGEST_PRESELECTION = 512

const readPreselection = (sent: unknown): string | undefined => {
  if (typeof sent !== 'string' || sent.length > LONGEST_PRESELECTION) return undefined
  try {
    const said: unknown = JSON.parse(Buffer.from(sent, 'base64url').toString())
    const provider = typeof said === 'object' && said !== null && 'provider' in said ? said.provider : undefined
    return typeof provider === 'string' ? provider : undefined
  } catch {
    return undefined
  }
}

/** The preselection parameter's value for a provider. */
export const preselection = (provider: string): string =>
  Buffer.from(JSON.stringify({ provider })).toString('base64url')

const ascii = (domain: string) => domainToASCII(domain.replace(/\.$/, '')).toLowerCase()

/** The ids of the providers whose `emailDomains` hold the address's domain, compared in ASCII; none for what is no address. */
export const providersForEmail = (
  address: string | undefined,
  usable: readonly IdentityProvider[],
): readonly string[] => {
  const text = address?.normalize('NFKC').trim()
  if (!isEmail(text)) return []
  const domain = ascii(text.slice(text.lastIndexOf('@') + 1))
  if (domain === '') return []
  return idsOf(usable.filter(({ emailDomains }) => emailDomains.some((each) => ascii(each) === domain)))
}

/**
 * The provider that a host or a path stands for (`acme.id.example.org`, `/acme/authorize`).
 * @param place `host` without port; `path` of the request
 */
export const providerAt = (
  place: { host?: string; path?: string },
  providers: readonly IdentityProvider[],
): IdentityProvider | undefined => {
  const host = place.host?.toLowerCase().replace(/\.$/, '')
  const path = place.path
  return providers.find(
    ({ enabled, hosts, paths }) =>
      enabled &&
      ((host !== undefined && hosts.some((each) => withoutPort(each) === host)) ||
        (path !== undefined && paths.some((each) => path === each || path.startsWith(`${each.replace(/\/$/, '')}/`)))),
  )
}

/**
 * @returns the way in; `steps` holds an empty step when an essential value cannot be met or nothing is on offer
 */
export const choose = (asked: Asked, offer: Offer): Choice => {
  const usable = usableProviders(offer.providers, asked.client)
  const ids = new Set(idsOf(usable))
  const preselected = readPreselection(asked.preselected)
  const placed = providerAt(asked, usable)
  const essential = asked.essential ?? []
  const nothing: Way = { steps: [[]], amr: [] }
  // CONTRACT 5, in its order; essential values stand before it because nothing else would be accepted.
  const stages: readonly (readonly [Reason, () => Way | undefined])[] = [
    ['essential', () => (essential.length > 0 ? (firstOf(essential, usable, offer) ?? nothing) : undefined)],
    ['acr_values', () => firstOf(asked.acrValues, usable, offer)],
    ['preselected', () => (preselected !== undefined && ids.has(preselected) ? oneStep([preselected]) : undefined)],
    ['place', () => placed && oneStep([placed.id])],
    ['login_hint', () => oneStep(providersForEmail(asked.loginHint, usable))],
    ['email', () => oneStep(providersForEmail(asked.email, usable))],
    ['default_acr_values', () => firstOf(asked.client.default_acr_values ?? [], usable, offer)],
  ]
  for (const [by, stage] of stages) {
    const way = stage()
    if (way) return { by, ...way, providers: ids, email: 'none' }
  }
  const way = openChoice(usable, offer)
  const several = (way.steps[0]?.length ?? 0) > 1
  const asks = several && usable.some(({ emailDomains }) => emailDomains.length > 0)
  const first = asks && offer.emailFirst && asked.email === undefined
  return { by: 'open', ...way, providers: ids, email: asks ? (first ? 'first' : 'beside') : 'none' }
}

/**
 * The value to report after a provider did its part: one of its `acrs` counts only when the provider confirmed it, or is
 * trusted to (`trustAcr`); everything else stands for itself.
 * @param wanted the choice's `acr`; @param said the `acr` of the provider's answer
 * @returns undefined when `wanted` was not met: report the provider's id
 */
export const confirmedAcr = (
  provider: Pick<IdentityProvider, 'id' | 'acrs' | 'trustAcr'>,
  wanted: string | undefined,
  said: string | undefined,
): string | undefined => {
  if (wanted === undefined || wanted === provider.id || !provider.acrs.includes(wanted)) return wanted
  return provider.trustAcr || said === wanted ? wanted : undefined
}
