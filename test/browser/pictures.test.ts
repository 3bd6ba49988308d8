/** The pictures in docs/images: all there, small, and what the browser drew. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { withPalette } from '../../scripts/palette.ts'
import { openBrowser, skip } from './chromium.ts'
import { gallery } from './gallery.ts'

const visit = openBrowser()
const root = join(import.meta.dirname, '../..')
const folder = join(root, 'docs/images')

test('every page that is pictured is there in each look, and small', () => {
  const looks = ['light-desktop', 'dark-desktop', 'light-phone', 'dark-phone']
  const pages = gallery.filter(({ pictured }) => pictured).map(({ name }) => name)
  const inReadme = Array.from(readFileSync(join(root, 'README.md'), 'utf8').matchAll(/docs\/images\/([\w-]+)\.png/g))
  const expected = [
    ...pages.flatMap((page) => looks.map((look) => `${page}-${look}`)),
    ...inReadme.map(([, name]) => name),
  ]
  const files = readdirSync(folder)
  assert.deepEqual(files.toSorted(), [...new Set(expected)].map((name) => `${name}.png`).toSorted())
  const sizes = files.map((file) => statSync(join(folder, file)).size)
  assert.ok(Math.max(...sizes) <= 60_000, `${Math.max(...sizes)} bytes`)
  // On average; one and a half megabytes for fourteen pages.
  assert.ok(sizes.reduce((sum, size) => sum + size) < 26_500 * sizes.length)
})

test('a palette makes a picture smaller and changes nothing that one sees', { skip }, async (t) => {
  const { page } = await visit(t, { viewport: { width: 300, height: 200 } })
  await page.setContent(
    `<body style="margin:0;height:100vh;background:linear-gradient(90deg,#fff,#dfe4ff),#fff;font:20px sans-serif">Sign in`,
  )
  const taken = await page.screenshot()
  const small = withPalette(taken)
  assert.ok(small.length < taken.length, `${small.length} < ${taken.length}`)
  const [most, shades] = await page.evaluate<[number, number]>(`(async (...pictures) => {
    const [one, other] = await Promise.all(pictures.map(async (text) => {
      const blob = await (await fetch('data:image/png;base64,' + text)).blob()
      const image = await createImageBitmap(blob)
      const canvas = new OffscreenCanvas(image.width, image.height).getContext('2d')
      canvas.drawImage(image, 0, 0)
      return canvas.getImageData(0, 0, image.width, image.height).data
    }))
    return [one.reduce((most, value, i) => Math.max(most, Math.abs(value - other[i])), 0), new Set(one).size]
  })('${taken.toString('base64')}', '${small.toString('base64')}')`)
  assert.ok(shades > 50, 'the picture is not of one colour')
  assert.ok(most <= 16, `a channel is off by ${most}`)
  assert.throws(() => withPalette(small), TypeError, 'it has a palette already')
})
