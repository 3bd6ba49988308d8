/**
 * Debian's Chromium for the tests of this folder. Every page it opens is watched: what its policy blocks, its scripts
 * throw or its server refuses ends up in `complaints`, which a test expects to stay empty.
 */
import { existsSync } from 'node:fs'
import { after, before } from 'node:test'
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'

/** On a developer's machine without it the suite goes on; where tests decide (CI) its absence is a failure. */
export const skip: string | false =
  !existsSync(executablePath) && !process.env.CI && `no Chromium at ${executablePath} (Debian: chromium)`

const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Where the tier's own browser is, when scripts/services.ts has opened one: each file takes windows of it. */
const shared = process.env.GATEHOUSE_TEST_BROWSER

/** A browser; closing one that is shared closes the windows that were opened through it. */
export const launch = (): Promise<Browser> =>
  shared ? chromium.connect(shared) : chromium.launch({ executablePath, args: ARGS })

/** One browser for many processes. @returns what GATEHOUSE_TEST_BROWSER is to be, and its end */
export const shareBrowser = async (path: string): Promise<{ url: string; close(): Promise<void> }> => {
  const server = await chromium.launchServer({ executablePath: path, args: ARGS, host: '127.0.0.1' })
  return { url: server.wsEndpoint(), close: () => server.close() }
}

export interface Visit {
  readonly context: BrowserContext
  readonly page: Page
  readonly complaints: readonly string[]
}

/** Opens a window of its own, with cookies of its own. */
export type Visitor = (
  t: { after(close: () => Promise<void>): void },
  options?: BrowserContextOptions,
) => Promise<Visit>

/** A page that is an answer by itself may have any status; what it loads may not fail. */
const isOwnStatus = (page: Page, text: string, url: string): boolean =>
  text.startsWith('Failed to load resource') && page.frames().some((frame) => frame.url() === url)

/** Collects what goes wrong in every page of a context. */
export const watch = (context: BrowserContext): string[] => {
  const complaints: string[] = []
  context.on('page', (page) => {
    page.on('pageerror', (error) => void complaints.push(`${page.url()}: ${error}`))
    page.on('console', (message) => {
      if (message.type() !== 'error' && message.type() !== 'warning') return
      if (isOwnStatus(page, message.text(), message.location().url)) return
      complaints.push(`${page.url()}: ${message.text()} ${message.location().url}`)
    })
    page.on('response', (response) => {
      if (response.status() >= 400 && !response.request().isNavigationRequest())
        complaints.push(`${page.url()}: ${response.status()} ${response.url()}`)
    })
  })
  return complaints
}

/** Starts one browser for a test file. Call at its top. */
export const openBrowser = (): Visitor => {
  let browser: Browser | undefined
  before(async () => {
    if (!skip) browser = await launch()
  })
  after(() => browser?.close())
  return async (t, options = {}) => {
    if (!browser) throw new Error('the browser is open only while tests run')
    const context = await browser.newContext({ locale: 'en-GB', ...options })
    t.after(() => context.close())
    // Whatever hangs is told by its own test, long before the file's time is up.
    context.setDefaultTimeout(15_000)
    const complaints = watch(context)
    return { context, complaints, page: await context.newPage() }
  }
}
