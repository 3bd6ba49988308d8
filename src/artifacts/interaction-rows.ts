/**
 * Interactions outlive themselves by a day, without anything personal, so that a stale page, a bookmark or a lost cookie
 * can offer a way on instead of a dead end (DESIGN 2). To the engine they are gone at their own expiry.
 */
import type { Adapter, AdapterPayload } from 'oidc-provider'
import type { KeptRequest } from '#kernel/ports.ts'
import { keyOf, knownOf } from './ids.ts'
import { copyOf, memory, type Rows } from './rows.ts'

const MODEL = 'Interaction'
const KEEP_MS = 24 * 3_600_000

type Stored = AdapterPayload & { finished?: boolean }

const isFinished = (payload: Stored): boolean => payload.finished === true

/** Request parameters that speak of the person (OIDC Core 3.1.2.1). */
const personal = new Set(['login_hint', 'id_token_hint'])

const withoutPerson = (params: Readonly<Record<string, unknown>> = {}): Record<string, unknown> =>
  Object.fromEntries(Object.entries(params).filter(([name]) => !personal.has(name)))

/** A kept request, and the name that its login has in the trace. */
export type Kept = KeptRequest & { readonly correlation?: string }

export interface InteractionRows extends Pick<Adapter, 'find' | 'upsert' | 'destroy'> {
  /** What is known of an interaction without its cookie. */
  kept(uid: string): Promise<Kept | undefined>
}

export const createInteractionRows = (rows: Rows): InteractionRows => {
  const { store, clock } = rows
  const read = async (id: string): Promise<{ payload: Stored; stored: Stored } | undefined> => {
    const row = await store.get(MODEL, 'key', keyOf(id))
    if (!row) return undefined
    const stored = rows.open(MODEL, row, knownOf(id)) as Stored
    return { payload: { ...copyOf(stored), jti: id }, stored }
  }
  const isOver = ({ exp }: { exp?: number | undefined }) => exp !== undefined && exp * 1000 <= clock.now()

  return {
    async find(id) {
      const found = await read(id)
      if (!found || isFinished(found.payload) || isOver(found.payload)) return undefined
      memory.set(MODEL, id, { key: keyOf(id), payload: found.stored, revision: 0 })
      return found.payload
    },
    async upsert(id, payload, ttl = 0) {
      const key = keyOf(id)
      const { jti: _id, ...rest } = payload
      const expiresAt = clock.now() + ttl * 1000 + KEEP_MS
      await store.put(MODEL, { key, body: rows.seal(MODEL, key, rest, knownOf(id)), expiresAt })
    },
    async destroy(id) {
      const stored = (memory.get(MODEL, id)?.payload ?? (await read(id))?.stored) as Stored | undefined
      if (!stored) return
      const { exp, cid, params } = stored
      const key = keyOf(id)
      // What is left is the relying party's request, nothing of the person.
      const left: Stored = { finished: true, params: withoutPerson(params), exp, cid }
      const expiresAt = clock.now() + KEEP_MS
      await store.put(MODEL, { key, body: rows.seal(MODEL, key, left, knownOf(id)), expiresAt })
    },
    async kept(uid) {
      const found = await read(uid)
      const clientId = found?.payload.params?.client_id
      if (!found || typeof clientId !== 'string') return undefined
      const state = isFinished(found.payload) ? 'finished' : isOver(found.payload) ? 'expired' : 'open'
      const { cid, params } = found.payload
      return { params: withoutPerson(params), clientId, state, ...(cid !== undefined && { correlation: cid }) }
    },
  }
}
