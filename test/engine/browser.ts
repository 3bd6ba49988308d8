/** A browser and a relying party in a few lines, made for many requests at once: nothing is shared but the cookies. */
import { createHash, randomBytes } from 'node:crypto'
import { CookieJar } from '#test/world/cookies.ts'
import { type House, redirectUri } from './house.ts'

export interface Answer {
  readonly status: number
  readonly url: URL
  readonly headers: Headers
  readonly body: string
}

export interface Pkce {
  readonly verifier: string
  readonly challenge: string
}

export const pkce = (): Pkce => {
  const verifier = randomBytes(32).toString('base64url')
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') }
}

const isOurs = (house: House, url: URL) => url.origin === new URL(house.issuer).origin

export class Visitor {
  readonly jar = new CookieJar()
  readonly house: House

  constructor(house: House) {
    this.house = house
  }

  /** One request, redirects not followed. */
  async ask(url: URL | string, init: RequestInit = {}): Promise<Answer> {
    const to = new URL(url, this.house.issuer)
    const method = init.method ?? 'GET'
    const cookie = this.jar.header(to, { crossSite: false, method })
    const headers = new Headers({ accept: 'text/html', ...(cookie && { cookie }) })
    for (const [name, value] of new Headers(init.headers)) headers.set(name, value)
    const response = await fetch(to, { ...init, headers, redirect: 'manual' })
    this.jar.store(to, response.headers.getSetCookie())
    return { status: response.status, url: to, headers: response.headers, body: await response.text() }
  }

  /** Follows redirects until the issuer is left or a page is shown. */
  async go(url: URL | string): Promise<Answer> {
    let at = new URL(url, this.house.issuer)
    for (let hop = 0; hop < 20; hop++) {
      const answer = await this.ask(at)
      const location = answer.headers.get('location')
      if (!location || answer.status < 300 || answer.status > 399) return answer
      at = new URL(location, at)
      if (!isOurs(this.house, at)) return { ...answer, url: at }
    }
    throw new Error(`too many redirects, at ${at}`)
  }

  /** An authorization request to its end. */
  authorize(clientId: string, over: Record<string, string | undefined> = {}): Promise<Answer> {
    return this.go(authorizeUrl(this.house, clientId, over))
  }

  /** @returns the code; throws with what came instead */
  async code(clientId: string, over: Record<string, string | undefined> = {}): Promise<string> {
    const answer = await this.authorize(clientId, over)
    const code = answer.url.searchParams.get('code')
    if (!code) throw new Error(`no code: ${answer.status} ${answer.url}\n${answer.body.slice(0, 500)}`)
    return code
  }
}

export const authorizeUrl = (house: House, clientId: string, over: Record<string, string | undefined> = {}): URL => {
  const url = new URL('/authorize', house.issuer)
  const params = { client_id: clientId, response_type: 'code', scope: 'openid', redirect_uri: redirectUri, ...over }
  for (const [name, value] of Object.entries(params)) if (value !== undefined) url.searchParams.set(name, value)
  return url
}

export interface Tokens {
  readonly status: number
  readonly access_token?: string
  readonly refresh_token?: string
  readonly id_token?: string
  readonly scope?: string
  readonly error?: string
  readonly error_description?: string
  readonly [member: string]: unknown
}

const basic = (clientId: string) =>
  `Basic ${Buffer.from(`${clientId}:${clientId}-secret-0123456789`).toString('base64')}`

/** A form POST as a client; `as` is authenticated by client_secret_basic. */
export const post = async (
  house: House,
  path: string,
  fields: Record<string, string>,
  as?: string,
  headers: Record<string, string> = {},
): Promise<Tokens> => {
  const response = await fetch(new URL(path, house.issuer), {
    method: 'POST',
    headers: { accept: 'application/json', ...(as && { authorization: basic(as) }), ...headers },
    body: new URLSearchParams(fields),
  })
  const text = await response.text()
  return { ...(text ? (JSON.parse(text) as object) : {}), status: response.status }
}

export const redeem = (
  house: House,
  clientId: string,
  code: string,
  over: Record<string, string> = {},
): Promise<Tokens> =>
  post(house, '/token', { grant_type: 'authorization_code', code, redirect_uri: redirectUri, ...over }, clientId)

export const refresh = (house: House, clientId: string, refresh_token: string): Promise<Tokens> =>
  post(house, '/token', { grant_type: 'refresh_token', refresh_token }, clientId)

export const userinfo = async (
  house: House,
  token: string,
): Promise<{ status: number; claims: Record<string, unknown> }> => {
  const response = await fetch(new URL('/userinfo', house.issuer), { headers: { authorization: `Bearer ${token}` } })
  return { status: response.status, claims: (await response.json()) as Record<string, unknown> }
}

export const isActive = async (house: House, clientId: string, token: string): Promise<boolean> =>
  (await post(house, '/introspect', { token }, clientId)).active === true

export const claimsOf = (jwt: string | undefined): Record<string, unknown> =>
  JSON.parse(Buffer.from((jwt ?? '').split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>
