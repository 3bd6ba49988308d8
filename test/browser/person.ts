/** What a person does on the pages of the demo, by the ids and names that scripts may rely on (CONTRACT 11). */
import { Secret, TOTP } from 'otpauth'
import type { Page } from 'playwright-core'
import type { Demo } from './demo.ts'

/** Waits until the browser has arrived at a page: `login`, `choose`, `result` … Throws with what is shown instead. */
export const at = async (page: Page, name: string): Promise<void> => {
  try {
    await page.waitForSelector(`#page-${name}`)
  } catch (cause) {
    const shown = await page.textContent('body').catch(() => 'nothing')
    throw new Error(`not at ${name} but at ${page.url()}: ${shown?.replaceAll(/\s+/g, ' ').slice(0, 500)}`, { cause })
  }
}

/** What is typed into the relying party's form before it is sent. */
export interface Wishes {
  readonly response_type?: string
  readonly response_mode?: string
  readonly scope?: string
  readonly prompt?: string
  readonly max_age?: string
  readonly login_hint?: string
  readonly ui_locales?: string
  readonly acr_values?: string
}

const chipOf = (name: string, value: string) => `#${name}-${(value || 'usual').replaceAll(/[ .]/g, '-')}`

/** Fills in the relying party's form and sends it. @param button which one is pressed: it may choose the way in */
export const begin = async (page: Page, demo: Demo, wishes: Wishes = {}, button = 'start-login'): Promise<void> => {
  const { response_type, response_mode, prompt, ...texts } = wishes
  await page.goto(`${demo.party}/`)
  if (response_type !== undefined) await page.check(chipOf('response_type', response_type))
  if (response_mode !== undefined) await page.check(chipOf('response_mode', response_mode))
  if (prompt !== undefined) await page.selectOption('#prompt', prompt)
  for (const [name, value] of Object.entries(texts)) await page.fill(`#${name}`, value)
  await page.click(`#${button}`)
}

export const typePassword = async (page: Page, username: string, password: string): Promise<void> => {
  await at(page, 'login')
  await page.fill('[name=username]', username)
  await page.fill('[name=password]', password)
  await page.click('#continue')
}

export const allow = async (page: Page): Promise<void> => {
  await at(page, 'consent')
  await page.click('#allow')
}

/** Answers the consent page where it comes; what was allowed once is not asked again. */
const arrive = async (page: Page): Promise<void> => {
  await page.waitForSelector('#page-consent, #page-result')
  if (await page.isVisible('#page-consent')) await page.click('#allow')
  await at(page, 'result')
}

/** Signs Alice in by password, all the way to the relying party's result. */
export const signInAlice = async (page: Page, demo: Demo, wishes: Wishes = {}): Promise<void> => {
  await begin(page, demo, wishes, 'start-basic')
  await typePassword(page, 'alice', demo.passwords.alice)
  await arrive(page)
}

/** Signs Nora in through the demo's identity provider, all the way to the relying party's result. */
export const signInNora = async (page: Page, demo: Demo, wishes: Wishes = {}): Promise<void> => {
  await begin(page, demo, wishes, 'start-demo-idp')
  await typePassword(page, 'nora', demo.passwords.nora)
  await arrive(page)
}

/** One of the facts that the result page shows: `sub`, `acr`, `idp` … */
export const fact = (page: Page, name: string): Promise<string | null> => page.textContent(`#fact-${name}`)

/** The outcome of one of the relying party's checks. */
export const check = (page: Page, id: string): Promise<string | null> =>
  page.getAttribute(`#check-${id}`, 'data-outcome')

/** What the person's app shows now, for the secret that the page has. @param later steps of 30 s: each code works once */
export const appCode = (secret: string, later = 0): string =>
  new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: Date.now() + later * 30_000 })

/** The secret on the page that sets one-time codes up. */
export const secretOn = async (page: Page): Promise<string> =>
  String(await page.textContent('#secret')).replaceAll(' ', '')

/** Sets one-time codes up and stays on the page with the recovery codes. @returns these and the secret */
export const setUpCodes = async (page: Page): Promise<{ secret: string; recovery: string[] }> => {
  await at(page, 'otp-setup')
  const secret = await secretOn(page)
  await page.fill('#code', appCode(secret))
  await page.click('#continue')
  await at(page, 'otp-codes')
  return { secret, recovery: await page.locator('#codes code').allTextContents() }
}
