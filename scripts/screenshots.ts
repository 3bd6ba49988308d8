/**
 * `make docs`: the pictures in docs/images, taken of a running demo in Debian's Chromium. Every page light and dark, on
 * a desktop and on a phone, as `page-theme-size.png`; the README's three by the page's name alone.
 */
import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { launch } from '#test/browser/chromium.ts'
import { startDemo } from '#test/browser/demo.ts'
import { askingDemo, gallery, type Houses, type Stop, visitStop } from '#test/browser/gallery.ts'
import { root } from './tree.ts'

const folder = join(root, 'docs/images')
const sizes = {
  desktop: { width: 1280, height: 800 },
  phone: { width: 390, height: 780 },
} as const
const themes = ['light', 'dark'] as const

const shoot = async (page: Page, stop: Stop): Promise<void> => {
  for (const [size, viewport] of Object.entries(sizes))
    for (const colorScheme of themes) {
      await page.setViewportSize(viewport)
      await page.emulateMedia({ colorScheme })
      const path = join(folder, `${stop.name}-${colorScheme}-${size}.png`)
      await page.screenshot({ path, animations: 'disabled', caret: 'hide' })
      console.log(path, statSync(path).size)
    }
}

const takeAll = async (browser: Browser, houses: Houses): Promise<void> => {
  for (const stop of gallery.filter(({ pictured }) => pictured)) {
    const context = await browser.newContext({ locale: 'en-GB', viewport: sizes.desktop })
    const page = await context.newPage()
    await visitStop(stop, page, houses)
    await shoot(page, stop)
    await context.close()
  }
}

if (import.meta.main) {
  mkdirSync(folder, { recursive: true })
  const [usual, asking] = await Promise.all([startDemo(), startDemo(askingDemo)])
  const browser = await launch()
  await takeAll(browser, { usual, asking })
  await browser.close()
  await Promise.all([usual.close(), asking.close()])
}
