/**
 * From "start" to a verified login: departure by URL or pushed request, and what a response comes to. A code is
 * redeemed only when everything that came with it was right (OIDC Core 3.3.2.8–3.3.2.10).
 */
import { type JSONWebKeySet, SignJWT } from 'jose'
import { type Clock, epochSeconds } from '#kernel/clock.ts'
import { DEMO_API, type RelyingPartyClient } from '../configuration.ts'
import type { Answer, Send } from './calls.ts'
import { type Channel, type Check, checkEnvelope, checkIdToken, checkResponse, passed } from './checks.ts'
import { decode } from './jwt.ts'
import type { Metadata, Provider } from './provider.ts'
import { type Pending, prepareLogin, type Wishes, withQuery } from './request.ts'
import { type Arrived, type CheckGroup, type Login, record, remember, type Session, type TokenSet } from './session.ts'

/** What every action of the relying party works with. */
export interface Desk {
  readonly provider: Provider
  readonly send: Send
  readonly clock: Clock
  /** The client that the demo is configured with. */
  readonly client: RelyingPartyClient
  /** The relying party's base address, without a slash at the end. */
  readonly url: () => string
  readonly callback: () => string
}

export type Refusal = { readonly problem: string }
const refuse = (problem: string): Refusal => ({ problem })

/** The client that this browser works with. */
export const clientOf = (desk: Desk, session: Session): RelyingPartyClient =>
  session.useRegistered && session.registered ? session.registered.client : desk.client

/**
 * Starts a login.
 * @returns where to send the browser, or why not
 */
export const startLogin = async (
  desk: Desk,
  session: Session,
  wishes: Wishes,
): Promise<{ location: string } | Refusal> => {
  const { metadata, answer, problem } = await desk.provider.discover()
  record(session, answer.call)
  if (!metadata) return refuse(problem ?? 'Discovery failed.')
  const { authorization_endpoint: endpoint } = metadata
  if (!endpoint) return refuse('The provider has no authorization endpoint.')
  const client = clientOf(desk, session)
  const idToken = session.login?.tokens.idToken
  const pending = prepareLogin(wishes, {
    client,
    redirectUri: desk.callback(),
    clock: desk.clock,
    ...(idToken && { idToken }),
  })
  remember(session, pending)
  const { client_secret: secret } = client
  if (wishes.jar && secret === undefined) return refuse('A signed request needs a client with a secret.')
  const params = wishes.jar ? await signedRequest(pending, metadata, secret ?? '') : pending.params
  if (!wishes.par) return { location: withQuery(endpoint, params) }
  return pushRequest(desk, session, metadata, { ...pending, params })
}

/** RFC 9101 2: everything that was asked in one object, signed with the client's secret. */
const signedRequest = async ({ client, params }: Pending, metadata: Metadata, secret: string) => ({
  client_id: client.client_id,
  request: await new SignJWT({ ...params, iss: client.client_id, aud: metadata.issuer })
    .setProtectedHeader({ alg: 'HS256', typ: 'oauth-authz-req+jwt' })
    .setIssuedAt()
    .setExpirationTime('5m')
    .sign(Buffer.from(secret)),
})

/** RFC 9126: the request goes to the provider first, the browser carries a reference to it. */
const pushRequest = async (desk: Desk, session: Session, metadata: Metadata, pending: Pending) => {
  const { pushed_authorization_request_endpoint: url, authorization_endpoint: endpoint = '' } = metadata
  if (!url) return refuse('The provider has no endpoint for pushed requests.')
  const { client, params } = pending
  const answer = await desk.send({ title: 'Pushed authorization request', method: 'POST', url, form: params, client })
  record(session, answer.call)
  const reference = answer.data?.request_uri
  if (!answer.ok || typeof reference !== 'string')
    return refuse(`The pushed request was refused. ${answer.problem ?? 'The answer has no request_uri.'}`)
  return { location: withQuery(endpoint, { client_id: client.client_id, request_uri: reference }) }
}

const stringOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

/** The members of a token response (RFC 6749 5.1) or of an authorization response, as the session keeps them. */
export const tokensOf = (data: Readonly<Record<string, unknown>>, now: number): TokenSet => {
  const accessToken = stringOf(data.access_token)
  const refreshToken = stringOf(data.refresh_token)
  const idToken = stringOf(data.id_token)
  const scope = stringOf(data.scope)
  const seconds = Number(data.expires_in)
  return {
    ...(accessToken && { accessToken }),
    ...(refreshToken && { refreshToken }),
    ...(idToken && { idToken }),
    ...(scope && { scope }),
    ...(accessToken && seconds > 0 && { accessTokenExpiresAt: now + seconds * 1000 }),
  }
}

const subjectOf = (idToken: string | undefined): string | undefined =>
  idToken === undefined ? undefined : stringOf(decode(idToken)?.payload.sub)

/** Gathers what is found out while one response is looked at. */
interface Draft {
  readonly channel: Channel
  response: Readonly<Record<string, string>>
  pending?: Pending
  readonly groups: CheckGroup[]
  tokens: TokenSet
}

const unwrap = async (session: Session, draft: Draft, given: Given): Promise<boolean> => {
  const { response: envelope } = draft.response
  if (envelope === undefined) return false
  const claims = decode(envelope)?.payload ?? {}
  const client = session.pending.get(String(claims.state))?.client ?? given.client
  const checks = await checkEnvelope(envelope, { ...given, group: 'envelope', client })
  draft.groups.push({ title: 'Signed response (JARM)', checks })
  draft.response = Object.fromEntries(
    Object.entries(claims)
      .filter(([name]) => !['iss', 'aud', 'exp', 'iat'].includes(name))
      .map(([name, value]) => [name, String(value)]),
  )
  return true
}

