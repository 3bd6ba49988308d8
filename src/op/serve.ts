/** The one middleware of this room: documents from memory, forms turned into links, then the engine instance in force. */

import type { KoaContextWithOIDC } from 'oidc-provider'
import type { Ctx, Middleware, Next } from '#http/context.ts'
import { readForm } from '#http/form.ts'
import { seeOther } from '#http/route.ts'
import { cookiesFor } from './build.ts'
import { withoutOurs } from './clients.ts'
import { serveDocument } from './documents.ts'
import type { InitialAccess } from './initial-access.ts'
import type { Instance } from './instance.ts'
import type { RefreshGrace } from './refresh.ts'
import { entered } from './registration.ts'
import { basePath, type OpSettings } from './settings.ts'

/** Bytes of a POSTed authorization request: it has to fit into a URL afterwards. */
const MOST_REQUEST = 14_000
const RETRY_SECONDS = '5'

/** OIDC Core 3.1.2.1 and RP-Initiated Logout 2 allow POST; the session cookie is Lax and comes only with a GET (DESIGN 3.9). */
const bounces = new Set(['/authorize', '/session/end'])

const bounce = async (ctx: Ctx, base: string): Promise<void> => {
  const { params } = await readForm(ctx.req, ['resource'], MOST_REQUEST)
  const query = [ctx.querystring, params.toString()].filter((part) => part !== '').join('&')
  seeOther(ctx, `${base}${ctx.path}?${query}`)
}

/** Paths where the engine sets cookies through the outer context, which has other keys (ENGINE 10). */
const usesCookies = (path: string): boolean => path.startsWith('/authorize') || path.startsWith('/session/')

/** @param given `instance` answers the one in force; a request keeps the one that it began with */
export const createServe = (given: {
  readonly settings: OpSettings
  readonly instance: () => Instance
  readonly grace: RefreshGrace
  /** Runs the engine, and puts what it does not know around the end of a session. */
  readonly logout: (ctx: Ctx, engine: Instance['engine'], run: () => Promise<void>) => Promise<void>
  /** After each answer: what the browser may know of its session. */
  readonly syncState: (ctx: Ctx) => void
  /** What counts as initial access token of a request that brings none. */
  readonly openRegistration: string
  readonly initialAccess: Pick<InitialAccess, 'giveBack'>
}): Middleware => {
  const { settings, instance, grace, openRegistration, initialAccess, syncState, logout } = given
  const base = basePath(settings.issuer)
  const { secure } = cookiesFor(settings.issuer)
  const { registration } = settings
  const isOpen = registration.enabled && registration.initialAccessToken === false

  const settle = async (ctx: Ctx): Promise<void> => {
    if (usesCookies(ctx.path)) syncState(ctx)
    if (ctx.path === '/token') await grace.settle(ctx as unknown as KoaContextWithOIDC)
    if (ctx.path.startsWith('/register') && ctx.status < 300) ctx.body = withoutOurs(ctx.body)
    const { token } = (ctx.status >= 400 && entered.get(ctx)) || {}
    if (token !== undefined) await initialAccess.giveBack(token)
    if (ctx.status === 503) ctx.set('retry-after', RETRY_SECONDS)
  }

  return async (ctx: Ctx, next: Next) => {
    const { engine, documents } = instance()
    const document = ctx.method === 'GET' || ctx.method === 'HEAD' ? documents.get(ctx.path) : undefined
    if (document) return serveDocument(ctx, document)
    if (ctx.method === 'POST' && bounces.has(ctx.path)) return bounce(ctx, base)
    if (isOpen && ctx.method === 'POST' && ctx.path === '/register' && ctx.headers.authorization === undefined)
      ctx.req.headers.authorization = `Bearer ${openRegistration}`
    if (usesCookies(ctx.path)) {
      const { cookies } = engine.createContext(ctx.req, ctx.res)
      ctx.cookies = secure ? Object.assign(cookies, { secure }) : cookies
    }
    const [run] = engine.middleware
    if (!run) throw new TypeError('the engine has no middleware')
    let passed = false
    await logout(ctx, engine, () =>
      run(ctx as unknown as KoaContextWithOIDC, async () => {
        passed = true
        await next()
      }),
    )
    if (!passed) await settle(ctx)
  }
}
