/**
 * The composition root: a loaded configuration in, a running Gatehouse out. The only file that knows every room; it
 * decides nothing itself. Parts are closed in the reverse order of their opening.
 */
import { readFileSync } from 'node:fs'
import type { Loaded } from '#config/load.ts'
import { rateLimitOf } from '#config/rate-limit.ts'
import type { Settings } from '#config/settings.ts'
import { builtInMappings, defaultMappingName, openConnector } from '#connectors/index.ts'
import { startClientExpiry } from '#directory/expired-clients.ts'
import { resealInBackground } from '#directory/reseal.ts'
import { createProvisioning } from '#federation/provisioning.ts'
import { createFederation } from '#federation/trip.ts'
import { createUpstreamSessions } from '#federation/upstream.ts'
import { openHooks } from '#hooks/hooks.ts'
import { createApp, createPresentation, type Presentation } from '#http/app.ts'
import { healthRoutes } from '#http/health.ts'
import { createLimit } from '#http/limit.ts'
import type { Pages } from '#http/pages.ts'
import type { Route } from '#http/route.ts'
import { type Listener, listen } from '#http/server.ts'
import { createEntrance } from '#interaction/entrance.ts'
import { createPlanner } from '#interaction/plan.ts'
import { watchProviderHosts } from '#interaction/provider-hosts.ts'
import { interactionRoutes } from '#interaction/routes.ts'
import { createUpstreamLogout } from '#interaction/upstream-logout.ts'
import { systemClock } from '#kernel/clock.ts'
import { type Closer, opening } from '#kernel/closing.ts'
import { createOutbound } from '#kernel/outbound.ts'
import type { Engine as EnginePort } from '#kernel/ports.ts'
import type { IdentityProvider } from '#kernel/records/provider.ts'
import { openMethods } from '#methods/index.ts'
import { secondaryOf } from '#methods/method.ts'
import { createOp } from '#op/index.ts'
import { startCourier } from '#sessions/courier.ts'
import { startExpiry } from '#sessions/expiry.ts'
import { type House, type HouseWorld, openHouse } from './house.ts'
import { readiness } from './stores.ts'

export interface World extends HouseWorld {
  /** The environment, of which the hooks see what harms nobody. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Where the demo begins and who may sign in there, for the front page. */
  readonly demo?: Pages['home']['demo']
}

export interface Running {
  readonly issuer: string
  readonly listeners: readonly string[]
  /** Every page and form, as `GET /interaction/:uid`; the engine's addresses are those of http/endpoints.ts. */
  readonly routes: readonly string[]
  /** For the demo, which talks to its own parts the way everything here does. */
  readonly fetch: typeof fetch
  /** Stops accepting, finishes what is in flight, closes the stores. */
  close(): Promise<void>
}

const tlsOf = ({ listen: { tls } }: Settings) =>
  tls && { cert: readFileSync(tls.certFile, 'utf8'), key: readFileSync(tls.keyFile, 'utf8') }

const homeRoute = (issuer: string, view: Presentation['view'], demo: World['demo']): Route => ({
  method: 'get',
  path: '/',
  run: (ctx) => view(ctx, 'home', { issuer, ...(demo && { demo }) }),
})

/** Pages, and the record of why one of them was an error. */
const openPresentation = async ({ settings, records, trace, log }: Site) =>
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

/** What the rooms are built of: the open house, and what answering requests needs besides. */
type Site = Awaited<ReturnType<typeof openSite>>
const openSite = async (
  { settings }: Loaded,
  house: House,
  { log, clock = systemClock, env = {} }: World,
  parts: Closer,
) => {
  const outbound = createOutbound({ egress: settings.egress, clock, log })
  parts.add(outbound.close)
  const hooks = await openHooks({
    patterns: settings.hooks,
    clock,
    log,
    env,
    trace: (reference, detail) => house.trace.add(reference, 'hook', detail),
  })
  parts.add(hooks.close)
  return { ...house, settings, issuer: settings.issuer, clock, log, hooks, fetch: outbound.fetch }
}

