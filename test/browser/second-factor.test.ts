/** A second factor with a real browser: the picture is scanned, the codes are typed, with scripts and without. */
import assert from 'node:assert/strict'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import type { Page } from 'playwright-core'
import decodeQr from 'qr/decode.js'
import { openBrowser, skip } from './chromium.ts'
import { openDemo } from './demo.ts'
import { appCode, at, begin, secretOn, setUpCodes, typePassword } from './person.ts'

const visit = openBrowser()
const demo = openDemo(skip)

/** What a phone's camera reads from the page. */
const scan = async (page: Page): Promise<string> => {
  const { width, height, data } = await page.evaluate<{ width: number; height: number; data: number[] }>(`(() => {
    const picture = document.getElementById('qr')
    const canvas = document.createElement('canvas')
    canvas.width = canvas.height = 400
    const paint = canvas.getContext('2d')
    paint.fillStyle = '#fff'
    paint.fillRect(0, 0, 400, 400)
    paint.drawImage(picture, 0, 0, 400, 400)
    const { width, height, data } = paint.getImageData(0, 0, 400, 400)
    return { width, height, data: [...data] }
  })()`)
  return decodeQr({ width, height, data: Uint8ClampedArray.from(data) })
}
/** What the person keeps as a file. */
const downloaded = async (page: Page): Promise<string> => {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#download')])
  assert.equal(download.suggestedFilename(), 'recovery-codes.txt')
  return text(await download.createReadStream())
}
const facts = async (page: Page): Promise<(string | null)[]> => {
  await page.waitForSelector('#page-consent, #page-result')
  if (await page.isVisible('#page-consent')) await page.click('#allow')
  await at(page, 'result')
  return Promise.all(['acr', 'amr'].map((name) => page.textContent(`#fact-${name}`)))
}
const STRONG = 'urn:gatehouse:demo:strong'

test('set up by scanning the picture, confirmed, asked for by the code alone afterwards', { skip }, async (t) => {
  const { page, complaints } = await visit(t, { permissions: ['clipboard-read', 'clipboard-write'] })
  await begin(page, demo(), {}, 'start-basic')
  await typePassword(page, 'alice', demo().passwords.alice)
  assert.deepEqual(await facts(page), ['basic', 'pwd'])
  await begin(page, demo(), {}, 'start-strong')
  await at(page, 'otp-setup')
  const scanned = new URL(await scan(page))
  const secret = await secretOn(page)
  assert.deepEqual([scanned.protocol, scanned.searchParams.get('secret')], ['otpauth:', secret])
  assert.equal(await page.getAttribute('#open-app', 'href'), scanned.href)
  assert.equal(await page.evaluate('document.activeElement.id'), '')
  const { recovery } = await setUpCodes(page)
  assert.equal(recovery.length, 10)
  await page.click('[data-copy=codes]')
  await page.waitForSelector('[data-copy=codes]:has-text("Copied")')
  assert.deepEqual((await page.evaluate<string>('navigator.clipboard.readText()')).split(/\s+/), recovery)
  assert.deepEqual((await downloaded(page)).split('\n'), [new URL(demo().issuer).host, ...recovery, ''])
  await page.click('#continue')
  assert.deepEqual(await facts(page), [STRONG, 'pwd, otp, mfa'])

  await begin(page, demo(), { prompt: 'login' }, 'start-strong')
  await page.click('[data-method="basic"]')
  await typePassword(page, 'alice', demo().passwords.alice)
  await at(page, 'otp')
  assert.equal(await page.evaluate('document.activeElement.id'), 'code')
  await page.keyboard.type('000000')
  await page.keyboard.press('Enter')
  await page.waitForSelector('#fault')
  await page.fill('#code', appCode(secret, 1))
  await page.keyboard.press('Enter')
  assert.deepEqual(await facts(page), [STRONG, 'pwd, otp, mfa'])
  assert.deepEqual(complaints, [])
})

test('the same without JavaScript, after another provider’s sign-in', { skip }, async (t) => {
  const { page } = await visit(t, { javaScriptEnabled: false })
  await begin(page, demo(), {}, 'start-strong')
  await page.click('[data-provider="demo-idp"]')
  await typePassword(page, 'bob', demo().passwords.bob)
  const { recovery } = await setUpCodes(page)
  assert.deepEqual((await downloaded(page)).split('\n').slice(1, -1), recovery)
  await page.goBack()
  await page.goto(page.url())
  await at(page, 'otp-codes')
  await page.click('#continue')
  const [acr, amr] = await facts(page)
  assert.equal(acr, STRONG)
  assert.match(String(amr), /otp, mfa$/)
})
