/**
 * Browser sessions. oidc-provider saves a session whole at the end of each request, so parallel requests would lose each
 * other's authorizations and with them the tokens bound to the session (measured in ENGINE 13). Here a write is a
 * compare-and-swap on the revision that the request has read; when it is beaten, both sides are merged.
 */
import Provider, { type Adapter, type AdapterPayload } from 'oidc-provider'
import type { ArtifactRow } from '#kernel/ports.ts'
import { sha256 } from '#kernel/random.ts'
import { mergeSession, onlyExpiryMoved } from './merge.ts'
import { copyOf, memory, type Rows, type Seen } from './rows.ts'

const MODEL = 'Session'
/** Seconds. A session that only lives on is written again when its expiry has moved this far. */
const TOUCH_EVERY = 300
/** A request that is beaten this often gives up; each beat means that another one got through. */
const ATTEMPTS = 50

/** For `findTagged`: the live sessions of an account. */
export const sessionTag = (accountId: string): Buffer => sha256(`session account ${accountId}`)

/** The confirm route takes authorizations away; merging would bring them back. */
const removesAuthorizations = (): boolean => Provider.ctx?.oidc.route === 'end_session_confirm'

export const createSessionRows = (rows: Rows): Pick<Adapter, 'find' | 'findByUid' | 'upsert' | 'destroy'> => {
  const { store } = rows
  /** Under which id this request read the session before it gave it a new one, and whether it was still there then. */
  const formers = new WeakMap<object, { seen: Seen; alive: boolean }>()

  const rowOf = (key: Uint8Array, payload: AdapterPayload, expiresAt: number | undefined): ArtifactRow => ({
    key,
    body: rows.seal(MODEL, key, payload),
    ...(expiresAt !== undefined && { expiresAt }),
    ...(payload.uid !== undefined && { uid: sha256(payload.uid) }),
    ...(payload.accountId !== undefined && { tags: [sessionTag(payload.accountId)] }),
  })

  const see = (row: ArtifactRow): Seen => ({
    key: row.key,
    payload: rows.open(MODEL, row),
    revision: row.revision ?? 0,
  })

  const current = async (key: Uint8Array, uid: string | undefined): Promise<ArtifactRow | undefined> =>
    (await store.get(MODEL, 'key', key)) ?? (uid === undefined ? undefined : store.get(MODEL, 'uid', sha256(uid)))

  /** Another request wrote the row since `base` was read. One that is gone was ended: it is not brought back. */
  const catchUp = async (base: Seen, ours: AdapterPayload, expiresAt: number | undefined): Promise<void> => {
    const before = base.payload
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const row = await current(base.key, ours.uid)
      if (!row) return
      const theirs = see(row)
      const merged = mergeSession(before, ours, theirs.payload)
      if (!merged) return
      const id = theirs.payload.jti
      const outcome = await store.put(MODEL, rowOf(row.key, { ...merged, jti: id }, expiresAt), {
        ifRevision: theirs.revision,
      })
      if (outcome !== 'stale') return
    }
  }

  /** The request gave the session a new id (OIDC login, against fixation): the row moves. */
  const move = async (key: Uint8Array, ours: AdapterPayload, expiresAt: number | undefined): Promise<void> => {
    const former = Provider.ctx && formers.get(Provider.ctx)
    if (!former) return void (await store.put(MODEL, rowOf(key, ours, expiresAt)))
    const before = former.seen.payload
    const signedIn = ours.loginTs !== before.loginTs || ours.accountId !== before.accountId
    const other = ours.uid === undefined ? undefined : await store.get(MODEL, 'uid', sha256(ours.uid))
    if (!other && !former.alive && !signedIn) return
    const merged = other ? mergeSession(before, ours, rows.open(MODEL, other)) : ours
    await store.put(MODEL, rowOf(key, { ...(merged ?? ours), jti: ours.jti }, expiresAt))
  }

  return {
    async find(id) {
      const row = await store.get(MODEL, 'key', rows.key(id))
      if (!row) return undefined
      const found = see(row)
      memory.set(MODEL, id, found)
      return copyOf(found.payload)
    },
    async findByUid(uid) {
      const row = await store.get(MODEL, 'uid', rows.key(uid))
      return row && copyOf(rows.open(MODEL, row))
    },
    async upsert(id, payload, ttl) {
      const key = sha256(id)
      const expiresAt = rows.expiry(ttl)
      const loaded = memory.get(MODEL, id)
      if (removesAuthorizations()) return void (await store.put(MODEL, rowOf(key, payload, expiresAt)))
      if (!loaded) return move(key, payload, expiresAt)
      if (onlyExpiryMoved(loaded.payload, payload, TOUCH_EVERY)) return
      const row = rowOf(key, payload, expiresAt)
      const outcome = await store.put(MODEL, row, { ifRevision: loaded.revision })
      if (outcome === 'stale') return catchUp(loaded, payload, expiresAt)
      memory.set(MODEL, id, { key, payload: copyOf(payload), revision: loaded.revision + 1 })
    },
    async destroy(id) {
      const loaded = memory.get(MODEL, id)
      if (loaded && Provider.ctx) {
        const alive = (await store.get(MODEL, 'key', loaded.key)) !== undefined
        formers.set(Provider.ctx, { seen: loaded, alive })
        memory.set(MODEL, id, undefined)
      }
      await store.drop(MODEL, sha256(id))
    },
  }
}
