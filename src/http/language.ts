/** Which language a page speaks: the relying party's wish, then the browser's, then the configured default (RFC 4647 3.4, lookup). */
import type { Ctx } from './context.ts'
import type { Messages, Texts } from './messages.ts'

const MOST = 20

/** Shortens a range from its end until it names an available language: `de-CH-1996` → `de`. */
const lookup = (range: string, available: readonly string[]): string | undefined => {
  for (let tag = range.toLowerCase(); tag; tag = tag.slice(0, Math.max(0, tag.lastIndexOf('-')))) {
    const found = available.find((lang) => lang.toLowerCase() === tag)
    if (found) return found
  }
  return undefined
}

const first = (ranges: readonly string[], available: readonly string[]): string | undefined => {
  for (const range of ranges.slice(0, MOST)) {
    const found = lookup(range, available)
    if (found) return found
  }
  return undefined
}

/** Accept-Language in order of quality (RFC 9110 12.5.4); refused ones (q=0) left out. */
const ranked = (header: string): string[] =>
  header
    .slice(0, 512)
    .split(',')
    .map((part) => {
      const [range = '', ...parameters] = part.split(';').map((piece) => piece.trim())
      const q = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? 1)
      return { range, q: Number.isFinite(q) ? q : 0 }
    })
    .filter(({ range, q }) => q > 0 && /^[a-z0-9-]{1,35}$/i.test(range))
    .sort((a, b) => b.q - a.q)
    .map(({ range }) => range)

/** Unknown and malformed locales are passed over, never an error (OIDC Core 3.1.2.1 `ui_locales`). */
export const negotiate = (
  wish: { readonly uiLocales?: string | undefined; readonly acceptLanguage?: string | undefined },
  messages: Pick<Messages, 'available' | 'fallback'>,
): string => wished(wish, messages) ?? messages.fallback

const wished: (...given: Parameters<typeof negotiate>) => string | undefined = (wish, { available }) =>
  first((wish.uiLocales ?? '').slice(0, 512).split(' ').filter(Boolean), available) ??
  first(ranked(wish.acceptLanguage ?? ''), available)

const wishesOf = (ctx: Ctx) => {
  const asked = ctx.state.uiLocales ?? ctx.query.ui_locales
  return { uiLocales: typeof asked === 'string' ? asked : undefined, acceptLanguage: ctx.get('accept-language') }
}

/** The page's language where the relying party or the browser asked for it; undefined where it is the configured default. */
export const wishedLanguage = (ctx: Ctx, messages: Messages): string | undefined => wished(wishesOf(ctx), messages)

/** The texts that this request's page is written with. */
export const textsFor = (ctx: Ctx, messages: Messages): Texts => messages.texts(negotiate(wishesOf(ctx), messages))
