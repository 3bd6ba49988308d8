/**
 * The composition root: a loaded configuration in, a running Gatehouse out. The only file that knows every room; it
 * decides nothing itself. Parts are closed in the reverse order of their opening.
 */
import { readFileSync } from 'node:fs'
import { type Box, createBox } from '#artifacts/box.ts'
import type { Graph } from '#artifacts/graph.ts'
import type { Loaded } from '#config/load.ts'
import { masterKeys } from '#config/master-key.ts'
import { rateLimitOf } from '#config/rate-limit.ts'
import { keyringOf, type Settings } from '#config/settings.ts'
import { builtInMappings, defaultMappingName, openConnector } from '#connectors/index.ts'
import type { Applying } from '#directory/apply.ts'
import { startClientExpiry } from '#directory/expired-clients.ts'
import { createRecords } from '#directory/index.ts'
import { type Keyring, openKeyring } from '#directory/keyring.ts'
import type { Records } from '#directory/records.ts'
import { resealInBackground } from '#directory/reseal.ts'
import { refuseHalfRestored } from '#directory/restoring.ts'
import { createProvisioning } from '#federation/provisioning.ts'
import { createFederation } from '#federation/trip.ts'
import { createUpstreamSessions } from '#federation/upstream.ts'
import { openHooks } from '#hooks/hooks.ts'
import { createApp, createPresentation } from '#http/app.ts'
import { healthRoutes } from '#http/health.ts'
import { createLimit } from '#http/limit.ts'
import type { Pages } from '#http/pages.ts'
import type { Route } from '#http/route.ts'
import { type Listener, listen } from '#http/server.ts'
import { createEntrance } from '#interaction/entrance.ts'
import { createPlanner } from '#interaction/plan.ts'
import { interactionRoutes } from '#interaction/routes.ts'
import { createUpstreamLogout } from '#interaction/upstream-logout.ts'
import { type Clock, systemClock } from '#kernel/clock.ts'
import type { Log } from '#kernel/log.ts'
import { createOutbound } from '#kernel/outbound.ts'
import type { ArtifactStore, Bus, Directory } from '#kernel/ports.ts'
import type { IdentityProvider } from '#kernel/records/provider.ts'
import type { Sealer } from '#kernel/seal.ts'
import { openMethods } from '#methods/index.ts'
import { secondaryOf } from '#methods/method.ts'
import { hashPassword } from '#methods/password.ts'
import { createOp } from '#op/index.ts'
import { grantLifetime } from '#op/settings.ts'
import { type CourierOptions, startCourier } from '#sessions/courier.ts'
import type { Deliveries } from '#sessions/deliveries.ts'
import type { Sessions } from '#sessions/ending.ts'
import { startExpiry } from '#sessions/expiry.ts'
import { openSessions } from '#sessions/index.ts'
import { type Audit, createAudit } from '#trace/audit.ts'
import { createTrace, type Trace } from '#trace/trace.ts'
import { openBus, openPair, readiness } from './stores.ts'

export interface World {
  readonly log: Log
  readonly clock?: Clock
  /** The environment, of which the hooks see what harms nobody. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Where the demo begins and who may sign in there, for the front page. */
  readonly demo?: Pages['home']['demo']
}

/** What every command needs: the stores open, records and traces over them. */
export interface House {
  readonly store: ArtifactStore
  readonly directory: Directory
  readonly bus: Bus
  readonly sealer: Sealer
  readonly keyring: Keyring
  readonly box: Box
  readonly records: Records & Applying
  readonly trace: Trace
  readonly audit: Audit
  readonly sessions: Sessions
  readonly deliveries: Deliveries
  readonly graph: Graph
  close(): Promise<void>
}

/** Closes in reverse order, everything even when one part fails; throws the first failure. */
const closer = () => {
  const parts: (() => Promise<unknown> | unknown)[] = []
  return {
    add: (part: () => Promise<unknown> | unknown) => void parts.unshift(part),
    async close() {
      const failures: unknown[] = []
      for (const part of parts.splice(0)) {
        try {
          await part()
        } catch (error) {
          failures.push(error)
        }
      }
      if (failures.length > 0) throw failures[0]
    },
  }
}

/** The stores alone, as `backup` and `restore` need them: nothing is made in them, nothing is opened of what they hold. */
export interface Stores {
  readonly store: ArtifactStore
  readonly directory: Directory
  /** 32 bytes each, newest first. */
  readonly masterKeys: readonly Uint8Array[]
  close(): Promise<void>
}

