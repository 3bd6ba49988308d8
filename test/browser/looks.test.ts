/**
 * Every page of the gallery in every look: axe finds nothing in light and dark, on a desktop and on a phone; nothing is
 * wider than the smallest phone; the tab key reaches everything, in order, and one sees where; nothing moves for those
 * who asked for that; high-contrast colours keep the edges.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Page } from 'playwright-core'
import { violations } from './axe.ts'
import { openBrowser, skip } from './chromium.ts'
import { openDemo } from './demo.ts'
import { gallery, houses, visitStop } from './gallery.ts'
import { assertTabs } from './keyboard.ts'

const visit = openBrowser()
const usual = openDemo(skip)
const asking = openDemo(skip, houses.asking)

const themes = ['light', 'dark'] as const
const sizes = [
  { width: 1280, height: 800 },
  { width: 390, height: 780 },
] as const
const smallest = { width: 320, height: 568 }

const assertFits = async (page: Page, what: string): Promise<void> => {
  const wide = await page.evaluate<string[]>(`document.documentElement.scrollWidth <= innerWidth ? [] :
    ['to ' + document.documentElement.scrollWidth, ...[...document.querySelectorAll('body *')]
      .filter((one) => one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.outerHTML.slice(0, 120))]`)
  assert.deepEqual(wide, [], `${what} is too wide`)
}

/** WCAG 2.3.3; the window of these tests prefers reduced motion. */
const assertStill = async (page: Page, what: string): Promise<void> => {
  const moving = await page.evaluate<string[]>(`[...document.querySelectorAll('*')]
    .filter((one) => ['', '::before', '::after'].some((part) => {
      const { animationName, transitionDuration } = getComputedStyle(one, part)
      return animationName !== 'none' || transitionDuration.split(', ').some((time) => time !== '0s')
    })).map((one) => one.outerHTML.slice(0, 120))`)
  assert.deepEqual(moving, [], `${what} moves`)
}

/** Backgrounds and shadows are gone there: borders alone tell a button or a field from text. */
const assertEdged = async (page: Page, what: string): Promise<void> => {
  await page.emulateMedia({ forcedColors: 'active' })
  const flat = await page.evaluate<string[]>(`[...document.querySelectorAll('.button, .field input, textarea, select')]
    .filter((one) => one.checkVisibility() && !one.matches('.quiet')).filter((one) => {
      const { borderTopWidth, borderTopStyle, borderTopColor } = getComputedStyle(one)
      return parseFloat(borderTopWidth) < 1 || borderTopStyle === 'none' || /^rgba\\(.*, 0\\)$/.test(borderTopColor)
    }).map((one) => one.outerHTML.slice(0, 120))`)
  assert.deepEqual(flat, [], `${what} has no edges in forced colours`)
  await page.emulateMedia({ forcedColors: null })
}

for (const stop of gallery)
  test(stop.name, { skip }, async (t) => {
    // Colours that are still on their way would be judged as they are.
    const { page, complaints } = await visit(t, { reducedMotion: 'reduce' })
    await visitStop(stop, page, stop.house === 'asking' ? asking() : usual())
    for (const viewport of sizes) {
      await page.setViewportSize(viewport)
      for (const colorScheme of themes) {
        await page.emulateMedia({ colorScheme })
        assert.deepEqual(await violations(page), [], `${stop.name}, ${colorScheme}, ${viewport.width}`)
      }
      await assertFits(page, `${stop.name}, ${viewport.width}`)
    }
    if (!stop.bench) await assertTabs(page, stop.name)
    await page.setViewportSize(smallest)
    await assertFits(page, `${stop.name}, ${smallest.width}`)
    await assertStill(page, stop.name)
    await assertEdged(page, stop.name)
    assert.deepEqual(complaints, [])
  })

test('each look finds what it looks for', { skip }, async (t) => {
  const { page } = await visit(t, { reducedMotion: 'reduce' })
  const [login] = gallery
  assert.ok(login)
  await visitStop(login, page, usual())
  const spoil = async (change: string, look: () => Promise<void>) => {
    await look()
    await page.evaluate(`for (const one of document.querySelectorAll('#continue, #username')) { ${change} }`)
    await assert.rejects(look, { name: 'AssertionError' }, change)
    await page.reload()
  }
  const axe = async () => assert.deepEqual(await violations(page), [])
  await spoil(`one.style.background = '#777', one.style.color = '#888'`, axe)
  await spoil(`one.labels[0]?.remove()`, axe)
  await spoil(`one.style.minWidth = '90rem'`, () => assertFits(page, ''))
  await spoil(`one.style.transition = 'color 1s'`, () => assertStill(page, ''))
  await spoil(`one.style.border = '0'`, () => assertEdged(page, ''))
  await spoil(`one.style.outline = 'none'`, () => assertTabs(page, ''))
  await spoil(`one.tabIndex = -1`, () => assertTabs(page, ''))
  await spoil(`one.tabIndex = 5`, () => assertTabs(page, ''))
})
