/** Forms that another site sends in the person's name, and pages that another site shows in a frame. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { APP, alice, authorizationUrl, client, type Gatehouse, startGatehouse } from '#test/flows/world.ts'
import type { Browser, Page } from '#test/world/browser.ts'
import { browser, codeOf, lines, signIn } from './house.ts'
import { type Answer, asker, FORM, type Header, HTML, judge } from './raw.ts'
import { askedOf, comeAlive, formToken, goodText, type Live, targetsOf } from './routes.ts'

describe('forged forms', () => {
  let op: Gatehouse
  let live: Live
  let ask: ReturnType<typeof asker>
  before(async () => {
    op = await startGatehouse({
      clients: [client(), client({ client_id: 'kind', trusted: true })],
      identityProviders: [
        {
          id: 'acme',
          protocol: 'oidc',
          requestForEmail: true,
          oidc: { issuer: 'https://acme.invalid', client_id: 'g', client_secret: 's' },
        },
      ],
    })
    live = await comeAlive(op)
    ask = asker(op.issuer)
  })
  const text = (fields: Record<string, string>) => new URLSearchParams(fields).toString()

  /** The forms of one live sign-in, and one more for the consent. */
  const forms = () => {
    const { login, consent } = live
    return [
      { path: `${login.base}/choose`, fields: { provider: 'acme' }, ...login },
      { path: `${login.base}/identify`, fields: { email: 'a@b.example' }, ...login },
      { path: `${login.base}/email`, fields: { email: 'a@b.example' }, ...login },
      { path: `${login.base}/basic`, fields: { username: alice.username, password: alice.password }, ...login },
      { path: `${login.base}/cancel`, fields: {}, ...login },
      { path: `${consent.base}/consent`, fields: { scope: 'profile' }, ...consent },
      { path: `${consent.base}/cancel`, fields: {}, ...consent },
    ].map(({ fields, ...rest }) => ({ ...rest, fields: fields as Record<string, string> }))
  }
  const send = (
    form: ReturnType<typeof forms>[number],
    csrf: string | undefined,
    more: readonly Header[] = [],
  ): Promise<Answer> =>
    ask({
      method: 'POST',
      target: form.path,
      headers: [...form.headers, FORM, ...more],
      body: text({ ...(csrf !== undefined && { csrf }), ...form.fields }),
    })

  test('every form without its token, with a wrong one, or one of another sign-in, is refused', async () => {
    const stranger = browser()
    const foreign = formToken(await stranger.open(authorizationUrl(op.issuer)))
    for (const form of forms())
      for (const csrf of [
        undefined,
        '',
        'x',
        'x.y',
        `${form.csrf}x`,
        form.csrf.slice(0, -1),
        foreign,
        form.csrf.replace('.', ''),
      ]) {
        const answer = await send(form, csrf)
        judge(answer, form.path)
        assert.equal(answer.status, 403, `${form.path} ${csrf}`)
        assert.match(answer.body, /id="page-error"/)
        assert.equal(answer.headers.location, undefined)
      }
    assert.ok(lines(op, 'request.refused').some(({ fault }) => fault === 'request.forged'))
  })

  test('every form with the right token but from another site, by what the browser says, is refused', async () => {
    const senders: Header[][] = [
      [['sec-fetch-site', 'cross-site']],
      [['sec-fetch-site', 'same-site']],
      [['origin', 'https://evil.example']],
      [['origin', 'null']],
      [['origin', `${op.issuer}.evil.example`]],
      [['origin', op.issuer.replace('localhost', '127.0.0.1')]],
    ]
    for (const form of forms())
      for (const from of senders) assert.equal((await send(form, form.csrf, from)).status, 403, `${form.path} ${from}`)
  })

  test('no step is done by a link: GET with the fields changes nothing', async () => {
    for (const form of forms()) {
      const answer = await ask({
        target: `${form.path}?${text({ csrf: form.csrf, ...form.fields })}`,
        headers: form.headers,
      })
      judge(answer, form.path)
      assert.doesNotMatch(answer.headers.location ?? '', /authorize|code=/, form.path)
    }
    const still = await ask({ target: live.login.base, headers: live.login.headers })
    assert.match(still.body, /id="page-choose"/)
  })

  test('control: the same forms with the right token from our own page are taken', async () => {
    const own: Header[] = [
      ['origin', op.issuer],
      ['sec-fetch-site', 'same-origin'],
    ]
    const [, , , basic] = forms()
    assert.equal((await send(basic ?? assert.fail(), live.login.csrf, own)).status, 303)
    const consent = forms().find(({ path }) => path.endsWith('/consent')) ?? assert.fail()
    assert.equal((await send(consent, live.consent.csrf, own)).status, 303)
  })

  test('logout by another site asks first; its form needs the page’s token', async () => {
    const someone = browser()
    await signIn(op, { client_id: 'kind' }, { by: someone })
    const page = await someone.open(`${op.issuer}/session/end`)
    assert.match(page.body, /id="page-logout"/)
    const cookie =
      someone.cookies.header(new URL(`${op.issuer}/session/end/confirm`), { crossSite: false, method: 'POST' }) ?? ''
    for (const xsrf of ['', 'x', 'x'.repeat(48)]) {
      const answer = await ask({
        method: 'POST',
        target: '/session/end/confirm',
        headers: [HTML, FORM, ['cookie', cookie]],
        body: text({ xsrf, logout: 'yes' }),
      })
      judge(answer, xsrf)
      assert.equal(answer.status, 400)
    }
    const cross = await ask({
      method: 'POST',
      target: '/session/end/confirm',
      headers: [HTML, FORM],
      body: text({ xsrf: 'x', logout: 'yes' }),
    })
    assert.equal(cross.status, 400, 'a cross-site post carries no session')
    const silent = await someone.open(authorizationUrl(op.issuer, { client_id: 'kind', prompt: 'none' }))
    codeOf(silent)
  })

  test('an empty POST skips no step (CVE-2026-49443)', async () => {
    const someone = browser()
    const page = await someone.open(authorizationUrl(op.issuer, { client_id: 'kind' }))
    for (const step of ['basic', 'choose', 'identify', 'email', 'consent', 'continue', '']) {
      const url = new URL(`${page.url.pathname}/${step}`.replace(/\/$/, ''), page.url)
      const cookie = someone.cookies.header(url, { crossSite: false, method: 'POST' }) ?? ''
      const answer = await ask({
        method: 'POST',
        target: url.pathname,
        headers: [HTML, FORM, ['cookie', cookie]],
        body: text({ csrf: formToken(page) }),
      })
      judge(answer, step)
      assert.doesNotMatch(answer.headers.location ?? '', /authorize|code=/, step)
      assert.notEqual(answer.status, 500)
    }
  })
})

