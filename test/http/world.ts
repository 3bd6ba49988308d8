/** The web application on a real socket, for the tests of this room. */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { type AppOptions, createApp, createPresentation } from '#http/app.ts'
import type { Ctx } from '#http/context.ts'
import type { Fields } from '#http/form.ts'
import type { Route } from '#http/route.ts'
import { type Listener, listen } from '#http/server.ts'
import { systemClock } from '#kernel/clock.ts'
import { type Log, silentLog } from '#kernel/log.ts'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Asked {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly body?: string | Buffer
}

/** One request over a fresh connection; `host` names the issuer unless told. Headers go out exactly as given. */
export const ask = (port: number, path: string, { method = 'GET', headers = {}, body }: Asked = {}): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }
    const out = httpRequest(
      {
        host: '127.0.0.1',
        port,
        path,
        method,
        agent: false,
        headers: { host: `localhost:${port}`, ...length, ...headers },
      },
      (res) => {
        const chunks: Buffer[] = []
        res.on('data', (chunk: Buffer) => chunks.push(chunk))
        res.on('end', () =>
          resolve({ status: res.statusCode ?? 0, headers: res.headers, body: Buffer.concat(chunks).toString() }),
        )
        res.on('error', reject)
      },
    )
    out.on('error', reject)
    out.end(body)
  })

export const form = (
  fields: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>> = {},
): Asked => ({
  method: 'POST',
  headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
  body: new URLSearchParams(fields).toString(),
})

/** A handler that answers with what the function gives. */
export const says =
  (answer: (ctx: Ctx, fields: Fields) => unknown): Route['run'] =>
  (ctx, fields) => {
    ctx.body = answer(ctx, fields)
  }

export interface Line {
  readonly level: string
  readonly event: string
  readonly fields: Record<string, unknown>
}

/** A log that keeps what it is given. */
export const keepingLog = (): { log: Log; lines: Line[] } => {
  const lines: Line[] = []
  const at =
    (level: string) =>
    (event: string, fields: Record<string, unknown> = {}) =>
      void lines.push({ level, event, fields })
  return { lines, log: { ...silentLog, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } }
}

export interface World {
  readonly port: number
  readonly issuer: string
  readonly listener: Listener
  readonly lines: Line[]
  ask(path: string, asked?: Asked): Promise<Answer>
}

/**
 * Starts the application with the given parts; closed by the test's own end.
 * @param make may build routes with what the pages need, once the issuer is known
 */
export const open = async (
  t: { after(close: () => Promise<void>): void },
  make: (presentation: ReturnType<typeof createPresentation>, issuer: string) => Partial<AppOptions>,
  settings: { issuer?: string; drainMs?: number; requestMs?: number } = {},
): Promise<World> => {
  const { log, lines } = keepingLog()
  let handler: ReturnType<ReturnType<typeof createApp>['callback']> | undefined
  const listener = await listen((req, res) => void handler?.(req, res), {
    host: '127.0.0.1',
    port: 0,
    log,
    ...(settings.drainMs !== undefined && { drainMs: settings.drainMs }),
    ...(settings.requestMs !== undefined && { requestMs: settings.requestMs }),
  })
  t.after(() => listener.close())
  const issuer = settings.issuer ?? `http://localhost:${listener.port}`
  const presentation = createPresentation({
    issuer,
    i18n: { default: 'en', available: ['en', 'de'] },
    csrfKey: Buffer.alloc(32, 7),
    log,
  })
  const options: AppOptions = {
    issuer,
    trustProxy: false,
    cookieKeys: ['test'],
    clock: systemClock,
    log,
    presentation,
    routes: [],
    ...make(presentation, issuer),
  }
  handler = createApp(options).callback()
  return { port: listener.port, issuer, listener, lines, ask: (path, asked) => ask(listener.port, path, asked) }
}
