/** Shows the relying party's pages: gathers what each needs, adds the frame that is around all of them. */
import type { Ctx } from '#http/context.ts'
import type { View } from '#http/view.ts'
import { epochSeconds } from '#kernel/clock.ts'
import { type DemoPerson, PROVIDER_ID, PROVIDER_NAME, RESPONSE_TYPES, STRONG_ACR } from '../configuration.ts'
import type { Call } from './calls.ts'
import { clientOf, type Desk } from './login.ts'
import type { Notice } from './logout.ts'
import type { Choice, DemoPages, Frame } from './pages.ts'
import { buttonsFor, callCard, clientRows, discoveryRows, loginCard, outcomeCard, rows, signedIn } from './present.ts'
import type { Metadata } from './provider.ts'
import { metadataText } from './registration.ts'
import type { Session } from './session.ts'

type WithoutFrame<N extends keyof DemoPages> = Omit<DemoPages[N], 'frame'>

export interface Pager {
  readonly desk: Desk
  readonly people: readonly DemoPerson[]
  show<N extends keyof DemoPages>(
    ctx: Ctx,
    session: Session,
    name: N,
    active: Frame['active'],
    page: WithoutFrame<N>,
  ): void
}

/** @param view renders views/demo; the http room's type knows only Gatehouse's own pages, so it is told here what these are */
export const createPager = (desk: Desk, view: View, people: readonly DemoPerson[]): Pager => {
  const render = view as unknown as <N extends keyof DemoPages>(ctx: Ctx, name: N, page: DemoPages[N]) => void
  return {
    desk,
    people,
    show(ctx, session, name, active, page) {
      const { notice } = session
      session.notice = undefined
      const who = signedIn(session)
      const frame: Frame = {
        active,
        issuer: desk.provider.issuer,
        clientId: clientOf(desk, session).client_id,
        own: session.useRegistered,
        ...(who && { signedIn: who }),
        ...(notice && { notice }),
      }
      render(ctx, name, { ...page, frame } as unknown as DemoPages[typeof name])
    },
  }
}

const choices = (
  name: string,
  values: readonly string[],
  chosen: string,
  advertised: readonly string[] | undefined,
): Choice[] =>
  values.map((value) => ({
    value,
    id: `${name}-${value.replaceAll(/[ .]/g, '-') || 'usual'}`,
    label: value || 'usual',
    checked: value === chosen,
    unadvertised: value !== '' && advertised !== undefined && !sameList(advertised, value),
  }))

/** Response types are sets of words: their order means nothing (OAuth Multiple Response Types 5). */
const sameList = (advertised: readonly string[], value: string): boolean => {
  const sorted = (text: string) => text.split(' ').sort().join(' ')
  return advertised.some((entry) => sorted(entry) === sorted(value))
}

const listOf = (metadata: Metadata | undefined, name: string): readonly string[] => {
  const value = metadata?.[name]
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}

const MODES = ['', 'query', 'fragment', 'form_post']
const PROMPTS = ['none', 'login', 'consent', 'select_account', 'login consent']
const DISPLAYS = ['page', 'popup', 'touch', 'wap']

export const startPage = async (pager: Pager, ctx: Ctx, session: Session): Promise<void> => {
  const { metadata, problem } = await pager.desk.provider.discover()
  if (problem) session.notice ??= { ok: false, sentence: problem }
  const { wishes } = session
  const signed = listOf(metadata, 'response_modes_supported').filter((mode) => mode === 'jwt' || mode.endsWith('.jwt'))
  pager.show(ctx, session, 'start', 'start', {
    wishes,
    types: choices('response_type', RESPONSE_TYPES, wishes.response_type, metadata?.response_types_supported),
    modes: choices('response_mode', [...MODES, ...signed], wishes.response_mode, metadata?.response_modes_supported),
    prompts: [...new Set([...PROMPTS, ...listOf(metadata, 'prompt_values_supported')])],
    displays: DISPLAYS,
    acrs: listOf(metadata, 'acr_values_supported'),
    scopes: listOf(metadata, 'scopes_supported'),
    ways: [
      { id: 'start-basic', acr: 'basic', label: 'With a password' },
      { id: `start-${PROVIDER_ID}`, acr: PROVIDER_ID, label: `With ${PROVIDER_NAME}` },
      { id: 'start-strong', acr: STRONG_ACR, label: 'With a one-time code too' },
    ],
    hintable: session.login?.tokens.idToken !== undefined,
    people: pager.people,
  })
}

