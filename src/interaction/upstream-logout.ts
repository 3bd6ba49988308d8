/**
 * Logout between us and identity providers, in both directions: a logout here goes on to the provider's end_session
 * endpoint and comes back; a provider's logout token or frame ends the sessions that began there, and with them those of
 * all applications. Nothing here waits for a provider before our own session is gone.
 */
import type { Box } from '#artifacts/box.ts'
import type { Records } from '#directory/records.ts'
import type { Federation } from '#federation/trip.ts'
import type { UpstreamSession, UpstreamSessions } from '#federation/upstream.ts'
import type { Ctx } from '#http/context.ts'
import type { Fields } from '#http/form.ts'
import { allowFraming } from '#http/headers.ts'
import { type Route, seeOther } from '#http/route.ts'
import { Fault, type FaultCode, isFault } from '#kernel/faults.ts'
import type { Log } from '#kernel/log.ts'
import { randomReference, randomToken } from '#kernel/random.ts'
import type { IdentityProvider } from '#kernel/records/provider.ts'
import type { Sessions } from '#sessions/ending.ts'
import type { Audit } from '#trace/audit.ts'

export interface UpstreamLogoutOptions {
  readonly issuer: string
  readonly records: Pick<Records, 'providers'>
  readonly federation: Pick<Federation, 'connector'>
  readonly upstreams: UpstreamSessions
  readonly sessions: Pick<Sessions, 'endUpstream'>
  readonly box: Box
  readonly audit: Audit
  readonly log: Log
}

export interface UpstreamLogout {
  /**
   * Where the browser goes after the session that came from there has ended.
   * @param next where it would go otherwise; also the answer when the provider has no such place or does not answer
   */
  leave(upstream: { readonly provider: string; readonly id: string }, next: string): Promise<string>
  readonly routes: readonly Route[]
}

const MODEL = 'UpstreamLogout'
/** Seconds that the person may take at the provider. */
const RETURN_WITHIN = 3600
const TOKEN = 'UpstreamLogoutToken'
/** Faults that say nothing of the token: answered as everywhere. */
const unanswered: ReadonlySet<FaultCode> = new Set(['request.not-found', 'store.unavailable'])
/** Seconds that a token stays known: longer than it is believed. */
const REMEMBER_TOKEN = 900

interface Way {
  readonly provider: string
  readonly next: string
}

const providerFor = async (
  { records }: UpstreamLogoutOptions,
  id: string,
  way: keyof IdentityProvider['logout'],
): Promise<IdentityProvider> => {
  const provider = await records.providers.get(id)
  if (!provider?.enabled || !provider.logout[way]) throw new Fault('request.not-found', { provider: id })
  return provider
}

const leave = async (given: UpstreamLogoutOptions, upstream: { provider: string; id: string }, next: string) => {
  const { records, federation, upstreams, box, issuer, log } = given
  try {
    const provider = await records.providers.get(upstream.provider)
    const session = await upstreams.get(upstream.id)
    if (!session || !provider?.enabled || !provider.logout.upstream) return next
    const connector = await federation.connector(provider.id)
    const state = randomToken()
    const returnTo = new URL(`${issuer}/federation/${provider.id}/logged-out`)
    const departure = await connector.logout?.(session.identity, returnTo, state)
    if (departure?.go !== 'redirect') return next
    await box.put(MODEL, state, { provider: provider.id, next } satisfies Way, { ttl: RETURN_WITHIN })
    await upstreams.drop(upstream.id)
    return departure.url.href
  } catch (error) {
    if (!isFault(error)) throw error
    // The person is signed out here; a provider that is away must not be in the way of that.
    log.warn('logout.upstream-failed', { provider: upstream.provider, cause: error })
    return next
  }
}

/** Ends what the provider's word means. @returns how many sessions */
const end = async (
  { sessions, audit }: UpstreamLogoutOptions,
  provider: string,
  found: readonly UpstreamSession[],
  channel: string,
): Promise<number> => {
  const reference = randomReference()
  let count = 0
  for (const { id } of found) count += await sessions.endUpstream(id, { cause: 'upstream', reference })
  audit({ type: 'logout.upstream', provider, reference, detail: { channel, sessions: count } })
  return count
}