describe('clickjacking', () => {
  test('no page may be framed, none runs foreign or inline code; machines’ answers neither', async () => {
    const op = await startGatehouse()
    const live = await comeAlive(op)
    const ask = asker(op.issuer)
    let pages = 0
    for (const target of targetsOf(live)) {
      const answer = await ask(askedOf(target, goodText(target)))
      const policy = answer.headers['content-security-policy'] ?? ''
      // Session Management 3.3: the one page that relying parties frame.
      const framed = target.path === '/session/check'
      assert.match(policy, framed ? /frame-ancestors \*/ : /frame-ancestors 'none'/, target.name)
      assert.match(policy, /default-src 'none'/, target.name)
      assert.equal(answer.headers['x-content-type-options'], 'nosniff', target.name)
      // Software calls WebFinger too: it has a machine's headers, only its errors are not OAuth's (RFC 7033 4.2).
      if (target.machine || target.path === '/.well-known/webfinger') continue
      assert.equal(answer.headers['x-frame-options'], framed ? undefined : 'DENY', target.name)
      assert.doesNotMatch(policy.replace('frame-ancestors *', ''), /unsafe|\*/, target.name)
      assert.match(policy, /base-uri 'none'/, target.name)
      assert.match(policy, /require-trusted-types-for 'script'/, target.name)
      assert.equal(answer.headers['referrer-policy'], 'strict-origin', target.name)
      if (!answer.headers['content-type']?.startsWith('text/html')) continue
      pages += 1
      assert.match(answer.headers['cache-control'] ?? '', framed ? /^public, max-age=300$/ : /no-store/, target.name)
      assert.doesNotMatch(answer.body, /<script(?![^>]*\bsrc=)|<style|\son\w+=|javascript:|\sstyle=/i, target.name)
    }
    assert.ok(pages > 15, `only ${pages} pages were seen`)
  })

  test('the engine’s own pages keep the rules: form_post, the change of person, logout, not HTTP at all', async () => {
    const op = await startGatehouse({
      clients: [client({ trusted: true })],
      accounts: [alice, { username: 'bob', password: 'builder-1999' }],
    })
    const check = (page: Page, what: string) => {
      assert.match(String(page.headers['content-security-policy']), /frame-ancestors 'none'/, what)
      assert.equal(page.headers['x-frame-options'], 'DENY', what)
      assert.equal(page.headers['x-content-type-options'], 'nosniff', what)
    }
    const someone: Browser = browser()
    await signIn(op, {}, { by: someone })
    const posted = await someone.open(authorizationUrl(op.issuer, { response_mode: 'form_post' }))
    assert.match(posted.body, /<form/)
    check(posted, 'form_post')
    const again = await someone.open(authorizationUrl(op.issuer, { acr_values: 'basic', prompt: 'login' }))
    const other = await someone.submit(again, '#continue', { username: 'bob', password: 'builder-1999' })
    assert.notEqual(other.url.origin, APP)
    check(other, 'another person')
    const logout = await someone.open(`${op.issuer}/session/end`)
    check(logout, 'logout')
  })
})
