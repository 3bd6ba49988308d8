/**
 * WebFinger (RFC 7033, OIDC Discovery 2): whose provider we are. The answer names the issuer for every account and every
 * address at our host, without looking whether there is one: nobody learns by it who has an account.
 */
import type { Ctx } from '#http/context.ts'
import { parseFields } from '#http/form.ts'
import { Fault } from '#kernel/faults.ts'

export const WEBFINGER = '/.well-known/webfinger'
const ISSUER = 'http://openid.net/specs/connect/1.0/issuer'
/** RFC 7565 7: an account's name is what may stand in a URI there, nothing else. */
const ACCOUNT = /^acct:(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+@([^@/?#\s]+)$/i

/** @returns the host that a resource names, or undefined */
const hostOf = (resource: string): string | undefined => {
  const account = ACCOUNT.exec(resource)?.[1]
  const url = URL.parse(account === undefined ? resource : `https://${account}`)
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password) return undefined
  return url.hostname.toLowerCase()
}

/** Answers a request for the path above. Throws Fault `request.invalid`, `request.not-found`. */
export const createWebfinger = (issuer: string): ((ctx: Ctx) => void) => {
  const { hostname } = new URL(issuer)
  return (ctx) => {
    // RFC 7033 5
    ctx.set('access-control-allow-origin', '*')
    if (ctx.method === 'OPTIONS') {
      ctx.status = 204
      return
    }
    const fields = parseFields(ctx.querystring)
    const resource = fields.get('resource')
    if (resource === undefined || resource === '') throw new Fault('request.invalid', { what: 'resource' })
    const host = hostOf(resource)
    if (host === undefined) throw new Fault('request.invalid', { what: 'resource' })
    if (host !== hostname.toLowerCase()) throw new Fault('request.not-found')
    const wanted = fields.all('rel')
    const links = wanted.length === 0 || wanted.includes(ISSUER) ? [{ rel: ISSUER, href: issuer }] : []
    const subject = ACCOUNT.test(resource) ? resource : new URL(resource).href
    ctx.set('cache-control', 'public, max-age=3600')
    ctx.type = 'application/jrd+json'
    ctx.body = JSON.stringify({ subject, links })
  }
}
