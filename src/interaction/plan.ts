/** From a stored authorization request to the way in (CONTRACT 5): gathers what discovery needs and asks it. */
import type { Records } from '#directory/records.ts'
import {
  type Choice,
  choose,
  type Offer,
  providerAt,
  providersForEmail,
  usableProviders,
} from '#federation/discovery.ts'
import { requestedAcr } from '#kernel/acr.ts'
import type { Interaction } from '#kernel/ports.ts'
import type { Client } from '#kernel/records/client.ts'
import { type Method, secondaryOf } from '#methods/method.ts'

export interface Planner {
  of(interaction: Pick<Interaction, 'params'>, client: Client): Promise<Choice>
  /** Providers among the options that hold the address's domain. */
  forEmail(address: string, client: Client, options: readonly string[]): Promise<readonly string[]>
  /** Whether a request that allows no page leads to exactly one provider (OIDC Core 3.1.2.1, prompt=none). */
  passive(request: { readonly params: Readonly<Record<string, unknown>>; readonly clientId: string }): Promise<boolean>
  /** Whether nothing in the request goes before the client's default_acr_values. */
  byDefaults(request: {
    readonly params: Readonly<Record<string, unknown>>
    readonly clientId: string
  }): Promise<boolean>
  /** The provider that a host or a path stands for, if any. */
  at(place: { host?: string; path?: string }): Promise<string | undefined>
}

export interface PlannerGiven {
  readonly records: Pick<Records, 'providers' | 'acrs' | 'clients'>
  readonly methods: ReadonlyMap<string, Pick<Method, 'secondary'>>
  readonly logins: readonly string[]
  readonly discovery: { readonly page: boolean; readonly emailFirst: boolean; readonly preselectParameter: string }
  /** Whether people may sign in with external providers at all. */
  readonly inbound: boolean
}

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)

export const createPlanner = ({ records, methods, logins, discovery, inbound }: PlannerGiven): Planner => {
  const enabled = async () => (inbound ? (await records.providers.all()).filter((provider) => provider.enabled) : [])

  const secondary = secondaryOf(methods)

  const offerOf = async (): Promise<Offer> => {
    const [providers, acrs] = await Promise.all([enabled(), records.acrs.all()])
    return {
      providers,
      methods: [...methods.keys()],
      secondary,
      logins,
      acrs,
      page: discovery.page,
      emailFirst: discovery.emailFirst,
    }
  }

  const of: Planner['of'] = async ({ params }, client) => {
    const wanted = requestedAcr(params)
    const loginHint = text(params.login_hint)
    return choose(
      {
        acrValues: wanted.essential ? [] : wanted.values,
        ...(wanted.essential && { essential: wanted.values }),
        preselected: params[discovery.preselectParameter],
        ...(loginHint !== undefined && { loginHint }),
        client,
      },
      await offerOf(),
    )
  }

  return {
    of,
    async forEmail(address, client, options) {
      return providersForEmail(address, usableProviders(await enabled(), client)).filter((id) => options.includes(id))
    },
    async passive({ params, clientId }) {
      const client = await records.clients.get(clientId)
      if (!client) return false
      const { steps, by, providers } = await of({ params }, client)
      const only = steps.length === 1 && steps[0]?.length === 1 ? steps[0][0] : undefined
      return by !== 'open' && only !== undefined && providers.has(only)
    },
    async byDefaults({ params, clientId }) {
      const client = await records.clients.get(clientId)
      return client !== undefined && (await of({ params }, client)).by === 'default_acr_values'
    },
    async at(place) {
      return providerAt(place, await enabled())?.id
    },
  }
}
