/**
 * What a provider said at a login, kept with the session that it began: raw claims for those who show them on, the
 * provider's session id for logout from either side, the ID token as hint. Sealed like every artifact.
 */
import type { Box } from '#artifacts/box.ts'
import type { Identity } from '#kernel/identity.ts'
import { randomId } from '#kernel/random.ts'

export interface UpstreamSession {
  readonly id: string
  readonly provider: string
  readonly accountId: string
  readonly identity: Identity
}

export interface UpstreamSessions {
  /** @returns the id that the login result carries */
  keep(session: Omit<UpstreamSession, 'id'>): Promise<string>
  get(id: string): Promise<UpstreamSession | undefined>
  /** Sessions of the provider's session id; oldest first. */
  bySid(provider: string, sid: string): Promise<UpstreamSession[]>
  /** Sessions of the provider's user; oldest first. */
  byUid(provider: string, uid: string): Promise<UpstreamSession[]>
  drop(id: string): Promise<void>
}

const MODEL = 'UpstreamSession'
/** JSON, so that no id can be spelled to look like another pair. */
const tag = (kind: 'sid' | 'uid', provider: string, value: string) =>
  JSON.stringify(['upstream', kind, provider, value])

/** @param lifetime seconds; that of our own session */
export const createUpstreamSessions = ({ box, lifetime }: { box: Box; lifetime: number }): UpstreamSessions => ({
  async keep(session) {
    const id = randomId()
    const { provider, identity } = session
    const tags = [tag('uid', provider, identity.uid), ...(identity.sid ? [tag('sid', provider, identity.sid)] : [])]
    await box.put(MODEL, id, { ...session, id } satisfies UpstreamSession, { ttl: lifetime, tags })
    return id
  },
  get: (id) => box.get<UpstreamSession>(MODEL, id),
  bySid: (provider, sid) => box.findTagged<UpstreamSession>(MODEL, tag('sid', provider, sid)),
  byUid: (provider, uid) => box.findTagged<UpstreamSession>(MODEL, tag('uid', provider, uid)),
  drop: (id) => box.drop(MODEL, id),
})
