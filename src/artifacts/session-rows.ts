/**
 * Browser sessions. oidc-provider saves a session whole at the end of each request, so parallel requests would lose each
 * other's authorizations and with them the tokens bound to the session (measured in ENGINE 13). Here a write is a
 * compare-and-swap on the revision that the request has read; when it is beaten, both sides are merged.
 */
import Provider, { type Adapter, type AdapterPayload } from 'oidc-provider'
import type { Ahead } from './ahead.ts'
import { type Known, keyOf, keyOfKnown, knownOf, type Read } from './ids.ts'
import { mergeSession, onlyExpiryMoved } from './merge.ts'
import { perRequest } from './request.ts'
import { copyFor, copyOf, memory, type Rows, type Seen } from './rows.ts'
import { isOver, SESSION, sessionRow } from './session-row.ts'

/** Seconds. A session that only lives on is written again when its expiry has moved this far. */
const TOUCH_EVERY = 300
/** A request that is beaten this often gives up; each beat means that another one got through. */
const ATTEMPTS = 50

/** The client that a request for authorization is of, as far as can be seen before it is checked. */
const asking = (): string | undefined => {
  const { client_id: client } = Provider.ctx?.query ?? {}
  return typeof client === 'string' && client.length <= 200 ? client : undefined
}

const grantOf = ({ authorizations = {} }: Readonly<AdapterPayload>, client: string): Read[] => {
  const id = Object.hasOwn(authorizations, client) ? authorizations[client]?.grantId : undefined
  return id === undefined ? [] : [{ model: 'Grant', by: 'key', value: knownOf(id).text }]
}

export const createSessionRows = (
  rows: Rows,
  ahead: Ahead,
): Pick<Adapter, 'find' | 'findByUid' | 'upsert' | 'destroy'> => {
  const { store } = rows
  /** Under which id this request read the session before it gave it a new one, and whether it was still there then. */
  const former = perRequest<{ seen?: Seen; alive?: boolean }>(() => ({}))

  const live = async (by: 'key' | 'uid', value: Uint8Array, known?: Known): Promise<Seen | undefined> => {
    const row = await store.get(SESSION, by, value)
    const payload = row && rows.open(SESSION, row, known)
    return !row || !payload || isOver(payload, rows)
      ? undefined
      : { key: row.key, payload, revision: row.revision ?? 0 }
  }

  const current = async (key: Uint8Array, uid: string | undefined): Promise<Seen | undefined> =>
    (await live('key', key)) ?? (uid === undefined ? undefined : live('uid', keyOf(uid)))

  /** Another request wrote the row since `base` was read. One that is gone was ended: it is not brought back. */
  const catchUp = async (base: Seen, ours: AdapterPayload): Promise<void> => {
    const before = base.payload
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const theirs = await current(base.key, ours.uid)
      if (!theirs) return
      const merged = mergeSession(before, ours, theirs.payload)
      if (!merged) return
      const row = sessionRow(rows, theirs.key, { ...merged, jti: theirs.payload.jti })
      const outcome = await store.put(SESSION, row, { ifRevision: theirs.revision })
      if (outcome !== 'stale') return
    }
  }

  /** The request gave the session a new id (OIDC login, against fixation): the row moves. */
  const move = async (key: Uint8Array, ours: AdapterPayload): Promise<void> => {
    const { seen, alive } = former() ?? {}
    // Asked for next with the code, by its uid.
    const known = ours.uid === undefined ? undefined : knownOf(ours.uid)
    if (!seen) return void (await store.put(SESSION, sessionRow(rows, key, ours, known)))
    const before = seen.payload
    const signedIn = ours.loginTs !== before.loginTs || ours.accountId !== before.accountId
    const other = known && (await live('uid', keyOfKnown(known), known))
    if (!other && !alive && !signedIn) return
    const merged = other ? mergeSession(before, ours, other.payload) : ours
    await store.put(SESSION, sessionRow(rows, key, { ...(merged ?? ours), jti: ours.jti }, known))
  }

  return {
    async find(id) {
      const known = knownOf(id)
      const client = asking()
      const reading = live('key', keyOfKnown(known), known)
      if (client !== undefined) ahead.begin(known, client)
      const found = await reading
      if (!found) return undefined
      if (client !== undefined) ahead.expect(known, () => grantOf(found.payload, client), client)
      memory.set(SESSION, id, found)
      return copyOf(found.payload)
    },
    async findByUid(uid) {
      const known = knownOf(uid)
      const found = await live('uid', keyOfKnown(known), known)
      return found && copyFor(found.payload)
    },
    async upsert(id, payload) {
      const loaded = memory.get(SESSION, id)
      if (!loaded) return move(keyOf(id), payload)
      if (onlyExpiryMoved(loaded.payload, payload, TOUCH_EVERY)) return
      const known = knownOf(id)
      const key = keyOfKnown(known)
      const row = sessionRow(rows, key, payload, known)
      const outcome = await store.put(SESSION, row, { ifRevision: loaded.revision })
      if (outcome === 'stale') return catchUp(loaded, payload)
      memory.set(SESSION, id, { key, payload: copyOf(payload), revision: loaded.revision + 1 })
    },
    async destroy(id) {
      const loaded = memory.get(SESSION, id)
      const kept = former()
      if (loaded && kept) {
        kept.alive = (await live('key', loaded.key)) !== undefined
        kept.seen = loaded
        memory.set(SESSION, id, undefined)
      }
      await store.drop(SESSION, keyOf(id))
    },
  }
}