/** Throws Fault `store.*` with the setting and the reason in its detail. */
export const openStores = async ({ settings }: Loaded, { log, clock = systemClock }: World): Promise<Stores> => {
  // Before the stores make their files: a key is made for new ones only.
  const keys = await masterKeys(settings)
  const parts = closer()
  const { store, directory } = await openPair(settings.stores, { clock, log })
  parts.add(() => store.close())
  parts.add(() => directory.close())
  return { store, directory, masterKeys: keys, close: parts.close }
}

/** Opens stores, keyring, records and trace. Throws Fault `store.*` or `seal.broken` with the reason in its detail. */
export const openHouse = async (loaded: Loaded, world: World): Promise<House> => {
  const { settings, resources } = loaded
  const { log, clock = systemClock } = world
  const stores = await openStores(loaded, world)
  const { store, directory } = stores
  const parts = closer()
  parts.add(stores.close)
  try {
    await refuseHalfRestored(directory)
    const bus = await openBus(settings.stores, directory, { clock, log })
    parts.add(() => bus.close())
    const keyring = await openKeyring(directory, stores.masterKeys, clock, bus)
    parts.add(keyring.close)
    const sealer = keyring.artifacts
    const records = await createRecords({
      port: directory,
      bus,
      sealer: keyring.directory,
      clock,
      overlay: resources,
      keys: keyringOf(settings),
      hashPassword,
    })
    parts.add(() => records.close())
    const { audit, settled } = createAudit(directory, log, clock)
    parts.add(settled)
    const trace = createTrace(store, sealer, clock, undefined, (cause) => log.error('trace.lost', { cause }))
    parts.add(() => trace.close())
    const box = createBox({ store, sealer, clock })
    const common = { store, sealer, box, records, audit, settings }
    const { close, ...room } = openSessions({ ...common, clock, log, tombstone: grantLifetime(settings) })
    parts.add(close)
    return { ...common, ...room, directory, bus, keyring, trace, close: parts.close }
  } catch (error) {
    await parts.close().catch(() => undefined)
    throw error
  }
}

export interface Running {
  readonly issuer: string
  readonly listeners: readonly string[]
  /** For the demo, which talks to its own parts the way everything here does. */
  readonly fetch: typeof fetch
  /** Stops accepting, finishes what is in flight, closes the stores. */
  close(): Promise<void>
}

const tlsOf = ({ listen: { tls } }: Settings) =>
  tls && { cert: readFileSync(tls.certFile, 'utf8'), key: readFileSync(tls.keyFile, 'utf8') }

const homeRoute = (
  issuer: string,
  view: ReturnType<typeof createPresentation>['view'],
  demo: World['demo'],
): Route => ({
  method: 'get',
  path: '/',
  run: (ctx) => view(ctx, 'home', { issuer, ...(demo && { demo }) }),
})

type Closer = ReturnType<typeof closer>

/** Pages, and the record of why one of them was an error. */
const openPresentation = async ({ settings }: Loaded, { records, trace }: House, log: Log) =>
  createPresentation({
    issuer: settings.issuer,
    i18n: settings.i18n,
    csrfKey: await records.keys.secret('forms'),
    log,
    record: async (reference, failure) => {
      trace.add(reference, 'failed', { fault: failure.code, status: failure.status, ...failure.detail })
      await trace.flush(reference)
    },
  })

/** What goes on without a request: telling relying parties of ended sessions, and finding those that time has ended. */
const openErrands = (
  house: House,
  means: Pick<CourierOptions, 'clock' | 'log' | 'fetch' | 'logoutToken'>,
  { features }: Settings,
  parts: Closer,
) => {
  parts.add(startExpiry({ ...house, ...means }).close)
  if (features.backchannelLogout) parts.add(startCourier({ ...house, ...means }).close)
}

