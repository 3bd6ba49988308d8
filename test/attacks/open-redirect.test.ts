/** Making Gatehouse send people, codes or error answers to an address that nobody registered (CVE-2024-8883, CVE-2026-41569). */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { APP, authorizationUrl, CALLBACK, client, type Gatehouse, startGatehouse } from '#test/flows/world.ts'
import { askTokens, browser, codeOf, lines, signIn } from './house.ts'
import { asker, HTML, judge } from './raw.ts'

const registered = 'https://app.example/cb'
const strangers = [
  'https://app.example.evil.example/cb',
  'https://app.example@evil.example/cb',
  'https://app.example%40evil.example/cb',
  'https://evil.example/cb',
  'https://app.example/cb/',
  'https://app.example/cb/../evil',
  'https://app.example/cb?x=1',
  'https://app.example/cb#evil',
  'https://app.example/CB',
  'HTTPS://app.example/cb',
  'https://APP.example/cb',
  'https://app.example:443/cb',
  'https://app.example//cb',
  'https://app.example/c%62',
  'https://app.example\\@evil.example/cb',
  'https://app.example/cb\r\nlocation: https://evil.example',
  'https://app.example/cb\0',
  ' https://app.example/cb',
  'https://app.example/cb ',
  'http://app.example/cb',
  '//app.example/cb',
  '/cb',
  'cb',
  'javascript:alert(1)',
  'data:text/html,x',
  'https://app.example/cb;x',
  'https://аpp.example/cb',
  'https://fooaapp.example/cb',
  '',
]

describe('open redirect', () => {
  let op: Gatehouse
  before(async () => {
    op = await startGatehouse({
      clients: [
        client({ trusted: true, post_logout_redirect_uris: [`${APP}/out`] }),
        client({
          client_id: 'strict',
          trusted: true,
          application_type: 'web',
          redirect_uris: [registered],
          post_logout_redirect_uris: ['https://app.example/out'],
        }),
      ],
    })
  })
  const strict = (redirect_uri: string, more: Record<string, string> = {}) =>
    authorizationUrl(op.issuer, { client_id: 'strict', redirect_uri, ...more })
  const ask = (url: string) => {
    const { pathname, search } = new URL(url)
    return asker(op.issuer)({ target: `${pathname}${search}`, headers: [HTML] })
  }

  test('control: the registered redirect URI is where an error goes', async () => {
    const answer = await ask(strict(registered, { prompt: 'none' }))
    assert.equal(answer.status, 303)
    assert.match(answer.headers.location ?? '', /^https:\/\/app\.example\/cb\?error=login_required/)
  })

  test('whatever is not exactly the registered redirect URI: a page of ours, no Location, told in the log', async () => {
    for (const redirect_uri of strangers)
      for (const more of [
        {},
        { prompt: 'none' },
        { response_type: 'nonsense' },
        { response_mode: 'form_post', scope: '' },
      ]) {
        const answer = await ask(strict(redirect_uri, more as Record<string, string>))
        judge(answer, redirect_uri)
        assert.equal(answer.status, 400, redirect_uri)
        assert.equal(answer.headers.location, undefined, redirect_uri)
        assert.match(answer.body, /id="page-error"/)
        assert.doesNotMatch(answer.body, /<(form|meta http-equiv)/i)
        assert.doesNotMatch(answer.body, /href="[^"]*evil/)
      }
    assert.ok(op.log.some(({ client, error }) => client === 'strict' && error === 'invalid_redirect_uri'))
  })

  test('two redirect URIs in one request: neither is used', async () => {
    const answer = await ask(`${strict(registered)}&redirect_uri=${encodeURIComponent('https://evil.example/')}`)
    judge(answer, 'two')
    assert.equal(answer.headers.location, undefined)
    assert.equal(answer.status, 400)
  })

  test('state cannot split the Location or the form of the answer', async () => {
    const state = 'x\r\nlocation: https://evil.example/\r\n\r\n"><script>alert(7)</script>'
    const answer = await ask(strict(registered, { prompt: 'none', state }))
    judge(answer, 'state')
    const to = new URL(answer.headers.location ?? '')
    assert.deepEqual([to.origin, to.searchParams.get('state')], ['https://app.example', state])
    const form = await ask(strict(registered, { prompt: 'none', state, response_mode: 'form_post' }))
    judge(form, 'form_post')
    assert.match(form.body, /<form/)
    assert.match(form.body, /action="https:\/\/app\.example\/cb"/)
  })

  test('logout: only a registered address with proof of the client; all others end on our page', async () => {
    const someone = browser()
    const { body } = await askTokens(op, {
      grant_type: 'authorization_code',
      code: codeOf(await signIn(op, {}, { by: someone })),
    })
    const end = (fields: Record<string, string>) => `${op.issuer}/session/end?${new URLSearchParams(fields)}`
    const hint = { id_token_hint: String(body.id_token) }
    for (const post_logout_redirect_uri of [
      `${APP}/out/`,
      `${APP}/out?x=1`,
      CALLBACK,
      'https://evil.example/',
      'https://app.example/out',
      '//evil.example',
      `${APP}@evil.example/out`,
    ]) {
      const page = await someone.open(end({ ...hint, post_logout_redirect_uri }))
      assert.equal(page.url.origin, op.issuer, post_logout_redirect_uri)
      assert.equal(page.status, 400, post_logout_redirect_uri)
      assert.match(page.body, /id="page-error"/)
    }
    const nobody = await someone.open(end({ post_logout_redirect_uri: `${APP}/out` }))
    assert.equal(nobody.url.origin, op.issuer)
    const asked = await someone.open(end({ ...hint, post_logout_redirect_uri: `${APP}/out`, state: 'back' }))
    const back = asked.url.origin === APP ? asked : await someone.submit(asked, '#logout-yes')
    assert.equal(back.url.href, `${APP}/out?state=back`)
  })

  test('paths that look like hosts are not followed', async () => {
    for (const target of [
      '//evil.example/authorize',
      '/\\evil.example/',
      '/%2f%2fevil.example',
      '/authorize/..//evil.example',
      '/.//evil.example',
      '/;@evil.example',
      'http://evil.example/authorize',
      '/interaction//evil.example/restart',
      '/interaction/%2e%2e%2f%2fevil.example/restart',
      '/acme//evil.example/authorize',
    ]) {
      const answer = await asker(op.issuer)({ target, headers: [HTML] })
      judge(answer, target)
      assert.equal(answer.headers.location, undefined, target)
      assert.ok(answer.status >= 400, target)
    }
    assert.ok(lines(op, 'request.refused').length > 0)
  })
})
