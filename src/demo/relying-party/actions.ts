/** The buttons of the result page, one function each: what is sent with the tokens of a login, and what is checked of the answer. */
import { epochSeconds } from '#kernel/clock.ts'
import { randomToken } from '#kernel/random.ts'
import { LOGGED_OUT, type RelyingPartyClient } from '../configuration.ts'
import type { Answer, Outgoing } from './calls.ts'
import { checkIdToken, checkUserinfo, passed } from './checks.ts'
import { decode } from './jwt.ts'
import { clientOf, type Desk, type Refusal, startLogin, tokensOf } from './login.ts'
import type { Metadata } from './provider.ts'
import { withQuery } from './request.ts'
import { type Outcome, record, type Session } from './session.ts'

/** What an action needs, once the provider was found. */
interface Turn {
  readonly desk: Desk
  readonly session: Session
  readonly metadata: Metadata
  readonly client: RelyingPartyClient
}
type Action = (turn: Turn) => Promise<Omit<Outcome, 'title'>>

const no = (sentence: string): Omit<Outcome, 'title'> => ({ ok: false, sentence })

const exchange = async ({ desk, session }: Turn, outgoing: Outgoing): Promise<Answer> => {
  const answer = await desk.send(outgoing)
  record(session, answer.call)
  return answer
}

const keysOf = async ({ desk, session, metadata }: Turn) => {
  const { jwks, answer } = await desk.provider.keys(metadata)
  record(session, answer?.call)
  return jwks ? { jwks } : {}
}

const subjectOf = (session: Session): string | undefined => {
  const { idToken } = session.login?.tokens ?? {}
  const sub = idToken === undefined ? undefined : decode(idToken)?.payload.sub
  return typeof sub === 'string' ? sub : undefined
}

/** RFC 6750 2: the three ways to present an access token. */
const bearer = (
  how: 'get' | 'post-header' | 'post-body',
  token: string,
  isBound: boolean,
): Pick<Outgoing, 'method' | 'headers' | 'form' | 'dpop'> => {
  const headers = {
    authorization: `${isBound ? 'DPoP' : 'Bearer'} ${token}`,
    accept: 'application/json, application/jwt',
  }
  // RFC 9449 7.1: a bound token has one way only, with its proof beside it.
  if (isBound) return { method: how === 'get' ? 'GET' : 'POST', headers, dpop: { token } }
  if (how === 'get') return { method: 'GET', headers }
  if (how === 'post-header') return { method: 'POST', headers }
  return { method: 'POST', form: { access_token: token }, headers: { accept: headers.accept } }
}

const isBound = (session: Session): boolean => session.login?.pending?.wishes.dpop === true

const userinfo =
  (how: 'get' | 'post-header' | 'post-body'): Action =>
  async (turn) => {
    const { session, metadata, desk } = turn
    const token = session.login?.tokens.accessToken
    if (!token) return no('There is no access token. Choose a response type with "code" or "token".')
    if (!metadata.userinfo_endpoint) return no('The provider has no userinfo endpoint.')
    const answer = await exchange(turn, {
      title: 'Userinfo',
      url: metadata.userinfo_endpoint,
      ...bearer(how, token, isBound(session)),
    })
    if (!answer.ok) return no(answer.problem ?? 'Userinfo was refused.')
    const signed = answer.call.response?.headers['content-type']?.startsWith('application/jwt') ?? false
    if (!signed && !answer.data) return no('The answer is neither a JSON object nor a signed token.')
    const subject = subjectOf(session)
    const { checks, claims } = await checkUserinfo(answer.call.response?.body ?? '', signed, {
      group: 'userinfo',
      metadata,
      client: turn.client,
      now: epochSeconds(desk.clock),
      ...(signed && (await keysOf(turn))),
      ...(subject && { subject }),
    })
    const ok = passed(checks)
    if (ok && claims && session.login) session.login = { ...session.login, profile: claims }
    return {
      ok,
      checks,
      ...(claims && { claims }),
      sentence: ok ? 'The provider released these claims.' : 'A check failed: these claims must not be used.',
    }
  }

const refresh: Action = async (turn) => {
  const { session, metadata, client, desk } = turn
  const { login } = session
  if (!login?.tokens.refreshToken)
    return no('There is no refresh token. Ask for the scope offline_access with prompt=consent.')
  if (!metadata.token_endpoint) return no('The provider has no token endpoint.')
  const form = { grant_type: 'refresh_token', refresh_token: login.tokens.refreshToken }
  const answer = await exchange(turn, {
    title: 'Refresh',
    method: 'POST',
    url: metadata.token_endpoint,
    form,
    client,
    dpop: isBound(session) ? {} : undefined,
  })
  if (!answer.ok || !answer.data) return no(answer.problem ?? 'The answer is not a JSON object.')
  const fresh = tokensOf(answer.data, desk.clock.now())
  const subject = subjectOf(session)
  const checks = fresh.idToken
    ? await checkIdToken(fresh.idToken, {
        group: 'refreshed',
        metadata,
        client,
        now: epochSeconds(desk.clock),
        accessTokenHash: 'optional',
        ...(await keysOf(turn)),
        ...(fresh.accessToken && { accessToken: fresh.accessToken }),
        ...(subject && { subject }),
      })
    : []
  if (!passed(checks))
    return { ok: false, checks, sentence: 'A check of the new ID token failed; the old tokens stay.' }
  session.login = { ...login, tokens: { ...login.tokens, ...fresh } }
  const rotated = fresh.refreshToken && fresh.refreshToken !== form.refresh_token
  return {
    ok: true,
    checks,
    data: answer.data,
    sentence: rotated ? 'New tokens, the refresh token too.' : 'A new access token; the refresh token stays the same.',
  }
}

