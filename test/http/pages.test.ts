/** View contract: every page, in every language, with a full sample and with a hostile one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Ctx } from '#http/context.ts'
import type { PageName, Pages } from '#http/pages.ts'
import type { Route } from '#http/route.ts'
import type { View } from '#http/view.ts'
import { samples } from './samples.ts'
import { open } from './world.ts'

/** What CONTRACT 11 promises of each page; `fields` also need their labels. */
const promised: { readonly [N in PageName]: { fields?: string[]; buttons?: string[]; also?: string[] } } = {
  login: { fields: ['username', 'password'], buttons: ['continue', 'cancel'] },
  otp: { fields: ['code'], buttons: ['continue', 'cancel'], also: ['autocomplete="one-time-code"'] },
  'otp-setup': {
    fields: ['code'],
    buttons: ['continue', 'cancel', 'keep'],
    also: ['<code id="secret">JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP</code>', 'id="qr"'],
  },
  'otp-codes': {
    buttons: ['continue'],
    also: ['<code>1000-2345-6789</code>', 'download="recovery-codes.txt"', '%0A1000-2345-6789%0A'],
  },
  choose: { fields: ['email'], buttons: ['continue', 'cancel'], also: ['data-provider="acme"', 'data-provider="uni"'] },
  identify: { fields: ['email'], buttons: ['continue', 'cancel'] },
  consent: { buttons: ['allow', 'deny'], also: ['name="scope-1"'] },
  email: { fields: ['email'], buttons: ['continue', 'cancel'] },
  logout: {
    buttons: ['logout-yes', 'logout-no'],
    also: ['name="xsrf" value="sample-xsrf"', 'name="logout" value="yes"'],
  },
  'logged-out': {},
  'frontchannel-logout': {
    also: ['src="https://lake.example/logout?keep=1"', 'href="https://harbour.example/bye?state=x"', 'content="3;url='],
  },
  'session-check': { also: ['<meta name="browser-state" content="op_bs_3000">'] },
  error: { also: ['<code id="error">access_denied</code>', '<code id="reference">K7QMWB4TXA</code>'] },
  'auto-post': {
    buttons: ['continue'],
    also: ['name="RelayState" value="a&#34;b&lt;c"', 'action="https://idp.example/saml/sso"'],
  },
  home: { also: ['/.well-known/openid-configuration'] },
}
const names = Object.keys(samples) as PageName[]
const POISON = `x"'><script>alert(1)</script>{{7*7}}\u202e<img src=x onerror=alert(1)>`

const poisoned = (value: unknown): unknown => {
  if (typeof value === 'string') return POISON
  if (Array.isArray(value)) return value.map(poisoned)
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, key === 'label' ? item : poisoned(item)]),
    )
  return value
}

const show = (view: View, pages: { readonly [N in PageName]: Pages[N] }): Route[] => [
  {
    method: 'get',
    path: '/show/:page',
    run: (ctx: Ctx) => view(ctx, ctx.params.page as PageName, pages[ctx.params.page as PageName]),
  },
]

const attribute = (tag: string, name: string) => new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1]
const tags = (html: string, name: string) =>
  [...html.matchAll(new RegExp(`<${name}\\b[^>]*>`, 'g'))].map(([tag]) => tag)

