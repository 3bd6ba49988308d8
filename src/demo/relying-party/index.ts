/**
 * The test relying party: a small web application that signs people in at an OpenID Provider and shows every message,
 * check and token on the way. A developer's instrument for the demo; it must never run beside production data.
 * Read in this order: request (what is asked), login (what a response comes to), checks, actions, routes.
 */
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { createApp, createPresentation } from '#http/app.ts'
import type { Ctx } from '#http/context.ts'
import { listen } from '#http/server.ts'
import { createView } from '#http/view.ts'
import { type Clock, systemClock } from '#kernel/clock.ts'
import type { Log } from '#kernel/log.ts'
import { randomToken } from '#kernel/random.ts'
import { CALLBACK, type DemoPerson, type RelyingPartyClient } from '../configuration.ts'
import { createSend } from './calls.ts'
import type { Desk } from './login.ts'
import { createLogoutDesk } from './logout.ts'
import { createPager } from './pager.ts'
import { createProvider } from './provider.ts'
import { relyingPartyRoutes } from './routes.ts'
import { createSessions, type Session } from './session.ts'

export interface RelyingPartyOptions {
  /** Address to listen on, loopback. */
  readonly host: string
  /** 0: any free one; then `client` must be told the port by a function. */
  readonly port: number
  /** How browsers reach it; `http://localhost:<port>` unless told. */
  readonly url?: string
  readonly issuer: string
  /** Its registration, or a function of its own address where that is known only after listening. */
  readonly client: RelyingPartyClient | ((url: string) => RelyingPartyClient | Promise<RelyingPartyClient>)
  /** How this process reaches the provider. */
  readonly fetch: typeof globalThis.fetch
  readonly log: Log
  readonly clock?: Clock
  /** Shown on the start page. */
  readonly people?: readonly DemoPerson[]
}

export interface RelyingParty {
  /** Where browsers find it, without a slash at the end. */
  readonly url: string
  close(): Promise<void>
}

const ROOT = join(import.meta.dirname, '../../..')
type Handler = (req: IncomingMessage, res: ServerResponse) => void

/** Cookies ignore ports (DESIGN 3.22): two relying parties on one host need two names. */
const sessionReader = (url: string, find: (id: string | undefined) => Session) => {
  const { port, protocol } = new URL(url)
  const name = `demo_rp_${port || protocol.slice(0, -1)}`
  return (ctx: Ctx): Session => {
    const id = ctx.cookies.get(name, { signed: false })
    const session = find(id)
    if (session.id !== id)
      ctx.cookies.set(name, session.id, { signed: false, httpOnly: true, sameSite: 'lax', path: '/' })
    return session
  }
}

const assemble = (options: RelyingPartyOptions, url: string, client: RelyingPartyClient): Handler => {
  const { log, clock = systemClock, people = [] } = options
  const presentation = createPresentation({
    issuer: url,
    i18n: { default: 'en', available: ['en'] },
    csrfKey: Buffer.from(randomToken(), 'base64url'),
    log,
    root: ROOT,
  })
  const { messages, assets, csrf } = presentation
  const view = createView({ directory: join(ROOT, 'views/demo'), issuer: url, messages, assets, csrf })
  const send = createSend(options.fetch, clock)
  const desk: Desk = {
    provider: createProvider(options.issuer, send),
    send,
    clock,
    client,
    url: () => url,
    callback: () => `${url}${CALLBACK}`,
  }
  const sessions = createSessions(clock)
  const routes = relyingPartyRoutes({
    desk,
    sessions,
    pager: createPager(desk, view, people),
    logout: createLogoutDesk(desk, sessions.all),
    logo: readFileSync(join(ROOT, 'public/demo.svg')),
    sessionOf: sessionReader(url, sessions.of),
  })
  const app = createApp({
    issuer: url,
    trustProxy: false,
    cookieKeys: [randomToken()],
    clock,
    log,
    presentation,
    routes,
  })
  return app.callback()
}

/**
 * Starts the relying party.
 * @throws Error with node's code when the port is taken
 */
export const startRelyingParty = async (options: RelyingPartyOptions): Promise<RelyingParty> => {
  const { host, port, log } = options
  let handler: Handler = (_, res) => void res.writeHead(503).end()
  const listener = await listen((req, res) => handler(req, res), { host, port, log, drainMs: 1000 })
  const url = (options.url ?? `http://localhost:${listener.port}`).replace(/\/$/, '')
  try {
    const client = typeof options.client === 'function' ? await options.client(url) : options.client
    handler = assemble(options, url, client)
  } catch (error) {
    await listener.close()
    throw error
  }
  return { url, close: () => listener.close() }
}
