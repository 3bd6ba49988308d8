/**
 * How an oidc-provider payload becomes a row and back: the id as SHA-256, the payload sealed to its place, the id itself
 * kept out of it where it can be put back (DESIGN 3.4). Also what one request remembers of the rows it has read.
 */
import Provider, { type AdapterPayload } from 'oidc-provider'
import type { Clock } from '#kernel/clock.ts'
import type { ArtifactRow, ArtifactStore } from '#kernel/ports.ts'
import { sha256 } from '#kernel/random.ts'
import type { Sealer } from '#kernel/seal.ts'
import { placeOf } from './box.ts'

export interface Rows {
  readonly store: ArtifactStore
  readonly clock: Clock
  /** Epoch ms of `ttl` seconds from now; undefined for what never expires. */
  expiry(ttl: number | undefined): number | undefined
  /** The sealed body of a payload whose row has this key. */
  seal(model: string, key: Uint8Array, payload: AdapterPayload): Uint8Array
  /** The payload's JSON. Throws Fault `seal.broken`. */
  open(model: string, row: ArtifactRow): string
  /** The payload as oidc-provider wants it: with its id and the time of its redemption. */
  payload(model: string, row: ArtifactRow, id?: string): AdapterPayload
}

/** How many payloads stay opened in memory, and the largest, bytes: at most a few megabytes. */
const OPENED = 4000
const LARGEST_OPENED = 4096

/**
 * What was sealed or opened a moment ago. A row is always read from its store; only when its sealed bytes are the very
 * same is it not deciphered again, which saves half of what sealing costs at the token endpoint.
 */
const createOpened = () => {
  const opened = new Map<string, { body: Uint8Array; json: string }>()
  return {
    get(place: string, body: Uint8Array): string | undefined {
      const found = opened.get(place)
      return found && Buffer.compare(found.body, body) === 0 ? found.json : undefined
    },
    set(place: string, body: Uint8Array, json: string): void {
      if (body.length > LARGEST_OPENED) return
      if (opened.size >= OPENED) {
        const oldest = opened.keys().next()
        if (!oldest.done) opened.delete(oldest.value)
      }
      opened.delete(place)
      opened.set(place, { body, json })
    },
  }
}

export const createRows = (given: { store: ArtifactStore; sealer: Sealer; clock: Clock }): Rows => {
  const { store, sealer, clock } = given
  const opened = createOpened()
  const open = (model: string, row: ArtifactRow): string => {
    const place = placeOf(model, row.key)
    const known = opened.get(place, row.body)
    if (known !== undefined) return known
    const json = sealer.open(row.body, place).toString()
    opened.set(place, row.body, json)
    return json
  }
  return {
    store,
    clock,
    open,
    expiry: (ttl) => (ttl === undefined ? undefined : clock.now() + ttl * 1000),
    seal(model, key, payload) {
      const place = placeOf(model, key)
      const json = JSON.stringify(payload)
      const body = sealer.seal(json, place)
      opened.set(place, body, json)
      return body
    },
    payload(model, row, id) {
      const payload = JSON.parse(open(model, row)) as AdapterPayload
      if (id !== undefined) payload.jti = id
      if (row.consumedAt !== undefined) payload.consumed = Math.floor(row.consumedAt / 1000)
      return payload
    },
  }
}

/** Hash under which rows of a grant are found; the grant's own row carries it too. */
export const grantKey = (grantId: string): Buffer => sha256(grantId)

/** A row as a request has read it: what its later write is compared and merged with. */
export interface Seen {
  readonly key: Uint8Array
  readonly json: string
  readonly revision: number
}

const seen = new WeakMap<object, Map<string, Seen>>()

/** What the running request has read, by model and id; outside of a request nothing is remembered. */
export const memory = {
  get(model: string, id: string): Seen | undefined {
    const request = Provider.ctx
    return request && seen.get(request)?.get(`${model}:${id}`)
  },
  set(model: string, id: string, row: Seen | undefined): void {
    const request = Provider.ctx
    if (!request) return
    const rows = seen.get(request) ?? new Map<string, Seen>()
    if (row) rows.set(`${model}:${id}`, row)
    else rows.delete(`${model}:${id}`)
    seen.set(request, rows)
  },
}
