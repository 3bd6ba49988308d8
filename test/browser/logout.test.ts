/** The end of a session as a browser lives it: another tab notices, frames are opened and waited for, nothing hangs. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Page } from 'playwright-core'
import { openReceiver, type Receiver } from '#test/world/receiver.ts'
import { openBrowser, skip } from './chromium.ts'
import { openDemo } from './demo.ts'

let receiver: Receiver
before(async () => {
  receiver = await openReceiver(() => demo().issuer)
})
after(() => receiver.close())

const callback = () => `${receiver.origin}/front/callback`
const framed = (client_id: string) => ({
  client_id,
  client_secret: `the-secret-of-${client_id}-in-tests`,
  client_name: client_id,
  application_type: 'native',
  redirect_uris: [callback()],
  trusted: true,
  frontchannel_logout_uri: receiver.frontchannel(client_id),
  frontchannel_logout_session_required: true,
})

describe('logout in a browser', { skip }, () => {
  const visit = openBrowser()

  const signInAt = async (page: Page, clients: readonly string[]) => {
    for (const client_id of clients) {
      const query = { client_id, response_type: 'code', scope: 'openid', redirect_uri: callback() }
      await page.goto(`${demo().issuer}/authorize?${new URLSearchParams(query)}`)
      if (!page.url().startsWith(receiver.origin)) {
        await page.locator('#page-choose a[href$="/basic"]').click()
        await page.fill('[name=username]', 'alice')
        await page.fill('[name=password]', demo().passwords.alice)
        await page.click('#continue')
      }
      await page.waitForURL(`${callback()}?*`)
    }
  }
  /** Confirms the logout, and measures until the end is shown, ms. */
  const logOut = async (page: Page): Promise<number> => {
    await page.goto(`${demo().issuer}/session/end`)
    const began = performance.now()
    await page.click('#logout-yes')
    await page.waitForSelector('#page-logged-out')
    return performance.now() - began
  }
  const framesSince = (from: number) =>
    receiver.framed.slice(from).filter(({ pathname }) => /^\/front\/(fast|slow)$/.test(pathname))

  test('two tabs: a logout in one is noticed by the application in the other', async (t) => {
    const { page, context, complaints } = await visit(t)
    await page.goto(demo().party)
    await page.click('#start-basic')
    await page.fill('[name=username]', 'alice')
    await page.fill('[name=password]', demo().passwords.alice)
    await page.click('#continue')
    if (await page.locator('#allow').count()) await page.click('#allow')
    await page.waitForSelector('#page-result')
    await page.goto(`${demo().party}/session`)
    await page.waitForSelector('#session-status[data-status=unchanged]')

    const other = await context.newPage()
    await logOut(other)
    await page.waitForSelector('#session-status[data-status=changed]')
    // Both channels reached the application meanwhile.
    await page.reload()
    await page.waitForSelector('[data-channel=back][data-ok=true]')
    await page.waitForSelector('[data-channel=front][data-ok=true]')
    assert.match(await page.locator('#content').innerText(), /One sign-in ended/)
    await page.waitForSelector('#not-watched')
    assert.deepEqual(complaints, [])
  })

  test('every application is told in a frame of its own, and the browser goes on as soon as all have answered', async (t) => {
    const { page, complaints } = await visit(t)
    await signInAt(page, ['fast', 'slow'])
    const from = receiver.framed.length
    assert.ok((await logOut(page)) < 3000)
    const frames = framesSince(from)
    assert.deepEqual(frames.map(({ pathname }) => pathname).sort(), ['/front/fast', '/front/slow'])
    for (const { searchParams } of frames) {
      assert.deepEqual([...searchParams.keys()], ['iss', 'sid'])
      assert.equal(searchParams.get('iss'), demo().issuer)
    }
    assert.deepEqual(complaints, [])
  })

  test('one application hangs: the other is told, and the browser goes on after three seconds', async (t) => {
    const { page } = await visit(t)
    await signInAt(page, ['fast', 'slow'])
    receiver.answer('slow', 'hang')
    t.after(() => receiver.answer('slow', 200))
    const from = receiver.framed.length
    const took = await logOut(page)
    assert.ok(took > 2900 && took < 8000, `${took} ms`)
    assert.deepEqual(
      framesSince(from)
        .map(({ pathname }) => pathname)
        .sort(),
      ['/front/fast', '/front/slow'],
    )
  })

  test('without JavaScript the frames are opened too, and the page goes on by itself', async (t) => {
    const { page } = await visit(t, { javaScriptEnabled: false })
    await signInAt(page, ['fast', 'slow'])
    const from = receiver.framed.length
    const took = await logOut(page)
    assert.ok(took > 2900, `${took} ms`)
    assert.equal(framesSince(from).length, 2)
  })
})

const demo = openDemo(skip, () => ({ clients: [framed('fast'), framed('slow')] }))
