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

interface Keys {
  readonly keys: Record<string, unknown>[]
}

export interface Standing {
  /** A fresh Configuration, keys included when `withKeys`. Throws Fault `upstream.*`. */
  configure(withKeys: boolean): Promise<client.Configuration>
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

export const createStanding = (settings: OidcSettings, { clock, fetch }: World): Standing => {
  const issuer = issuerOf(settings)
  const alg = settings.id_token_signed_response_alg
  // An https provider cannot talk us into plain http by its metadata.
  const insecure = new URL(issuer).protocol === 'http:'

  const aboutUs = (): Partial<client.ClientMetadata> => ({
    ...(alg && alg !== 'none' && { id_token_signed_response_alg: alg }),
    ...(settings.userinfo_signed_response_alg && {
      userinfo_signed_response_alg: settings.userinfo_signed_response_alg,
    }),
    // The library reads the machine's clock; ours may be another.
    [client.clockSkew]: epochSeconds(clock) - epochSeconds(systemClock),
    [client.clockTolerance]: TOLERANCE,
  })

  const discover = (through: client.CustomFetch, auth: client.ClientAuth) =>
    client.discovery(new URL(issuer), settings.client_id, aboutUs(), auth, {
      [client.customFetch]: through,
      timeout: 15,
      ...(insecure && { execute: [client.allowInsecureRequests] }),
    })

  const complete = (metadata: client.ServerMetadata): client.ServerMetadata => ({
    ...metadata,
    // Kept out of reach of the network: answered from `jwks`, see `through`.
    ...(!metadata.jwks_uri && settings.jwks && { jwks_uri: `${issuer.replace(/\/$/, '')}/jwks` }),
    ...(alg === 'none' && { id_token_signing_alg_values_supported: ['none', ...signingAlgorithms] }),
  })

  const metadata = remembered(clock, METADATA_MS, async (): Promise<client.ServerMetadata> => {
    // It came from JSON or YAML, so its members are JSON.
    if (settings.metadata) return complete(settings.metadata as client.ServerMetadata)
    try {
      const found = await discover(
        (url, options) => fetch(url, { ...(options as RequestInit), cache: 'reload' }),
        client.None(),
      )
      return complete(found.serverMetadata())
    } catch (error) {
      throw upstreamFault(error, 'discovery')
    }
  })

  const keys = remembered(clock, KEYS_MS, async (): Promise<Keys> => {
    if (settings.jwks) return settings.jwks
    const { jwks_uri: uri } = await metadata()
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
  })

  const json = (body: unknown) =>
    new Response(JSON.stringify(body), { headers: { 'content-type': 'application/json' } })

  const build = async (known: client.ServerMetadata): Promise<client.Configuration> => {
    const auth = authentication(settings, known)
    if (!settings.metadata) return discover(async () => json(known), auth)
    const made = new client.Configuration(known, settings.client_id, aboutUs(), auth)
    if (insecure) client.allowInsecureRequests(made)
    return made
  }

  return {
    async configure(withKeys) {
      const known = await metadata()
      const config = await build(known)
      config.timeout = 0
      config[client.customFetch] = async (url, options) =>
        url === known.jwks_uri ? json(await keys(true)) : fetch(url, options as RequestInit)
      if (withKeys) {
        client.enableNonRepudiationChecks(config)
        const jwks = await keys()
        client.setJwksCache(config, { jwks, uat: epochSeconds(systemClock) - OLD_ENOUGH } as client.ExportedJWKSCache)
      }
      return config
    },
  }
}