/** Five parts where it is encrypted (RFC 7515 3.1, RFC 7516 3.1). */
const JWT = /^[\w-]+(?:\.[\w-]*){2}(?:(?:\.[\w-]*){2})?$/

const backchannel = async (given: UpstreamLogoutOptions, ctx: Ctx, fields: Fields): Promise<void> => {
  const { federation, upstreams, box, log } = given
  const provider = await providerFor(given, ctx.params.idp ?? '', 'backchannel')
  try {
    const sent = fields.get('logout_token') ?? ''
    // Whatever anybody sends here makes nobody ask the provider for its metadata.
    if (!JWT.test(sent)) throw new Fault('upstream.invalid', { leg: 'logout token', reason: 'it is no JWT' })
    const connector = await federation.connector(provider.id)
    if (!connector.loggedOut) throw new Fault('request.not-found', { provider: provider.id })
    const { uid, sid, token } = await connector.loggedOut(sent)
    const name = JSON.stringify([provider.id, token])
    if (await box.get(TOKEN, name))
      throw new Fault('upstream.replayed', { provider: provider.id, reason: 'logout token used before' })
    const bySid = sid === undefined ? undefined : await upstreams.bySid(provider.id, sid)
    const found = bySid ?? (uid === undefined ? [] : await upstreams.byUid(provider.id, uid))
    // Where both are named, both have to fit (Back-Channel Logout 2.7).
    const meant = found.filter(({ identity }) => uid === undefined || identity.uid === uid)
    await end(given, provider.id, meant, 'back')
    // Only now: a token whose work was cut short has to count when it is sent again, and twice at once does no harm.
    await box.put(TOKEN, name, true, { ttl: REMEMBER_TOKEN })
    ctx.status = 200
    ctx.body = ''
  } catch (error) {
    if (!isFault(error) || unanswered.has(error.code)) throw error
    log.warn('logout.refused', { provider: provider.id, fault: error.code, detail: error.detail })
    // Back-Channel Logout 2.8.
    ctx.status = error.code === 'upstream.unavailable' ? 503 : 400
    ctx.body = { error: 'invalid_request', error_description: 'the logout token was not accepted' }
  }
}

const frontchannel = async (given: UpstreamLogoutOptions, ctx: Ctx, fields: Fields): Promise<void> => {
  const provider = await providerFor(given, ctx.params.idp ?? '', 'frontchannel')
  const [iss, sid] = [fields.get('iss'), fields.get('sid')]
  // The browser sends no cookie of ours from the provider's site: the session has to be named (Front-Channel Logout 2).
  if (!iss || !sid) throw new Fault('request.invalid', { what: 'iss and sid are needed' })
  const found = await given.upstreams.bySid(provider.id, sid)
  const meant = found.filter(({ identity }) => identity.issuer === iss)
  // Anybody can send this: what names no session must not fill the audit trail.
  if (meant.length > 0) await end(given, provider.id, meant, 'front')
  allowFraming(ctx)
  ctx.status = 200
  ctx.type = 'text/plain; charset=utf-8'
  ctx.body = 'ok\n'
}

/** Back from the provider: on to where the application wanted the person. */
const loggedOut = async ({ box, issuer }: UpstreamLogoutOptions, ctx: Ctx, fields: Fields): Promise<void> => {
  const state = fields.get('state') ?? ''
  const way = state === '' ? undefined : await box.take<Way>(MODEL, state)
  seeOther(ctx, way && way.provider === ctx.params.idp ? way.next : `${issuer}/session/end/success`)
}

export const createUpstreamLogout = (given: UpstreamLogoutOptions): UpstreamLogout => ({
  leave: (upstream, next) => leave(given, upstream, next),
  routes: [
    {
      method: 'post',
      path: '/federation/:idp/backchannel-logout',
      // From the provider's server; the token's signature is the proof.
      crossSite: true,
      run: (ctx, fields) => backchannel(given, ctx, fields),
    },
    {
      method: 'get',
      path: '/federation/:idp/frontchannel-logout',
      run: (ctx, fields) => frontchannel(given, ctx, fields),
    },
    { method: 'get', path: '/federation/:idp/logged-out', run: (ctx, fields) => loggedOut(given, ctx, fields) },
  ],
})
