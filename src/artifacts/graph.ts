/**
 * Sessions and grants as the rooms above see them: found by account, client or provider's session, and ended. The engine
 * knows them by the ids that browsers and tokens carry; nobody needs these here, and no one request's memory is involved.
 */
import type { AdapterPayload } from 'oidc-provider'
import type { Clock } from '#kernel/clock.ts'
import type { ArtifactRow, ArtifactStore } from '#kernel/ports.ts'
import { randomToken } from '#kernel/random.ts'
import type { Sealer } from '#kernel/seal.ts'
import { keyOf } from './ids.ts'
import { createRows, type Rows } from './rows.ts'
import { SESSION, sessionRow } from './session-row.ts'
import { grantTags, sessionTags } from './tags.ts'

/** One relying party's part of a session. */
export interface SessionClient {
  readonly clientId: string
  /** What the client knows the session by. */
  readonly sid: string
  readonly grantId: string
  /** Its tokens outlive the session (offline_access). */
  readonly offline: boolean
}

/** A browser session of a signed-in person. */
export interface GraphSession {
  readonly uid: string
  readonly accountId: string
  readonly clients: readonly SessionClient[]
  readonly upstream?: { readonly provider: string; readonly id: string }
  /** Epoch ms. */
  readonly endsAt: number
  readonly signedInAt?: number
  readonly key: Uint8Array
  readonly revision: number
}

export interface GraphGrant {
  readonly accountId: string
  readonly clientId: string
  readonly key: Uint8Array
}

export interface Graph {
  /** Live sessions, oldest first, at most 1,000: whoever ends them asks again. */
  ofAccount(accountId: string): Promise<GraphSession[]>
  ofClient(clientId: string): Promise<GraphSession[]>
  ofUpstream(id: string): Promise<GraphSession[]>
  /** Sessions of a time bucket, over or not. */
  due(bucket: number): Promise<GraphSession[]>
  /** True for the one caller that may end the session; again for another when it was not done `within` ms. */
  claim(session: GraphSession, within: number): Promise<boolean>
  drop(session: GraphSession): Promise<void>
  /** Takes one client out of a session; false when the session was written meanwhile: look again. */
  forget(session: GraphSession, clientId: string): Promise<boolean>
  grants(of: { accountId?: string; clientId?: string }): Promise<GraphGrant[]>
  /** Drops a grant with everything that was issued for it, and refuses more. */
  dropGrant(grant: GraphGrant | { readonly grantId: string }): Promise<void>
}

type Stored = AdapterPayload & {
  upstream?: GraphSession['upstream']
  signedInAt?: number
}

const clientsOf = ({ authorizations = {} }: Stored): SessionClient[] =>
  Object.entries(authorizations).flatMap(([clientId, { sid, grantId, persistsLogout }]) =>
    // Without a grant the client's request began in this session and ended nowhere.
    sid && grantId ? [{ clientId, sid, grantId, offline: persistsLogout === true }] : [],
  )

const read = (rows: Rows, row: ArtifactRow): GraphSession | undefined => {
  const payload = rows.open(SESSION, row) as Stored
  const { uid, accountId, exp = 0, upstream, signedInAt } = payload
  if (uid === undefined || accountId === undefined) return undefined
  return {
    uid,
    accountId,
    clients: clientsOf(payload),
    endsAt: exp * 1000,
    ...(upstream && { upstream }),
    ...(signedInAt !== undefined && { signedInAt: signedInAt * 1000 }),
    key: row.key,
    revision: row.revision ?? 0,
  }
}

const sessionsOf = (given: { store: ArtifactStore; clock: Clock }, rows: Rows) => {
  const { store, clock } = given
  const found = async (tag: Uint8Array): Promise<GraphSession[]> => {
    const tagged = await store.findTagged(SESSION, tag)
    return tagged.map((row) => read(rows, row)).filter((session) => session !== undefined)
  }
  const alive = async (tag: Uint8Array) => (await found(tag)).filter(({ endsAt }) => endsAt > clock.now())

  return {
    ofAccount: (accountId: string) => alive(sessionTags.account(accountId)),
    ofClient: (clientId: string) => alive(sessionTags.client(clientId)),
    ofUpstream: (id: string) => alive(sessionTags.upstream(id)),
    due: (bucket: number) => found(sessionTags.due(bucket)),
    async claim({ key }: GraphSession, within: number) {
      const outcome = await store.redeem(SESSION, key, randomToken(12), clock.now())
      if (outcome !== 'lost') return outcome === 'won'
      const row = await store.get(SESSION, 'key', key)
      return row?.consumedAt !== undefined && row.consumedAt + within <= clock.now()
    },
    drop: ({ key }: GraphSession) => store.drop(SESSION, key),
    async forget({ key, revision }: GraphSession, clientId: string) {
      const row = await store.get(SESSION, 'key', key)
      if (!row) return true
      if (row.revision !== revision) return false
      const payload = rows.open(SESSION, row) as Stored
      const { [clientId]: _gone, ...authorizations } = payload.authorizations ?? {}
      const next = sessionRow(rows, key, { ...payload, authorizations })
      return (await store.put(SESSION, next, { ifRevision: revision })) !== 'stale'
    },
  }
}

/** @param given.tombstone seconds for which a dropped grant stays refused: at least the longest life of a token */
export const createGraph = (given: {
  readonly store: ArtifactStore
  readonly sealer: Sealer
  readonly clock: Clock
  readonly tombstone: number
}): Graph => {
  const { store, clock, tombstone } = given
  const rows = createRows(given)
  return {
    ...sessionsOf(given, rows),
    async grants({ accountId, clientId }) {
      const tag = accountId === undefined ? grantTags.client(clientId ?? '') : grantTags.account(accountId)
      const tagged = await store.findTagged('Grant', tag)
      return tagged
        .map((row) => {
          const payload = rows.open('Grant', row) as unknown as { accountId: string; clientId: string }
          return { accountId: payload.accountId, clientId: payload.clientId, key: row.key }
        })
        .filter((grant) => clientId === undefined || grant.clientId === clientId)
    },
    async dropGrant(grant) {
      const key = 'key' in grant ? grant.key : keyOf(grant.grantId)
      await store.dropGrant(key, clock.now() + tombstone * 1000)
    },
  }
}
