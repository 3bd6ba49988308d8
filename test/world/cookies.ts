/** A browser's cookie jar: RFC 6265 5.3 and 5.4 as far as it matters on loopback. As in browsers, ports do not separate cookies. */

interface Cookie {
  readonly name: string
  readonly value: string
  readonly host: string
  readonly path: string
  readonly sameSite: 'strict' | 'lax' | 'none'
  /** Epoch ms; absent: until the jar is gone. */
  readonly expiresAt?: number
}

/** How a request came about, which decides what SameSite lets through. */
export interface Navigation {
  readonly crossSite: boolean
  readonly method: string
}

const defaultPath = (pathname: string): string => pathname.slice(0, Math.max(1, pathname.lastIndexOf('/')))

const pathMatches = (path: string, pathname: string): boolean =>
  pathname === path || (pathname.startsWith(path) && (path.endsWith('/') || pathname[path.length] === '/'))

const expiry = (attributes: ReadonlyMap<string, string>, now: number): number | undefined => {
  const [maxAge, expires] = [attributes.get('max-age'), attributes.get('expires')]
  if (maxAge !== undefined) return now + Number(maxAge) * 1000
  return expires === undefined ? undefined : Date.parse(expires)
}

export class CookieJar {
  #cookies: Cookie[] = []

  /** Has what another browser has from now on. */
  adopt(other: CookieJar): void {
    this.#cookies = [...other.#cookies]
  }

  /** @param lines the values of Set-Cookie */
  store(url: URL, lines: readonly string[]): void {
    for (const line of lines) this.#storeOne(url, line)
  }

  #storeOne(url: URL, line: string): void {
    const [pair = '', ...rest] = line.split(';')
    const equals = pair.indexOf('=')
    if (equals < 0) return
    const attributes = new Map(
      rest.map((part) => {
        const [key = '', ...value] = part.split('=')
        return [key.trim().toLowerCase(), value.join('=').trim()] as const
      }),
    )
    const path = attributes.get('path')
    const sameSite = attributes.get('samesite')?.toLowerCase()
    const cookie: Cookie = {
      name: pair.slice(0, equals).trim(),
      value: pair.slice(equals + 1).trim(),
      host: url.hostname,
      path: path?.startsWith('/') ? path : defaultPath(url.pathname),
      sameSite: sameSite === 'strict' || sameSite === 'none' ? sameSite : 'lax',
      expiresAt: expiry(attributes, Date.now()),
    }
    const isSame = (other: Cookie) =>
      other.name === cookie.name && other.host === cookie.host && other.path === cookie.path
    this.#cookies = this.#cookies.filter((other) => !isSame(other))
    if (cookie.expiresAt === undefined || cookie.expiresAt > Date.now()) this.#cookies.push(cookie)
  }

  /** The Cookie header for a request, longest path first; undefined when there is none. */
  header(url: URL, { crossSite, method }: Navigation): string | undefined {
    const allowed = (cookie: Cookie) =>
      !crossSite || cookie.sameSite === 'none' || (cookie.sameSite === 'lax' && method === 'GET')
    const sent = this.#cookies.filter(
      (cookie) =>
        cookie.host === url.hostname &&
        pathMatches(cookie.path, url.pathname) &&
        (cookie.expiresAt ?? Number.POSITIVE_INFINITY) > Date.now() &&
        allowed(cookie),
    )
    sent.sort((a, b) => b.path.length - a.path.length)
    return sent.length > 0 ? sent.map(({ name, value }) => `${name}=${value}`).join('; ') : undefined
  }

  /** The names held for a host, for assertions. */
  names(hostname: string): string[] {
    return this.#cookies.filter((cookie) => cookie.host === hostname).map((cookie) => cookie.name)
  }

  clear(): void {
    this.#cookies = []
  }
}
