/** What the relying party remembers of a browser: in memory, gone with the process, bounded in number and time. */
import type { Clock } from '#kernel/clock.ts'
import { randomToken } from '#kernel/random.ts'
import type { RelyingPartyClient } from '../configuration.ts'
import type { Call } from './calls.ts'
import type { Channel, Check } from './checks.ts'
import type { Pending, Wishes } from './request.ts'
import { usualWishes } from './request.ts'

/** Checks that belong together, under a heading. */
export interface CheckGroup {
  readonly title: string
  readonly checks: readonly Check[]
}

export interface TokenSet {
  readonly accessToken?: string
  readonly refreshToken?: string
  readonly idToken?: string
  /** The one that came through the browser, where there was another from the token endpoint. */
  readonly frontIdToken?: string
  /** Epoch ms. */
  readonly accessTokenExpiresAt?: number
  readonly scope?: string
}

/** What one authorization response came to. */
export interface Login {
  readonly pending?: Pending
  readonly channel: Channel
  /** The parameters as they arrived, unwrapped from a signed response. */
  readonly response: Readonly<Record<string, string>>
  readonly groups: readonly CheckGroup[]
  readonly tokens: TokenSet
  /** What userinfo said of the person, once it was asked and verified. */
  readonly profile?: Readonly<Record<string, unknown>>
  /** Everything was verified and there is an ID token or an access token. */
  readonly ok: boolean
  /** One sentence where it went wrong. */
  readonly problem?: string
  /** Epoch ms. */
  readonly at: number
}

/** What the last button did. */
export interface Outcome {
  readonly title: string
  readonly ok: boolean
  readonly sentence: string
  readonly checks?: readonly Check[]
  readonly claims?: Readonly<Record<string, unknown>>
  /** The provider's answer, for actions that answer with an object. */
  readonly data?: unknown
}

/** A client that this browser registered itself. */
export interface Registered {
  readonly client: RelyingPartyClient
  readonly uri?: string
  readonly token?: string
}

export interface Session {
  readonly id: string
  seenAt: number
  wishes: Wishes
  readonly pending: Map<string, Pending>
  login?: Login
  outcome?: Outcome
  /** Shown once, on the page that comes next. */
  notice?: { readonly ok: boolean; readonly sentence: string }
  registered?: Registered
  /** Uses the registered client instead of the configured one. */
  useRegistered: boolean
  /** What the registration page's text field holds. */
  registrationText?: string
  logoutState?: string
  /** Newest first. */
  calls: Call[]
}

const MOST_SESSIONS = 500
const MOST_PENDING = 20
const MOST_CALLS = 20
const LIFE_MS = 8 * 3_600_000
const ARRIVAL_MS = 10 * 60_000

/** Keeps the newest `most` entries of an insertion-ordered map. */
const trim = (map: Map<string, unknown>, most: number) => {
  for (const key of map.keys()) {
    if (map.size <= most) return
    map.delete(key)
  }
}

/** A response that arrived, waiting for the browser to come with its cookie. */
export interface Arrived {
  readonly channel: Channel
  readonly fields: Readonly<Record<string, string>>
  readonly at: number
}

export interface Sessions {
  /** All that are remembered. */
  all(): Iterable<Session>
  /** The session of a cookie, or a new one. */
  of(id: string | undefined): Session
  /** Parks a response, because a cross-site POST comes without cookies; answers a one-time handle. */
  park(channel: Channel, fields: Readonly<Record<string, string>>): string
  take(handle: string): Arrived | undefined
}

export const createSessions = (clock: Clock): Sessions => {
  const sessions = new Map<string, Session>()
  const arrived = new Map<string, Arrived>()
  const fresh = (): Session => {
    const session: Session = {
      id: randomToken(),
      seenAt: clock.now(),
      wishes: usualWishes,
      pending: new Map(),
      useRegistered: false,
      calls: [],
    }
    sessions.set(session.id, session)
    trim(sessions, MOST_SESSIONS)
    return session
  }
  return {
    of(id) {
      const session = id === undefined ? undefined : sessions.get(id)
      if (!session || clock.now() - session.seenAt > LIFE_MS) {
        if (session) sessions.delete(session.id)
        return fresh()
      }
      session.seenAt = clock.now()
      // Moved to the end, so that trimming drops what was not used for longest.
      sessions.delete(session.id)
      sessions.set(session.id, session)
      return session
    },
    all: () => sessions.values(),
    park(channel, fields) {
      const handle = randomToken()
      arrived.set(handle, { channel, fields, at: clock.now() })
      trim(arrived, MOST_SESSIONS)
      return handle
    },
    take(handle) {
      const response = arrived.get(handle)
      arrived.delete(handle)
      return response && clock.now() - response.at <= ARRIVAL_MS ? response : undefined
    },
  }
}

export const remember = (session: Session, pending: Pending): void => {
  session.pending.set(pending.state, pending)
  trim(session.pending, MOST_PENDING)
}

/** Adds exchanges to the page's list, in the order in which they happened. */
export const record = (session: Session, ...calls: readonly (Call | undefined)[]): void => {
  for (const call of calls) if (call) session.calls.unshift(call)
  session.calls.length = Math.min(session.calls.length, MOST_CALLS)
}
