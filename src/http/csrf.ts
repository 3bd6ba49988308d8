/**
 * Against forms that another site sends in the person's name. Two layers, both without JavaScript: what the browser
 * says about the sender (Fetch Metadata, Origin), and a token in the form that only this server could have made, bound
 * to the interaction (whose cookie the engine checks) or to a cookie of our own. The token never expires: a page may
 * wait for as long as what it belongs to.
 */
import { Fault } from '#kernel/faults.ts'
import { hmac, randomToken, sameSecret } from '#kernel/random.ts'
import type { Ctx } from './context.ts'

/** Name of the hidden field. */
export const FORM_FIELD = 'csrf'

export interface Csrf {
  /** The token for a form on the page being answered; sets the cookie when the page is bound to nothing else. */
  token(ctx: Ctx): string
  /** Refuses what did not come from a form of ours. Throws Fault `request.forged`. */
  check(ctx: Ctx, presented: string | undefined): void
}

/** @param key 32 bytes, shared by all nodes @param issuer its origin is the only sender that is believed */
export const createCsrf = (key: Uint8Array, issuer: string): Csrf => {
  const { origin, protocol, port } = new URL(issuer)
  const secure = protocol === 'https:'
  // Cookies ignore ports: two servers on one loopback host would overwrite each other's (DESIGN 3.22).
  const cookie = secure ? '__Host-gatehouse_form' : `gatehouse_form_${port || '80'}`

  const bindingOf = (ctx: Ctx): string | undefined => {
    if (ctx.state.formBinding !== undefined) return `flow ${ctx.state.formBinding}`
    const value = ctx.cookies.get(cookie, { signed: false })
    return value && /^[\w-]{22,64}$/.test(value) ? `cookie ${value}` : undefined
  }
  const sign = (pad: string, binding: string) => hmac(key, `form ${pad} ${binding}`).toString('base64url')

  const checkSender = (ctx: Ctx) => {
    const site = ctx.get('sec-fetch-site')
    // `none`: the person's own doing, such as reloading an answered form.
    if (site === 'same-origin' || site === 'none') return
    if (site) throw new Fault('request.forged', { site: site.slice(0, 64) })
    const from = ctx.get('origin')
    if (from && from !== origin) throw new Fault('request.forged', { origin: from.slice(0, 255) })
  }

  return {
    token(ctx) {
      let binding = bindingOf(ctx)
      if (binding === undefined) {
        const value = randomToken()
        ctx.cookies.set(cookie, value, { signed: false, httpOnly: true, sameSite: 'lax', secure, path: '/' })
        binding = `cookie ${value}`
      }
      // A fresh pad per page, so that a compressing proxy in front cannot leak the token (BREACH).
      const pad = randomToken(9)
      return `${pad}.${sign(pad, binding)}`
    },
    check(ctx, presented) {
      checkSender(ctx)
      const binding = bindingOf(ctx)
      const [pad = '', mark = ''] = (presented ?? '').split('.')
      if (binding === undefined || !mark || !sameSecret(mark, sign(pad, binding)))
        throw new Fault('request.forged', { token: presented === undefined ? 'absent' : 'wrong' })
    },
  }
}