/** Everything that answers requests, built over an open house. */
const openRooms = async (
  loaded: Loaded,
  house: House,
  { log, clock = systemClock, env = {} }: World,
  parts: Closer,
) => {
  const { settings } = loaded
  const { issuer, lifetimes, discovery } = settings
  const { store, records, box } = house
  const outbound = createOutbound({ egress: settings.egress, clock, log })
  parts.add(outbound.close)
  const presentation = await openPresentation(loaded, house, log)
  const methods = openMethods(settings.methods, {
    ...records,
    store,
    clock,
    recoveryKey: await records.keys.secret('recovery codes'),
    issuer: new URL(issuer).host,
  })
  const logins = settings.logins.default
  const planner = createPlanner({ records, methods, logins, discovery, inbound: settings.inbound.enabled })
  const open = (provider: IdentityProvider) => openConnector(provider, { clock, fetch: outbound.fetch })
  const federation = createFederation({ records, box, clock, issuer, open, lifetime: lifetimes.interaction })
  parts.add(federation.close)
  const upstreams = createUpstreamSessions({ box, lifetime: lifetimes.session })
  const upstreamLogout = createUpstreamLogout({ ...house, issuer, federation, upstreams, log })
  const expiry = startClientExpiry({
    clients: records.clients,
    clock,
    log,
    removed: (client) => house.audit({ type: 'client.removed', client, detail: { cause: 'expired' } }),
  })
  parts.add(expiry.close)
  const hooks = await openHooks({
    patterns: settings.hooks,
    clock,
    log,
    env,
    trace: (reference, detail) => house.trace.add(reference, 'hook', detail),
  })
  parts.add(hooks.close)
  const op = await createOp({
    ...house,
    hooks,
    settings,
    clock,
    log,
    fetch: outbound.fetch,
    methods: [...methods.keys()],
    secondary: secondaryOf(methods),
    presentation,
    passive: planner.passive,
    byDefaults: planner.byDefaults,
    notify: house.sessions.notify,
    leave: upstreamLogout.leave,
  })
  parts.add(op.close)
  openErrands(house, { clock, log, fetch: outbound.fetch, logoutToken: op.engine.logoutToken }, settings, parts)
  const routes = interactionRoutes({
    ...house,
    ...presentation,
    engine: op.engine,
    hooks,
    clock,
    federation,
    methods,
    plan: planner,
    provisioning: createProvisioning({ records, builtIn: builtInMappings, defaultName: defaultMappingName }),
    upstreams,
    lifetime: lifetimes.interaction,
  })
  return { outbound, presentation, planner, op, routes: [...routes, ...upstreamLogout.routes] }
}

/** Starts a server. Throws what `openHouse` throws, and Error when the address is taken. */
export const start = async (loaded: Loaded, world: World): Promise<Running> => {
  const { log, clock = systemClock } = world
  const { settings } = loaded
  const { issuer } = settings
  const house = await openHouse(loaded, world)
  const parts = closer()
  parts.add(house.close)
  try {
    const { outbound, presentation, planner, op, routes } = await openRooms(loaded, house, world, parts)
    const entrance = createEntrance({ issuer, parameter: settings.discovery.preselectParameter, planner })
    let listener: Listener | undefined
    const limited = rateLimitOf(settings)
    const health = healthRoutes(
      () => readiness(settings.stores, house),
      () => listener?.draining() ?? false,
    )
    const app = createApp({
      issuer,
      trustProxy: settings.trustProxy,
      cookieKeys: op.cookieKeys,
      clock,
      log,
      presentation,
      routes: [homeRoute(issuer, presentation.view, world.demo), ...health, ...op.routes, ...routes],
      before: [entrance.byPath],
      providerHosts: { hosts: await providerHosts(house.records), answer: entrance.byHost },
      engine: op.middleware,
      limit: limited && createLimit({ store: house.store, clock, ...limited }),
    })
    listener = await listen(app.callback(), { ...settings.listen, tls: tlsOf(settings), log })
    parts.add(() => listener?.close())
    parts.add(resealInBackground({ port: house.directory, keyring: house.keyring }, log))
    return { issuer, listeners: [listener.url], fetch: outbound.fetch, close: parts.close }
  } catch (error) {
    await parts.close().catch(() => undefined)
    throw error
  }
}

/** The hosts that providers claim, kept ready because the guard asks per request. */
const providerHosts = async (records: Records): Promise<() => ReadonlySet<string>> => {
  let hosts: ReadonlySet<string> = new Set()
  const read = async () => {
    const providers = await records.providers.all()
    hosts = new Set(providers.filter(({ enabled }) => enabled).flatMap((provider) => provider.hosts))
  }
  await read()
  records.onChange((kind) => {
    // A failed read leaves the hosts as they were; the next change or start reads them again.
    if (kind === 'identityProvider') read().catch(() => undefined)
  })
  return () => hosts
}
