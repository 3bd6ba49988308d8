/** Without a mouse: the tab key reaches everything in reading order, one always sees where one is, Enter sends. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Page } from 'playwright-core'
import { openBrowser, skip } from './chromium.ts'
import { openDemo } from './demo.ts'
import { gallery, houses, visitStop } from './gallery.ts'
import { at, fact } from './person.ts'

const visit = openBrowser()
const demo = openDemo(skip)
const asking = openDemo(skip, houses.asking)

/** What has the focus, and how it is marked; in-page code as text, see chromium.ts. */
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
interface Focus {
  readonly place: number
  readonly name: string
  readonly marked: boolean
  readonly inView: boolean
}

/** How many elements the tab key should reach; buttons that open nothing and hidden fields are none. */
const STOPS = `[...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary')]
  .filter((element) => element.checkVisibility({ visibilityProperty: true })).length`

/** Tabs once round the page. */
const round = async (page: Page): Promise<Focus[]> => {
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

const stops = gallery.filter(
  ({ name, id }) => !id && !['start', 'result', 'provider', 'client', 'logged-out'].includes(name),
)

for (const stop of stops)
  test(`${stop.name}: the tab key reaches everything, in order, and the focus is seen`, { skip }, async (t) => {
    const { page } = await visit(t, { viewport: { width: 390, height: 700 } })
    await visitStop(stop, page, stop.house === 'asking' ? asking() : demo())
    const found = await round(page)
    assert.ok(found.length > 0)
    assert.equal(found.length, await page.evaluate(STOPS), `${found.map(({ name }) => name)}`)
    assert.deepEqual(
      found.map(({ place }) => place),
      found.map(({ place }) => place).sort((a, b) => a - b),
    )
    for (const { name, marked, inView } of found)
      assert.deepEqual({ name, marked, inView }, { name, marked: true, inView: true })
  })

/** Presses the tab key until the element with this selector has the focus. */
const tabTo = async (page: Page, selector: string): Promise<void> => {
  for (let i = 0; i < 60; i++) {
    if (await page.evaluate<boolean>(`document.activeElement.matches(${JSON.stringify(selector)})`)) return
    await page.keyboard.press('Tab')
  }
  assert.fail(`${selector} is not reached`)
}

test('from the application to its result and out again, by keyboard alone', { skip }, async (t) => {
  const { page, complaints } = await visit(t)
  await page.goto(demo().party)
  await tabTo(page, '#start-login')
  await page.keyboard.press('Enter')
  await at(page, 'choose')
  await tabTo(page, '[data-provider="demo-idp"]')
  await page.keyboard.press('Enter')
  await at(page, 'login')
  // The first field has the focus already.
  await page.keyboard.type('nora')
  await page.keyboard.press('Tab')
  await page.keyboard.type('mistyped')
  await page.keyboard.press('Enter')
  await page.waitForSelector('#fault')
  assert.equal(await page.evaluate('document.activeElement.id'), 'password', 'what has to be typed again')
  await page.keyboard.type(demo().passwords.nora)
  await page.keyboard.press('Enter')
  await at(page, 'consent')
  await tabTo(page, '[name=scope][value=email]')
  await page.keyboard.press('Space')
  assert.equal(await page.isChecked('[name=scope][value=email]'), false)
  await page.keyboard.press('Space')
  await tabTo(page, '#allow')
  await page.keyboard.press('Enter')
  await at(page, 'result')
  assert.equal(await fact(page, 'idp'), 'demo-idp')
  await tabTo(page, '#logout')
  await page.keyboard.press('Enter')
  await at(page, 'logout')
  await tabTo(page, '#logout-yes')
  await page.keyboard.press('Enter')
  await at(page, 'logged-out')
  assert.deepEqual(complaints, [])
})
