/**
 * The last resort: anything thrown becomes an answer that says what to do, never a stack trace. People get a page with
 * the OAuth error code and a reference; software gets JSON (RFC 6749 5.2 at the OAuth endpoints, RFC 9457 elsewhere).
 * The reason goes to the log, under the same reference.
 */
import type { ServerResponse } from 'node:http'
import { Fault, type FaultCode } from '#kernel/faults.ts'
import type { Log } from '#kernel/log.ts'
import { randomReference } from '#kernel/random.ts'
import type { Ctx } from './context.ts'
import { endpointOf } from './endpoints.ts'
import { textsFor } from './language.ts'
import { faultSentence, type Messages } from './messages.ts'
import type { View } from './view.ts'

/** What is told of a failure: `status` for HTTP, `code` for us, `oauth` for relying parties. */
export interface Failure {
  readonly code: FaultCode
  readonly status: number
  readonly oauth: string
  readonly detail: Readonly<Record<string, unknown>>
}

export interface Errors {
  /** Answers the request with what was thrown. Never throws. */
  answer(ctx: Ctx, error: unknown): Promise<void>
  /**
   * The page for an OAuth error that the engine reports to a person.
   * @param out as RFC 6749 4.1.2.1 names it; the description is shown as technical detail
   */
  oauthPage(ctx: Ctx, out: { error: string; error_description?: string | undefined }, status: number): void
}

export interface ErrorOptions {
  readonly issuer: string
  readonly view: View
  readonly messages: Messages
  readonly log: Log
  /** Writes the failure into the login's trace, before the page with its reference is sent. */
  readonly record?: ((reference: string, failure: Failure) => Promise<void>) | undefined
}

/** The log line is enough for these: anybody could fill the store with them, or it is the store that is away. */
const untraced: ReadonlySet<FaultCode> = new Set([
  'request.not-found',
  'request.method',
  'request.host',
  'request.limited',
  'request.too-large',
  'request.too-long',
  'store.unavailable',
])

const RETRY_SECONDS: Readonly<Record<number, number>> = { 429: 60, 503: 5 }
const byStatus: Readonly<Record<number, FaultCode>> = {
  404: 'request.not-found',
  405: 'request.method',
  413: 'request.too-large',
  414: 'request.too-long',
}

/** What koa and its parts throw for bad input (http-errors: `expose` with a 4xx status). */
const exposed = (error: unknown): number | undefined => {
  const { expose, status } = (error ?? {}) as { expose?: unknown; status?: unknown }
  return expose === true && typeof status === 'number' && status >= 400 && status < 500 ? status : undefined
}

/** The engine's errors carry a Fault of ours as their cause where a store was away. */
const faultIn = (error: unknown, depth = 0): Fault | undefined => {
  if (error instanceof Fault) return error
  return error instanceof Error && depth < 5 ? faultIn(error.cause, depth + 1) : undefined
}

export const failureOf = (thrown: unknown): Failure => {
  const error = faultIn(thrown) ?? thrown
  if (error instanceof Fault)
    return { code: error.code, status: error.entry.status, oauth: error.entry.oauth, detail: error.detail }
  const status = exposed(error)
  const fault = new Fault(status === undefined ? 'internal' : (byStatus[status] ?? 'request.invalid'))
  return { code: fault.code, status: status ?? fault.entry.status, oauth: fault.entry.oauth, detail: {} }
}

/** The headers that an abandoned answer had set; security headers, cookies and the request id stay. */
const forget = (res: ServerResponse) => {
  for (const name of ['content-type', 'content-length', 'content-encoding', 'location', 'etag', 'last-modified'])
    res.removeHeader(name)
}

const setHeaders = (ctx: Ctx, { status, detail, code }: Failure) => {
  ctx.set('cache-control', 'no-store')
  const wait = typeof detail.retryAfter === 'number' ? Math.max(1, Math.ceil(detail.retryAfter)) : RETRY_SECONDS[status]
  if (wait !== undefined) ctx.set('retry-after', String(wait))
  if (typeof detail.allow === 'string') ctx.set('allow', detail.allow)
  // What is left of a refused body must not be read as the next request.
  if (code === 'request.too-large' || detail.what === 'aborted') ctx.set('connection', 'close')
}

/** The login's reference, or a new one for a request that belongs to none. */
const named = (ctx: Ctx): string => {
  ctx.state.reference ??= randomReference()
  return ctx.state.reference
}

