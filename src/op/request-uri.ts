/**
 * Request objects by reference (OIDC Core 6.2, RFC 9101 5.2, DESIGN 3.8): the engine knows only pushed ones, so what a
 * relying party published is fetched here and handed on as `request`. Only addresses that its record names are asked,
 * only over https, only through the guarded client. What is fetched is judged by the engine like one sent by value.
 */
import type { Ctx } from '#http/context.ts'
import type { Log } from '#kernel/log.ts'
import { sha256 } from '#kernel/random.ts'
import type { Client } from '#kernel/records/client.ts'

const PUSHED = 'urn:ietf:params:oauth:request_uri:'
/** RFC 9101 5.2: longer ones need not be taken. */
const LONGEST = 512
/** Bytes of a request object. */
const LARGEST = 65_536
const KEPT = 100
const loopbacks = new Set(['localhost', '127.0.0.1', '[::1]'])

const withoutFragment = (uri: string): string => uri.split('#', 1)[0] ?? ''
const fragmentOf = (uri: string): string => uri.slice(withoutFragment(uri).length + 1)

/** What the engine answers `invalid_request_uri` to, wherever an answer may go. */
const REFUSED = `${PUSHED}refused`

class Refused extends Error {}

/** Registered addresses are compared as they are, but for the fragment, which only says which contents are meant. */
const registered = (client: Client, uri: string): boolean => {
  const { request_uris: known } = client as { request_uris?: unknown }
  return Array.isArray(known) && known.some((each) => withoutFragment(String(each)) === withoutFragment(uri))
}

export interface RequestUris {
  /** Puts the request object in place of its address. Never throws: a refusal is the engine's to answer. */
  resolve(ctx: Ctx): Promise<void>
}

/** @param given `issuer`: on a plain one, which is a loopback one, plain http on loopback is allowed too */
export const createRequestUris = (given: {
  readonly issuer: string
  readonly clientOf: (clientId: string) => Promise<Client | undefined>
  readonly fetch: typeof globalThis.fetch
  readonly log: Log
}): RequestUris => {
  const { clientOf, fetch, log } = given
  const isPlain = given.issuer.startsWith('http:')
  // By address with a fragment that is the hash of the contents: they cannot change (OIDC Core 6.2).
  const kept = new Map<string, string>()

  const allowed = (uri: string): boolean => {
    const url = URL.parse(uri)
    return url?.protocol === 'https:' || (isPlain && url?.protocol === 'http:' && loopbacks.has(url.hostname))
  }

  const read = async (uri: string): Promise<string> => {
    const known = kept.get(uri)
    if (known !== undefined) return known
    const response = await fetch(withoutFragment(uri), {
      headers: { accept: 'application/oauth-authz-req+jwt, application/jwt, application/jose' },
    })
    if (response.status !== 200) throw new Refused(`answered ${response.status}`)
    const text = (await response.text()).trim()
    if (text.length > LARGEST) throw new Refused('too large')
    if (fragmentOf(uri) === sha256(text).toString('base64url')) {
      if (kept.size >= KEPT) kept.clear()
      kept.set(uri, text)
    }
    return text
  }

  const fetched = async (clientId: string, uri: string): Promise<string | undefined> => {
    const client = await clientOf(clientId)
    // Nobody to ask: the engine says so better.
    if (!client || client.disabled) return undefined
    if (uri.length > LONGEST) throw new Refused('too long')
    if (!registered(client, uri)) throw new Refused('not registered')
    if (!allowed(uri)) throw new Refused('not https')
    return read(uri)
  }

  return {
    async resolve(ctx) {
      const { client_id: clientId, request_uri: uri, request } = ctx.query
      if (typeof uri !== 'string' || uri.startsWith(PUSHED) || typeof clientId !== 'string' || request !== undefined)
        return
      const query = new URLSearchParams(ctx.querystring)
      try {
        const found = await fetched(clientId, uri)
        if (found === undefined) return
        query.delete('request_uri')
        query.set('request', found)
      } catch (error) {
        const { message, detail } = error as { message: string; detail?: Record<string, unknown> }
        log.info('oauth.refused', { at: 'request_uri', client: clientId, reason: detail?.reason ?? message })
        query.set('request_uri', REFUSED)
      }
      ctx.querystring = query.toString()
    },
  }
}
