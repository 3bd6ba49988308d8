/**
 * A browser without a screen and without scripts: keeps cookies, follows redirects, submits forms, and says where a
 * request comes from as real browsers do (Origin, Sec-Fetch-Site, SameSite).
 */
import { type IncomingHttpHeaders, request } from 'node:http'
import { CookieJar } from './cookies.ts'
import { type Document, fieldsOf, find, formOf, parse, type Tag } from './html.ts'

export interface Page {
  readonly url: URL
  /** 0: the address was not fetched, because `stopAt` said so. */
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly document: Document
  /** Every address on the way here, the last one included. */
  readonly trail: readonly URL[]
}

interface Request {
  readonly url: URL
  readonly method: 'GET' | 'POST'
  readonly fields?: URLSearchParams
  /** The page that asks; absent: typed into the address bar. */
  readonly from?: URL
}

const MOST_REDIRECTS = 25
const TIMEOUT_MS = 30_000

const site = (from: URL | undefined, to: URL): string => {
  if (!from) return 'none'
  if (from.origin === to.origin) return 'same-origin'
  return from.hostname === to.hostname ? 'same-site' : 'cross-site'
}
/** A redirect chain is as foreign as its most foreign link. */
const foreignness = ['none', 'same-origin', 'same-site', 'cross-site']
const mostForeign = (a: string, b: string) => (foreignness.indexOf(a) > foreignness.indexOf(b) ? a : b)

export class Browser {
  readonly cookies = new CookieJar()
  readonly #stopAt: (url: URL) => boolean
  readonly #language: string

  /** @param options.stopAt addresses that are not fetched, for a relying party that has no server */
  constructor(options: { stopAt?: (url: URL) => boolean; language?: string } = {}) {
    this.#stopAt = options.stopAt ?? (() => false)
    this.#language = options.language ?? 'en'
  }

  /** As if typed into the address bar. */
  open(url: URL | string): Promise<Page> {
    return this.#go({ url: new URL(url), method: 'GET' })
  }

  /** Clicks the link that the selector names. */
  click(page: Page, selector: string): Promise<Page> {
    const tag = this.#find(page, selector)
    if (tag.name !== 'a') return this.submit(page, selector)
    return this.#go({ url: new URL(tag.attributes.href ?? '', page.url), method: 'GET', from: page.url })
  }

  /**
   * Submits a form.
   * @param selector the form or the button to press: `#id`, `[attribute=value]`, or a tag's name for the first of its kind
   * @param typed what the person types, by field name
   */
  submit(page: Page, selector: string, typed: Readonly<Record<string, string>> = {}): Promise<Page> {
    const tag = this.#find(page, selector)
    const index = formOf(page.document, tag)
    const form = page.document.forms[index]
    if (!form) throw new Error(`${selector} stands in no form on ${page.url}`)
    const fields = fieldsOf(page.document, index, tag)
    for (const [name, value] of Object.entries(typed)) fields.set(name, value)
    const url = new URL(tag.attributes.formaction || form.action || page.url.href, page.url)
    const method = (tag.attributes.formmethod ?? form.method ?? 'get').toLowerCase() === 'post' ? 'POST' : 'GET'
    if (method === 'GET') url.search = fields.toString()
    return this.#go({ url, method, from: page.url, ...(method === 'POST' && { fields }) })
  }

  #find(page: Page, selector: string): Tag {
    const tag = find(page.document, selector)
    if (!tag) throw new Error(`no ${selector} on ${page.url} (${page.status}):\n${page.body.slice(0, 3000)}`)
    return tag
  }

  async #go(first: Request): Promise<Page> {
    const trail: URL[] = []
    let next = first
    let chain = site(first.from, first.url)
    for (let count = 0; count < MOST_REDIRECTS; count++) {
      trail.push(next.url)
      if (this.#stopAt(next.url)) return { url: next.url, status: 0, headers: {}, body: '', document: parse(''), trail }
      const answer = await this.#fetch(next, chain)
      const { location } = answer.headers
      if (answer.status < 300 || answer.status >= 400 || location === undefined)
        return { ...answer, url: next.url, document: parse(answer.body), trail }
      const url = new URL(location, next.url)
      chain = mostForeign(chain, site(next.url, url))
      // Fetch standard, HTTP-redirect fetch: 307 and 308 keep the method, all others turn a POST into a GET.
      const keeps = answer.status === 307 || answer.status === 308
      next = keeps ? { ...next, url } : { url, method: 'GET', ...(next.from && { from: next.from }) }
    }
    throw new Error(`more than ${MOST_REDIRECTS} redirects:\n${trail.join('\n')}`)
  }

  #headers({ url, method, fields, from }: Request, chain: string): Record<string, string> {
    const cookie = this.cookies.header(url, { crossSite: chain === 'cross-site', method })
    return {
      accept: 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8',
      'accept-language': this.#language,
      'sec-fetch-site': chain,
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
      ...(cookie && { cookie }),
      ...(method === 'POST' && { origin: from?.origin ?? 'null' }),
      ...(fields && {
        'content-type': 'application/x-www-form-urlencoded',
        'content-length': String(Buffer.byteLength(fields.toString())),
      }),
    }
  }

  #fetch(asked: Request, chain: string): Promise<{ status: number; headers: IncomingHttpHeaders; body: string }> {
    return new Promise((resolve, reject) => {
      const { url, method, fields } = asked
      const out = request(url, { method, agent: false, timeout: TIMEOUT_MS, headers: this.#headers(asked, chain) })
      out.once('timeout', () => out.destroy(new Error(`${url} did not answer`)))
      out.once('error', reject)
      out.once('response', (res) => {
        this.cookies.store(url, res.headers['set-cookie'] ?? [])
        const chunks: Buffer[] = []
        res.on('data', (chunk: Buffer) => chunks.push(chunk))
        res.once('error', reject)
        res.once('end', () =>
          resolve({ status: res.statusCode ?? 0, headers: res.headers, body: Buffer.concat(chunks).toString() }),
        )
      })
      out.end(fields?.toString())
    })
  }
}
