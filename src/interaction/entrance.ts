/**
 * Entrances by place (CONTRACT 5): `https://acme.id.example.org/authorize` and `/acme/authorize` lead to the issuer's
 * own `/authorize` with the provider preselected. Nothing else is served there.
 */

import { preselection } from '#federation/discovery.ts'
import type { Ctx, Middleware, Next } from '#http/context.ts'
import { readForm } from '#http/form.ts'
import { seeOther } from '#http/route.ts'
import { withoutPort } from '#kernel/network.ts'
import type { Planner } from './plan.ts'

const AUTHORIZE = '/authorize'

/** GET, and what it may be asked as: HEAD by link checkers, POST by relying parties (OIDC Core 3.1.2.1). */
const METHODS = new Set(['GET', 'HEAD', 'POST'])
/** Bytes of a form: what fits in the link that it becomes. */
const MOST_FORM = 8192

const redirect = async (ctx: Ctx, issuer: string, parameter: string, provider: string) => {
  const url = new URL(`${issuer}${AUTHORIZE}`)
  url.search = ctx.search
  if (ctx.method === 'POST')
    for (const [name, value] of (await readForm(ctx.req, ['resource'], MOST_FORM)).params)
      url.searchParams.append(name, value)
  // What the relying party said itself goes before the place (CONTRACT 5).
  if (!url.searchParams.has(parameter)) url.searchParams.set(parameter, preselection(provider))
  seeOther(ctx, url.href)
}

/** @param given `parameter`: the preselection parameter's name */
export const createEntrance = (given: {
  issuer: string
  parameter: string
  planner: Planner
}): { byPath: Middleware; byHost: Middleware } => {
  const { issuer, parameter, planner } = given
  return {
    async byPath(ctx: Ctx, next: Next) {
      if (!ctx.path.endsWith(AUTHORIZE) || ctx.path === AUTHORIZE || !METHODS.has(ctx.method)) return next()
      const provider = await planner.at({ path: ctx.path.slice(0, -AUTHORIZE.length) })
      return provider === undefined ? next() : redirect(ctx, issuer, parameter, provider)
    },
    async byHost(ctx: Ctx, next: Next) {
      const host = ctx.state.host && withoutPort(ctx.state.host)
      if (ctx.path !== AUTHORIZE || !METHODS.has(ctx.method) || host === undefined) return next()
      const provider = await planner.at({ host })
      return provider === undefined ? next() : redirect(ctx, issuer, parameter, provider)
    },
  }
}
