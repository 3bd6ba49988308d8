/**
 * The end of a session at this issuer, towards relying parties: Front-Channel Logout 1.0 as a page of frames between the
 * confirmation and the way on, Back-Channel Logout 1.0 as notices that somebody else delivers. The engine ends the
 * session; what it does not know of is put around its confirm route and on its Client class (ENGINE 2).
 */
import Provider, { type Client, errors, type KoaContextWithOIDC, type Session } from 'oidc-provider'
import type { Ctx } from '#http/context.ts'
import type { View } from '#http/view.ts'
import { randomReference } from '#kernel/random.ts'
import type { Engine } from './engine.ts'
import type { SessionExtras, Upstream } from './seams.ts'
import type { OpSettings } from './settings.ts'

/** Where the logout page's form goes. */
const CONFIRM_PATH = '/session/end/confirm'
/** Our own last page, for whom the application named no address of its own. */
const SUCCESS_PATH = '/session/end/success'
/** Seconds until the browser goes on without JavaScript. */
const WAIT = 3
/** Frames of one page; a session with more clients tells the rest by the back channel or not at all. */
const MOST_FRAMES = 50

/** Client metadata of Front-Channel Logout 2. */
export const frontchannelMembers = ['frontchannel_logout_uri', 'frontchannel_logout_session_required'] as const

export type Notify = (notice: {
  readonly clientId: string
  readonly accountId: string
  readonly sid: string
  readonly cause: 'logout'
  readonly reference?: string
}) => Promise<void>

interface Metadata {
  readonly redirect_uris?: readonly string[]
}

const originOf = (uri: unknown): string | undefined => {
  const url = typeof uri === 'string' ? URL.parse(uri) : null
  return url && (url.protocol === 'https:' || url.protocol === 'http:') ? url.origin : undefined
}

/**
 * For the engine's `extraClientMetadata.validator`. Front-Channel Logout 2: scheme, domain and port of the address are
 * those of a registered redirect URI. @throws InvalidClientMetadata
 */
export const checkFrontchannel = (key: string, value: unknown, metadata: Metadata): void => {
  if (value === undefined) return
  if (key === 'frontchannel_logout_session_required' && typeof value !== 'boolean')
    throw new errors.InvalidClientMetadata(`${key} must be a boolean`)
  if (key !== 'frontchannel_logout_uri') return
  const origin = originOf(value)
  if (origin === undefined || String(value).includes('#'))
    throw new errors.InvalidClientMetadata(`${key} must be a web address without fragment`)
  if (!metadata.redirect_uris?.some((uri) => originOf(uri) === origin))
    throw new errors.InvalidClientMetadata(`${key} must have the scheme, host and port of a redirect URI`)
}

type Methods = Client & {
  includeSid(): boolean
  backchannelLogout(accountId: string, sid: string): Promise<void>
}

/** Makes an instance's clients say whom to tell, and tell by a notice that outlives the request. */
export const patchClients = (engine: Engine, { features }: Pick<OpSettings, 'features'>, notify: Notify): void => {
  const prototype = engine.Client.prototype as unknown as Methods
  const own = prototype.includeSid
  prototype.includeSid = function (this: Methods) {
    const byFrame = features.frontchannelLogout && this.frontchannel_logout_uri !== undefined
    return Boolean(own.call(this) || (byFrame && this.frontchannel_logout_session_required))
  }
  prototype.backchannelLogout = async function (this: Methods, accountId, sid) {
    // A request of the client may have begun in this session and have ended nowhere: there is nobody to sign out.
    if (Provider.ctx?.oidc.session?.grantIdFor(this.clientId) === undefined) return
    const reference = Provider.ctx?.state.reference as string | undefined
    const about = { clientId: this.clientId, accountId, sid, cause: 'logout' as const }
    await notify({ ...about, ...(reference !== undefined && { reference }) })
  }
}

/** The address of one frame: the registered one as it is, and `iss` with `sid` where the client wants them (3). */
const frameUrl = (client: Client, issuer: string, sid: string | undefined): string => {
  const uri = String(client.frontchannel_logout_uri)
  if (client.frontchannel_logout_session_required !== true || sid === undefined) return uri
  const query = new URLSearchParams({ iss: issuer, sid })
  return `${uri}${uri.includes('?') ? '&' : '?'}${query}`
}

