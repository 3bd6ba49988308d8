/**
 * oidc-provider's adapter, written once over the ArtifactStore port. Read this first.
 * Ids are stored as SHA-256 (user codes as HMAC), payloads sealed. What may be used once is redeemed by compare-and-swap;
 * whoever loses kills the grant with all its tokens before the error (DESIGN 3.3, RFC 6749 4.1.2, RFC 9700 4.14.2).
 */
import Provider, { type Adapter, type AdapterFactory, type AdapterPayload, errors } from 'oidc-provider'
import type { Clock } from '#kernel/clock.ts'
import type { ArtifactRow, ArtifactStore } from '#kernel/ports.ts'
import { hmac, randomToken } from '#kernel/random.ts'
import type { Sealer } from '#kernel/seal.ts'
import { type Ahead, createAhead } from './ahead.ts'
import { type ClientShelf, createClientRows, type Report, type Vocabulary } from './client-rows.ts'
import { type Known, keyOf, keyOfKnown, knownOf, mayBe, type Read, unremembered } from './ids.ts'
import { createInteractionRows, type Kept } from './interaction-rows.ts'
import { mergeGrant } from './merge.ts'
import { createRows, memory, type Rows } from './rows.ts'
import { createSessionRows } from './session-rows.ts'
import { grantTags } from './tags.ts'

export interface EngineAdapterOptions {
  readonly store: ArtifactStore
  readonly sealer: Sealer
  readonly clock: Clock
  readonly clients: ClientShelf
  /** What the instance that asks accepts in client metadata. */
  readonly vocabulary: Vocabulary
  /** HMAC key for ids that could be guessed. */
  readonly pepper: Uint8Array
  /** Seconds for which a revoked grant stays refused: at least the longest life of a token. */
  readonly tombstone: number
  /** Seconds that rows of a model stay beyond their expiry, so that their redemption stays known. */
  readonly linger?: Readonly<Record<string, number>>
  readonly report: Report
  /** Told of every grant that was killed because something of it was presented twice. */
  readonly replayed?: (model: string) => void
  /** Asked before a second redemption kills the grant; it may throw an answer of its own instead. */
  readonly pardon?: (model: string, id: string) => Promise<void>
  /** Wraps every method: failures of ours become errors that the engine knows. */
  readonly translate: <A extends unknown[], R>(call: (...given: A) => Promise<R>) => (...given: A) => Promise<R>
}

export interface EngineAdapters {
  /** For oidc-provider's `adapter`. */
  readonly factory: AdapterFactory
  /** What is known of an interaction without its cookie. */
  kept(uid: string): Promise<Kept | undefined>
  /** Drops every artifact of a grant and refuses new ones. */
  dropGrant(grantId: string): Promise<void>
}

/** The grant was revoked while something was being issued for it: nothing may survive. */
export class GrantRevoked extends errors.InvalidGrant {
  constructor() {
    super('the grant was revoked')
    this.name = 'GrantRevoked'
  }
}

/** Kept in the sealed body too, because these are found by another id than their own and saved again. */
const keepsId = new Set(['DeviceCode'])

/** Revoking one access token ends that token (RFC 7009 2.1); the grant lives on. */
const revokesOneToken = (): boolean =>
  Provider.ctx?.oidc.route === 'revocation' && Provider.ctx.oidc.entities.AccessToken !== undefined

/** Only these routes save grants that they have read. */
const mayChangeGrants = (): boolean => ['authorization', 'resume'].includes(Provider.ctx?.oidc.route ?? '')

const grantOf = (model: string, key: Uint8Array, payload: AdapterPayload): Uint8Array | undefined => {
  if (model === 'Grant') return key
  return payload.grantId === undefined ? undefined : keyOf(payload.grantId)
}

const grantTagsOf = ({ accountId, clientId }: AdapterPayload): Buffer[] => [
  ...(accountId === undefined ? [] : [grantTags.account(accountId)]),
  ...(clientId === undefined ? [] : [grantTags.client(clientId)]),
]

/** What oidc-provider reads after it has found this: the session that it ends with, then the grant. */
const followers = (model: string, { grantId, sessionUid, expiresWithSession }: AdapterPayload): Read[] => {
  if (model === 'Grant' || grantId === undefined) return []
  const grant: Read = { model: 'Grant', by: 'key', value: knownOf(grantId).text }
  if (!expiresWithSession || sessionUid === undefined) return [grant]
  return [{ model: 'Session', by: 'uid', value: knownOf(sessionUid).text }, grant]
}

type Common = Rows & EngineAdapterOptions & { drop(grant: Uint8Array): Promise<boolean>; readonly ahead: Ahead }

/** What rows of a model look like. */
const createShapes = (model: string, given: Common) => {
  const userKey = (code: string) => hmac(given.pepper, `user code ${code}`)

  const rowOf = (known: Known, payload: AdapterPayload, ttl: number | undefined): ArtifactRow => {
    const key = keyOfKnown(known)
    const { jti, consumed: _consumed, ...rest } = payload
    const expiresAt = given.expiry(ttl === undefined ? undefined : ttl + (given.linger?.[model] ?? 0))
    const grant = grantOf(model, key, payload)
    return {
      key,
      body: given.seal(model, key, keepsId.has(model) ? { ...rest, jti } : rest, known),
      ...(expiresAt !== undefined && { expiresAt }),
      ...(grant && { grant }),
      ...(payload.userCode !== undefined && { userCode: userKey(payload.userCode) }),
      ...(model === 'Grant' && { tags: grantTagsOf(payload) }),
    }
  }
  return { userKey, rowOf }
}

