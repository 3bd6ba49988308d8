/**
 * Every page that a person may meet, each with the way to it in a new browser window: for the looks that are tested,
 * and for the pictures of scripts/screenshots.ts.
 */
import type { Page } from 'playwright-core'
import { type Demo, demoProvider, type startDemo } from './demo.ts'
import { at, begin, setUpCodes, signInAlice, signInNora, typePassword } from './person.ts'

/** Which demo a page is found in: the one that comes, or one that asks for the e-mail address first, and newcomers for theirs. */
export const houses = {
  usual: undefined,
  asking: ({ upstream }) => ({
    discovery: { emailFirst: true },
    identityProviders: [demoProvider(upstream, { requestForEmail: true })],
  }),
} satisfies Record<string, Parameters<typeof startDemo>[0]>

export interface Stop {
  readonly name: string
  /** Id of its main element, where that is another than `page-<name>`. */
  readonly id?: string
  /** `usual` unless told otherwise. */
  readonly house?: keyof typeof houses
  readonly open: (page: Page, demo: Demo) => Promise<void>
  /** Its picture is in docs/images. */
  readonly pictured?: boolean
  /** A developer's instrument, with more on it than a tab key's round is meant for. */
  readonly bench?: boolean
}

/** Recovery codes of Bob's, by demo: who comes for the second time uses one. */
const recovery = new Map<string, string[]>()

const strong = (page: Page, demo: Demo): Promise<void> => begin(page, demo, { prompt: 'login' }, 'start-strong')

const secondFactor: readonly Stop[] = [
  {
    name: 'otp-setup',
    pictured: true,
    open: async (page, demo) => {
      await strong(page, demo)
      await page.click('[data-method="basic"]')
      await typePassword(page, 'alice', demo.passwords.alice)
    },
  },
  {
    name: 'otp-setup-wrong',
    id: 'page-otp-setup',
    open: async (page, demo) => {
      await begin(page, demo, { prompt: 'login', ui_locales: 'de' }, 'start-strong')
      await page.click('[data-method="basic"]')
      await typePassword(page, 'alice', demo.passwords.alice)
      await page.fill('#code', '12')
      await page.click('#continue')
      await page.waitForSelector('#fault')
    },
  },
  {
    name: 'otp-codes',
    pictured: true,
    open: async (page, demo) => {
      await strong(page, demo)
      await page.click('[data-provider="demo-idp"]')
      await typePassword(page, 'bob', demo.passwords.bob)
      await page.waitForSelector('#page-otp, #page-otp-setup')
      if (await page.isVisible('#page-otp')) {
        await page.fill('#code', recovery.get(demo.issuer)?.pop() ?? '')
        await page.click('#continue')
      }
      recovery.set(demo.issuer, (await setUpCodes(page)).recovery)
    },
  },
  {
    name: 'otp',
    pictured: true,
    open: async (page, demo) => {
      await strong(page, demo)
      await page.click('[data-provider="demo-idp"]')
      await typePassword(page, 'nora', demo.passwords.nora)
      await page.waitForSelector('#page-otp, #page-otp-setup')
      if (await page.isVisible('#page-otp')) return
      await setUpCodes(page)
      await page.context().clearCookies()
      await strong(page, demo)
      await page.click('[data-provider="demo-idp"]')
      await typePassword(page, 'nora', demo.passwords.nora)
    },
  },
]

