/**
 * Routes as tables over koa-router. A POST route gets its form read, limited and checked against forgery before it
 * runs; a GET route gets its query. Handlers answer by `view`, by `ctx.body` or by `seeOther`, or throw a Fault.
 */
import Router from 'koa-router'
import { Fault } from '#kernel/faults.ts'
import type { Ctx, Middleware } from './context.ts'
import { type Csrf, FORM_FIELD } from './csrf.ts'
import { type Fields, parseFields, readForm } from './form.ts'

export interface Route {
  readonly method: 'get' | 'post'
  /** Below the issuer, with koa-router's parameters: `/interaction/:uid`. */
  readonly path: string
  /** What the page's forms are bound to (the interaction's uid); a cookie of their own when absent. */
  readonly bind?: (ctx: Ctx) => string
  /** POST: fields that may repeat (checkboxes). */
  readonly repeatable?: readonly string[]
  /** POST from other sites by design (a provider's form_post): no forgery check, the handler has its own proof. */
  readonly crossSite?: true
  /** @param fields the form of a POST, the query of a GET */
  readonly run: (ctx: Ctx, fields: Fields) => void | Promise<void>
}

/** Sends the browser on with GET (RFC 9110 15.4.4). @param location a path of ours or an absolute URL that was checked */
export const seeOther = (ctx: Ctx, location: string): void => {
  ctx.set('location', location)
  ctx.set('cache-control', 'no-store')
  ctx.status = 303
  ctx.body = ''
}

const handler =
  (route: Route, csrf: Csrf) =>
  async (ctx: Ctx): Promise<void> => {
    ctx.set('cache-control', 'no-store')
    if (route.bind) ctx.state.formBinding = route.bind(ctx)
    if (route.method === 'get') return route.run(ctx, parseFields(ctx.querystring))
    const form = await readForm(ctx.req, route.repeatable)
    if (!route.crossSite) csrf.check(ctx, form.get(FORM_FIELD))
    return route.run(ctx, form)
  }

const firstSegment = (path: string): string => {
  const end = path.indexOf('/', 1)
  return end < 0 ? path : path.slice(0, end)
}

/**
 * @returns a middleware that answers these routes and passes everything else on; a known path with another method
 * throws Fault `request.method`
 */
export const createRouter = (routes: readonly Route[], csrf: Csrf): Middleware => {
  const router = new Router({ strict: true, sensitive: true })
  for (const route of routes)
    router.register(route.path, route.method === 'get' ? ['HEAD', 'GET'] : ['POST'], handler(route, csrf))
  const dispatch = router.routes()
  // Keeps the router's pattern matching off the paths that it knows nothing of, the token endpoint among them.
  const known = new Set(routes.map((route) => firstSegment(route.path)))
  const open = [...known].some((segment) => segment.startsWith('/:'))

  return (ctx, next) => {
    if (!open && !known.has(firstSegment(ctx.path))) return next()
    const match = router.match(ctx.path, ctx.method)
    if (match.route) return dispatch(ctx, next)
    if (match.path.length === 0) return next()
    const allow = [...new Set(match.path.flatMap((layer) => layer.methods))].join(', ')
    throw new Fault('request.method', { allow })
  }
}