/** RFC 7662 and RFC 7009 take the same request. */
const aboutToken =
  (what: 'introspection' | 'revocation', kind: 'accessToken' | 'refreshToken'): Action =>
  async (turn) => {
    const { session, metadata, client } = turn
    const token = session.login?.tokens[kind]
    const name = kind === 'accessToken' ? 'access token' : 'refresh token'
    if (!token) return no(`There is no ${name}.`)
    const url = metadata[`${what}_endpoint`]
    if (typeof url !== 'string') return no(`The provider has no ${what} endpoint.`)
    const form = { token, token_type_hint: kind === 'accessToken' ? 'access_token' : 'refresh_token' }
    const title = what === 'introspection' ? 'Introspection' : 'Revocation'
    const answer = await exchange(turn, { title, method: 'POST', url, form, client })
    if (!answer.ok) return no(answer.problem ?? 'The provider refused.')
    if (what === 'revocation') return { ok: true, sentence: `The ${name} is revoked.` }
    const active = answer.data?.active === true
    return { ok: true, data: answer.data, sentence: active ? `The ${name} is active.` : `The ${name} is not active.` }
  }

/** RFC 6749 4.4: the client for itself, nobody signed in. */
const clientCredentials: Action = async (turn) => {
  const { metadata, client } = turn
  if (!metadata.token_endpoint) return no('The provider has no token endpoint.')
  const form = { grant_type: 'client_credentials' }
  const answer = await exchange(turn, {
    title: 'Client credentials',
    method: 'POST',
    url: metadata.token_endpoint,
    form,
    client,
  })
  if (!answer.ok) return no(answer.problem ?? 'The provider refused.')
  return { ok: true, data: answer.data, sentence: 'The client has a token of its own.' }
}

/** The buttons by the last segment of their address. */
export const actions: Readonly<Record<string, { readonly title: string; readonly run: Action }>> = {
  userinfo: { title: 'Userinfo by GET', run: userinfo('get') },
  'userinfo-post-header': { title: 'Userinfo by POST, token in the header', run: userinfo('post-header') },
  'userinfo-post-body': { title: 'Userinfo by POST, token in the body', run: userinfo('post-body') },
  refresh: { title: 'Refresh', run: refresh },
  introspect: { title: 'Introspection of the access token', run: aboutToken('introspection', 'accessToken') },
  'introspect-refresh': {
    title: 'Introspection of the refresh token',
    run: aboutToken('introspection', 'refreshToken'),
  },
  revoke: { title: 'Revocation of the access token', run: aboutToken('revocation', 'accessToken') },
  'revoke-refresh': { title: 'Revocation of the refresh token', run: aboutToken('revocation', 'refreshToken') },
  'client-credentials': { title: 'Client credentials', run: clientCredentials },
}

/** Runs a button's action and keeps its outcome for the page. */
export const runAction = async (desk: Desk, session: Session, name: string): Promise<boolean> => {
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined
  if (!action) return false
  const { metadata, answer, problem } = await desk.provider.discover()
  if (!metadata) record(session, answer.call)
  const client = session.login?.pending?.client ?? clientOf(desk, session)
  const done = metadata ? await action.run({ desk, session, metadata, client }) : no(problem ?? 'Discovery failed.')
  session.outcome = { title: action.title, ...done }
  return true
}

/** Asks again without a page (OIDC Core 3.1.2.1, prompt=none), as the last login asked. */
export const silently = (desk: Desk, session: Session): Promise<{ location: string } | Refusal> =>
  startLogin(desk, session, {
    ...(session.login?.pending?.wishes ?? session.wishes),
    prompt: 'none',
    max_age: '',
    hint: true,
  })

/** RP-Initiated Logout 2: the local login ends first, then the browser goes to the provider. */
export const startLogout = async (desk: Desk, session: Session): Promise<{ location: string } | Refusal> => {
  const { metadata, answer, problem } = await desk.provider.discover()
  if (!metadata) {
    record(session, answer.call)
    return { problem: problem ?? 'Discovery failed.' }
  }
  if (!metadata.end_session_endpoint) return { problem: 'The provider has no address to log out at.' }
  const client = session.login?.pending?.client ?? clientOf(desk, session)
  const idToken = session.login?.tokens.idToken
  session.login = undefined
  session.outcome = undefined
  session.logoutState = randomToken()
  return {
    location: withQuery(metadata.end_session_endpoint, {
      ...(idToken && { id_token_hint: idToken }),
      client_id: client.client_id,
      post_logout_redirect_uri: `${desk.url()}${LOGGED_OUT}`,
      state: session.logoutState,
    }),
  }
}
