/** Which person: an old sign-in at the provider, and requests for a particular one. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Browser, type Page } from '#test/world/browser.ts'
import { nora, type Pair, signIn, startPair } from './upstream.ts'
import { APP, alice, asAlice, authorizationUrl, claimsOf, client, redeem } from './world.ts'

const browser = () => new Browser({ stopAt: ({ origin }) => origin === APP })
const trusted = { clients: [client({ trusted: true })] }
const codeOf = (page: Page) => page.url.searchParams.get('code') ?? assert.fail(`no code at ${page.url}\n${page.body}`)

describe('which person it is', () => {
  test('a sign-in at the provider that is older than our sessions may be still makes a whole session here', async () => {
    const lifetimes = { session: 'PT1H', sessionIdle: 'PT1H' }
    const pair = await startPair(
      { ...trusted, lifetimes },
      {},
      {},
      { upstreamClock: { now: () => Date.now() - 7_200_000 } },
    )
    const someone = browser()
    const back = await signIn(someone, await someone.open(authorizationUrl(pair.op.issuer, { acr_values: 'acme' })))
    const { status, body } = await redeem(pair.op.issuer, codeOf(back))
    assert.equal(status, 200, JSON.stringify(body))
    const idToken = claimsOf(body.id_token ?? '')
    assert.ok(
      Number(idToken.auth_time) <= Date.now() / 1000 - 7_190,
      'the time of the authentication is told as it was',
    )
    // What is left of the session, as the store would have it: not the second that an old authentication leaves.
    const { headers } = await someone.open(
      authorizationUrl(pair.op.issuer, { prompt: 'none', response_mode: 'form_post' }),
    )
    const expires = [headers['set-cookie'] ?? []]
      .flat()
      .find((cookie) => cookie.startsWith('session'))
      ?.match(/expires=([^;]+)/i)?.[1]
    assert.ok(Date.parse(expires ?? '') > Date.now() + 3_000_000, String(headers['set-cookie']))
    codeOf(await someone.open(authorizationUrl(pair.op.issuer, { prompt: 'none' })))
  })

  const localSub = async ({ op }: Pair) => {
    const someone = browser()
    const login = await someone.open(authorizationUrl(op.issuer, { acr_values: 'basic' }))
    const { body } = await redeem(op.issuer, codeOf(await someone.submit(login, '#continue', asAlice)))
    return { hint: body.id_token ?? '', sub: String(claimsOf(body.id_token ?? '').sub) }
  }

  test('an id_token_hint of one person and the sign-in of another is login_required', async () => {
    const pair = await startPair(trusted)
    const { hint } = await localSub(pair)
    const someone = browser()
    const there = await someone.open(authorizationUrl(pair.op.issuer, { acr_values: 'acme', id_token_hint: hint }))
    const back = await signIn(someone, there)
    assert.equal(back.url.origin, APP, back.body)
    assert.equal(back.url.searchParams.get('error'), 'login_required')
    const same = browser()
    const login = await same.open(authorizationUrl(pair.op.issuer, { acr_values: 'basic', id_token_hint: hint }))
    codeOf(await same.submit(login, '#continue', asAlice))
  })

  test('a requested sub that another person answers ends the same way, and never in circles', async () => {
    const pair = await startPair(trusted)
    const { sub } = await localSub(pair)
    const someone = browser()
    await signIn(someone, await someone.open(authorizationUrl(pair.op.issuer, { acr_values: 'acme' })))
    const claims = JSON.stringify({ id_token: { sub: { value: sub } } })
    const back = await someone.open(authorizationUrl(pair.op.issuer, { acr_values: 'acme', claims }))
    assert.equal(back.url.origin, APP, back.body)
    assert.equal(back.url.searchParams.get('error'), 'login_required')
  })

  test('a second step as somebody else makes no account, and is said as it is', async () => {
    const pair = await startPair({ ...trusted, acrs: [{ name: 'strong', steps: [['basic'], ['acme']] }] })
    const someone = browser()
    const login = await someone.open(authorizationUrl(pair.op.issuer, { acr_values: 'strong' }))
    const there = await someone.submit(login, '#continue', asAlice)
    const refused = await signIn(someone, there)
    assert.match(refused.body, /role="alert"/)
    const house = await pair.op.house()
    assert.equal(await house.records.links.get('acme', nora.id), undefined)
    const own = await house.records.accounts.byUsername(alice.username)
    await house.records.links.link('acme', nora.id, own?.id ?? assert.fail('no alice'))
    await house.close()
    const again = browser()
    const first = await again.open(authorizationUrl(pair.op.issuer, { acr_values: 'strong' }))
    const done = await signIn(again, await again.submit(first, '#continue', asAlice))
    const { body } = await redeem(pair.op.issuer, codeOf(done))
    assert.equal(claimsOf(body.id_token ?? '').acr, 'strong')
  })
})
