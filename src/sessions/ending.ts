/**
 * Ending sessions from wherever it is wanted (DESIGN 3.6). A session is a browser's; its relying parties
 * know it by a sid each, and it may have come from a provider's session. Whoever ends it, all are told: the notices are
 * written first, then tokens are revoked, then the session goes, so that a crash in between loses nothing. Tokens with
 * `offline_access` survive the end of a session; they end with their account or client.
 */
import type { Graph, GraphSession } from '#artifacts/graph.ts'
import type { Records } from '#directory/records.ts'
import type { Clock } from '#kernel/clock.ts'
import type { Audit } from '#trace/audit.ts'
import type { Cause, Deliveries, Notice } from './deliveries.ts'

export interface Why {
  readonly cause: Cause
  /** Of a trace that tells more. */
  readonly reference?: string
}

export interface Sessions {
  /** Writes a notice for a client that has a back-channel address; called for each client of a session that ends. */
  notify(notice: Notice, once?: string): Promise<void>
  /** @returns how many sessions ended by this call */
  endAccount(accountId: string, why: Why): Promise<number>
  endUpstream(id: string, why: Why): Promise<number>
  /** Takes a client out of every session; the sessions go on. @returns of how many */
  endClient(clientId: string, why: Why): Promise<number>
  /** Ends the sessions of a time bucket that are over. */
  expire(bucket: number): Promise<number>
  /** Also what outlives sessions. @returns how many grants went */
  revokeGrants(of: { accountId?: string; clientId?: string }): Promise<number>
}

export interface SessionsOptions {
  readonly graph: Graph
  readonly deliveries: Deliveries
  readonly clients: Records['clients']
  readonly clock: Clock
  readonly audit: Audit
  /** `features.backchannelLogout`. */
  readonly backchannel: boolean
  /** Forgets what a provider said at the sign-in. */
  readonly forgetUpstream?: (id: string) => Promise<void>
}

/** Another node may end a session that one has begun to end so long ago, ms. */
const CLAIM_MS = 30_000
/** A request that began before the end may still be writing, ms. */
const GRACE_MS = 60_000
/** Rounds of at most 1,000. */
const ROUNDS = 1000

/** Repeats until nothing is found, for what is found a thousand at a time. */
const untilNone = async <T>(
  find: () => Promise<readonly T[]>,
  work: (found: T) => Promise<boolean>,
): Promise<number> => {
  let count = 0
  for (let round = 0; round < ROUNDS; round++) {
    const found = await find()
    let done = 0
    for (const each of found) if (await work(each)) done++
    count += done
    if (done === 0) break
  }
  return count
}

const steps = ({ graph, deliveries, clients, audit, backchannel, forgetUpstream }: SessionsOptions) => {
  const notify: Sessions['notify'] = async (notice, once) => {
    if (!backchannel) return
    const client = await clients.get(notice.clientId)
    if (typeof client?.backchannel_logout_uri === 'string') await deliveries.enqueue(notice, once)
  }
  const close = async (session: GraphSession, { cause, reference }: Why, once?: boolean): Promise<void> => {
    const { uid, accountId, clients: parties, upstream } = session
    await Promise.all(
      parties.map(({ clientId, sid }) =>
        notify(
          { clientId, accountId, sid, cause, ...(reference !== undefined && { reference }) },
          once ? JSON.stringify([cause, uid, clientId]) : undefined,
        ),
      ),
    )
    const online = parties.flatMap(({ grantId, offline }) => (offline ? [] : [grantId]))
    await Promise.all(online.map((grantId) => graph.dropGrant({ grantId })))
    await graph.drop(session)
    if (upstream) await forgetUpstream?.(upstream.id)
    // Every session ends by time some day; that would fill the trail.
    if (cause === 'expired') return
    audit({
      type: 'session.ended',
      account: accountId,
      ...(reference !== undefined && { reference }),
      detail: { cause, clients: parties.map(({ clientId }) => clientId) },
    })
  }
  return { notify, close }
}

export const createSessions = (given: SessionsOptions): Sessions => {
  const { graph, clock, audit } = given
  const { notify, close } = steps(given)

  const end = async (session: GraphSession, why: Why): Promise<boolean> => {
    if (!(await graph.claim(session, CLAIM_MS))) return false
    await close(session, why)
    return true
  }
  const leave = async (clientId: string, session: GraphSession, { cause, reference }: Why): Promise<boolean> => {
    const party = session.clients.find((each) => each.clientId === clientId)
    if (!party) return false
    const { sid, grantId, offline } = party
    const notice = { clientId, accountId: session.accountId, sid, cause, ...(reference !== undefined && { reference }) }
    // Several nodes may hear of the same change.
    await notify(notice, JSON.stringify([cause, session.uid, clientId, Math.floor(clock.now() / GRACE_MS)]))
    if (!offline) await graph.dropGrant({ grantId })
    // A session that was written meanwhile is looked at again.
    await graph.forget(session, clientId)
    return true
  }

  return {
    notify,
    endAccount: (accountId, why) =>
      untilNone(
        () => graph.ofAccount(accountId),
        (session) => end(session, why),
      ),
    endUpstream: (id, why) =>
      untilNone(
        () => graph.ofUpstream(id),
        (session) => end(session, why),
      ),
    endClient: (clientId, why) =>
      untilNone(
        () => graph.ofClient(clientId),
        (session) => leave(clientId, session, why),
      ),
    async expire(bucket) {
      const over = (await graph.due(bucket)).filter(({ endsAt }) => endsAt + GRACE_MS <= clock.now())
      let count = 0
      for (const session of over) {
        // A node that dies in between leaves it to the next one, which writes the same notices again.
        if (!(await graph.claim(session, CLAIM_MS))) continue
        await close(session, { cause: 'expired' }, true)
        count++
      }
      return count
    },
    async revokeGrants(of) {
      const count = await untilNone(
        () => graph.grants(of),
        async (grant) => {
          await graph.dropGrant(grant)
          return true
        },
      )
      if (count > 0)
        audit({
          type: 'grants.revoked',
          ...(of.accountId !== undefined && { account: of.accountId }),
          ...(of.clientId !== undefined && { client: of.clientId }),
          detail: { count },
        })
      return count
    },
  }
}
