/**
 * The web application: what every request passes, in order. Read this first in this room.
 * admit (guard) → provider hosts → our routes and assets → the engine's endpoints → nothing here (404).
 * The engine's machine endpoints see only the guard and one look-up.
 */
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import Koa from 'koa'
import type { Clock } from '#kernel/clock.ts'
import { Fault } from '#kernel/faults.ts'
import type { Log } from '#kernel/log.ts'
import type { Ctx, Middleware, State } from './context.ts'
import { type Csrf, createCsrf } from './csrf.ts'
import { endpointOf } from './endpoints.ts'
import { createErrors, type Errors, type Failure } from './errors.ts'
import { createGuard, isProbe } from './guard.ts'
import type { Limit } from './limit.ts'
import { createMessages, type Messages } from './messages.ts'
import type { TrustProxy } from './proxies.ts'
import { createRouter, type Route } from './route.ts'
import { type Assets, createAssets, isAsset } from './static.ts'
import { createView, type View } from './view.ts'
import { plainPath } from './well-known.ts'

/** What rooms need to show pages. */
export interface Presentation {
  readonly view: View
  readonly messages: Messages
  readonly errors: Errors
  readonly csrf: Csrf
  readonly assets: Assets
}

export interface PresentationOptions {
  readonly issuer: string
  readonly i18n: { readonly default: string; readonly available: readonly string[] }
  /** 32 bytes that all nodes share. */
  readonly csrfKey: Uint8Array
  readonly log: Log
  /** Where views/, public/ and messages/ are; the project's root unless told. */
  readonly root?: string
  readonly record?: (reference: string, failure: Failure) => Promise<void>
}

/** Compiles templates and reads catalogues and assets; throws when one is broken. */
export const createPresentation = (options: PresentationOptions): Presentation => {
  const { issuer, log, record } = options
  const root = options.root ?? join(import.meta.dirname, '../..')
  const messages = createMessages(join(root, 'messages'), options.i18n)
  const assets = createAssets(join(root, 'public'))
  const csrf = createCsrf(options.csrfKey, issuer)
  const view = createView({ directory: join(root, 'views'), issuer, messages, assets, csrf })
  return { view, messages, assets, csrf, errors: createErrors({ issuer, view, messages, log, record }) }
}

export interface AppOptions {
  readonly issuer: string
  readonly trustProxy: TrustProxy
  /** Newest first; the engine must have the same (ENGINE 10). */
  readonly cookieKeys: readonly string[]
  readonly clock: Clock
  readonly log: Log
  readonly presentation: Presentation
  readonly routes: readonly Route[]
  /** Looked at before the routes, for every request on the issuer's own host that is not a machine endpoint. */
  readonly before?: readonly Middleware[]
  /** Further hosts, and who answers there; nothing else is served on them. */
  readonly providerHosts?: { readonly hosts: () => ReadonlySet<string>; readonly answer: Middleware }
  /** Counts every request but probes and assets; throws Fault `request.limited`. */
  readonly limit?: Limit | undefined
  /** The whole OpenID Provider, asked only for the paths of endpoints.ts. */
  readonly engine?: Middleware
}

export type App = Koa<State>

/** koa's own readings of forwarded headers are replaced by what the guard found. */
const replaceReadings = (app: App, issuer: URL, address: (req: IncomingMessage) => string) => {
  const scheme = issuer.protocol.slice(0, -1)
  Object.defineProperties(app.request, {
    protocol: { get: () => scheme },
    ips: { get: () => [] },
    host: {
      get(this: Koa.Request) {
        return (this.ctx.state as State).host ?? issuer.host
      },
    },
    ip: {
      get(this: Koa.Request) {
        const state = this.ctx.state as State
        state.address ??= address(this.req)
        return state.address
      },
    },
  })
}

/** Not counted: probes, and what a page that says "too many" is made of. */
const isFree = (path: string): boolean => isProbe(path) || isAsset(path)

const nothing = async () => undefined

/** Runs middlewares one after the other until one does not call on. */
const chain = (middlewares: readonly Middleware[], ctx: Ctx, last: () => unknown): unknown => {
  const [first, ...rest] = middlewares
  return first ? first(ctx, async () => chain(rest, ctx, last)) : last()
}

export const createApp = (options: AppOptions): App => {
  const { clock, log, presentation, providerHosts, engine, limit, before = [] } = options
  const issuer = new URL(options.issuer)
  const base = issuer.pathname.replace(/\/$/, '')
  const guard = createGuard({ issuer: options.issuer, trustProxy: options.trustProxy, hosts: providerHosts?.hosts })
  const router = createRouter(options.routes, presentation.csrf)

  const notFound = () => {
    throw new Fault('request.not-found')
  }
  const toEngine = async (ctx: Ctx) => {
    const found = endpointOf(ctx.path)
    if (!found || !engine) return notFound()
    if (!found.methods.includes(ctx.method)) throw new Fault('request.method', { allow: found.methods.join(', ') })
    await engine(ctx, nothing)
  }
  const pages = async (ctx: Ctx) => {
    if (isAsset(ctx.path)) return presentation.assets.serve(ctx)
    return chain([...before, router], ctx, () => toEngine(ctx))
  }

  const dispatch = async (ctx: Ctx) => {
    const path = plainPath(ctx.path, base)
    if (path !== ctx.path) ctx.path = path
    guard.admit(ctx)
    const elsewhere = ctx.state.host !== undefined && ctx.state.host !== issuer.host
    const below = ctx.path === base || ctx.path.startsWith(`${base}/`)
    // Before anything is refused: how that is said depends on the path.
    if (!elsewhere && below) ctx.path = ctx.path.slice(base.length) || '/'
    if (limit && !isFree(ctx.path)) await limit(ctx.ip)
    if (elsewhere) {
      const refuse = () => {
        throw new Fault('request.host', { host: ctx.state.host })
      }
      await providerHosts?.answer(ctx, refuse)
      return
    }
    if (!below) notFound()
    await (engine && endpointOf(ctx.path)?.endpoint.machine ? toEngine(ctx) : pages(ctx))
    if (ctx.status === 404 && ctx.body == null && ctx.respond !== false) notFound()
  }

  const app: App = new Koa<State>({ keys: [...options.cookieKeys] })
  app.silent = true
  app.on('error', (cause) => log.warn('response.broken', { cause }))
  replaceReadings(app, issuer, guard.address)
  app.use(async (ctx: Ctx) => {
    const started = clock.now()
    try {
      await dispatch(ctx)
    } catch (error) {
      await presentation.errors.answer(ctx, error)
    }
    const { rid, reference } = ctx.state
    log.debug('request', {
      rid,
      reference,
      method: ctx.method,
      path: ctx.path,
      status: ctx.status,
      ms: clock.now() - started,
    })
  })
  return app
}
