/** Getting by with less than the relying party asked for: stripping an essential acr, prompt tricks, old sessions. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { type Pair, signIn as signInThere, startPair } from '#test/flows/upstream.ts'
import { APP, alice, authorizationUrl, claimsOf, client, type Gatehouse } from '#test/flows/world.ts'
import type { Page } from '#test/world/browser.ts'
import { find } from '#test/world/html.ts'
import { answerOf, askTokens, browser, codeOf, signIn } from './house.ts'

const essential = (...values: string[]) => ({
  claims: JSON.stringify({ id_token: { acr: { essential: true, values } } }),
})

describe('step-up stripping', () => {
  let pair: Pair
  let op: Gatehouse
  before(async () => {
    pair = await startPair(
      {
        clients: [
          client({ trusted: true }),
          client({ client_id: 'limited', trusted: true, providers: [] }),
          client({ client_id: 'asks' }),
        ],
      },
      { acrs: ['urn:example:strong'] },
    )
    op = pair.op
  })
  const idToken = async (page: Page) =>
    claimsOf(String((await askTokens(op, { grant_type: 'authorization_code', code: codeOf(page) })).body.id_token))
  const error = (page: Page) => answerOf(page).get('error') ?? /<code id="error">(\w+)</.exec(page.body)?.[1]

  test('control: what was asked and done is what the ID token says', async () => {
    assert.equal((await idToken(await signIn(op, essential('basic')))).acr, 'basic')
    const someone = browser()
    const done = await signInThere(someone, await someone.open(authorizationUrl(op.issuer, essential('acme'))))
    const { acr, idp } = await idToken(done)
    assert.deepEqual([acr, idp], ['acme', 'acme'])
  })

  test('an essential acr that only the provider can give offers no password, by no address', async () => {
    const someone = browser()
    const there = await someone.open(authorizationUrl(op.issuer, essential('acme')))
    assert.equal(there.url.origin, pair.upstream.issuer)
    const own = there.trail.find(({ pathname }) => pathname.startsWith('/interaction/')) ?? assert.fail()
    for (const path of ['/basic', '/choose', '/identify', '/consent', '']) {
      const page = await someone.open(`${own.origin}${own.pathname}${path}`)
      if (page.url.origin === op.issuer) assert.equal(find(page.document, '[name=password]'), undefined, path)
    }
    const waiting = await someone.open(own)
    const token = find(waiting.document, '[name=csrf]')?.attributes.value ?? assert.fail(waiting.body)
    for (const [path, fields] of [
      ['/basic', { username: alice.username, password: alice.password }],
      ['/choose', { provider: 'basic' }],
    ] as const) {
      const url = new URL(`${own.pathname}${path}`, own)
      const answer = await fetch(url, {
        method: 'POST',
        redirect: 'manual',
        headers: {
          cookie: someone.cookies.header(url, { crossSite: false, method: 'POST' }) ?? '',
          accept: 'text/html',
        },
        body: new URLSearchParams({ csrf: token, ...fields }),
      })
      assert.doesNotMatch(answer.headers.get('location') ?? '', /\/authorize/, path)
    }
  })

  test('an essential acr beside acr_values, prompt=none or a session of less is not lost', async () => {
    const someone = browser()
    await signIn(op, {}, { by: someone })
    const silent = await someone.open(authorizationUrl(op.issuer, { prompt: 'none', ...essential('acme') }))
    assert.ok(!answerOf(silent).has('code'), silent.url.href)
    assert.match(String(error(silent)), /login_required|unmet_authentication_requirements|interaction_required/)
    const beside = await someone.open(authorizationUrl(op.issuer, { acr_values: 'basic', ...essential('acme') }))
    assert.equal(beside.url.origin, pair.upstream.issuer, beside.body.slice(0, 500))
  })

  test('an essential acr that nobody can give, or not to this client, is an honest error', async () => {
    for (const [id, value] of [
      ['web', 'urn:example:nothing'],
      ['limited', 'acme'],
    ] as const) {
      const page = await browser().open(authorizationUrl(op.issuer, { client_id: id, ...essential(value) }))
      assert.equal(page.url.origin, APP, page.body.slice(0, 300))
      assert.equal(error(page), 'unmet_authentication_requirements', value)
    }
  })

  test('a value of the provider’s that it did not confirm is not reported, and not enough where it is essential', async () => {
    const someone = browser()
    const voluntary = await signInThere(
      someone,
      await someone.open(authorizationUrl(op.issuer, { acr_values: 'urn:example:strong' })),
    )
    assert.notEqual((await idToken(voluntary)).acr, 'urn:example:strong')
    const other = browser()
    const page = await signInThere(
      other,
      await other.open(authorizationUrl(op.issuer, essential('urn:example:strong'))),
    )
    assert.ok(!answerOf(page).has('code'), page.url.href)
    assert.equal(error(page), 'unmet_authentication_requirements')
  })

  test('prompt=none never shows a page and never signs in; with other values it is refused', async () => {
    for (const more of [
      {},
      { acr_values: 'basic' },
      { login_hint: 'alice' },
      { max_age: '0' },
      { client_id: 'asks' },
    ] as Record<string, string>[]) {
      const page = await browser().open(authorizationUrl(op.issuer, { prompt: 'none', ...more }))
      assert.equal(page.url.origin, APP, JSON.stringify(more))
      assert.match(String(error(page)), /login_required|consent_required|interaction_required/)
    }
    for (const prompt of ['none login', 'none consent', 'login none', 'none none login'])
      assert.equal(error(await browser().open(authorizationUrl(op.issuer, { prompt }))), 'invalid_request', prompt)
  })

  test('prompt=none does not skip consent, nor the second sign-in that max_age demands', async () => {
    const someone = browser()
    await signIn(op, {}, { by: someone })
    const consent = await someone.open(authorizationUrl(op.issuer, { client_id: 'asks', prompt: 'none' }))
    assert.equal(error(consent), 'consent_required')
    const old = await someone.open(authorizationUrl(op.issuer, { prompt: 'none', max_age: '0' }))
    assert.equal(error(old), 'login_required')
    codeOf(await someone.open(authorizationUrl(op.issuer, { prompt: 'none' })))
  })

  test('a client that may use no provider cannot reach one by any of its doors', async () => {
    for (const more of [
      { acr_values: 'acme' },
      { acr_values: 'urn:example:strong' },
      { preselectedExternalProvider: Buffer.from('{"provider":"acme"}').toString('base64url') },
    ] as Record<string, string>[]) {
      const page = await browser().open(authorizationUrl(op.issuer, { client_id: 'limited', ...more }))
      assert.ok(
        page.trail.every(({ origin }) => origin !== pair.upstream.issuer),
        JSON.stringify(more),
      )
      assert.equal(find(page.document, '[data-provider=acme]'), undefined)
    }
  })
})
