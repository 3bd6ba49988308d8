/**
 * OpenID Connect Session Management 1.0: relying parties watch for the end of a session without asking us. What the
 * browser knows of the session is one cookie that scripts may read (3.2); `session_state` binds it to the client and to
 * the origin of its redirect address (3.1). Nothing is stored and nothing is sent.
 */
import type { KoaContextWithOIDC, Session } from 'oidc-provider'
import type { Ctx } from '#http/context.ts'
import { allowFraming } from '#http/headers.ts'
import type { Route } from '#http/route.ts'
import type { View } from '#http/view.ts'
import { hmac, randomToken, sha256 } from '#kernel/random.ts'
import { createRecent } from '#kernel/recent.ts'
import type { OpSettings } from './settings.ts'

/** Path of the check_session_iframe (CONTRACT 4). */
export const CHECK_PATH = '/session/check'

/**
 * The browser state while nobody is signed in. An absent cookie means that the browser hides it, on which a relying
 * party must not act (4.2).
 */
const NOBODY = '-'
/** Seconds by which the cookie may tell an earlier end than the session has; each request would set it anew otherwise. */
const TOLERANCE = 300

export interface SessionManagement {
  /** Adds `session_state` to an authentication response (3.1: MUST on success, SHOULD on failure). */
  respond<R extends object>(ctx: KoaContextWithOIDC, redirectUri: string, members: R): R
  /** Tells the browser what became of the session in a request that the engine has answered. */
  sync(ctx: Ctx): void
  readonly routes: readonly Route[]
}

/** Sessions whose state, and redirect URIs whose origin, is remembered. */
const REMEMBERED = 2000

/** Seconds that the cookie outlasts the session, so that its end can be told. */
const LINGER = 86_400

/** Members that the published type of sessions leaves out. */
type Live = Session & { destroyed?: boolean }

/** Name of the cookie that says which browser state this is; over http on loopback as all cookies (DESIGN 3.22). */
export const stateCookie = (issuer: string): { name: string; secure: boolean } => {
  const { protocol, port } = new URL(issuer)
  const secure = protocol === 'https:'
  return { name: secure ? '__Host-op_bs' : `op_bs_${port || '80'}`, secure }
}

const isOpenId = (ctx: KoaContextWithOIDC): boolean =>
  String(ctx.oidc.params?.scope ?? '')
    .split(' ')
    .includes('openid')

/** Does nothing: for deployments that turn it off. */
const off: SessionManagement = { respond: (_ctx, _uri, members) => members, sync: () => undefined, routes: [] }

/** @param key 32 bytes that all nodes share */
export const createSessionManagement = (
  { issuer, features }: Pick<OpSettings, 'issuer' | 'features'>,
  key: Uint8Array,
  view: View,
): SessionManagement => {
  if (!features.sessionManagement) return off
  const { name, secure } = stateCookie(issuer)

  const states = createRecent<string, string>(REMEMBERED)
  const origins = createRecent<string, string>(REMEMBERED)

  /** Changes at each sign-in and at the end, not with the session's id. */
  const stateOf = (session: Live | undefined): string => {
    if (!session?.accountId || session.destroyed) return NOBODY
    const { uid, accountId, loginTs } = session
    const what = JSON.stringify([uid, accountId, loginTs])
    const known = states.get(what)
    if (known !== undefined) return known
    const state = hmac(key, what).toString('base64url').slice(0, 22)
    states.set(what, state)
    return state
  }

  const originOf = (uri: string): string => {
    const known = origins.get(uri)
    if (known !== undefined) return known
    const { origin } = new URL(uri)
    origins.set(uri, origin)
    return origin
  }

  return {
    respond(ctx, redirectUri, members) {
      const origin = originOf(redirectUri)
      const { client, session } = ctx.oidc
      // An application's own scheme has no page that could ask.
      if (!client || origin === 'null' || !isOpenId(ctx)) return members
      const salt = randomToken(12)
      const state = [client.clientId, origin, stateOf(session), salt].join(' ')
      return { ...members, session_state: `${sha256(state).toString('base64url')}.${salt}` }
    },
    sync(ctx) {
      const session = (ctx as unknown as Partial<KoaContextWithOIDC>).oidc?.session as Live | undefined
      if (!session) return
      const state = stateOf(session)
      const [known, until] = (ctx.cookies.get(name, { signed: false }) ?? '').split('.')
      const end = state === NOBODY ? undefined : session.exp
      if (known === state && Math.abs(Number(until ?? 0) - (end ?? 0)) < TOLERANCE) return
      const value = end === undefined ? state : `${state}.${end}`
      ctx.cookies.set(name, value, {
        signed: false,
        httpOnly: false,
        path: '/',
        sameSite: secure ? 'none' : 'lax',
        secure,
        overwrite: true,
        ...(end !== undefined && { expires: new Date((end + LINGER) * 1000) }),
      })
    },
    routes: [
      {
        method: 'get',
        path: CHECK_PATH,
        run: (ctx) => {
          view(ctx, 'session-check', { cookie: name })
          allowFraming(ctx)
          ctx.set('cache-control', 'public, max-age=300')
        },
      },
    ],
  }
}