const checkMarkup = (html: string) => {
  assert.doesNotMatch(html, /<script(?![^>]*\ssrc=)/, 'no inline script')
  assert.doesNotMatch(html, /<style|\sstyle="/, 'no inline style')
  const bare = html.replace(/"[^"]*"/g, '""')
  assert.doesNotMatch(bare, /<[^>]*\son[a-z]+\s*=/i, 'no handler attributes')
  assert.doesNotMatch(html, /(?:href|src|action)="\s*javascript:/i)
  assert.match(html, /^<!doctype html>/i)
  assert.equal(tags(html, 'main').length, 1)
  assert.equal(tags(html, 'h1').length, 1)
  assert.match(html, /<title>[^<]{3,}<\/title>/)
  const ids = [...html.matchAll(/\sid="([^"]*)"/g)].map((match) => match[1])
  assert.equal(new Set(ids).size, ids.length, `ids are unique: ${ids}`)
  for (const [form] of html.matchAll(/<form\b.*?<\/form>/gs)) {
    const fields = tags(form, 'input').map((tag) => attribute(tag, 'name'))
    assert.equal(new Set(fields).size, fields.length, `fields of a form have names of their own: ${fields}`)
  }
  for (const described of [...html.matchAll(/aria-describedby="([^"]*)"/g)]) assert.ok(ids.includes(described[1]))
  for (const input of tags(html, 'input').filter((tag) => attribute(tag, 'type') !== 'hidden')) {
    const id = attribute(input, 'id')
    assert.ok((id && html.includes(`<label for="${id}"`)) || html.includes(`for="${id}"`), `label for ${input}`)
    assert.ok(attribute(input, 'type') === 'checkbox' || attribute(input, 'autocomplete'), `autocomplete on ${input}`)
  }
  for (const button of tags(html, 'button')) assert.ok(attribute(button, 'type'), `type on ${button}`)
}

for (const lang of ['en', 'de'])
  for (const name of names)
    test(`${name} in ${lang}`, async (t) => {
      const { ask } = await open(t, ({ view }) => ({ routes: show(view, samples) }))
      const { status, body, headers } = await ask(`/show/${name}?ui_locales=${lang}`)
      assert.equal(status, 200)
      checkMarkup(body)
      assert.match(body, new RegExp(`<html lang="${lang}" dir="ltr">`))
      assert.equal(headers['content-language'], lang)
      assert.equal(headers['content-type'], 'text/html; charset=utf-8')
      assert.equal(headers['cache-control'], 'no-store')
      const { fields = [], buttons = [], also = [] } = promised[name]
      assert.match(body, new RegExp(`<main [^>]*id="page-${name}"`))
      for (const field of fields) assert.match(body, new RegExp(`<input [^>]*name="${field}"`))
      for (const button of buttons) assert.match(body, new RegExp(`<button [^>]*id="${button}"`))
      for (const text of also) assert.ok(body.includes(text), text)
      // Every form that comes back to us carries a token.
      for (const [form] of body.matchAll(/<form\b.*?<\/form>/gs))
        assert.match(form, name === 'auto-post' ? /name="SAMLRequest"/ : /name="(?:csrf|xsrf)" value="[^"]+"/)
    })

for (const name of names)
  test(`${name} with hostile data shows it as text`, async (t) => {
    const hostile = { ...samples, [name]: poisoned(samples[name]) }
    const { ask } = await open(t, ({ view }) => ({ routes: show(view, hostile) }))
    const { status, body } = await ask(`/show/${name}`)
    assert.equal(status, 200)
    checkMarkup(body)
    assert.equal(body.includes('<script>alert'), false)
    assert.equal(body.includes('<img src=x'), false)
    assert.equal(body.replace(/"[^"]*"/g, '""').includes('\u202e'), false, 'no direction override in a text')
  })

const render = async <N extends PageName>(t: Parameters<typeof open>[0], name: N, page: Pages[N]) => {
  const { ask } = await open(t, ({ view }) => ({ routes: show(view, { ...samples, [name]: page }) }))
  return (await ask(`/show/${name}`)).body
}

test('links and pictures of a relying party are http(s) or embedded images, else left out', async (t) => {
  const body = await render(t, 'login', {
    ...samples.login,
    client: {
      name: 'X',
      logo: 'javascript:alert(1)',
      policy: 'javascript:alert(2)',
      terms: 'data:text/html,hi',
      home: 'ftp://x',
    },
  })
  assert.doesNotMatch(body, /javascript|data:text|ftp:/)
  assert.match(body, /class="tile hue-\d"/)
  assert.doesNotMatch(body, /class="terms"/)
})

test('the client’s logo, policy and terms show on login, choice and consent', async (t) => {
  for (const name of ['login', 'choose', 'consent'] as const) {
    const body = await render(t, name, samples[name] as never)
    assert.match(body, /<img src="data:image\/svg/)
    assert.ok(body.includes('href="https://harbour.example/privacy"'))
    assert.ok(body.includes('href="https://harbour.example/terms"'))
  }
})

test('ways on lead to paths of ours or web addresses only', async (t) => {
  const hrefs = ['/a?b=1', 'https://app.example/x', '//evil.example', '/\\evil.example', 'javascript:alert(1)', 'x']
  const ways = hrefs.map((href) => ({ href, label: 'way.restart' as const }))
  const body = await render(t, 'error', { ...samples.error, ways })
  const shown = [...body.matchAll(/<a class="button [^"]*" href="([^"]*)"/g)].map((match) => match[1])
  assert.deepEqual(shown, ['/a?b=1', 'https://app.example/x'])
})

test('a very long name is cut, and direction overrides are taken out', async (t) => {
  const body = await render(t, 'login', { ...samples.login, client: { name: `\u202eevil\n${'a'.repeat(40_000)}` } })
  assert.ok(body.length < 8000)
  assert.doesNotMatch(body, /\u202e/)
  assert.match(body, /Sign in to evil a+…/)
})

test('a fault is told above the form and tied to its fields', async (t) => {
  const body = await render(t, 'login', { ...samples.login, fault: 'login.wrong' })
  assert.match(body, /<p [^>]*id="fault" role="alert">/)
  assert.match(body, /<input id="username"[^>]*aria-invalid="true" aria-describedby="fault"/)
  assert.match(body, /<title>Error: /)
  assert.match(body, /The username or the password is not right/)
})

test('the provider that was left for is offered again', async (t) => {
  const body = await render(t, 'choose', samples.choose)
  assert.match(body, /role="status"[^>]*>.*Acme Corporation/s)
  assert.match(body, /data-provider="acme".*?Try Acme Corporation again/s)
})

test('required scopes cannot be unticked, optional ones are boxes', async (t) => {
  const body = await render(t, 'consent', samples.consent)
  assert.equal(tags(body, 'input').filter((tag) => attribute(tag, 'type') === 'checkbox').length, 2)
  assert.doesNotMatch(body, /name="scope[^>]*value="openid"/)
})

test('the page to sign in weighs less than 30 kB with everything it needs', async (t) => {
  const { ask } = await open(t, ({ view }) => ({ routes: show(view, samples) }))
  const { body } = await ask('/show/login')
  const assets = [...body.matchAll(/(?:href|src)="(\/assets\/[^"]+)"/g)].map((match) => match[1] ?? '')
  assert.ok(assets.length >= 4)
  let weight = Buffer.byteLength(body)
  for (const path of assets) {
    const { status, body: text } = await ask(path)
    assert.equal(status, 200, path)
    weight += Buffer.byteLength(text)
  }
  assert.ok(weight < 30_000, `${weight} bytes, uncompressed`)
})
