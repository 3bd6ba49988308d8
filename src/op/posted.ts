/**
 * POSTed requests as links (OIDC Core 3.1.2.1, RP-Initiated Logout 2, DESIGN 3.9): the session cookie is Lax and comes
 * only with a GET, so a form is answered with a 303 to the same request as a query. One that is too long for that is kept
 * for some minutes, and the query names it.
 */
import type { Box } from '#artifacts/box.ts'
import type { Ctx } from '#http/context.ts'
import { readForm } from '#http/form.ts'
import { seeOther } from '#http/route.ts'
import { randomToken } from '#kernel/random.ts'

/** Bytes of a form: as many as the engine would take. */
const MOST_FORM = 57_344
/** Characters of a query that every proxy on the way lets through. */
const MOST_QUERY = 6000
const MODEL = 'PostedRequest'
const LIFETIME = 600
const HANDLE = 'posted_request'

const paths = new Set(['/authorize', '/session/end'])

export interface Posted {
  /** Whether a request is one to be turned into a link. */
  isOne(ctx: Ctx): boolean
  /** Answers it. Throws Fault `request.*` for what is no form, or too large. */
  bounce(ctx: Ctx): Promise<void>
  /** Puts the kept query in place of the handle that stands for it. */
  restore(ctx: Ctx): Promise<void>
}

/** @param given `base`: prefix of our addresses; `isClient`: requests of strangers are not kept */
export const createPosted = (given: {
  readonly base: string
  readonly box: Pick<Box, 'put' | 'get'>
  readonly isClient: (clientId: string) => Promise<boolean>
}): Posted => {
  const { base, box, isClient } = given

  const shorten = async (query: string): Promise<string> => {
    if (query.length <= MOST_QUERY) return query
    const clientId = new URLSearchParams(query).get('client_id') ?? ''
    const short = new URLSearchParams({ client_id: clientId.slice(0, 255) })
    if (await isClient(clientId)) {
      const handle = randomToken()
      await box.put(MODEL, handle, query, { ttl: LIFETIME })
      short.set(HANDLE, handle)
    }
    return short.toString()
  }

  return {
    isOne: (ctx) => ctx.method === 'POST' && paths.has(ctx.path),
    async bounce(ctx) {
      const { params } = await readForm(ctx.req, ['resource'], MOST_FORM)
      const query = [ctx.querystring, params.toString()].filter((part) => part !== '').join('&')
      seeOther(ctx, `${base}${ctx.path}?${await shorten(query)}`)
    },
    async restore(ctx) {
      const handle = paths.has(ctx.path) ? ctx.query[HANDLE] : undefined
      if (typeof handle !== 'string') return
      const query = await box.get<string>(MODEL, handle)
      if (query !== undefined) ctx.querystring = query
    },
  }
}
