/**
 * What is known of a provider between logins: its metadata and its keys, fetched at first use, kept for a while, used
 * longer while it is away, and asked for anew when a token names an unknown key (OIDC Core 10.1.1).
 * Every login gets a Configuration of its own, so that nothing of one login can leak into another.
 */
import * as client from 'openid-client'
import { type Clock, epochSeconds, systemClock } from '#kernel/clock.ts'
import { Fault } from '#kernel/faults.ts'
import type { World } from '../connector.ts'
import { upstreamFault } from './failure.ts'
import { issuerOf, type OidcSettings, signingAlgorithms } from './settings.ts'

const METADATA_MS = 3_600_000
const KEYS_MS = 300_000
/** A failed refresh is not repeated for this long while an older value stands in. */
const RETRY_MS = 30_000
/** Whoever likes may name a key that does not exist: so often the provider is asked on a stranger's word. */
const STRANGERS_MS = 10_000
/** openid-client looks for a new key only when its set is at least this old (seconds); ours is always handed over so. */
const OLD_ENOUGH = 60
/** Seconds. */
export const TOLERANCE = 30

/**
 * One value, loaded when needed by whoever comes first; an older one stands in for a failed refresh. The outbound cache is
 * passed by (`reload`): it would keep an answer that turns out to be unusable.
 */
const remembered = <T>(clock: Clock, ms: number, load: () => Promise<T>) => {
  let kept: { value: T; until: number } | undefined
  let loading: Promise<T> | undefined
  return async (anew = false): Promise<T> => {
    if (kept && !anew && clock.now() < kept.until) return kept.value
    loading ??= load()
      .then((value) => {
        kept = { value, until: clock.now() + ms }
        return value
      })
      .finally(() => {
        loading = undefined
      })
    try {
      return await loading
    } catch (error) {
      if (!kept) throw error
      kept = { ...kept, until: clock.now() + RETRY_MS }
      return kept.value
    }
  }
}

export interface Keys {
  readonly keys: Record<string, unknown>[]
}

export interface Standing {
  /** A fresh Configuration, keys included when `withKeys`. Throws Fault `upstream.*`. */
  configure(withKeys: boolean): Promise<client.Configuration>
  /** The key set; read anew when asked so. Throws Fault `upstream.*`. */
  keys(anew: boolean): Promise<Keys>
  /** The key set, read anew unless that was done a moment ago: for what anybody may send. Throws Fault `upstream.*`. */
  newerKeys(): Promise<Keys>
}

const authentication = (settings: OidcSettings, metadata: client.ServerMetadata): client.ClientAuth => {
  const { client_secret: secret, token_endpoint_auth_method: stated } = settings
  const supported = metadata.token_endpoint_auth_methods_supported ?? ['client_secret_basic']
  const method =
    stated ??
    (['client_secret_basic', 'client_secret_post', 'client_secret_jwt'].find((each) => supported.includes(each)) ||
      'client_secret_basic')
  if (!secret || method === 'none') return client.None()
  if (method === 'client_secret_post') return client.ClientSecretPost(secret)
  return method === 'client_secret_jwt' ? client.ClientSecretJwt(secret) : client.ClientSecretBasic(secret)
}

/** One provider's settings with what follows from them. */
interface Known {
  readonly settings: OidcSettings
  readonly issuer: string
  /** An https provider cannot talk us into plain http by its metadata. */
  readonly insecure: boolean
  readonly clock: Clock
  readonly fetch: World['fetch']
}

const json = (body: unknown): Response =>
  new Response(JSON.stringify(body), { headers: { 'content-type': 'application/json' } })

const aboutUs = ({ settings, clock }: Known): Partial<client.ClientMetadata> => {
  const { id_token_signed_response_alg: alg, userinfo_signed_response_alg: userinfoAlg } = settings
  return {
    ...(alg && alg !== 'none' && { id_token_signed_response_alg: alg }),
    ...(userinfoAlg && { userinfo_signed_response_alg: userinfoAlg }),
    // The library reads the machine's clock; ours may be another.
    [client.clockSkew]: epochSeconds(clock) - epochSeconds(systemClock),
    [client.clockTolerance]: TOLERANCE,
  }
}

