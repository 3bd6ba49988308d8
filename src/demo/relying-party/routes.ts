/** The relying party's addresses. Each POST ends in a redirect, so that reloading a page repeats nothing. */
import type { Ctx } from '#http/context.ts'
import type { Fields } from '#http/form.ts'
import { type Route, seeOther } from '#http/route.ts'
import { sameSecret } from '#kernel/random.ts'
import { BACKCHANNEL, CALLBACK, FRONTCHANNEL, LOGGED_OUT, LOGO } from '../configuration.ts'
import { runAction, silently, startLogout } from './actions.ts'
import type { Check } from './checks.ts'
import { completeLogin, type Desk, type Refusal, startLogin } from './login.ts'
import type { LogoutDesk } from './logout.ts'
import { clientPage, type Pager, providerPage, resultPage, sessionPage, startPage } from './pager.ts'
import { deleteRegistration, readRegistration, register, updateRegistration } from './registration.ts'
import { readWishes } from './request.ts'
import { record, type Session, type Sessions } from './session.ts'

export interface Rooms {
  readonly desk: Desk
  readonly sessions: Sessions
  readonly pager: Pager
  readonly logout: LogoutDesk
  /** The picture of `logo_uri`, SVG. */
  readonly logo: Buffer
  /** The session of the request's browser; a new one gets its cookie. */
  readonly sessionOf: (ctx: Ctx) => Session
}

/** What only a response carries (OAuth Multiple Response Types, JARM 2.3); anything else is no response. */
const isResponse = (fields: Fields): boolean =>
  ['code', 'error', 'id_token', 'access_token', 'response', 'state'].some((name) => fields.params.has(name))

/** On to the provider, or back with the reason. */
const leave = (ctx: Ctx, session: Session, to: { location: string } | Refusal, back: string): void => {
  if ('problem' in to) session.notice = { ok: false, sentence: to.problem }
  seeOther(ctx, 'problem' in to ? back : to.location)
}

const loginRoutes = ({ desk, pager, sessionOf }: Rooms): Route[] => [
  { method: 'get', path: '/', run: (ctx) => startPage(pager, ctx, sessionOf(ctx)) },
  {
    method: 'post',
    path: '/start',
    run: async (ctx, form) => {
      const session = sessionOf(ctx)
      const wishes = readWishes(form.params)
      // A button's own acr value is for this once; the form keeps what was typed.
      session.wishes = { ...wishes, acr_values: form.get('acr_values')?.trim() ?? '' }
      return leave(ctx, session, await startLogin(desk, session, wishes), '/')
    },
  },
]

/** Where responses arrive: parked under a handle first, then looked at by the browser's own request. */
const callbackRoutes = ({ desk, sessions, pager, sessionOf }: Rooms): Route[] => [
  {
    method: 'get',
    path: CALLBACK,
    run: (ctx, query) => {
      if (isResponse(query)) return seeOther(ctx, `${CALLBACK}/finish?handle=${sessions.park('query', query.plain())}`)
      return pager.show(ctx, sessionOf(ctx), 'fragment', 'none', {})
    },
  },
  {
    // A provider's form_post comes from its site, without our cookie; the state is the proof, checked behind the redirect.
    method: 'post',
    path: CALLBACK,
    crossSite: true,
    run: (ctx, form) => seeOther(ctx, `${CALLBACK}/finish?handle=${sessions.park('form_post', form.plain())}`),
  },
  {
    method: 'post',
    path: `${CALLBACK}/fragment`,
    run: (ctx, form) => {
      const text = form.get('fragment')?.trim() ?? ''
      const fields = Object.fromEntries(new URLSearchParams(text.slice(text.indexOf('#') + 1)))
      return seeOther(ctx, `${CALLBACK}/finish?handle=${sessions.park('fragment', fields)}`)
    },
  },
  {
    method: 'get',
    path: `${CALLBACK}/finish`,
    run: async (ctx, query) => {
      const session = sessionOf(ctx)
      const arrived = sessions.take(query.get('handle') ?? '')
      if (arrived) {
        session.login = await completeLogin(desk, session, arrived)
        session.outcome = undefined
      }
      return seeOther(ctx, '/result')
    },
  },
]

const resultRoutes = ({ desk, pager, sessionOf }: Rooms): Route[] => [
  { method: 'get', path: '/result', run: (ctx) => resultPage(pager, ctx, sessionOf(ctx)) },
  {
    method: 'post',
    path: '/call/:action',
    run: async (ctx) => {
      const session = sessionOf(ctx)
      const known = await runAction(desk, session, ctx.params.action ?? '')
      if (!known) session.notice = { ok: false, sentence: 'There is no such action.' }
      return seeOther(ctx, '/result#outcome')
    },
  },
  {
    method: 'post',
    path: '/silent',
    run: async (ctx) => {
      const session = sessionOf(ctx)
      return leave(ctx, session, await silently(desk, session), '/result')
    },
  },
]