export const resultPage = (pager: Pager, ctx: Ctx, session: Session): void => {
  const { login, outcome } = session
  const now = epochSeconds(pager.desk.clock)
  pager.show(ctx, session, 'result', 'result', {
    ...(login && { login: loginCard(login, now) }),
    ...(outcome && { outcome: outcomeCard(outcome, now) }),
    buttons: buttonsFor(login?.tokens ?? {}),
    canLogOut: login?.tokens.idToken !== undefined,
    calls: session.calls.map(callCard),
  })
}

/** @returns the look at the discovery document, for the list of exchanges */
export const providerPage = async (pager: Pager, ctx: Ctx, session: Session): Promise<{ call: Call }> => {
  const { provider } = pager.desk
  const { metadata, problem, answer } = await provider.discover()
  const found = metadata ? await provider.keys(metadata) : {}
  const text = (value: unknown) => (typeof value === 'string' ? value : '')
  pager.show(ctx, session, 'provider', 'provider', {
    ...(metadata ? discoveryRows(metadata) : { endpoints: [], abilities: [] }),
    document: JSON.stringify(answer.data ?? answer.call.response?.body ?? null, null, 2),
    keys: (found.jwks?.keys ?? []).map(({ kid, kty, alg, use }) => ({
      kid: text(kid),
      kty: text(kty),
      alg: text(alg),
      use: text(use),
    })),
    ...((problem ?? found.problem) && { problem: problem ?? found.problem }),
  })
  return answer
}

/** @param notices what the provider said, the newest first */
export const sessionPage = async (
  pager: Pager,
  ctx: Ctx,
  session: Session,
  notices: readonly Notice[],
): Promise<void> => {
  const { login } = session
  const now = epochSeconds(pager.desk.clock)
  const { metadata } = await pager.desk.provider.discover()
  const frame = metadata?.check_session_iframe
  const sessionState = login?.response.session_state
  const clientId = login?.pending?.client.client_id
  const watch =
    typeof frame === 'string' && sessionState && clientId
      ? { frame, clientId, sessionState, rows: rows({ check_session_iframe: frame, session_state: sessionState }, now) }
      : undefined
  pager.show(ctx, session, 'session', 'session', {
    ...(watch && { watch }),
    reason: frame ? 'Sign in first: an answer brings the session_state.' : 'The provider has no check_session_iframe.',
    notices: notices.map(({ at, claims, ...notice }) => ({
      ...notice,
      when: new Date(at).toISOString().replace('T', ' ').slice(0, 19),
      claims: rows(claims, now),
    })),
  })
  if (!watch) return
  const policy = String(ctx.response.get('content-security-policy'))
  ctx.set('content-security-policy', `${policy};frame-src ${new URL(watch.frame).origin}`)
}

export const clientPage = (pager: Pager, ctx: Ctx, session: Session): void => {
  const { desk } = pager
  const { registered } = session
  const now = epochSeconds(desk.clock)
  pager.show(ctx, session, 'client', 'client', {
    configured: { clientId: desk.client.client_id, rows: clientRows(desk.client, now) },
    ...(registered && {
      registered: {
        clientId: registered.client.client_id,
        rows: clientRows(registered.client, now),
        manageable: registered.uri !== undefined && registered.token !== undefined,
      },
    }),
    text: metadataText(session, desk.url()),
    calls: session.calls.map(callCard).slice(0, 5),
  })
}
