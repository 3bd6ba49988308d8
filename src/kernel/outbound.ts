/**
 * The one way out: every HTTP request that Gatehouse makes, the engine's and the OIDC client's included (DESIGN 3.11).
 * Addresses are checked when connecting, answers are bounded in size and time, redirects are not followed, a host that
 * does not answer is left alone for a while. This room alone imports undici. It must never log a body or a query.
 */
import { readFileSync } from 'node:fs'
import type { LookupFunction } from 'node:net'
import { getCACertificates } from 'node:tls'
import { Agent } from 'undici'
import type { Clock } from './clock.ts'
import { Fault, isFault } from './faults.ts'
import type { Log } from './log.ts'
import { plainHost, readAllowed } from './outbound/addresses.ts'
import { createBreaker } from './outbound/breaker.ts'
import { type Cache, createCache, type Stored } from './outbound/cache.ts'
import { createGuard } from './outbound/guard.ts'
import { type Call, send } from './outbound/send.ts'

export interface Egress {
  /** CIDR ranges, addresses or host names that may be contacted although they are not public. */
  readonly allowPrivate: false | readonly string[]
  /** PEM file of authorities trusted besides the platform's. */
  readonly caFile?: string
  /** Host names that may be spoken to over plain http and whose certificate is not verified. */
  readonly insecureHosts: readonly string[]
}

export interface OutboundLimits {
  /** Bytes of a whole answer. */
  readonly maxBytes: number
  /** Milliseconds. */
  readonly connectMs: number
  readonly totalMs: number
  /** Consecutive failures after which a host is left alone for `openMs`. */
  readonly failures: number
  readonly openMs: number
}

export interface Outbound {
  /**
   * As the platform's, with these differences. Redirects: handed back with `redirect: 'manual'`, refused otherwise.
   * Cache: `cache: 'default'` lets a GET be answered from earlier answers as their Cache-Control allows, and from an old
   * one while the source is away; `'reload'` asks anew and keeps the answer; without the option nothing is kept.
   * `dispatcher` is ignored. Throws Fault `outbound.refused` (not allowed), `outbound.failed` (no usable answer), each
   * with `host` and `reason` in its detail; the caller's own AbortSignal throws its reason.
   */
  readonly fetch: typeof globalThis.fetch
  close(): Promise<void>
}

const STANDARD: OutboundLimits = {
  maxBytes: 1024 * 1024,
  connectMs: 3000,
  totalMs: 10_000,
  failures: 5,
  openMs: 5000,
}

interface Asked extends Call {
  readonly cache: RequestInit['cache']
  readonly redirect: RequestInit['redirect']
}

/** Reads fetch's two arguments; throws Fault `outbound.refused` for what is no http(s) request. */
const readCall = async (input: string | URL | Request, init: RequestInit = {}): Promise<Asked> => {
  const { method, headers, body, cache, redirect, signal } = init
  let asked: Request
  try {
    asked = new Request(input, { method, headers, body, duplex: 'half' } as RequestInit)
  } catch (cause) {
    throw new Fault('outbound.refused', { reason: 'not a request' }, cause)
  }
  const url = new URL(asked.url)
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new Fault('outbound.refused', { host: url.host, reason: 'not http or https' })
  return {
    url,
    method: asked.method,
    headers: asked.headers,
    body: asked.body ? new Uint8Array(await asked.arrayBuffer()) : undefined,
    cache,
    redirect,
    signal: signal ?? undefined,
  }
}

const asResponse = ({ status, headers, body }: Stored): Response =>
  new Response(status === 204 || status === 205 || status === 304 ? null : body, {
    status,
    headers: headers.map(([name, value]): [string, string] => [name, value]),
  })

/** Answers a GET from the cache where the caller asked for that, and keeps what comes. */
const throughCache = async (call: Asked, cache: Cache, log: Log, fetchAnew: () => Promise<Stored>): Promise<Stored> => {
  if (call.method !== 'GET' || (call.cache !== 'default' && call.cache !== 'reload')) return fetchAnew()
  const key = `${call.headers.get('accept') ?? ''} ${call.url.href}`
  const fresh = call.cache === 'default' ? cache.fresh(key) : undefined
  if (fresh) return fresh
  const standIn = () => (call.cache === 'default' ? cache.stale(key) : undefined)
  try {
    const answer = await fetchAnew()
    const old = answer.status >= 500 ? standIn() : undefined
    if (!old) cache.store(key, answer)
    return old ?? answer
  } catch (error) {
    const old = isFault(error, 'outbound.failed') ? standIn() : undefined
    if (!old) throw error
    log.warn('outbound.stale', { host: call.url.host })
    return old
  }
}

/**
 * @param given.egress what the operator allows
 * @param given.limits replaces single standard limits (1 MiB, 3 s to connect, 10 s in all, 5 failures, 5 s apart)
 * @param given.lookup replaces the system's resolver
 */
export const createOutbound = (given: {
  egress: Egress
  clock: Clock
  log: Log
  limits?: Partial<OutboundLimits>
  lookup?: LookupFunction
}): Outbound => {
  const { egress, clock, log, lookup } = given
  const limits = { ...STANDARD, ...given.limits }
  const connect = createGuard({
    allowed: readAllowed(egress.allowPrivate),
    insecure: new Set(egress.insecureHosts.map(plainHost)),
    connectTimeout: limits.connectMs,
    ...(egress.caFile && { ca: [...getCACertificates('default'), readFileSync(egress.caFile, 'utf8')] }),
    ...(lookup && { lookup }),
  })
  const times = { headersTimeout: limits.totalMs, bodyTimeout: limits.totalMs }
  const agent = new Agent({ connect, connections: 64, ...times })
  const wire = { agent, breaker: createBreaker(clock, limits.failures, limits.openMs), log, ...limits }
  const cache = createCache(clock)

  return {
    async fetch(input, init) {
      const call = await readCall(input, init)
      const answer = await throughCache(call, cache, log, () => send(call, wire))
      if (answer.status >= 300 && answer.status < 400 && answer.status !== 304 && call.redirect !== 'manual')
        throw new Fault('outbound.refused', { host: call.url.host, reason: 'redirect', status: answer.status })
      return asResponse(answer)
    },
    close: () => agent.close(),
  }
}
