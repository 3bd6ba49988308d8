/** The relying party beside a bare oidc-provider, ready to sign in: started before a file's tests, closed after them. */
import assert from 'node:assert/strict'
import { after, before } from 'node:test'
import { type RelyingPartyClient, relyingPartyMetadata } from '#demo/configuration.ts'
import { startRelyingParty } from '#demo/relying-party/index.ts'
import { silentLog } from '#kernel/log.ts'
import { startProvider } from './provider.ts'
import { arrive, type Browser, failedOf, type Page, successOf, textOf } from './visitor.ts'

export interface House {
  /** Where the relying party is; valid while tests run, like everything here. */
  readonly url: string
  readonly issuer: string
  readonly secret: string
  /** Changes the JSON answers of one of the provider's endpoints on their way to the relying party; undefined: no more. */
  tamper(path: string, change: ((body: Record<string, unknown>) => Record<string, unknown>) | undefined): void
  /** Signs in by the start page's form. @param prepare changes the page before the button is pressed */
  login(
    browser: Browser,
    typed?: Record<string, string>,
    button?: string,
    prepare?: (page: Page) => Page,
  ): Promise<Page>
  /** The authorization request that a page was reached through. */
  departureOf(page: Page): URLSearchParams
}

/** The relying party registers itself before it starts, since each needs the other's address. */
const registerAt = async (issuer: string, url: string): Promise<RelyingPartyClient> => {
  const answer = await fetch(`${issuer}/reg`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(relyingPartyMetadata(url)),
  })
  assert.equal(answer.status, 201)
  return (await answer.json()) as RelyingPartyClient
}

/** Call once at the top of a test file. */
export const openHouse = (): House => {
  const changes = new Map<string, (body: Record<string, unknown>) => Record<string, unknown>>()
  const tamperingFetch: typeof fetch = async (input, init) => {
    const response = await fetch(input, init)
    const change = changes.get(new URL(String(input)).pathname)
    if (!change) return response
    return Response.json(change((await response.json()) as Record<string, unknown>), { status: response.status })
  }
  let state: { url: string; issuer: string; secret: string; close(): Promise<void> } | undefined
  const opened = () => {
    assert.ok(state, 'the house is open only while tests run')
    return state
  }

  before(async () => {
    const provider = await startProvider('demo-rp')
    const { issuer } = provider
    let secret = ''
    const rp = await startRelyingParty({
      host: '127.0.0.1',
      port: 0,
      issuer,
      fetch: tamperingFetch,
      log: silentLog,
      people: [{ username: 'alice', password: 'shown', at: 'Test' }],
      client: async (url) => {
        const client = await registerAt(issuer, url)
        secret = String(client.client_secret)
        return client
      },
    })
    const close = async () => {
      await rp.close()
      await provider.close()
    }
    state = { url: rp.url, issuer, secret, close }
  })
  after(() => state?.close())

  return {
    get url() {
      return opened().url
    },
    get issuer() {
      return opened().issuer
    },
    get secret() {
      return opened().secret
    },
    tamper: (path, change) => void (change ? changes.set(path, change) : changes.delete(path)),
    async login(browser, typed = {}, button = 'start-login', prepare = (page) => page) {
      const { url } = opened()
      const start = prepare(await browser.open(`${url}/`))
      return arrive(browser, await browser.submit(start, `#${button}`, typed), url)
    },
    departureOf({ trail }) {
      const { issuer } = opened()
      const url = trail.find(({ origin, pathname }) => origin === issuer && pathname === '/auth')
      assert.ok(url, 'the browser was not sent to the authorization endpoint')
      return url.searchParams
    },
  }
}

/** The result page shows a login with which everything is right. */
export const assertSound = (page: Page): void => {
  assert.equal(page.url.pathname, '/result', page.body)
  assert.equal(textOf(page, 'problem'), undefined)
  assert.equal(successOf(page, 'summary'), true)
  assert.deepEqual(failedOf(page), [])
}
