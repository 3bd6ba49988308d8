/**
 * What axe finds on a page. Its contrast rule gives up on gradients and on backgrounds drawn by pseudo-elements, and
 * says "incomplete" then, which is as good as silence: so gradients are made flat first, in the shade that is worst for
 * the text on them, the page's own backdrop is left out of account, and what stays incomplete counts as found.
 * In-page code is text here: scripts/screenshots.ts uses this folder too, and its types know no DOM.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
/** axe's own options, all of which have to be said again, with pseudo-elements ignored. */
const CONTRAST = {
  ignoreUnicode: true,
  ignoreLength: true,
  ignorePseudo: true,
  boldValue: 700,
  boldTextPt: 14,
  largeTextPt: 18,
  contrastRatio: { normal: { expected: 4.5 }, large: { expected: 3 } },
  pseudoSizeThreshold: 0.25,
  shadowOutlineEmMax: 0.2,
  textStrokeEmMin: 0.03,
}
const CONFIGURE = `axe.configure({ checks: [{ id: 'color-contrast', options: ${JSON.stringify(CONTRAST)} }] })`

/** WCAG 2.2, relative luminance and contrast ratio, on colours as a canvas mixes them. */
const FLATTEN = `(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true })
  const mix = (...layers) => {
    for (const layer of layers) { canvas.fillStyle = layer; canvas.fillRect(0, 0, 1, 1) }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3)
  }
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((value) => value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b)
    return (light + 0.05) / (dark + 0.05)
  }
  for (const element of document.querySelectorAll('*')) {
    element.style.removeProperty('background')
    const { backgroundImage, backgroundColor, color } = getComputedStyle(element)
    if (!backgroundImage.includes('gradient(') || backgroundColor === 'rgba(0, 0, 0, 0)') continue
    const stops = backgroundImage.match(/(?:rgba?|color)\\([^)]*\\)/g) ?? []
    const shades = stops.map((stop) => mix(backgroundColor, stop))
    const [worst] = shades.sort((a, b) => contrast(a, mix(color)) - contrast(b, mix(color)))
    element.style.background = 'rgb(' + worst + ')'
  }
})()`

const RUN = `(async () => {
  const values = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
  const found = await axe.run(document, { runOnly: { type: 'tag', values }, rules: { 'target-size': { enabled: true } } })
  // What is scrolled out of its box is obscured; the same table is judged whole on a wider screen.
  const scrolled = ({ target: [selector] }) => document.querySelector(selector)?.closest('.scroll')
  const unclear = found.incomplete.filter(({ id }) => id === 'color-contrast')
    .map(({ id, nodes }) => ({ id, nodes: nodes.filter((node) => !scrolled(node)) }))
  return [...found.violations, ...unclear].filter(({ nodes }) => nodes.length > 0).map(({ id, nodes }) =>
    id + ': ' + nodes.map(({ html, any }) => html.slice(0, 200) + ' ' + any.map(({ message }) => message).join(' ')).join(' | '))
})()`

/** Each rule of WCAG 2.2 AA or good practice that the page breaks, with the elements. */
export const violations = async (page: Page): Promise<string[]> => {
  if (!(await page.evaluate('"axe" in window'))) {
    await page.evaluate(axe)
    await page.evaluate(CONFIGURE)
  }
  await page.evaluate(FLATTEN)
  return page.evaluate<string[]>(RUN)
}
