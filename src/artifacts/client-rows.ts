/**
 * Relying parties come from the directory on every look-up, so that an administrator's change is in force with the next
 * request. Metadata that the configuration no longer knows would make the whole client unusable (ENGINE 5): such values
 * are dropped here and reported.
 */
import { isDeepStrictEqual } from 'node:util'
import Provider, { type Adapter, type AdapterPayload, errors } from 'oidc-provider'
import type { Clock } from '#kernel/clock.ts'
import { isFault } from '#kernel/faults.ts'
import type { Client } from '#kernel/records/client.ts'

/** What the running configuration accepts in client metadata. */
export interface Vocabulary {
  readonly scopes: ReadonlySet<string>
  readonly acrs: ReadonlySet<string>
  readonly responseTypes: ReadonlySet<string>
  readonly grantTypes: ReadonlySet<string>
  readonly subjectTypes: ReadonlySet<string>
  /** For every `*_signed_response_alg`. */
  readonly signingAlgs: ReadonlySet<string>
  /** For what clients sign: requests and assertions. */
  readonly clientAlgs: ReadonlySet<string>
  /** For every `*_encrypted_response_alg` and `*_enc`. */
  readonly encryptionAlgs: ReadonlySet<string>
  readonly encryptionEncs: ReadonlySet<string>
  readonly responseModes: ReadonlySet<string>
  readonly authMethods: ReadonlySet<string>
  /** Members that are forced, whatever the record says (the hardened profile). */
  readonly forced?: Readonly<Record<string, unknown>>
}

export type Report = (clientId: string, dropped: Readonly<Record<string, readonly string[]>>) => void

/** Where client records are; the directory's shelf is one. The same object is answered as long as the record stands. */
export interface ClientShelf {
  get(id: string): Promise<Client | undefined>
  /** From the store, with its revision. */
  versioned(id: string): Promise<{ readonly value: Client; readonly revision: number } | undefined>
  /** With `ifRevision` throws Fault `directory.stale` when the record is no longer that one. */
  put(value: Client, ifRevision?: number): Promise<unknown>
  remove(id: string): Promise<unknown>
}

type Metadata = Record<string, unknown>

const signedResponses = [
  'id_token_signed_response_alg',
  'userinfo_signed_response_alg',
  'introspection_signed_response_alg',
  'authorization_signed_response_alg',
]

const signedByClients = ['token_endpoint_auth_signing_alg', 'request_object_signing_alg']
const encrypted = ['id_token', 'userinfo', 'introspection', 'authorization'].map((name) => `${name}_encrypted_response`)

const words = (type: string): string => [...new Set(type.split(' '))].sort().join(' ')

/**
 * Client metadata as the configuration can use it. Pure.
 * @returns the metadata, and what was dropped by member
 */
export const sanitise = (
  client: Metadata,
  known: Vocabulary,
): { metadata: Metadata; dropped: Record<string, string[]> } => {
  const metadata: Metadata = { ...client, ...known.forced }
  const dropped: Record<string, string[]> = {}
  const list = (name: string, allowed: ReadonlySet<string>, normal: (value: string) => string = (value) => value) => {
    const values = metadata[name]
    if (!Array.isArray(values)) return
    const gone = values.filter((value) => typeof value !== 'string' || !allowed.has(normal(value)))
    if (gone.length === 0) return
    dropped[name] = gone.map(String)
    metadata[name] = values.filter((value) => !gone.includes(value))
  }
  const single = (name: string, allowed: ReadonlySet<string>) => {
    const value = metadata[name]
    if (typeof value !== 'string' || allowed.has(value)) return
    dropped[name] = [value]
    delete metadata[name]
  }

  list('default_acr_values', known.acrs)
  list('response_types', known.responseTypes, words)
  list('grant_types', known.grantTypes)
  list('response_modes', known.responseModes)
  single('subject_type', known.subjectTypes)
  single('token_endpoint_auth_method', known.authMethods)
  for (const name of signedResponses) {
    const value = metadata[name]
    // A symmetric algorithm signs with the client's own secret, no key of ours.
    if (typeof value !== 'string' || !value.startsWith('HS')) single(name, known.signingAlgs)
  }
  single('access_token_signing_alg', known.signingAlgs)
  for (const name of signedByClients) single(name, known.clientAlgs)
  for (const name of [...encrypted, 'request_object_encryption']) {
    single(`${name}_alg`, known.encryptionAlgs)
    single(`${name}_enc`, known.encryptionEncs)
    // RFC 7591 2, OIDC Registration 2: without an algorithm there is nothing to encrypt with.
    if (metadata[`${name}_alg`] === undefined) delete metadata[`${name}_enc`]
  }
  if (typeof metadata.scope === 'string') {
    const scopes = metadata.scope.split(' ').filter((scope) => scope !== '')
    const gone = scopes.filter((scope) => !known.scopes.has(scope))
    if (gone.length > 0) {
      dropped.scope = gone
      const left = scopes.filter((scope) => known.scopes.has(scope)).join(' ')
      // Without the member a client could ask for every scope.
      metadata.scope = left || 'openid'
    }
  }
  for (const name of ['default_acr_values', 'response_modes'])
    if (Array.isArray(metadata[name]) && metadata[name].length === 0) delete metadata[name]
  return { metadata, dropped }
}

