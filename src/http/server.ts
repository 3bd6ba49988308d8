/** The listening socket: limits on what a connection may cost, and an end that lets requests in flight finish. */
import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Log } from '#kernel/log.ts'
import { MOST_URL } from './guard.ts'
import { asksElsewhere, noMoreArrivals, quietMoment, turnAway } from './leaving.ts'

export interface ListenOptions {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** PEM texts. With `clientCa`, browsers may show a certificate; none is demanded. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string | undefined } | undefined
  readonly log: Log
  /** Ms that requests in flight get at the end. */
  readonly drainMs?: number
  /** Ms for a whole request to arrive. */
  readonly requestMs?: number
}

export interface Listener {
  readonly port: number
  /** Where it listens, such as `http://127.0.0.1:3000`. */
  readonly url: string
  /** True from the moment that `close` was called. */
  draining(): boolean
  /**
   * Stops accepting, lets requests in flight finish within `drainMs`, then cuts what is left. Proxies that can ask another
   * node (leaving.ts) are sent there first.
   */
  close(): Promise<void>
}

const DRAIN_MS = 30_000
const REQUEST_MS = 30_000
/** Longer than the idle time of common load balancers (60 s), so that they close first and never meet a closed socket. */
const KEEP_ALIVE_MS = 65_000
const POLL_MS = 50
/** How long a connection may say nothing once the server stops. */
const SILENT_MS = 500
const HANDSHAKE_MS = 10_000

const limits = (requestMs: number): ServerOptions => ({
  // Request line and headers together: a target of MOST_URL must arrive, to be answered 414 with its page.
  maxHeaderSize: 2 * MOST_URL,
  requestTimeout: requestMs,
  headersTimeout: Math.min(15_000, requestMs),
  connectionsCheckingInterval: Math.min(5_000, requestMs),
  keepAliveTimeout: KEEP_ALIVE_MS,
})

/** Answers what is not even HTTP, or too much of it. */
const refuse = (error: NodeJS.ErrnoException & { rawPacket?: Buffer }, socket: Socket) => {
  if (error.code === 'ECONNRESET' || !socket.writable) return socket.destroy()
  const line = error.rawPacket?.indexOf('\r\n') ?? -1
  const status =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? error.rawPacket && (line < 0 || line > MOST_URL)
        ? '414 URI Too Long'
        : '431 Request Header Fields Too Large'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? '408 Request Timeout'
        : '400 Bad Request'
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`)
  return undefined
}

const create = (
  handle: (req: IncomingMessage, res: ServerResponse) => void,
  { tls, requestMs = REQUEST_MS }: ListenOptions,
): Server =>
  tls
    ? createSecureServer(
        {
          ...limits(requestMs),
          cert: tls.cert,
          key: tls.key,
          minVersion: 'TLSv1.2',
          handshakeTimeout: HANDSHAKE_MS,
          ...(tls.clientCa !== undefined && { ca: tls.clientCa, requestCert: true, rejectUnauthorized: false }),
        },
        handle,
      )
    : createServer(limits(requestMs), handle)

const addressOf = (host: string): string => (host.includes(':') ? `[${host}]` : host)

/** Why nothing can listen there, for the person who started the server. */
const occupied: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there already; stop it, or set another listen.port',
  EACCES: 'this user may not listen there; set another listen.port',
  EADDRNOTAVAIL: 'this machine has no such address; set another listen.host',
}

const started = (server: Server, { host, port }: ListenOptions): Promise<AddressInfo> =>
  new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why = occupied[cause.code ?? '']
      if (!why) return reject(cause)
      reject(
        Object.assign(new Error(`${addressOf(host)}:${port}: ${why} (${cause.code})`, { cause }), { code: cause.code }),
      )
    })
    server.listen(port, host, () => {
      server.removeAllListeners('error')
      resolve(server.address() as AddressInfo)
    })
  })

/**
 * Starts listening.
 * @param handler what answers, `app.callback()` of app.ts
 * @throws Error with node's code (EADDRINUSE, EACCES …)
 */
export const listen = async (
  handler: (req: IncomingMessage, res: ServerResponse) => void,
  options: ListenOptions,
): Promise<Listener> => {
  let draining = false
  let swept = false
  // Connections that never asked anything (a browser's preconnect) count as busy for node; they must not hold up the end.
  const silent = new Set<Socket>()
  let elsewhere = false
  const server = create((req, res) => {
    silent.delete(req.socket)
    const asks = asksElsewhere(req)
    elsewhere ||= asks
    if (draining) res.setHeader('connection', 'close')
    if (draining && asks) turnAway(res)
    else handler(req, res)
  }, options)
  let arrivals = 0
  server.on('connection', () => {
    arrivals += 1
  })
  server.on(options.tls ? 'secureConnection' : 'connection', (socket: Socket) => {
    // A handshake that ends long after the door was shut.
    if (swept) socket.destroy()
    else silent.add(socket)
    socket.once('close', () => silent.delete(socket))
  })
  server.on('clientError', refuse)
  const { port } = await started(server, options)
  server.on('error', (cause) => options.log.error('listener.failed', { cause }))

  const close = async (): Promise<void> => {
    draining = true
    const idle = setInterval(() => server.closeIdleConnections(), POLL_MS)
    if (elsewhere) await noMoreArrivals(() => arrivals)
    // Also makes the code warm that stands between the quiet moment and the shut door.
    server.closeIdleConnections()
    await quietMoment(() => arrivals)
    const shut = new Promise<void>((resolve) => server.close(() => resolve()))
    const cut = setTimeout(() => server.closeAllConnections(), options.drainMs ?? DRAIN_MS)
    // Who has just been let in is about to ask.
    const sweep = setTimeout(() => {
      swept = true
      for (const socket of silent) socket.destroy()
    }, SILENT_MS)
    await shut
    for (const timer of [idle, cut, sweep]) clearTimeout(timer)
  }

  let closed: Promise<void> | undefined
  return {
    port,
    url: `${options.tls ? 'https' : 'http'}://${addressOf(options.host)}:${port}`,
    draining: () => draining,
    close: () => {
      closed ??= close()
      return closed
    },
  }
}
