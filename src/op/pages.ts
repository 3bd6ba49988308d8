/** The engine's own pages, through the same views as all others (CONTRACT 11). */
import type { KoaContextWithOIDC } from 'oidc-provider'
import type { Kept } from '#artifacts/interaction-rows.ts'
import type { Ctx } from '#http/context.ts'
import type { Errors } from '#http/errors.ts'
import { cardOf, type WayOn } from '#http/pages.ts'
import type { View } from '#http/view.ts'
import type { KeptRequest } from '#kernel/ports.ts'
import { randomReference } from '#kernel/random.ts'
import { referenceOf, type Trace } from '#trace/trace.ts'
import type { Pages } from './features.ts'

/** Routes that a person's browser comes to. */
export const shown: ReadonlySet<string> = new Set([
  'authorization',
  'resume',
  'end_session',
  'end_session_confirm',
  'end_session_success',
])

/**
 * Routes where the engine sends a form to its own confirmation, by a page of its own: another person signed in, or nobody
 * was signed in who could be asked.
 */
const goesOn: ReadonlySet<string> = new Set(['resume', 'end_session'])

/** @param given `kept` and `restartUrl` offer a fresh start where an authorization request was lost on the way */
export const createPages = (given: {
  readonly view: View
  readonly errors: Pick<Errors, 'oauthPage'>
  readonly kept: (uid: string) => Promise<Kept | undefined>
  readonly restartUrl: (kept: KeptRequest) => string
  readonly trace: Trace
}): Pages => {
  const { view, errors, kept, restartUrl, trace } = given
  const card = (ctx: KoaContextWithOIDC) => (ctx.oidc.client ? { client: cardOf(ctx.oidc.client.metadata()) } : {})

  const waysOn = async (ctx: KoaContextWithOIDC): Promise<WayOn[]> => {
    const ways: WayOn[] = []
    const { uid } = ctx.params as { uid?: string }
    const lost = ctx.oidc.route === 'resume' && uid !== undefined ? await kept(uid).catch(() => undefined) : undefined
    if (lost) ways.push({ href: restartUrl(lost), label: 'way.restart' })
    if (lost?.correlation) ctx.state.reference ??= referenceOf(lost.correlation)
    if (ctx.oidc.client?.clientUri) ways.push({ href: ctx.oidc.client.clientUri, label: 'way.application' })
    return ways
  }

  /** The reference that the page shows opens what is known of the failure. */
  const note = (ctx: KoaContextWithOIDC, out: { error: string }, cause: unknown) => {
    ctx.state.reference ??= randomReference()
    const { error_detail: reason, error_description: description } = (cause ?? {}) as Record<string, unknown>
    const client = ctx.oidc.client?.clientId
    trace.add(ctx.state.reference as string, 'page', {
      error: out.error,
      description,
      reason,
      client,
      route: ctx.oidc.route,
    })
  }

  return {
    logout(ctx, { action, xsrf }) {
      view(ctx as unknown as Ctx, 'logout', { ...card(ctx), action: new URL(action).pathname, xsrf })
    },
    loggedOut(ctx) {
      view(ctx as unknown as Ctx, 'logged-out', card(ctx))
    },
    formPost(ctx, url, fields, status) {
      const { name } = ctx.oidc.client ? cardOf(ctx.oidc.client.metadata()) : { name: new URL(url).host }
      view(ctx as unknown as Ctx, 'auto-post', { url, fields, to: name, ...card(ctx) }, status)
    },
    endSession(ctx) {
      const { route, session } = ctx.oidc
      const secret = session?.state?.secret
      if (!goesOn.has(route) || ctx.status !== 200 || typeof secret !== 'string') return
      const url = ctx.oidc.urlFor('end_session_confirm')
      if (typeof ctx.body !== 'string' || !ctx.body.includes(`action="${url}"`)) return
      const { name } = ctx.oidc.client ? cardOf(ctx.oidc.client.metadata()) : { name: new URL(url).host }
      view(ctx as unknown as Ctx, 'auto-post', { url, fields: { xsrf: secret, logout: 'yes' }, to: name, ...card(ctx) })
    },
    async error(ctx, out, cause) {
      if (!shown.has(ctx.oidc.route)) {
        // What software calls answers software, whatever it says that it accepts (CONTRACT 12).
        ctx.body = out
        return
      }
      const ways = await waysOn(ctx)
      Object.assign(ctx.state, card(ctx), ways.length > 0 && { ways })
      note(ctx, out, cause)
      errors.oauthPage(ctx as unknown as Ctx, out, ctx.status)
    },
  }
}