/** How people sign in: the local methods, the providers, and the choice between them. */
const openWays = async (site: Site, parts: Closer) => {
  const { settings, issuer, records, store, box, clock } = site
  const { lifetimes, discovery, inbound, logins } = settings
  const methods = openMethods(settings.methods, {
    ...records,
    store,
    clock,
    recoveryKey: await records.keys.secret('recovery codes'),
    issuer: new URL(issuer).host,
  })
  const planner = createPlanner({ records, methods, logins: logins.default, discovery, inbound: inbound.enabled })
  const open = (provider: IdentityProvider) => openConnector(provider, { clock, fetch: site.fetch })
  const federation = createFederation({ records, box, clock, issuer, open, lifetime: lifetimes.interaction })
  parts.add(federation.close)
  const upstreams = createUpstreamSessions({ box, lifetime: lifetimes.session })
  return { methods, planner, federation, upstreams }
}

/** What goes on without a request: finding what time has ended, and telling relying parties of ended sessions. */
const startErrands = (site: Site, { logoutToken }: EnginePort, parts: Closer) => {
  const { records, clock, log, audit, settings } = site
  const removed = (client: string) => audit({ type: 'client.removed', client, detail: { cause: 'expired' } })
  parts.add(startClientExpiry({ clients: records.clients, clock, log, removed }).close)
  parts.add(startExpiry(site).close)
  if (settings.features.backchannelLogout) parts.add(startCourier({ ...site, logoutToken }).close)
}

/** Everything that answers requests. */
const openRooms = async (site: Site, parts: Closer) => {
  const presentation = await openPresentation(site)
  const ways = await openWays(site, parts)
  const upstreamLogout = createUpstreamLogout({ ...site, ...ways })
  const op = await createOp({
    ...site,
    presentation,
    methods: [...ways.methods.keys()],
    secondary: secondaryOf(ways.methods),
    passive: ways.planner.passive,
    byDefaults: ways.planner.byDefaults,
    notify: site.sessions.notify,
    leave: upstreamLogout.leave,
  })
  parts.add(op.close)
  startErrands(site, op.engine, parts)
  const routes = interactionRoutes({
    ...site,
    ...presentation,
    ...ways,
    engine: op.engine,
    plan: ways.planner,
    provisioning: createProvisioning({ ...site, builtIn: builtInMappings, defaultName: defaultMappingName }),
    lifetime: site.settings.lifetimes.interaction,
  })
  return { presentation, planner: ways.planner, op, routes: [...op.routes, ...routes, ...upstreamLogout.routes] }
}

/** Starts a server. Throws what `openHouse` throws, and Error when the address is taken. */
export const start = (loaded: Loaded, world: World): Promise<Running> =>
  opening(async (parts) => {
    const house = await openHouse(loaded, world)
    parts.add(house.close)
    const site = await openSite(loaded, house, world, parts)
    const { settings, issuer, clock, log } = site
    const { presentation, planner, op, routes } = await openRooms(site, parts)
    const entrance = createEntrance({ issuer, parameter: settings.discovery.preselectParameter, planner })
    let listener: Listener | undefined
    const limited = rateLimitOf(settings)
    const health = healthRoutes(
      () => readiness(settings.stores, house),
      () => listener?.draining() ?? false,
    )
    const all = [homeRoute(issuer, presentation.view, world.demo), ...health, ...routes]
    const app = createApp({
      issuer,
      trustProxy: settings.trustProxy,
      cookieKeys: op.cookieKeys,
      clock,
      log,
      presentation,
      routes: all,
      before: [entrance.byPath],
      providerHosts: { hosts: await watchProviderHosts(house.records), answer: entrance.byHost },
      engine: op.middleware,
      limit: limited && createLimit({ store: house.store, clock, ...limited }),
    })
    listener = await listen(app.callback(), { ...settings.listen, tls: tlsOf(settings), log })
    parts.add(() => listener?.close())
    parts.add(resealInBackground({ port: house.directory, keyring: house.keyring }, log))
    return {
      issuer,
      listeners: [listener.url],
      routes: all.map(({ method, path }) => `${method.toUpperCase()} ${path}`),
      fetch: site.fetch,
      close: parts.close,
    }
  })