const isExpired = (client: Metadata, clock: Clock): boolean =>
  typeof client.expires_at === 'number' && client.expires_at * 1000 <= clock.now()

/** The record that a client's own update began with (RFC 7592 2.2). */
const updated = new WeakMap<object, Client>()

const updating = (): object | undefined =>
  Provider.ctx?.oidc.route === 'client_update' ? (Provider.ctx as object) : undefined

/**
 * An update takes as long as the addresses in it take to answer, and is made of the record that it began with: it must not
 * bring back what an administrator took away meanwhile, nor the client itself.
 */
const putUpdate = async (clients: ClientShelf, next: Client, before: Client | undefined): Promise<void> => {
  const now = await clients.versioned(next.client_id)
  if (!now || now.value.disabled) throw new errors.InvalidToken('the client is no longer registered')
  const changed = () => new errors.InvalidRequest('the client was changed meanwhile; read it and try again', 409)
  if (!isDeepStrictEqual(now.value, before)) throw changed()
  try {
    await clients.put(next, now.revision)
  } catch (error) {
    throw isFault(error, 'directory.stale') ? changed() : error
  }
}

interface Cleaned {
  readonly whole: AdapterPayload
  /** Without default_acr_values. */
  readonly asked: AdapterPayload
}

/**
 * oidc-provider writes default_acr_values into the request, where they could no longer be told from what was asked; but
 * they come last in choosing the way in (CONTRACT 5). Whoever decides reads them from the record.
 */
const isAuthorization = (): boolean => ['authorization', 'resume'].includes(Provider.ctx?.oidc.route ?? '')

/** @param given the shelf of clients, the vocabulary of the instance that asks, where to report what was dropped */
export const createClientRows = (given: {
  readonly clients: ClientShelf
  readonly clock: Clock
  readonly vocabulary: Vocabulary
  readonly report: Report
}): Pick<Adapter, 'find' | 'upsert' | 'destroy'> => {
  const { clients, clock, vocabulary, report } = given
  // The shelf answers the same object as long as the record stands: sanitised and reported once for each.
  const cleaned = new WeakMap<Client, Cleaned>()

  const clean = (client: Client): Cleaned => {
    const cached = cleaned.get(client)
    if (cached) return cached
    const { metadata, dropped } = sanitise(client, vocabulary)
    if (Object.keys(dropped).length > 0) report(client.client_id, dropped)
    const { default_acr_values: _, ...asked } = metadata
    const fresh = { whole: metadata, asked } as Cleaned
    cleaned.set(client, fresh)
    return fresh
  }

  return {
    async find(id) {
      const client = await clients.get(id)
      if (!client || client.disabled || isExpired(client, clock)) return undefined
      const update = updating()
      if (update && !updated.has(update)) updated.set(update, client)
      const { whole, asked } = clean(client)
      return isAuthorization() ? asked : whole
    },
    async upsert(_id, metadata) {
      // Dynamic registration (OIDC Registration 3.1, RFC 7592): undefined members do not survive JSON.
      const next = JSON.parse(JSON.stringify(metadata)) as Client
      const update = updating()
      if (update) await putUpdate(clients, next, updated.get(update))
      else await clients.put(next)
    },
    async destroy(id) {
      await clients.remove(id)
    },
  }
}
