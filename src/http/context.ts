/** What travels with one request. Rooms that answer requests take `Ctx` from here and never import koa themselves. */
import type Koa from 'koa'
import type { ClientCard, WayOn } from './pages.ts'

export interface State {
  /** Names this request in the log; sent back as `x-request-id`. */
  rid: string
  /** Names the login in the log and the trace; error pages show it. Set it as soon as the login is known. */
  reference?: string
  /** The relying party's `ui_locales` (OIDC Core 3.1.2.1); wins over Accept-Language. */
  uiLocales?: string
  /** What the form token of this page is bound to; a cookie of its own when absent. */
  formBinding?: string
  /** For an error page of this request: the relying party and the ways on. */
  client?: ClientCard
  ways?: readonly WayOn[]
  /** Host that the browser named, lower-case, without the scheme's default port. Verified. */
  host?: string
  /** Client address, forwarded headers believed only from trusted proxies. Read `ctx.ip` instead. */
  address?: string
}

export type Ctx = Koa.ParameterizedContext<State, { params: Record<string, string> }>
export type Next = Koa.Next
export type Middleware = (ctx: Ctx, next: Next) => unknown