const prefersJson = (ctx: Ctx): boolean => {
  const type = ctx.accepts('html', 'json', 'application/problem+json')
  return type === 'json' || type === 'application/problem+json'
}

/** What writes answers: the options, and where a person who is lost goes. */
type Writing = ErrorOptions & { readonly home: { readonly href: string; readonly label: 'way.home' } }

const note = (log: Log, ctx: Ctx, failure: Failure, error: unknown, reference: string) => {
  const fields = {
    rid: ctx.state.rid,
    reference,
    fault: failure.code,
    status: failure.status,
    method: ctx.method,
    path: ctx.path,
    detail: failure.detail,
  }
  if (failure.status < 500) log.info('request.refused', fields)
  else log.error('request.failed', { ...fields, cause: error })
}

const errorPage = ({ view, messages, home }: Writing, ctx: Ctx, failure: Failure, reference: string) => {
  const { client, ways = [home] } = ctx.state
  const t = textsFor(ctx, messages)
  const title = `title.${failure.code}`
  view(ctx, 'error', {
    code: failure.oauth,
    sentence: faultSentence(t, failure.code),
    reference,
    ways,
    ...(t.has(title) && { title: t(title) }),
    ...(client && { client }),
  })
}

/** As whoever asked can read it: OAuth JSON for software, problem+json where it is preferred, a page for people. */
const write = (writing: Writing, ctx: Ctx, failure: Failure, reference: string) => {
  const { messages } = writing
  const sentence = faultSentence(textsFor(ctx, messages), failure.code)
  ctx.status = failure.status
  if (endpointOf(ctx.path)?.endpoint.machine) {
    ctx.body = {
      error: failure.oauth,
      error_description: faultSentence(messages.texts('en'), failure.code),
      reference,
    }
  } else if (prefersJson(ctx)) {
    ctx.type = 'application/problem+json'
    ctx.body = JSON.stringify({
      type: 'about:blank',
      title: sentence,
      status: failure.status,
      code: failure.code,
      error: failure.oauth,
      reference,
    })
  } else if (failure.code === 'request.host') {
    // A page's stylesheet would be asked of the same unknown host.
    ctx.type = 'text/plain; charset=utf-8'
    ctx.body = `${sentence}\n`
  } else errorPage(writing, ctx, failure, reference)
}

type OauthError = Parameters<Errors['oauthPage']>[1]

const oauthPage = ({ view, messages, log, home }: Writing, ctx: Ctx, out: OauthError, status: number) => {
  const t = textsFor(ctx, messages)
  const key = `oauth.${out.error}`
  const { client, ways = [home] } = ctx.state
  const reference = named(ctx)
  // The engine's own events tell why; this line ties them to what the person reads aloud.
  log.info('page.error', {
    rid: ctx.state.rid,
    reference,
    error: out.error,
    description: out.error_description,
    status,
  })
  const locals = {
    code: out.error,
    sentence: t.has(key) ? t(key) : t('oauth.other'),
    reference,
    ways,
    ...(client && { client }),
    ...(out.error_description !== undefined && { detail: out.error_description }),
  }
  view(ctx, 'error', locals, status)
}

export const createErrors = (options: ErrorOptions): Errors => {
  const { log, record } = options
  const base = new URL(options.issuer).pathname.replace(/\/$/, '')
  const writing: Writing = { ...options, home: { href: `${base}/`, label: 'way.home' } }

  return {
    async answer(ctx, error) {
      const failure = failureOf(error)
      const reference = named(ctx)
      try {
        note(log, ctx, failure, error, reference)
        if (ctx.headerSent || !ctx.writable) {
          ctx.respond = false
          ctx.res.destroy()
          return
        }
        if (!untraced.has(failure.code))
          await record?.(reference, failure).catch((cause) => log.error('trace.lost', { reference, cause }))
        forget(ctx.res)
        setHeaders(ctx, failure)
        write(writing, ctx, failure, reference)
      } catch (cause) {
        log.error('request.unanswerable', { rid: ctx.state.rid, reference, cause })
        ctx.status = 500
        ctx.type = 'text/plain; charset=utf-8'
        ctx.body = `Error ${reference}\n`
      }
    },
    oauthPage: (ctx, out, status) => oauthPage(writing, ctx, out, status),
  }
}
