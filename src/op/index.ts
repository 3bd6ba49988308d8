/**
 * The OpenID Provider: oidc-provider built from settings and records, and rebuilt when they change. Read this first.
 * A change of providers, acrs, mappings or keys makes a new engine in the background; it is proved to work, then the
 * reference is swapped. Requests under way keep the engine that they began with; all flow state is in the store.
 */
import type { Box } from '#artifacts/box.ts'
import type { Records } from '#directory/records.ts'
import type { Presentation } from '#http/app.ts'
import type { Middleware } from '#http/context.ts'
import type { Route } from '#http/route.ts'
import type { Clock } from '#kernel/clock.ts'
import type { HookRunner } from '#kernel/hooks.ts'
import type { Log } from '#kernel/log.ts'
import type { ArtifactStore, Engine as EnginePort } from '#kernel/ports.ts'
import type { Sealer } from '#kernel/seal.ts'
import type { Audit } from '#trace/audit.ts'
import type { Trace } from '#trace/trace.ts'
import { createSecretGuard } from './client-secrets.ts'
import { createEnginePort } from './engine-port.ts'
import { createInitialAccess } from './initial-access.ts'
import { createInstance, type Instance, readSecrets, tryClients } from './instance.ts'
import { createLogout, type Leave, type Notify } from './logout.ts'
import { createPages } from './pages.ts'
import type { PassiveRequest } from './policy.ts'
import { createPosted } from './posted.ts'
import { createRefreshGrace } from './refresh.ts'
import { createRequestUris } from './request-uri.ts'
import { createSectors } from './sectors.ts'
import { createServe } from './serve.ts'
import { createSessionManagement } from './session-management.ts'
import { basePath, type OpSettings, takesRequestUris } from './settings.ts'
import { createSwap, type Swap } from './swap.ts'

export type { PassiveRequest } from './policy.ts'
export type { OpSettings } from './settings.ts'

export interface OpOptions {
  readonly settings: OpSettings
  readonly records: Records
  readonly store: ArtifactStore
  readonly sealer: Sealer
  readonly box: Box
  readonly clock: Clock
  readonly log: Log
  /** The guarded outbound client. */
  readonly fetch: typeof globalThis.fetch
  readonly trace: Trace
  readonly audit: Audit
  /** Ids of the enabled local sign-in methods: they are acr values (CONTRACT 5). */
  readonly methods: readonly string[]
  /** Of them those that answer for somebody who is known already. */
  readonly secondary?: ReadonlySet<string>
  readonly presentation: Pick<Presentation, 'view' | 'errors'>
  /** Whether a request with prompt=none leads to exactly one provider, to be asked passively too (CONTRACT 6). */
  readonly passive?: (request: PassiveRequest) => Promise<boolean>
  /** Whether nothing in a request goes before the client's default_acr_values (CONTRACT 5). */
  readonly byDefaults?: (request: PassiveRequest) => Promise<boolean>
  /** The deployment's own code; none when absent. */
  readonly hooks?: HookRunner
  /** Takes a notice for a client that must be told of the end of a session, and keeps it until it was told. */
  readonly notify?: Notify
  /** Goes on to the provider that an ended session came from. */
  readonly leave?: Leave
}

export interface Op {
  readonly engine: EnginePort
  /** What signs cookies, newest first: the whole web application uses the same. */
  readonly cookieKeys: readonly string[]
  /** Addresses of ours beside the engine's. */
  readonly routes: readonly Route[]
  /** Answers the engine's endpoints (CONTRACT 4); passes everything else on. */
  readonly middleware: Middleware
  /** Builds anew from the records as they are now. Throws when that fails; what is in force stays. */
  reload(): Promise<void>
  close(): Promise<void>
}

/** Kinds of records that the engine is made of. */
const ingredients = new Set(['identityProvider', 'acr', 'mapping', 'key', 'scope'])

/** Throws when settings and records make no working engine. */
export const createOp = async (options: OpOptions): Promise<Op> => {
  const { settings, records, clock, log } = options
  let swap: Swap<Instance> | undefined
  const current = (): Instance => {
    if (!swap) throw new TypeError('the engine is not built yet')
    return swap.current()
  }
  const secrets = await readSecrets(settings, records.keys)
  const grace = createRefreshGrace(options.box, clock, settings.refreshReuseGrace)
  const guardSecrets = createSecretGuard(options.store, clock)
  const initialAccess = createInitialAccess(options)
  const sectors = createSectors(settings.issuer, records)
  const watch = createSessionManagement(settings, await records.keys.secret('browser state'), options.presentation.view)
  const engine = createEnginePort({ ...options, names: secrets.names, instance: current })
  const pages = createPages({ ...options.presentation, ...engine, trace: options.trace })

  swap = await createSwap({
    build: () => createInstance({ options, secrets, grace, initialAccess, sectors, pages, watch, guardSecrets }),
    nextChange: (since) => records.keys.nextChange(since),
    clock,
    log,
  })
  const { reload, refresh, close } = swap
  await tryClients(current(), options)
  const forget = records.onChange((kind) => {
    if (ingredients.has(kind)) refresh()
  })

  const clientOf = (id: string) => records.clients.get(id)

  return {
    cookieKeys: secrets.cookieKeys,
    engine,
    routes: [...watch.routes, ...sectors.routes],
    middleware: createServe({
      settings,
      instance: current,
      grace,
      posted: createPosted({
        base: basePath(settings.issuer),
        box: options.box,
        isClient: async (id) => (await clientOf(id)) !== undefined,
      }),
      requestUris: takesRequestUris(settings)
        ? createRequestUris({ ...options, issuer: settings.issuer, clientOf })
        : undefined,
      syncState: watch.sync,
      endSession: pages.endSession,
      logout: createLogout(settings, options.presentation.view, options.leave),
      openRegistration: secrets.openRegistration,
      initialAccess,
      guard: guardSecrets,
    }),
    reload,
    async close() {
      forget()
      await close()
    },
  }
}
