/**
 * Every page that a person may meet, each with the way to it in a new browser window: for the looks that are tested,
 * and for the pictures of scripts/screenshots.ts.
 */
import type { Page } from 'playwright-core'
import { type Demo, demoProvider, type startDemo } from './demo.ts'
import { at, begin, signInAlice, signInNora, typePassword } from './person.ts'

/** The demos to open: as it comes, and one that asks for the e-mail address first, and newcomers for theirs. */
export interface Houses {
  readonly usual: Demo
  readonly asking: Demo
}

export const askingDemo: Parameters<typeof startDemo>[0] = ({ upstream }) => ({
  discovery: { emailFirst: true },
  identityProviders: [demoProvider(upstream, { requestForEmail: true })],
})

export interface Stop {
  readonly name: string
  /** Id of its main element, where that is another than `page-<name>`. */
  readonly id?: string
  readonly open: (page: Page, houses: Houses) => Promise<void>
  /** Its picture is in docs/images. */
  readonly pictured?: boolean
}

const gatehouse: readonly Stop[] = [
  {
    name: 'login',
    pictured: true,
    open: (page, { usual }) => begin(page, usual, {}, 'start-basic'),
  },
  {
    name: 'login-wrong',
    id: 'page-login',
    open: async (page, { usual }) => {
      await begin(page, usual, {}, 'start-basic')
      await typePassword(page, 'alice', 'not hers')
      await page.waitForSelector('#fault')
    },
  },
  {
    name: 'login-german',
    id: 'page-login',
    open: (page, { usual }) => begin(page, usual, { ui_locales: 'de' }, 'start-basic'),
  },
  { name: 'choose', pictured: true, open: (page, { usual }) => begin(page, usual) },
  {
    name: 'choose-refused',
    id: 'page-choose',
    open: async (page, { usual }) => {
      await begin(page, usual, { ui_locales: 'de' })
      await page.click('[data-provider="demo-idp"]')
      await at(page, 'login')
      await page.click('#cancel')
      await page.waitForSelector('#page-choose #fault')
    },
  },
  {
    name: 'choose-waiting',
    id: 'page-choose',
    open: async (page, { usual }) => {
      await begin(page, usual)
      await at(page, 'choose')
      const here = page.url()
      await page.click('[data-provider="demo-idp"]')
      await at(page, 'login')
      await page.goto(here)
    },
  },
  { name: 'identify', pictured: true, open: (page, { asking }) => begin(page, asking) },
  {
    name: 'consent',
    pictured: true,
    open: async (page, { usual }) => {
      await begin(page, usual, { scope: 'openid profile email offline_access', prompt: 'consent' }, 'start-demo-idp')
      await typePassword(page, 'nora', usual.passwords.nora)
    },
  },
  {
    name: 'email',
    pictured: true,
    open: async (page, { asking }) => {
      await begin(page, asking, {}, 'start-demo-idp')
      await typePassword(page, 'bob', asking.passwords.bob)
    },
  },
  {
    name: 'error',
    pictured: true,
    // A sign-in that another browser began: the page offers to begin again.
    open: async (page, { usual }) => {
      await begin(page, usual)
      await at(page, 'choose')
      const here = page.url()
      await page.context().clearCookies()
      await page.goto(here)
    },
  },
  {
    name: 'error-request',
    id: 'page-error',
    open: async (page, { usual }) => {
      await page.goto(
        `${usual.issuer}/authorize?client_id=demo-rp&response_type=code&scope=openid&redirect_uri=http://localhost:1/`,
      )
    },
  },
  {
    name: 'logout',
    pictured: true,
    open: async (page, { usual }) => {
      await signInAlice(page, usual)
      await page.click('#logout')
    },
  },
  {
    name: 'logged-out',
    pictured: true,
    open: async (page, { usual }) => {
      await signInAlice(page, usual)
      await page.goto(`${usual.issuer}/session/end`)
      await page.click('#logout-yes')
    },
  },
  {
    name: 'home',
    pictured: true,
    open: async (page, { usual }) => {
      await page.goto(usual.issuer)
    },
  },
]

const party: readonly Stop[] = [
  {
    name: 'start',
    pictured: true,
    open: async (page, { usual }) => {
      await page.goto(usual.party)
    },
  },
  {
    name: 'result',
    pictured: true,
    open: async (page, { usual }) => {
      await signInNora(page, usual)
      await page.click('#userinfo')
      await page.waitForSelector('#outcome')
    },
  },
  {
    name: 'result-refused',
    id: 'page-result',
    open: async (page, { usual }) => {
      await begin(page, usual, {}, 'start-basic')
      await page.click('#cancel')
    },
  },
  {
    name: 'provider',
    open: async (page, { usual }) => {
      await page.goto(`${usual.party}/provider`)
    },
  },
  {
    name: 'client',
    open: async (page, { usual }) => {
      await page.goto(`${usual.party}/client`)
      await page.click('#register')
      await page.waitForSelector('#registered')
    },
  },
  {
    name: 'party-logged-out',
    id: 'page-logged-out',
    open: async (page, { usual }) => {
      await signInAlice(page, usual)
      await page.click('#logout')
      await page.click('#logout-yes')
      await page.waitForURL(`${usual.party}/logged-out**`)
    },
  },
]

export const gallery: readonly Stop[] = [...gatehouse, ...party]

/** Opens a page of the gallery and waits until it is there. */
export const visitStop = async (stop: Stop, page: Page, houses: Houses): Promise<void> => {
  await stop.open(page, houses)
  await page.waitForSelector(`#${stop.id ?? `page-${stop.name}`}`)
  await page.waitForLoadState('load')
}
