/**
 * The browser's way to a provider and back. Each departure has an unguessable state that counts once, for one provider
 * and one interaction; what came back waits, verified, under a one-time handle for the browser that began (ENGINE 12).
 * HAZARDS 2: state bound to the provider (Auth.js), a disabled provider's answer refused (Keycloak CVE-2026-2603).
 */
import type { Box } from '#artifacts/box.ts'
import type { Arrival, Connector, Departure } from '#connectors/connector.ts'
import type { Records, Versioned } from '#directory/records.ts'
import type { Clock } from '#kernel/clock.ts'
import { Fault } from '#kernel/faults.ts'
import type { Identity, Wish } from '#kernel/identity.ts'
import { randomToken } from '#kernel/random.ts'
import type { IdentityProvider } from '#kernel/records/provider.ts'

interface Trip {
  readonly provider: string
  /** The interaction. */
  readonly uid: string
  readonly wish: Wish
  readonly reference: string
  readonly memo: unknown
  /** Epoch ms. */
  readonly departedAt: number
}

interface Outcome {
  readonly provider: string
  readonly uid: string
  readonly wish: Wish
  readonly reference: string
  readonly identity: Identity
}

export interface Arrived {
  readonly provider: string
  readonly identity: Identity
  readonly wish: Wish
  readonly reference: string
}

/** Every Fault carries `provider` and, when known, `uid` (the interaction) and `reference`, so that a page can offer the way back. */
export interface Federation {
  /** @param leaving `uid`: the interaction's; `reference`: the trace's. Throws Fault `upstream.*`. */
  depart(leaving: { provider: string; uid: string; wish: Wish; reference: string }): Promise<Departure>
  /** Verifies what the provider sent, uses the state up, and keeps the outcome for `collect`. Throws Fault `upstream.*`. */
  arrive(provider: string, arrival: Arrival): Promise<{ uid: string; handle: string; reference: string }>
  /** The outcome, once, for the interaction that began. Throws Fault `upstream.replayed`, `upstream.expired`, `journey.foreign`. */
  collect(uid: string, handle: string): Promise<Arrived>
  /** Our address that has to be registered at the provider. */
  callbackUrl(provider: string): URL
  /** The provider's connector, for logout. Throws Fault `upstream.misconfigured`. */
  connector(provider: string): Promise<Connector>
  close(): Promise<void>
}

/** Seconds. */
const COLLECT_WITHIN = 300
/** A state stays known this much longer than it counts, so that a late answer is told apart from a made-up one. */
const REMEMBER_FACTOR = 2

/** Opens connectors once per version of their record. */
const createConnectors = (providers: Records['providers'], open: (provider: IdentityProvider) => Connector) => {
  const opened = new Map<string, Versioned<IdentityProvider> & { connector: Connector }>()
  return {
    async of(id: string): Promise<Connector> {
      const record = await providers.versioned(id)
      if (!record?.value.enabled)
        throw new Fault('upstream.misconfigured', { provider: id, reason: record ? 'disabled' : 'no such provider' })
      const known = opened.get(id)
      const same = record.revision === 0 ? known?.value === record.value : known?.revision === record.revision
      if (known && same) return known.connector
      const connector = open(record.value)
      opened.set(id, { ...record, connector })
      await known?.connector.close?.()
      return connector
    },
    async close() {
      await Promise.all([...opened.values()].map(({ connector }) => connector.close?.()))
      opened.clear()
    },
  }
}

/** Adds what is known of the trip to a fault that a connector threw. */
const placed = async <T>(known: Record<string, unknown>, work: () => Promise<T>): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    if (error instanceof Fault) throw new Fault(error.code, { ...known, ...error.detail }, error.cause)
    throw error
  }
}

interface Ground {
  readonly connectors: ReturnType<typeof createConnectors>
  readonly box: Box
  readonly clock: Clock
  readonly callbackUrl: (provider: string) => URL
  readonly lifetime: number
}

