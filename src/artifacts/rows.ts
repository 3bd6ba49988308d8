/**
 * How an oidc-provider payload becomes a row and back: the id as SHA-256, the payload sealed to its place, the id itself
 * kept out of it where it can be put back (DESIGN 3.4). Also what one request remembers of the rows it has read.
 */
import Provider, { type AdapterPayload } from 'oidc-provider'
import { latin1Of } from '#kernel/bytes.ts'
import type { Clock } from '#kernel/clock.ts'
import type { ArtifactRow, ArtifactStore } from '#kernel/ports.ts'
import type { Sealer } from '#kernel/seal.ts'
import { placeOf } from './box.ts'
import type { Known, Opened } from './ids.ts'
import { perRequest } from './request.ts'

export interface Rows {
  readonly store: ArtifactStore
  readonly clock: Clock
  /** Epoch ms of `ttl` seconds from now; undefined for what never expires. */
  expiry(ttl: number | undefined): number | undefined
  /** The sealed body of a payload whose row has this key; `known` is what it is going to be asked for by. */
  seal(model: string, key: Uint8Array, payload: AdapterPayload, known?: Known): Uint8Array
  /** The payload as it is stored; shared, not to be changed. Throws Fault `seal.broken`. */
  open(model: string, row: ArtifactRow, known?: Known): Readonly<AdapterPayload>
  /** The payload as oidc-provider wants it: with its id and the time of its redemption. */
  payload(model: string, row: ArtifactRow, id?: string, known?: Known): AdapterPayload
}

/** Bytes of the largest payload that stays opened in memory. */
const LARGEST_OPENED = 2048

/** A copy of a JSON value that may be changed: a third of the cost of parsing it anew. */
export const copyOf = <T>(value: T): T => {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(copyOf) as T
  const copy: Record<string, unknown> = {}
  for (const name of Object.keys(value)) {
    const member: unknown = Reflect.get(value, name)
    // Assigning it would give the copy another prototype.
    if (name === '__proto__')
      Object.defineProperty(copy, name, { value: copyOf(member), enumerable: true, writable: true })
    else if (member !== undefined) copy[name] = copyOf(member)
  }
  return copy as T
}

/** Freezes a JSON value with all that is in it. */
const frozen = <T>(value: T): T => {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const member of Object.values(value)) frozen(member)
  return Object.freeze(value)
}

/** Endpoints that only look at what they read. */
const onlyReads = (): boolean => {
  const route = Provider.ctx?.oidc.route
  return route === 'userinfo' || route === 'introspection'
}

/** A payload for the engine, which adds and replaces members; it changes what is in them only where it saves them again. */
export const copyFor = (stored: Readonly<AdapterPayload>): AdapterPayload =>
  onlyReads() ? { ...frozen(stored) } : copyOf(stored)

const shared = (entry: Opened): Readonly<AdapterPayload> => {
  entry.value ??= JSON.parse(entry.json) as AdapterPayload
  return entry.value
}

/** The parsed value itself the first time, then copies of one that is kept. */
const ownOf = (entry: Opened): AdapterPayload => {
  if (entry.value || entry.given) return copyFor(shared(entry))
  entry.given = true
  return JSON.parse(entry.json) as AdapterPayload
}

/**
 * What was sealed or opened a moment ago stays with its id. A row is always read from its store; only when its sealed
 * bytes are the very same is it not deciphered again, which saves half of what sealing costs at the token endpoint.
 */
export const createRows = (given: { store: ArtifactStore; sealer: Sealer; clock: Clock }): Rows => {
  const { store, sealer, clock } = given
  const entryOf = (model: string, row: ArtifactRow, known: Known | undefined): Opened => {
    const [key, body] = [latin1Of(row.key), latin1Of(row.body)]
    const last = known?.opened
    if (last && last.body === body && last.key === key && last.model === model && last.sealer === sealer) return last
    const json = sealer.open(row.body, placeOf(model, row.key)).toString()
    const entry: Opened = { sealer, model, key, body, json }
    if (known && body.length <= LARGEST_OPENED) known.opened = entry
    return entry
  }
  return {
    store,
    clock,
    open: (model, row, known) => shared(entryOf(model, row, known)),
    expiry: (ttl) => (ttl === undefined ? undefined : clock.now() + ttl * 1000),
    seal(model, key, payload, known) {
      const json = JSON.stringify(payload)
      const body = sealer.seal(json, placeOf(model, key))
      if (known && body.length <= LARGEST_OPENED)
        known.opened = { sealer, model, key: latin1Of(key), body: latin1Of(body), json }
      return body
    },
    payload(model, row, id, known) {
      const payload = ownOf(entryOf(model, row, known))
      if (id !== undefined) payload.jti = id
      if (row.consumedAt !== undefined) payload.consumed = Math.floor(row.consumedAt / 1000)
      return payload
    },
  }
}

/** A row as a request has read it: what its later write is compared and merged with. */
export interface Seen {
  readonly key: Uint8Array
  /** Not to be changed. */
  readonly payload: Readonly<AdapterPayload>
  readonly revision: number
}

const seen = perRequest(() => new Map<string, Seen>())

/** What the running request has read, by model and id; outside of a request nothing is remembered. */
export const memory = {
  get: (model: string, id: string): Seen | undefined => seen()?.get(`${model}:${id}`),
  set(model: string, id: string, row: Seen | undefined): void {
    if (row) seen()?.set(`${model}:${id}`, row)
    else seen()?.delete(`${model}:${id}`)
  },
}