type Live = Session & SessionExtras & { destroyed?: boolean; state?: { clientId?: string } }
interface Before {
  readonly authorizations: Readonly<Record<string, { sid?: string; grantId?: string }>>
  readonly clientId: string | undefined
  readonly upstream: Upstream | undefined
}

/** Where the browser goes after a session that began at a provider; `next` when nothing else. */
export type Leave = (upstream: Upstream, next: string) => Promise<string>

/** What the session holds before the engine takes it away. */
const look = async (engine: Engine, ctx: Ctx): Promise<Before> => {
  const session = (await engine.Session.get(ctx as unknown as KoaContextWithOIDC)) as Live
  return {
    authorizations: structuredClone(session.authorizations ?? {}),
    clientId: session.state?.clientId,
    upstream: session.upstream,
  }
}

interface Frame {
  readonly url: string
  readonly client: string
}

const framesOf = async (engine: Engine, ended: readonly [string, { sid?: string }][]): Promise<Frame[]> => {
  const frames = await Promise.all(
    ended.map(async ([clientId, { sid }]) => {
      // A client that is gone or unusable has nobody to tell.
      const client = await engine.Client.find(clientId).catch(() => undefined)
      if (typeof client?.frontchannel_logout_uri !== 'string') return undefined
      return { url: frameUrl(client, engine.issuer, sid), client: client.clientName ?? clientId }
    }),
  )
  return frames.filter((frame) => frame !== undefined).slice(0, MOST_FRAMES)
}

/** Shows the frames, and goes on to where the engine was sending the browser. */
const showFrames = (ctx: Ctx, view: View, frames: readonly Frame[], next: string): void => {
  ctx.remove('location')
  view(ctx, 'frontchannel-logout', { frames, next, wait: WAIT }, 200)
  const origins = new Set(frames.map(({ url }) => new URL(url).origin))
  const policy = String(ctx.response.get('content-security-policy'))
  ctx.set('content-security-policy', `${policy};frame-src ${[...origins].join(' ')}`)
}

/** Whether the engine was only changing the person of a sign-in that goes on: that person has just been at the provider. */
const isResume = (issuer: string, next: string): boolean => next.startsWith(`${issuer}/authorize/`)

/** Our own last page leads back to the application that asked for the logout; the engine tells it of half a logout only. */
const nameClient = (ctx: Ctx, engine: Engine, { clientId }: Before): void => {
  if (clientId === undefined || ctx.response.get('location') !== engine.issuer + SUCCESS_PATH) return
  ctx.set('location', `${engine.issuer}${SUCCESS_PATH}?${new URLSearchParams({ client_id: clientId })}`)
}

/** What follows an ended session: the provider that it came from, the frames of its applications, both or nothing. */
const follow = async (
  { features }: Pick<OpSettings, 'features'>,
  view: View,
  given: { ctx: Ctx; engine: Engine; before: Before; leave: Leave | undefined },
): Promise<void> => {
  const { ctx, engine, before, leave } = given
  const location = String(ctx.response.get('location'))
  const session = (ctx as unknown as KoaContextWithOIDC).oidc.session as Live
  const gone = session.destroyed && before.upstream && !isResume(engine.issuer, location) ? before.upstream : undefined
  const next = (gone && (await leave?.(gone, location))) ?? location
  if (next !== location) ctx.set('location', next)
  if (!features.frontchannelLogout) return
  const ended = Object.entries(before.authorizations).filter(
    ([clientId, { grantId }]) => grantId !== undefined && (session.destroyed || clientId === before.clientId),
  )
  const frames = await framesOf(engine, ended)
  if (frames.length > 0) showFrames(ctx, view, frames, next)
}

/**
 * Runs the engine for one request; where that ended a session, its answer leads on.
 * @param leave absent: no provider is told
 */
export const createLogout = (settings: Pick<OpSettings, 'features'>, view: View, leave?: Leave) => {
  return async (ctx: Ctx, engine: Engine, run: () => Promise<void>): Promise<void> => {
    if (ctx.path !== CONFIRM_PATH) return run()
    ctx.state.reference ??= randomReference()
    const before = await look(engine, ctx)
    await run()
    nameClient(ctx, engine, before)
    if (ctx.status === 303 && ctx.response.get('location')) await follow(settings, view, { ctx, engine, before, leave })
  }
}