/** The trip of this state, used up by this call. */
const redeem = async ({ box, clock, lifetime }: Ground, provider: string, state: string): Promise<Trip> => {
  const trip = state === '' ? undefined : await box.get<Trip>('Trip', state)
  if (!trip) throw new Fault('upstream.expired', { provider, reason: 'unknown state' })
  const { uid, reference } = trip
  // RFC 9700 4.4: an answer counts only at the address of the provider that was asked; the state stays unused.
  if (trip.provider !== provider)
    throw new Fault('upstream.invalid', { provider, uid, reference, reason: 'state of another provider' })
  if ((await box.take<Trip>('Trip', state)) === undefined)
    throw new Fault('upstream.replayed', { provider, uid, reference, reason: 'state used before' })
  if (clock.now() > trip.departedAt + lifetime * 1000)
    throw new Fault('upstream.expired', { provider, uid, reference, reason: 'took too long' })
  return trip
}

const depart = async (ground: Ground, leaving: Parameters<Federation['depart']>[0]): Promise<Departure> => {
  const { provider, uid, wish, reference } = leaving
  const state = randomToken()
  const { departure, memo } = await placed({ provider, uid, reference }, async () => {
    const connector = await ground.connectors.of(provider)
    return connector.depart({ state, returnTo: ground.callbackUrl(provider), wish })
  })
  const trip: Trip = { provider, uid, wish, reference, memo, departedAt: ground.clock.now() }
  await ground.box.put('Trip', state, trip, { ttl: ground.lifetime * REMEMBER_FACTOR })
  return departure
}

const arrive = async (ground: Ground, provider: string, arrival: Arrival) => {
  const [state = '', ...more] = arrival.fields.getAll('state')
  const { uid, wish, reference, memo } = await redeem(ground, provider, more.length === 0 ? state : '')
  const identity = await placed({ provider, uid, reference }, async () => {
    const connector = await ground.connectors.of(provider)
    return connector.arrive({ state, returnTo: ground.callbackUrl(provider), wish, memo }, arrival)
  })
  const handle = randomToken()
  const outcome: Outcome = { provider, uid, wish, reference, identity }
  await ground.box.put('Arrival', handle, outcome, { ttl: COLLECT_WITHIN })
  return { uid, handle, reference }
}

const collect = async ({ box }: Ground, uid: string, handle: string): Promise<Arrived> => {
  const outcome = handle === '' ? undefined : await box.get<Outcome>('Arrival', handle)
  if (!outcome) throw new Fault('upstream.expired', { uid, reason: 'unknown handle' })
  // Login CSRF: what an attacker brought back does not fit a victim's interaction.
  if (outcome.uid !== uid) throw new Fault('journey.foreign', { uid, reason: 'handle of another interaction' })
  const { provider, identity, wish, reference } = outcome
  if ((await box.take('Arrival', handle)) === undefined)
    throw new Fault('upstream.replayed', { provider, uid, reference, reason: 'handle used before' })
  return { provider, identity, wish, reference }
}

/**
 * @param given.open makes a connector for a provider's record (connectors/index `openConnector`)
 * @param given.lifetime seconds that a departure may take to come back: the interaction's lifetime
 * @param given.issuer our issuer; the callback lies below it
 */
export const createFederation = (given: {
  records: Pick<Records, 'providers'>
  open: (provider: IdentityProvider) => Connector
  box: Box
  clock: Clock
  issuer: string
  lifetime: number
}): Federation => {
  const { records, open, box, clock, issuer, lifetime } = given
  const connectors = createConnectors(records.providers, open)
  const base = issuer.replace(/\/$/, '')
  const callbackUrl = (provider: string) => new URL(`${base}/federation/${provider}/callback`)
  const ground: Ground = { connectors, box, clock, callbackUrl, lifetime }
  return {
    depart: (leaving) => depart(ground, leaving),
    arrive: (provider, arrival) => arrive(ground, provider, arrival),
    collect: (uid, handle) => collect(ground, uid, handle),
    callbackUrl,
    connector: (provider) => connectors.of(provider),
    close: () => connectors.close(),
  }
}