const discover = (known: Known, through: client.CustomFetch, auth: client.ClientAuth): Promise<client.Configuration> =>
  client.discovery(new URL(known.issuer), known.settings.client_id, aboutUs(known), auth, {
    [client.customFetch]: through,
    timeout: 15,
    ...(known.insecure && { execute: [client.allowInsecureRequests] }),
  })

const complete = ({ settings, issuer }: Known, metadata: client.ServerMetadata): client.ServerMetadata => ({
  ...metadata,
  // Never asked for: answered from `jwks`.
  ...(!metadata.jwks_uri && settings.jwks && { jwks_uri: `${issuer.replace(/\/$/, '')}/jwks` }),
  ...(settings.id_token_signed_response_alg === 'none' && {
    id_token_signing_alg_values_supported: ['none', ...signingAlgorithms],
  }),
})

const loadMetadata = async (known: Known): Promise<client.ServerMetadata> => {
  const { settings, fetch } = known
  // It came from JSON or YAML, so its members are JSON.
  if (settings.metadata) return complete(known, settings.metadata as client.ServerMetadata)
  try {
    const through: client.CustomFetch = (url, options) => fetch(url, { ...(options as RequestInit), cache: 'reload' })
    return complete(known, (await discover(known, through, client.None())).serverMetadata())
  } catch (error) {
    throw upstreamFault(error, 'discovery')
  }
}

const loadKeys = async ({ settings, fetch }: Known, uri: string | undefined): Promise<Keys> => {
  if (settings.jwks) return settings.jwks
  if (!uri) throw new Fault('upstream.misconfigured', { leg: 'keys', reason: 'no jwks_uri' })
  try {
    const headers = { accept: 'application/json, application/jwk-set+json' }
    const answer = await fetch(uri, { headers, redirect: 'manual', cache: 'reload' })
    if (answer.status !== 200) throw new Error('no key set', { cause: answer })
    const body = (await answer.json()) as Keys | null
    if (!Array.isArray(body?.keys)) throw new SyntaxError('no array "keys"')
    return { keys: body.keys.filter((key) => typeof key === 'object' && key !== null) }
  } catch (error) {
    throw upstreamFault(error, 'keys')
  }
}

/** Discovery of the stored document costs nothing and repeats the library's own treatment of special issuers. */
const build = async (known: Known, metadata: client.ServerMetadata): Promise<client.Configuration> => {
  const auth = authentication(known.settings, metadata)
  if (!known.settings.metadata) return discover(known, async () => json(metadata), auth)
  const made = new client.Configuration(metadata, known.settings.client_id, aboutUs(known), auth)
  if (known.insecure) client.allowInsecureRequests(made)
  return made
}

export const createStanding = (settings: OidcSettings, { clock, fetch }: World): Standing => {
  const issuer = issuerOf(settings)
  const known: Known = { settings, issuer, insecure: new URL(issuer).protocol === 'http:', clock, fetch }
  const metadata = remembered(clock, METADATA_MS, () => loadMetadata(known))
  const keys = remembered(clock, KEYS_MS, async () => loadKeys(known, (await metadata()).jwks_uri))
  let newerAt = 0
  return {
    keys,
    newerKeys() {
      const due = clock.now() - newerAt >= STRANGERS_MS
      if (due) newerAt = clock.now()
      return keys(due)
    },
    async configure(withKeys) {
      const server = await metadata()
      const config = await build(known, server)
      config.timeout = 0
      config[client.customFetch] = async (url, options) =>
        url === server.jwks_uri ? json(await keys(true)) : fetch(url, options as RequestInit)
      if (withKeys) {
        client.enableNonRepudiationChecks(config)
        const uat = epochSeconds(systemClock) - OLD_ENOUGH
        client.setJwksCache(config, { jwks: await keys(), uat } as client.ExportedJWKSCache)
      }
      return config
    },
  }
}