/** Everything but sessions, interactions and clients. */
const createTokenRows = (model: string, given: Common): Omit<Adapter, 'findByUid'> => {
  const { store, clock, ahead } = given
  const { userKey, rowOf } = createShapes(model, given)

  const put = async (row: ArtifactRow, ifRevision?: number) => {
    const outcome = await store.put(model, row, ifRevision === undefined ? undefined : { ifRevision })
    if (outcome === 'revoked') throw new GrantRevoked()
    return outcome
  }

  /** Parallel first sign-ons of one client save the same grant: what each was allowed is united. */
  const putGrant = async (id: string, payload: AdapterPayload, ttl: number | undefined) => {
    const seen = memory.get(model, id)
    const known = knownOf(id)
    const key = keyOfKnown(known)
    let outcome = await put(rowOf(known, payload, ttl), seen?.revision ?? 0)
    for (let attempt = 0; outcome === 'stale' && attempt < 20; attempt++) {
      const row = await store.get(model, 'key', key)
      const merged = row ? mergeGrant(payload, given.payload(model, row, id, known)) : payload
      outcome = await put(rowOf(known, merged, ttl), row?.revision)
    }
  }

  return {
    async upsert(id, payload, ttl) {
      if (model === 'Grant') return putGrant(id, payload, ttl)
      // What belongs to no grant, such as a service's token, goes to others, who may ask for it some day.
      const known = payload.grantId === undefined ? unremembered(id) : knownOf(id)
      await put(rowOf(known, payload, ttl))
      ahead.expect(known, () => followers(model, payload))
    },
    async find(id) {
      if (!mayBe(model, id)) return undefined
      const known = knownOf(id)
      const reading = store.get(model, 'key', keyOfKnown(known))
      ahead.begin(known)
      const row = await reading
      if (!row) return undefined
      if (model === 'Grant' && mayChangeGrants())
        memory.set(model, id, { key: row.key, payload: {}, revision: row.revision ?? 0 })
      const payload = given.payload(model, row, id, known)
      ahead.ask(known, () => followers(model, payload))
      return payload
    },
    async findByUserCode(code) {
      const row = await store.get(model, 'userCode', userKey(code))
      return row && given.payload(model, row)
    },
    async consume(id) {
      const key = keyOf(id)
      const outcome = await store.redeem(model, key, randomToken(12), clock.now())
      if (outcome === 'won') return
      if (model === 'PushedAuthorizationRequest')
        throw new errors.InvalidRequestUri('request_uri is invalid, expired, or was already used')
      if (outcome === 'lost') {
        await given.pardon?.(model, id)
        const row = await store.get(model, 'key', key)
        if (row?.grant && (await given.drop(row.grant))) given.replayed?.(model)
      }
      throw new errors.InvalidGrant('already used')
    },
    async destroy(id) {
      if (model === 'Grant') await given.drop(keyOf(id))
      else await store.drop(model, keyOf(id))
    },
    async revokeByGrantId(grantId) {
      if (!revokesOneToken()) await given.drop(keyOf(grantId))
    },
  }
}

/** Whole, whatever a model leaves out because the engine never calls it (ENGINE 13, table). */
const whole = (adapter: Partial<Adapter>, translate: EngineAdapterOptions['translate']): Adapter => {
  const unused = async (): Promise<never> => {
    throw new TypeError('oidc-provider does not call this of the model')
  }
  const { upsert, find, findByUid, findByUserCode, consume, destroy, revokeByGrantId } = adapter
  return {
    upsert: translate(upsert ?? unused),
    find: translate(find ?? unused),
    findByUid: translate(findByUid ?? unused),
    findByUserCode: translate(findByUserCode ?? unused),
    consume: translate(consume ?? unused),
    destroy: translate(destroy ?? unused),
    revokeByGrantId: translate(revokeByGrantId ?? unused),
  }
}

/** @param given see the members */
export const engineAdapter = (given: EngineAdapterOptions): EngineAdapters => {
  const ahead = createAhead(given.store)
  const options = { ...given, store: ahead.store }
  const rows = createRows(options)
  // oidc-provider revokes model by model, at once; the store takes all models of a grant in one go.
  const dropping = new Map<string, Promise<number>>()
  /** True for the one caller whose doing it was. */
  const drop = async (grant: Uint8Array): Promise<boolean> => {
    const name = Buffer.from(grant).toString('base64url')
    const running = dropping.get(name)
    if (running) {
      await running
      return false
    }
    const until = options.clock.now() + options.tombstone * 1000
    const fresh = options.store.dropGrant(grant, until).finally(() => dropping.delete(name))
    dropping.set(name, fresh)
    return (await fresh) > 0
  }
  const common: Common = { ...options, ...rows, drop, ahead }
  const interactions = createInteractionRows(rows)
  const clients = createClientRows(options)

  const adapterOf = (model: string): Partial<Adapter> => {
    if (model === 'Session') return createSessionRows(rows, ahead)
    if (model === 'Interaction') return interactions
    if (model === 'Client') return clients
    return createTokenRows(model, common)
  }
  const factory: AdapterFactory = (model) => whole(adapterOf(model), options.translate)
  return { factory, kept: interactions.kept, dropGrant: async (grantId) => void (await drop(keyOf(grantId))) }
}
