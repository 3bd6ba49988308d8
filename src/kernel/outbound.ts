/**
 * The one way out: every HTTP request that Gatehouse makes, the engine's and the OIDC client's included (DESIGN 3.11).
 * Addresses are checked when connecting, answers are bounded in size and time, redirects are not followed, a host that
 * does not answer is left alone for a while. This room alone imports undici. It must never log a body or a query.
 */
import { readFileSync } from 'node:fs'
import type { LookupFunction } from 'node:net'
import { getCACertificates } from 'node:tls'
import { Agent, request } from 'undici'
import type { Clock } from './clock.ts'
import { Fault, isFault } from './faults.ts'
import type { Log } from './log.ts'
import { plainHost, readAllowed } from './outbound/addresses.ts'
import { createBreaker } from './outbound/breaker.ts'
import { createCache, type Stored } from './outbound/cache.ts'
import { createGuard } from './outbound/guard.ts'

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

interface Call {
  readonly url: URL
  readonly method: string
  readonly headers: Headers
  readonly body: Uint8Array<ArrayBuffer> | undefined
  readonly cache: RequestInit['cache']
  readonly redirect: RequestInit['redirect']
  readonly signal: AbortSignal | undefined
}

/** Reads fetch's two arguments; throws Fault `outbound.refused` for what is no http(s) request. */
const readCall = async (input: string | URL | Request, init: RequestInit = {}): Promise<Call> => {
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

/** The Fault that the connector threw, however deep the client wrapped it. */
const faultWithin = (error: unknown, depth = 0): Fault | undefined => {
  if (error instanceof Fault) return error
  if (depth > 5 || !(error instanceof Error)) return undefined
  const inner = error instanceof AggregateError ? [...error.errors, error.cause] : [error.cause]
  return inner.map((each) => faultWithin(each, depth + 1)).find((fault) => fault !== undefined)
}

const reasonOf = (error: unknown): string => {
  const { name, code } = error as { name?: string; code?: unknown }
  if (name === 'TimeoutError' || (typeof code === 'string' && /TIMEOUT|ETIMEDOUT/.test(code))) return 'timeout'
  return typeof code === 'string' ? code : (name ?? 'unknown')
}

const asResponse = ({ status, headers, body }: Stored): Response =>
  new Response(status === 204 || status === 205 || status === 304 ? null : body, {
    status,
    headers: headers.map(([name, value]): [string, string] => [name, value]),
  })

const collect = async (body: AsyncIterable<Uint8Array> & { destroy(): unknown }, most: number, host: string) => {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of body) {
    size += part.length
    if (size > most) {
      body.destroy()
      throw new Fault('outbound.failed', { host, reason: 'too large', limit: most })
    }
    parts.push(part)
  }
  return new Uint8Array(Buffer.concat(parts))
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
  const agent = new Agent({
    connect: createGuard({
      allowed: readAllowed(egress.allowPrivate),
      insecure: new Set(egress.insecureHosts.map(plainHost)),
      connectTimeout: limits.connectMs,
      ...(egress.caFile && { ca: [...getCACertificates('default'), readFileSync(egress.caFile, 'utf8')] }),
      ...(lookup && { lookup }),
    }),
    headersTimeout: limits.totalMs,
    bodyTimeout: limits.totalMs,
    connections: 64,
  })
  const breaker = createBreaker(clock, limits.failures, limits.openMs)
  const cache = createCache(clock)

  const exchange = async ({ url, method, headers, body, signal }: Call): Promise<Stored> => {
    const limit = AbortSignal.timeout(limits.totalMs)
    const answer = await request(url, {
      dispatcher: agent,
      method: method as 'GET',
      headers: Object.fromEntries(headers),
      body: body ?? null,
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    })
    const bytes = await collect(answer.body, limits.maxBytes, url.host)
    const pairs = Object.entries(answer.headers).flatMap(([name, value]) =>
      (Array.isArray(value) ? value : [value ?? '']).map((each) => [name.toLowerCase(), each] as const),
    )
    return { status: answer.statusCode, headers: pairs, body: bytes }
  }

  /** Sends it, keeps the breaker's books and names what went wrong. */
  const send = async (call: Call): Promise<Stored> => {
    const host = call.url.host
    const wait = breaker.wait(host)
    if (wait !== undefined) throw new Fault('outbound.failed', { host, reason: 'circuit open', retryAfterMs: wait })
    try {
      const answer = await exchange(call)
      breaker.succeeded(host)
      return answer
    } catch (error) {
      const fault = faultWithin(error)
      const cancelled = call.signal?.aborted === true && (call.signal.reason as Error)?.name !== 'TimeoutError'
      if (fault || cancelled) breaker.abandoned(host)
      else breaker.failed(host)
      if (cancelled) throw call.signal?.reason
      const named = fault ?? new Fault('outbound.failed', { host, reason: reasonOf(error) }, error)
      log.warn('outbound', { fault: named.code, method: call.method, ...named.detail })
      throw named
    }
  }

  const answerFor = async (call: Call): Promise<Stored> => {
    const kept = call.method === 'GET' && (call.cache === 'default' || call.cache === 'reload')
    if (!kept) return send(call)
    const key = `${call.headers.get('accept') ?? ''} ${call.url.href}`
    const fresh = call.cache === 'default' ? cache.fresh(key) : undefined
    if (fresh) return fresh
    try {
      const answer = await send(call)
      cache.store(key, answer)
      return answer
    } catch (error) {
      const old = isFault(error, 'outbound.failed') ? cache.stale(key) : undefined
      if (!old) throw error
      log.warn('outbound.stale', { host: call.url.host })
      return old
    }
  }

  return {
    async fetch(input, init) {
      const call = await readCall(input, init)
      const answer = await answerFor(call)
      if (answer.status >= 300 && answer.status < 400 && answer.status !== 304 && call.redirect !== 'manual')
        throw new Fault('outbound.refused', { host: call.url.host, reason: 'redirect', status: answer.status })
      return asResponse(answer)
    },
    close: () => agent.close(),
  }
}