type Given = { metadata: Metadata; jwks?: JSONWebKeySet; client: RelyingPartyClient; now: number }

const checkFront = async (draft: Draft, given: Given, pending: Pending, now: number) => {
  const { code, id_token: idToken, access_token: accessToken } = draft.response
  draft.tokens = tokensOf(draft.response, now)
  if (!idToken) return
  const checks = await checkIdToken(idToken, {
    ...given,
    group: 'front',
    pending,
    ...(code && { code }),
    ...(accessToken && { accessToken }),
  })
  draft.groups.push({ title: 'ID token from the authorization endpoint', checks })
}

type Redeemed = { readonly problem: string } | { readonly problem?: undefined; readonly data: Answer['data'] }

/** RFC 6749 4.1.3, RFC 7636 4.5. */
const redeem = async (
  desk: Desk,
  session: Session,
  { metadata }: Given,
  pending: Pending,
  code: string,
): Promise<Redeemed> => {
  const { token_endpoint: url } = metadata
  if (!url) return refuse('The provider has no token endpoint.')
  const form = {
    grant_type: 'authorization_code',
    code,
    redirect_uri: pending.redirectUri,
    code_verifier: pending.verifier,
    resource: pending.wishes.api ? DEMO_API : undefined,
  }
  const dpop = pending.wishes.dpop ? {} : undefined
  const answer = await desk.send({ title: 'Code for tokens', method: 'POST', url, client: pending.client, form, dpop })
  record(session, answer.call)
  return answer.problem === undefined ? { data: answer.data } : refuse(answer.problem)
}

/** @returns what is missing of the token response, if anything */
const checkBack = async (
  draft: Draft,
  given: Given,
  pending: Pending,
  data: Answer['data'],
  now: number,
): Promise<string | undefined> => {
  const back = tokensOf(data ?? {}, now)
  const front = draft.tokens.idToken
  draft.tokens = { ...draft.tokens, ...back, ...(front && back.idToken && { frontIdToken: front }) }
  if (!back.idToken)
    return pending.params.scope?.split(' ').includes('openid') ? 'The token response has no ID token.' : undefined
  const subject = subjectOf(front)
  const checks = await checkIdToken(back.idToken, {
    ...given,
    group: 'back',
    pending,
    accessTokenHash: 'optional',
    ...(back.accessToken && { accessToken: back.accessToken }),
    ...(subject && { subject }),
  })
  draft.groups.push({ title: 'ID token from the token endpoint', checks })
  return undefined
}

const errorSentence = ({ error, error_description: description }: Readonly<Record<string, string>>): string =>
  description ? `${error}: ${description}` : String(error)

/** @returns what went wrong, in one sentence, beside the checks */
const examine = async (desk: Desk, session: Session, draft: Draft): Promise<string | undefined> => {
  const { metadata, answer, problem } = await desk.provider.discover()
  record(session, answer.call)
  if (!metadata) return problem ?? 'Discovery failed.'
  const keys = await desk.provider.keys(metadata)
  record(session, keys.answer?.call)
  const given = {
    metadata,
    now: epochSeconds(desk.clock),
    client: clientOf(desk, session),
    ...(keys.jwks && { jwks: keys.jwks }),
  }
  const enveloped = await unwrap(session, draft, given)
  const { response } = draft
  const pending = session.pending.get(response.state ?? '')
  if (!pending) return foreign(draft)
  session.pending.delete(pending.state)
  draft.pending = pending
  draft.groups.push({
    title: 'Authorization response',
    checks: checkResponse(response, { pending, metadata, channel: draft.channel, enveloped }),
  })
  if (response.error) return errorSentence(response)
  const whole = { ...given, client: pending.client }
  await checkFront(draft, whole, pending, desk.clock.now())
  if (!response.code) return undefined
  if (!allPassed(draft)) return 'A check failed, so the code was not redeemed.'
  const answered = await redeem(desk, session, whole, pending, response.code)
  if (answered.problem !== undefined) return answered.problem
  // Issued just now, so measured by the time after the answer.
  const later = { ...whole, now: epochSeconds(desk.clock) }
  return checkBack(draft, later, pending, answered.data, desk.clock.now())
}

/** RFC 6749 10.12: a response that this browser did not ask for goes no further. */
const foreign = (draft: Draft): string => {
  const check: Check = {
    id: 'response-state',
    label: 'State belongs to this browser',
    outcome: 'failed',
    detail: draft.response.state ? 'no login with this state is under way here' : 'missing',
    rule: 'RFC 6749 10.12',
  }
  draft.groups.push({ title: 'Authorization response', checks: [check] })
  return draft.response.error
    ? errorSentence(draft.response)
    : 'This response belongs to no login of this browser: it was used already, or started elsewhere.'
}

const allPassed = ({ groups }: Draft): boolean => groups.every(({ checks }) => passed(checks))

/** Looks at a response: every check that was made of it, the tokens, and whether it all was right. */
export const completeLogin = async (desk: Desk, session: Session, { channel, fields }: Arrived): Promise<Login> => {
  const draft: Draft = { channel, response: fields, groups: [], tokens: {} }
  const found = await examine(desk, session, draft)
  const sound = allPassed(draft)
  const problem = found ?? (sound ? undefined : 'A check failed: these tokens must not be trusted.')
  return {
    channel,
    response: draft.response,
    groups: draft.groups,
    tokens: draft.tokens,
    ok: problem === undefined,
    at: desk.clock.now(),
    ...(draft.pending && { pending: draft.pending }),
    ...(problem !== undefined && { problem }),
  }
}
