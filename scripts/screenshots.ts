/**
 * `make docs`: the pictures in docs/images, taken of a running demo in Debian's Chromium. Every page light and dark, on
 * a desktop and on a phone, as `page-theme-size.png`. Arguments name the pages that are taken again; without any all are,
 * and pictures of pages that are no more go.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, BrowserContextOptions } from 'playwright-core'
import { launch } from '#test/browser/chromium.ts'
import { type Demo, startDemo } from '#test/browser/demo.ts'
import { gallery, houses, type Stop, visitStop } from '#test/browser/gallery.ts'
import { withPalette } from './palette.ts'
import { root } from './tree.ts'

const folder = join(root, 'docs/images')
const sizes: Readonly<Record<string, BrowserContextOptions>> = {
  desktop: { viewport: { width: 1280, height: 800 } },
  phone: { viewport: { width: 390, height: 780 }, deviceScaleFactor: 1.5, hasTouch: true, isMobile: true },
}
const themes = ['light', 'dark'] as const
/** So that the addresses on the pictures are those of `make run`. */
const PORT = 3000

const shoot = async (browser: Browser, stop: Stop, size: string, demo: Demo): Promise<void> => {
  const context = await browser.newContext({ locale: 'en-GB', ...sizes[size] })
  const page = await context.newPage()
  await visitStop(stop, page, demo)
  for (const colorScheme of themes) {
    await page.emulateMedia({ colorScheme })
    const picture = withPalette(await page.screenshot({ animations: 'disabled', caret: 'hide' }))
    const name = `${stop.name}-${colorScheme}-${size}.png`
    writeFileSync(join(folder, name), picture)
    console.log(`docs/images/${name}  ${Math.ceil(picture.length / 1000)} kB`)
  }
  await context.close()
}

if (import.meta.main) {
  const names = process.argv.slice(2)
  const pictured = gallery.filter(({ pictured, name }) => pictured && (names.length === 0 || names.includes(name)))
  mkdirSync(folder, { recursive: true })
  if (names.length === 0) for (const file of readdirSync(folder)) rmSync(join(folder, file))
  const browser = await launch()
  for (const [house, written] of Object.entries(houses)) {
    const stops = pictured.filter((one) => (one.house ?? 'usual') === house)
    if (stops.length === 0) continue
    const demo = await startDemo(written, { port: PORT })
    for (const stop of stops) for (const size of Object.keys(sizes)) await shoot(browser, stop, size, demo)
    await demo.close()
  }
  await browser.close()
}
