/**
 * The first look at every request: its shape, the host it names, and the headers of every answer. It must stay cheap,
 * because the token endpoint passes here too: no parsing of bodies, no cookies, no allocation that is not needed.
 */

import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { Fault } from '#kernel/faults.ts'
import { withoutPort } from '#kernel/network.ts'
import type { Ctx } from './context.ts'
import { endpointOf } from './endpoints.ts'
import { createHeaders, isFlow } from './headers.ts'
import { clientAddress, createTrust, type TrustProxy } from './proxies.ts'

/** Bytes of a request target; longer ones answer 414. */
export const MOST_URL = 16_384
/** Bytes of any request body that its length announces; our own forms and the engine allow far less. */
export const MOST_BODY = 1_048_576

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
/** Probes come by address, from inside, and are never limited. @param path below the issuer */
export const isProbe = (path: string): boolean => path === '/healthz' || path === '/readyz'

export interface GuardOptions {
  readonly issuer: string
  readonly trustProxy: TrustProxy
  /** Further hosts that identity providers claim (CONTRACT 5), lower-case, without port. Asked per request, so keep it cheap. */
  readonly hosts?: (() => ReadonlySet<string>) | undefined
}

export interface Guard {
  /** Sets the request id and the security headers, then refuses what must not come further. Throws Fault `request.*`. */
  admit(ctx: Ctx): void
  /** The client's address. */
  address(req: IncomingMessage): string
}

/** One Host header at most (RFC 9112 3.2): two would let a proxy and us see different sites. */
const hostsNamed = (req: IncomingMessage): number => {
  let count = 0
  for (let i = 0; i < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i]
    if (name?.length === 4 && name.toLowerCase() === 'host') count++
  }
  return count
}

const HOST = /^(?:[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(?::\d{1,5})?$/

/** @returns host[:port] in lower case without the scheme's default port, or undefined when it is not one */
export const plainHost = (text: string, protocol: string): string | undefined => {
  const host = text.toLowerCase()
  if (!HOST.test(host)) return undefined
  const standard = protocol === 'https:' ? ':443' : ':80'
  return host.endsWith(standard) && !host.endsWith(`]${standard.slice(1)}`) ? host.slice(0, -standard.length) : host
}

const single = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? value.join() : value

const setAll = (res: ServerResponse, headers: readonly (readonly [string, string])[]) => {
  for (const [name, value] of headers) res.setHeader(name, value)
}

export const createGuard = (options: GuardOptions): Guard => {
  const issuer = new URL(options.issuer)
  const secure = issuer.protocol === 'https:'
  const base = issuer.pathname.replace(/\/$/, '')
  const trusts = createTrust(options.trustProxy)
  const sets = createHeaders(secure)

  const address = (req: IncomingMessage) =>
    clientAddress(req.socket.remoteAddress ?? '', single(req.headers['x-forwarded-for']), trusts)

  const checkShape = (req: IncomingMessage) => {
    if (!METHODS.has(req.method ?? '')) throw new Fault('request.method', { method: req.method })
    const url = req.url ?? ''
    if (url.length > MOST_URL) throw new Fault('request.too-long', { length: url.length })
    // The absolute form names a host of its own (RFC 9112 3.2.2); a path that starts with two slashes reads as one.
    if (url[0] !== '/' || url[1] === '/' || url[1] === '\\') throw new Fault('request.invalid', { what: 'target' })
    const length = req.headers['content-length']
    if (length !== undefined && Number(length) > MOST_BODY) throw new Fault('request.too-large', { what: 'body' })
  }

  /** The named host, once it is clear that it is one of ours. */
  const checkHost = (req: IncomingMessage): string => {
    if (hostsNamed(req) > 1) throw new Fault('request.invalid', { what: 'host' })
    const trusted =
      options.trustProxy !== false && trusts(clientAddress(req.socket.remoteAddress ?? '', undefined, trusts))
    const named = (trusted && single(req.headers['x-forwarded-host'])) || req.headers.host || ''
    const host = plainHost(named, issuer.protocol)
    if (host === undefined || (host !== issuer.host && !options.hosts?.().has(withoutPort(host))))
      throw new Fault('request.host', { host: named.slice(0, 255) })
    if (secure && !(req.socket as TLSSocket).encrypted) {
      const proto = trusted ? single(req.headers['x-forwarded-proto'])?.toLowerCase() : 'http'
      if (proto !== undefined && proto !== 'https') throw new Fault('request.host', { proto: proto.slice(0, 64) })
    }
    return host
  }

  return {
    address,
    admit(ctx) {
      const { req, res } = ctx
      ctx.state.rid = randomUUID()
      res.setHeader('x-request-id', ctx.state.rid)
      const path = base && ctx.path.startsWith(`${base}/`) ? ctx.path.slice(base.length) : ctx.path
      setAll(res, endpointOf(path)?.endpoint.machine ? sets.machine : isFlow(path) ? sets.flow : sets.page)
      checkShape(req)
      if (!isProbe(path)) ctx.state.host = checkHost(req)
    },
  }
}
