/** The one middleware of this room: documents from memory, forms turned into links, then the engine instance in force. */

import type { KoaContextWithOIDC } from 'oidc-provider'
import type { Ctx, Middleware, Next } from '#http/context.ts'
import { cookiesFor } from './build.ts'
import type { SecretGuard } from './client-secrets.ts'
import { withoutOurs } from './clients.ts'
import { serveDocument } from './documents.ts'
import type { InitialAccess } from './initial-access.ts'
import type { Instance } from './instance.ts'
import type { Posted } from './posted.ts'
import type { RefreshGrace } from './refresh.ts'
import { entered } from './registration.ts'
import { createRelease } from './release.ts'
import type { RequestUris } from './request-uri.ts'
import type { OpSettings } from './settings.ts'
import { createWebfinger, WEBFINGER } from './webfinger.ts'

const RETRY_SECONDS = '5'

/** Paths where the engine sets cookies through the outer context, which has other keys (ENGINE 10). */
const usesCookies = (path: string): boolean => path.startsWith('/authorize') || path.startsWith('/session/')
const endsSession = (path: string): boolean => path.startsWith('/authorize/') || path === '/session/end'

/** @param given `instance` answers the one in force; a request keeps the one that it began with */
export const createServe = (given: {
  readonly settings: OpSettings
  readonly instance: () => Instance
  readonly grace: RefreshGrace
  /** Runs the engine, and puts what it does not know around the end of a session. */
  readonly logout: (ctx: Ctx, engine: Instance['engine'], run: () => Promise<void>) => Promise<void>
  readonly posted: Posted
  /** Absent where request objects by reference are off. */
  readonly requestUris: RequestUris | undefined
  /** After each answer: what the browser may know of its session. */
  readonly syncState: (ctx: Ctx) => void
  /** Replaces the engine's own page where a session ends unasked: another person signed in, or nobody is there to ask. */
  readonly endSession: (ctx: KoaContextWithOIDC) => void
  /** What counts as initial access token of a request that brings none. */
  readonly openRegistration: string
  readonly initialAccess: Pick<InitialAccess, 'giveBack'>
  readonly guard: Pick<SecretGuard, 'settle'>
}): Middleware => {
  const {
    settings,
    instance,
    grace,
    openRegistration,
    initialAccess,
    syncState,
    logout,
    posted,
    requestUris,
    endSession,
    guard,
  } = given
  const { secure } = cookiesFor(settings.issuer)
  const { registration } = settings
  const webfinger = settings.features.webfinger ? createWebfinger(settings.issuer) : undefined
  const release = createRelease()
  const isOpen = registration.enabled && registration.initialAccessToken === false

  const settle = async (ctx: Ctx): Promise<void> => {
    if (endsSession(ctx.path)) endSession(ctx as unknown as KoaContextWithOIDC)
    if (usesCookies(ctx.path)) syncState(ctx)
    await guard.settle(ctx)
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
    if (webfinger && ctx.path === WEBFINGER) return webfinger(ctx)
    if (posted.isOne(ctx)) return posted.bounce(ctx)
    if (isOpen && ctx.method === 'POST' && ctx.path === '/register' && ctx.headers.authorization === undefined)
      ctx.req.headers.authorization = `Bearer ${openRegistration}`
    if (usesCookies(ctx.path)) {
      await posted.restore(ctx)
      if (ctx.path === '/authorize') await requestUris?.resolve(ctx)
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
    release(ctx)
  }
}
