/** The tab key: where it leads, and how one sees where one is. In-page code is text, see chromium.ts. */
import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'

/** What has the focus, and how it is marked. */
const FOCUS = `(() => {
  const element = document.activeElement
  if (!element || element === document.body) return null
  const all = [...document.querySelectorAll('*')]
  const style = getComputedStyle(element)
  const { top, bottom, left, right, width, height } = element.getBoundingClientRect()
  const marked = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2
  return {
    place: all.indexOf(element),
    name: element.id || element.dataset.provider || element.textContent.trim(),
    marked,
    inView: width > 0 && height > 0 && top >= 0 && left >= 0 && bottom <= innerHeight + 1 && right <= innerWidth + 1,
  }
})()`
export interface Focus {
  readonly place: number
  readonly name: string
  readonly marked: boolean
  readonly inView: boolean
}

/** How many elements the tab key should reach; buttons that open nothing and hidden fields are none. */
const STOPS = `[...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary')]
  .filter((element) => element.checkVisibility({ visibilityProperty: true })).length`

/** Tabs once round the page. */
export const round = async (page: Page): Promise<Focus[]> => {
  await page.evaluate('document.activeElement?.blur(), getSelection().removeAllRanges()')
  await page.evaluate(`document.body.tabIndex = -1, document.body.focus(), document.body.removeAttribute('tabindex')`)
  const found: Focus[] = []
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press('Tab')
    const focus = await page.evaluate<Focus | null>(FOCUS)
    if (!focus || found.some(({ place }) => place === focus.place)) break
    found.push(focus)
  }
  return found
}

/** The tab key reaches everything, in reading order, and each stop is seen for what it is (WCAG 2.4.3, 2.4.7, 2.4.11). */
export const assertTabs = async (page: Page, what: string): Promise<void> => {
  const found = await round(page)
  const names = found.map(({ name }) => name)
  assert.equal(found.length, await page.evaluate(STOPS), `${what}: reached ${names}`)
  const places = found.map(({ place }) => place)
  assert.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
    `${what}: order ${names}`,
  )
  for (const { name, marked, inView } of found)
    assert.deepEqual({ name, marked, inView }, { name, marked: true, inView: true }, what)
}

/** Presses the tab key until the element with this selector has the focus. */
export const tabTo = async (page: Page, selector: string): Promise<void> => {
  for (let i = 0; i < 60; i++) {
    if (await page.evaluate<boolean>(`document.activeElement.matches(${JSON.stringify(selector)})`)) return
    await page.keyboard.press('Tab')
  }
  assert.fail(`${selector} is not reached`)
}