const endingRoutes = ({ desk, pager, sessionOf }: Rooms): Route[] => [
  {
    method: 'post',
    path: '/logout',
    run: async (ctx) => {
      const session = sessionOf(ctx)
      return leave(ctx, session, await startLogout(desk, session), '/result')
    },
  },
  {
    method: 'post',
    path: '/forget',
    run: (ctx) => {
      const session = sessionOf(ctx)
      session.login = undefined
      session.outcome = undefined
      session.calls = []
      session.notice = {
        ok: true,
        sentence: 'Forgotten here. The provider still knows you: the next sign-in is quick.',
      }
      return seeOther(ctx, '/')
    },
  },
  {
    method: 'get',
    path: LOGGED_OUT,
    run: (ctx, query) => {
      const session = sessionOf(ctx)
      const check = checkReturn(session, query.get('state'))
      session.logoutState = undefined
      return pager.show(ctx, session, 'logged-out', 'none', check ? { check } : {})
    },
  },
]

/** RP-Initiated Logout 3: the state comes back as it was sent. Undefined when no logout was under way. */
const checkReturn = ({ logoutState }: Session, state: string | undefined): Check | undefined => {
  if (logoutState === undefined) return undefined
  const same = state !== undefined && sameSecret(state, logoutState)
  return {
    id: 'logout-state',
    label: 'State of the logout',
    outcome: same ? 'passed' : 'failed',
    detail: same ? 'the one that was sent' : state === undefined ? 'missing' : 'another one than was sent',
    rule: 'RP-Initiated Logout 3',
  }
}

const clientRoutes = ({ desk, pager, sessionOf }: Rooms): Route[] => {
  const managing = (
    path: string,
    act: (session: Session, form: Fields) => Promise<{ ok: boolean; sentence: string }>,
  ): Route => ({
    method: 'post',
    path,
    run: async (ctx, form) => {
      const session = sessionOf(ctx)
      session.notice = await act(session, form)
      return seeOther(ctx, '/client')
    },
  })
  const text = (form: Fields) => form.get('metadata') ?? ''
  return [
    { method: 'get', path: '/client', run: (ctx) => clientPage(pager, ctx, sessionOf(ctx)) },
    managing('/client/register', (session, form) =>
      register(desk, session, text(form), form.get('initial_access_token')?.trim() ?? ''),
    ),
    managing('/client/read', (session) => readRegistration(desk, session)),
    managing('/client/update', (session, form) => updateRegistration(desk, session, text(form))),
    managing('/client/delete', (session) => deleteRegistration(desk, session)),
    managing('/client/use', async (session, form) => {
      session.useRegistered = form.get('client') === 'registered' && session.registered !== undefined
      return {
        ok: true,
        sentence: `Sign-ins use the ${session.useRegistered ? 'registered' : 'configured'} client now.`,
      }
    }),
  ]
}

/** Where the provider tells of ended sessions, and the page that shows it. */
const noticeRoutes = ({ logout, desk, pager, sessionOf }: Rooms): Route[] => [
  { method: 'get', path: '/session', run: (ctx) => sessionPage(pager, ctx, sessionOf(ctx), logout.notices) },
  {
    // From the provider's server, which has no cookie: the token's signature is the proof.
    method: 'post',
    path: BACKCHANNEL,
    crossSite: true,
    run: async (ctx, form) => {
      ctx.status = await logout.back(form.get('logout_token') ?? '')
      ctx.body = ''
    },
  },
  {
    method: 'get',
    path: FRONTCHANNEL,
    run: (ctx, query) => {
      const { ok, sentence } = logout.front({ iss: query.get('iss'), sid: query.get('sid') }, sessionOf(ctx))
      // The provider shows this in a frame.
      ctx.remove('x-frame-options')
      ctx.set('content-security-policy', `default-src 'none';frame-ancestors ${new URL(desk.provider.issuer).origin}`)
      ctx.status = ok ? 200 : 400
      ctx.type = 'text/plain; charset=utf-8'
      ctx.body = `${sentence}\n`
    },
  },
]

const logoRoute = (logo: Buffer): Route => ({
  method: 'get',
  path: LOGO,
  run: (ctx) => {
    // Shown on the provider's pages, which are another origin.
    ctx.set('cross-origin-resource-policy', 'cross-origin')
    ctx.set('cache-control', 'public, max-age=3600')
    ctx.type = 'image/svg+xml'
    ctx.body = logo
  },
})

export const relyingPartyRoutes = (rooms: Rooms): Route[] => [
  ...loginRoutes(rooms),
  ...callbackRoutes(rooms),
  ...resultRoutes(rooms),
  ...endingRoutes(rooms),
  ...clientRoutes(rooms),
  ...noticeRoutes(rooms),
  logoRoute(rooms.logo),
  {
    method: 'get',
    path: '/provider',
    run: async (ctx) => {
      const session = rooms.sessionOf(ctx)
      const { call } = await providerPage(rooms.pager, ctx, session)
      record(session, call)
    },
  },
]
