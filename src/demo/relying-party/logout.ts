/**
 * What the provider says of ended sessions: logout tokens by the back channel, frames by the front channel (Back-Channel
 * Logout 2.6, Front-Channel Logout 2). Each is checked, written into a log that everybody may read, and ends the sign-ins
 * that it means.
 */
import { epochSeconds } from '#kernel/clock.ts'
import type { RelyingPartyClient } from '../configuration.ts'
import { type Check, checkList, passed } from './checks.ts'
import { type Decoded, decode, verifySignature } from './jwt.ts'
import type { Desk } from './login.ts'
import type { Metadata } from './provider.ts'
import type { Session } from './session.ts'

/** One thing that came in. */
export interface Notice {
  /** Epoch ms. */
  readonly at: number
  readonly channel: 'back' | 'front'
  readonly ok: boolean
  readonly sentence: string
  readonly checks: readonly Check[]
  readonly claims: Readonly<Record<string, unknown>>
}

export interface LogoutDesk {
  /** The newest first. */
  readonly notices: readonly Notice[]
  /** @returns the HTTP status: 200, or 400 for a token that must not be believed (Back-Channel Logout 2.8) */
  back(token: string): Promise<number>
  front(query: { iss?: string | undefined; sid?: string | undefined }, own: Session | undefined): Notice
}

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'
const MOST_NOTICES = 50
/** Seconds by which a logout token may be old or early. */
const FRESH = 300

const claimsOf = (session: Session): Readonly<Record<string, unknown>> =>
  (session.login?.tokens.idToken === undefined ? undefined : decode(session.login.tokens.idToken)?.payload) ?? {}

interface Means {
  readonly metadata: Metadata
  readonly jwks: Parameters<typeof verifySignature>[2]['jwks']
  readonly client: RelyingPartyClient
  readonly now: number
  /** Whether nobody believed a token with this jti before. */
  readonly isNew: (jti: string) => boolean
}

const checkToken = async (token: Decoded, { metadata, jwks, client, now, isNew }: Means): Promise<Check[]> => {
  const list = checkList('logout')
  const { payload, header } = token
  const { client_secret: secret, id_token_signed_response_alg: alg = 'RS256' } = client
  const verdict = await verifySignature(token, alg, { ...(jwks && { jwks }), ...(secret && { secret }) })
  list.verdict(verdict.ok, ['signature', 'Signature', 'Back-Channel Logout 2.6 (2)'], verdict.reason)
  list.equal(['typ', 'Kind of token', 'Back-Channel Logout 2.4'], header.typ, 'logout+jwt')
  list.equal(['iss', 'Issuer', 'Back-Channel Logout 2.6 (3)'], payload.iss, metadata.issuer)
  list.equal(['aud', 'Audience', 'Back-Channel Logout 2.6 (3)'], payload.aud, client.client_id)
  const age = typeof payload.iat === 'number' ? now - payload.iat : Number.NaN
  list.verdict(Math.abs(age) < FRESH, ['iat', 'Issued just now', 'Back-Channel Logout 2.6 (3)'], `${age} s ago`)
  const left = typeof payload.exp === 'number' ? payload.exp - now : Number.NaN
  list.verdict(left > 0, ['exp', 'Not expired', 'Back-Channel Logout 2.6 (3)'], `${left} s left`)
  const some = payload.sub !== undefined || payload.sid !== undefined
  list.verdict(
    some,
    ['whom', 'Person or session', 'Back-Channel Logout 2.6 (4)'],
    some ? 'named' : 'neither sub nor sid',
  )
  const events = (payload.events ?? {}) as Record<string, unknown>
  const event = typeof events[EVENT] === 'object'
  list.verdict(event, ['events', 'Logout event', 'Back-Channel Logout 2.6 (5)'], event ? EVENT : 'missing')
  list.equal(['nonce', 'No nonce', 'Back-Channel Logout 2.6 (6)'], payload.nonce, undefined)
  const fresh = typeof payload.jti === 'string' && isNew(payload.jti)
  list.verdict(
    fresh,
    ['jti', 'Not seen before', 'Back-Channel Logout 2.6 (7)'],
    fresh ? 'the first time' : 'seen before',
  )
  return list.checks
}

/** @param all every session that this relying party has */
export const createLogoutDesk = (desk: Desk, all: () => Iterable<Session>): LogoutDesk => {
  const notices: Notice[] = []
  const seen = new Set<string>()
  const note = (notice: Notice): Notice => {
    notices.unshift(notice)
    notices.length = Math.min(notices.length, MOST_NOTICES)
    return notice
  }
  /** Ends the sign-ins of a session at the provider, or of a person there. @returns how many */
  const end = (means: (session: Session) => boolean, by: string): number => {
    let count = 0
    for (const session of all()) {
      if (!session.login || !means(session)) continue
      session.login = undefined
      session.outcome = undefined
      session.notice = { ok: true, sentence: `The provider ended your session (${by}).` }
      count++
    }
    return count
  }
  const ended = (count: number) => (count === 1 ? 'One sign-in ended.' : `${count} sign-ins ended.`)

  /** Clients that browsers registered themselves have addresses here too. */
  const clientFor = (aud: unknown): RelyingPartyClient => {
    for (const { registered } of all()) if (registered && registered.client.client_id === aud) return registered.client
    return desk.client
  }

  return {
    notices,
    async back(raw) {
      const at = desk.clock.now()
      const token = decode(raw)
      const { metadata } = await desk.provider.discover()
      const keys = metadata && (await desk.provider.keys(metadata))
      if (!token || !metadata) {
        note({ at, channel: 'back', ok: false, sentence: 'This is no token.', checks: [], claims: {} })
        return 400
      }
      const client = clientFor(token.payload.aud)
      const checks = await checkToken(token, {
        metadata,
        jwks: keys?.jwks,
        client,
        now: epochSeconds(desk.clock),
        isNew: (jti) => !seen.has(jti),
      })
      const ok = passed(checks)
      // Only of those that are believed: a forged token must not use up the honest one's.
      if (ok) seen.add(String(token.payload.jti))
      const { sid, sub } = token.payload
      const means = (session: Session) => {
        const claims = claimsOf(session)
        return sid === undefined ? claims.sub === sub : claims.sid === sid
      }
      const sentence = ok ? ended(end(means, 'back channel')) : 'This token must not be believed; nothing was done.'
      note({ at, channel: 'back', ok, sentence, checks, claims: token.payload })
      return ok ? 200 : 400
    },
    front({ iss, sid }, own) {
      const at = desk.clock.now()
      const named = sid !== undefined
      // Both or none; without them the browser's own cookie says whose session it is (Front-Channel Logout 2).
      const ok = named === (iss !== undefined) && (!named || iss === desk.provider.issuer)
      const means = (session: Session) => (named ? claimsOf(session).sid === sid : session === own)
      const sentence = ok ? ended(end(means, 'front channel')) : 'Not from the provider; nothing was done.'
      return note({
        at,
        channel: 'front',
        ok,
        sentence,
        checks: [],
        claims: { ...(iss && { iss }), ...(sid && { sid }) },
      })
    },
  }
}