const gatehouse: readonly Stop[] = [
  {
    name: 'login',
    pictured: true,
    open: (page, demo) => begin(page, demo, {}, 'start-basic'),
  },
  {
    name: 'login-wrong',
    id: 'page-login',
    open: async (page, demo) => {
      await begin(page, demo, {}, 'start-basic')
      await typePassword(page, 'alice', 'not hers')
      await page.waitForSelector('#fault')
    },
  },
  {
    name: 'login-german',
    id: 'page-login',
    open: (page, demo) => begin(page, demo, { ui_locales: 'de' }, 'start-basic'),
  },
  { name: 'choose', pictured: true, open: (page, demo) => begin(page, demo) },
  {
    name: 'choose-refused',
    id: 'page-choose',
    open: async (page, demo) => {
      await begin(page, demo, { ui_locales: 'de' })
      await page.click('[data-provider="demo-idp"]')
      await at(page, 'login')
      await page.click('#cancel')
      await page.waitForSelector('#page-choose #fault')
    },
  },
  {
    name: 'choose-waiting',
    id: 'page-choose',
    open: async (page, demo) => {
      await begin(page, demo)
      await at(page, 'choose')
      const here = page.url()
      await page.click('[data-provider="demo-idp"]')
      await at(page, 'login')
      await page.goto(here)
    },
  },
  { name: 'identify', house: 'asking', pictured: true, open: (page, demo) => begin(page, demo) },
  {
    name: 'consent',
    pictured: true,
    open: async (page, demo) => {
      await begin(page, demo, { scope: 'openid profile email offline_access', prompt: 'consent' }, 'start-demo-idp')
      await typePassword(page, 'nora', demo.passwords.nora)
    },
  },
  {
    name: 'email',
    house: 'asking',
    pictured: true,
    open: async (page, demo) => {
      await begin(page, demo, {}, 'start-demo-idp')
      await typePassword(page, 'bob', demo.passwords.bob)
    },
  },
  {
    name: 'error',
    pictured: true,
    // A sign-in that another browser began: the page offers to begin again.
    open: async (page, demo) => {
      await begin(page, demo)
      await at(page, 'choose')
      const here = page.url()
      await page.context().clearCookies()
      await page.goto(here)
    },
  },
  {
    name: 'error-request',
    id: 'page-error',
    open: async (page, demo) => {
      await page.goto(
        `${demo.issuer}/authorize?client_id=demo-rp&response_type=code&scope=openid&redirect_uri=http://localhost:1/`,
      )
    },
  },
  {
    name: 'logout',
    pictured: true,
    open: async (page, demo) => {
      await signInAlice(page, demo)
      await page.click('#logout')
    },
  },
  {
    name: 'logged-out',
    pictured: true,
    open: async (page, demo) => {
      await signInAlice(page, demo)
      await page.goto(`${demo.issuer}/session/end`)
      await page.click('#logout-yes')
    },
  },
  {
    name: 'home',
    pictured: true,
    open: async (page, demo) => {
      await page.goto(demo.issuer)
    },
  },
]

const party: readonly Stop[] = [
  {
    name: 'start',
    pictured: true,
    open: async (page, demo) => {
      await page.goto(demo.party)
    },
  },
  {
    name: 'result',
    pictured: true,
    open: async (page, demo) => {
      await signInNora(page, demo)
      await page.click('#userinfo')
      await page.waitForSelector('#outcome')
      await page.goto(`${demo.party}/result`)
    },
  },
  {
    name: 'result-refused',
    id: 'page-result',
    open: async (page, demo) => {
      await begin(page, demo, {}, 'start-basic')
      await page.click('#cancel')
    },
  },
  {
    name: 'session',
    open: async (page, demo) => {
      await signInAlice(page, demo)
      await page.goto(`${demo.party}/session`)
      await page.waitForSelector('#session-status[data-status=unchanged]')
    },
  },
  {
    name: 'provider',
    open: async (page, demo) => {
      await page.goto(`${demo.party}/provider`)
    },
  },
  {
    name: 'client',
    open: async (page, demo) => {
      await page.goto(`${demo.party}/client`)
      await page.click('#register')
      await page.waitForSelector('#registered')
    },
  },
  {
    name: 'fragment',
    open: async (page, demo) => {
      await page.goto(`${demo.party}/callback`)
    },
  },
  {
    name: 'party-logged-out',
    id: 'page-logged-out',
    open: async (page, demo) => {
      await signInAlice(page, demo)
      await page.click('#logout')
      await page.click('#logout-yes')
      await page.waitForURL(`${demo.party}/logged-out**`)
    },
  },
]

export const gallery: readonly Stop[] = [
  ...gatehouse,
  ...secondFactor,
  ...party.map((stop) => ({ ...stop, bench: true })),
]

/** Opens a page of the gallery and waits until it is there. */
export const visitStop = async (stop: Stop, page: Page, demo: Demo): Promise<void> => {
  await stop.open(page, demo)
  await page.waitForSelector(`#${stop.id ?? `page-${stop.name}`}`)
  await page.waitForLoadState('load')
}
