/**
 * One exchange under the guard: bounded in size and time, counted by the breaker, its failure named. Must never log a
 * path, a query or a body.
 */
import { type Agent, request } from 'undici'
import { Fault } from '../faults.ts'
import type { Log } from '../log.ts'
import type { Breaker } from './breaker.ts'
import type { Stored } from './cache.ts'

export interface Call {
  readonly url: URL
  readonly method: string
  readonly headers: Headers
  readonly body: Uint8Array<ArrayBuffer> | undefined
  /** The caller's own. */
  readonly signal: AbortSignal | undefined
}

export interface Wire {
  readonly agent: Agent
  readonly breaker: Breaker
  readonly log: Log
  /** Bytes of a whole answer. */
  readonly maxBytes: number
  /** Milliseconds for everything. */
  readonly totalMs: number
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

const exchange = async ({ url, method, headers, body, signal }: Call, wire: Wire): Promise<Stored> => {
  const limit = AbortSignal.timeout(wire.totalMs)
  const answer = await request(url, {
    dispatcher: wire.agent,
    method: method as 'GET',
    headers: Object.fromEntries(headers),
    body: body ?? null,
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
  })
  const bytes = await collect(answer.body, wire.maxBytes, url.host)
  // What no Response can carry.
  if (answer.statusCode < 200 || answer.statusCode > 599)
    throw new Fault('outbound.failed', { host: url.host, reason: 'no such status', status: answer.statusCode })
  const pairs = Object.entries(answer.headers).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value ?? '']).map((each) => [name.toLowerCase(), each] as const),
  )
  return { status: answer.statusCode, headers: pairs, body: bytes }
}

/** @throws Fault `outbound.refused` or `outbound.failed` with host and reason; the reason of the caller's own abort */
export const send = async (call: Call, wire: Wire): Promise<Stored> => {
  const { breaker, log } = wire
  const { host } = call.url
  const wait = breaker.wait(host)
  if (wait !== undefined) throw new Fault('outbound.failed', { host, reason: 'circuit open', retryAfterMs: wait })
  try {
    const answer = await exchange(call, wire)
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
