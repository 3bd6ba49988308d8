/**
 * The load's HTTP: node:http over one kept-alive connection per worker and host, and a browser that keeps cookies by
 * hand. Cheap on purpose: what the load costs is time that the server waits.
 */
import { Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** What one worker sends by. Connections are renewed between rounds, as servers close idle ones. */
export class Wire {
  #agent = new Agent({ keepAlive: true, maxSockets: 1 })

  renew(): void {
    this.#agent.destroy()
    this.#agent = new Agent({ keepAlive: true, maxSockets: 1 })
  }

  close(): void {
    this.#agent.destroy()
  }

  send(method: string, url: URL, headers: OutgoingHttpHeaders, body?: string): Promise<Answer> {
    const { hostname: host, port, pathname, search } = url
    const all = body === undefined ? headers : { ...headers, 'content-length': Buffer.byteLength(body) }
    return new Promise((resolve, reject) => {
      const sent = request(
        { agent: this.#agent, host, port, method, path: pathname + search, headers: all },
        (answer) => {
          let text = ''
          answer.setEncoding('utf8')
          answer.on('data', (chunk: string) => {
            text += chunk
          })
          answer.once('error', reject)
          answer.once('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }))
        },
      )
      sent.once('error', reject)
      sent.end(body)
    })
  }

  /** POSTs a form. */
  form(url: URL, fields: URLSearchParams, headers: OutgoingHttpHeaders = {}): Promise<Answer> {
    return this.send(
      'POST',
      url,
      { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      fields.toString(),
    )
  }
}

/** Says what was expected and what came; every answer of a run is checked by this. */
export const expectStatus = (answer: Answer, status: number, what: string): void => {
  if (answer.status === status) return
  throw new Error(`${what}: ${status} expected, ${answer.status} found: ${answer.body.slice(0, 600)}`)
}

interface Cookie {
  readonly value: string
  readonly path: string
}

/** Cookies of one host (RFC 6265 5.2 to 5.4, as far as sign-ins need it). */
class Jar {
  readonly #cookies = new Map<string, Cookie>()

  store(lines: readonly string[]): void {
    for (const line of lines) {
      const [pair = '', ...attributes] = line.split(';')
      const equals = pair.indexOf('=')
      const name = pair.slice(0, equals)
      const value = pair.slice(equals + 1)
      let path = '/'
      let gone = value === ''
      for (const attribute of attributes) {
        const [key = '', setting = ''] = attribute.trim().split('=')
        const kind = key.toLowerCase()
        if (kind === 'path') path = setting
        if (kind === 'expires' && Date.parse(setting) <= Date.now()) gone = true
        if (kind === 'max-age' && Number(setting) <= 0) gone = true
      }
      const key = `${path} ${name}`
      if (gone) this.#cookies.delete(key)
      else this.#cookies.set(key, { value: `${name}=${value}`, path })
    }
  }

  header(pathname: string): string {
    let all = ''
    for (const { value, path } of this.#cookies.values()) {
      const matches = path === '/' || pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`)
      if (matches) all += all === '' ? value : `; ${value}`
    }
    return all
  }
}

/** Where a walk ended: on a page, or at an address that nobody here serves. */
export type Arrived = { readonly page: string; readonly url: URL } | { readonly left: URL }

const MOST_HOPS = 12

/** A person's browser: a jar per host, redirects followed. */
export class Browser {
  readonly #wire: Wire
  readonly #jars = new Map<string, Jar>()

  constructor(wire: Wire) {
    this.#wire = wire
  }

  /** @param exit the redirect URI, where the walk stops */
  open(url: URL, exit: string): Promise<Arrived> {
    return this.#walk('GET', url, exit, undefined)
  }

  submit(url: URL, fields: URLSearchParams, exit: string): Promise<Arrived> {
    return this.#walk('POST', url, exit, fields.toString())
  }

  async #walk(method: string, start: URL, exit: string, form: string | undefined): Promise<Arrived> {
    let url = start
    let answer = await this.#request(method, url, form)
    for (let hop = 0; hop < MOST_HOPS; hop++) {
      if (answer.status === 200) return { page: answer.body, url }
      const { location } = answer.headers
      if ((answer.status !== 302 && answer.status !== 303) || location === undefined)
        throw new Error(
          `${url.pathname}: a page or a redirect expected, ${answer.status} found: ${answer.body.slice(0, 600)}`,
        )
      url = new URL(location, url)
      if (location.startsWith(exit)) return { left: url }
      answer = await this.#request('GET', url, undefined)
    }
    throw new Error(`${start.pathname}: more than ${MOST_HOPS} redirects, the last to ${url.pathname}`)
  }

  async #request(method: string, url: URL, form: string | undefined): Promise<Answer> {
    let jar = this.#jars.get(url.host)
    if (!jar) {
      jar = new Jar()
      this.#jars.set(url.host, jar)
    }
    const headers: OutgoingHttpHeaders = { accept: 'text/html', 'accept-language': 'en' }
    const cookie = jar.header(url.pathname)
    if (cookie !== '') headers.cookie = cookie
    if (form !== undefined) headers['content-type'] = 'application/x-www-form-urlencoded'
    const answer = await this.#wire.send(method, url, headers, form)
    const set = answer.headers['set-cookie']
    if (set) jar.store(set)
    return answer
  }
}
