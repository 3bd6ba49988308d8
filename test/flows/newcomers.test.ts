/** Accounts from outside (CONTRACT 7), as people and operators see them. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Browser, type Page } from '#test/world/browser.ts'
import { settled } from '#test/world/settled.ts'
import { nora, type Pair, signIn, startPair } from './upstream.ts'
import { APP, alice, asAlice, authorizationUrl, claimsOf, client, redeem } from './world.ts'

const browser = () => new Browser({ stopAt: ({ origin }) => origin === APP })
const trusted = { clients: [client({ trusted: true })] }
const bare = { username: 'bare', password: 'nothing-else-3' }

const arrive = async ({ op }: Pair, someone: Browser, who: { username: string; password: string } = nora) => {
  const there = await someone.open(authorizationUrl(op.issuer, { acr_values: 'acme', scope: 'openid profile email' }))
  return signIn(someone, there, { username: who.username, password: who.password })
}
const tokensOf = async ({ op }: Pair, page: Page) => {
  assert.equal(page.url.origin, APP, page.body)
  return (await redeem(op.issuer, page.url.searchParams.get('code') ?? '')).body
}
const userinfo = async ({ op }: Pair, token: string | undefined): Promise<Record<string, unknown>> => {
  const response = await fetch(`${op.issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } })
  return (await response.json()) as Record<string, unknown>
}
const profileOf = async (pair: Pair, page: Page): Promise<Record<string, unknown>> => {
  const tokens = await tokensOf(pair, page)
  return { ...claimsOf(tokens.id_token ?? ''), ...(await userinfo(pair, tokens.access_token)) }
}

describe('accounts from outside', () => {
  test('requestForEmail: asked once, a wrong address is said, a free one is kept unverified', async () => {
    const pair = await startPair(trusted, { requestForEmail: true })
    const someone = browser()
    const page = await arrive(pair, someone, bare)
    assert.match(page.body, /id="page-email"/)
    const wrong = await someone.submit(page, '#continue', { email: 'not an address' })
    assert.equal(wrong.status, 400)
    assert.match(wrong.body, /id="page-email"/)
    const profile = await profileOf(pair, await someone.submit(wrong, '#continue', { email: 'bare@example.org' }))
    assert.deepEqual([profile.email, profile.email_verified], ['bare@example.org', false])
    const again = await profileOf(pair, await arrive(pair, browser(), bare))
    assert.equal(again.sub, profile.sub)
  })

  test('requestForEmail: an address that an account has fails the login and creates nobody', async () => {
    const pair = await startPair(trusted, { requestForEmail: true })
    const someone = browser()
    const taken = await someone.submit(await arrive(pair, someone, bare), '#continue', { email: 'Alice@Example.org' })
    assert.match(taken.body, /role="alert"/)
    assert.equal(taken.body.includes('page-email'), false)
    const back = await someone.submit(taken, '#cancel')
    assert.equal(back.url.searchParams.get('error'), 'access_denied')
    const house = await pair.op.house()
    assert.equal(await house.records.links.get('acme', 'nw-1002'), undefined)
    await house.close()
  })

  test('linkByEmail: a trusted provider’s verified address joins the one account that verified it too', async () => {
    const pair = await startPair(
      { ...trusted, accounts: [{ ...alice, email: nora.email, email_verified: true }] },
      { trusted: true, linkByEmail: true },
    )
    const someone = browser()
    const local = await someone.open(authorizationUrl(pair.op.issuer, { acr_values: 'basic' }))
    const own = await profileOf(pair, await someone.submit(local, '#continue', asAlice))
    const outside = await profileOf(pair, await arrive(pair, browser()))
    assert.equal(outside.sub, own.sub)
  })

  test('linkByEmail: an address that the account never verified joins nobody', async () => {
    const pair = await startPair(
      { ...trusted, accounts: [{ ...alice, id: 'a1', email: nora.email, email_verified: false }] },
      { trusted: true, linkByEmail: true },
    )
    const outside = await profileOf(pair, await arrive(pair, browser()))
    assert.notEqual(outside.sub, 'a1')
    assert.equal(outside.email, nora.email)
  })

  test('provisioning none: a stranger is refused and told so, an account that was linked gets in', async () => {
    const pair = await startPair({ ...trusted, accounts: [{ ...alice, id: 'a1' }] }, { provisioning: 'none' })
    const someone = browser()
    const refused = await arrive(pair, someone)
    assert.match(refused.body, /role="alert"/)
    assert.equal((await someone.submit(refused, '#cancel')).url.searchParams.get('error'), 'access_denied')
    const house = await pair.op.house()
    await house.records.links.link('acme', nora.id, 'a1')
    await house.close()
    const known = await profileOf(pair, await arrive(pair, browser()))
    assert.equal(known.sub, 'a1')
  })

  test('a disabled account is refused, whoever vouches for it', async () => {
    const pair = await startPair({ ...trusted, accounts: [{ ...alice, id: 'a1', disabled: true }] })
    const house = await pair.op.house()
    await house.records.links.link('acme', nora.id, 'a1')
    await house.close()
    const refused = await arrive(pair, browser())
    assert.match(refused.body, /role="alert"/)
  })

  test('a taken username gets a suffix; what the provider sends later updates the claims', async () => {
    const pair = await startPair({ ...trusted, accounts: [{ username: 'nora', password: 'somebody-else-1' }] })
    const tokens = await tokensOf(pair, await arrive(pair, browser()))
    const sub = String(claimsOf(tokens.id_token ?? '').sub)
    const house = await pair.op.house()
    assert.match((await house.records.accounts.get(sub))?.username ?? '', /^nora.+/)
    await house.records.accounts.update(sub, (now) => ({ ...now, claims: { ...now.claims, name: 'Old Name' } }))
    await house.close()
    const shows = async () => (await userinfo(pair, tokens.access_token)).name === 'Old Name'
    await settled('another process’s change is in force here', shows)
    const second = await profileOf(pair, await arrive(pair, browser()))
    assert.equal(second.name, nora.claims.name)
  })

  test('twelve first sign-ins at once of one person end in one account', async () => {
    const pair = await startPair(trusted)
    const profiles = await Promise.all(
      Array.from({ length: 12 }, async () => profileOf(pair, await arrive(pair, browser()))),
    )
    assert.equal(new Set(profiles.map(({ sub }) => sub)).size, 1)
  })
})
