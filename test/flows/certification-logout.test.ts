/** What the OpenID Foundation's logout plans try, one test a module of theirs, with clients that register themselves. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { generateKeyPair, SignJWT } from 'jose'
import { Browser, type Page } from '#test/world/browser.ts'
import { openReceiver, type Receiver } from '#test/world/receiver.ts'
import { settled } from '#test/world/settled.ts'
import {
  APP,
  asAlice,
  authorizationUrl,
  basicAuth,
  CALLBACK,
  claimsOf,
  type Gatehouse,
  startGatehouse,
} from './world.ts'

const BYE = `${APP}/post_logout_redirect`
/** As long as the plans make it. */
const STATE = 'x7'.repeat(64)

interface SignedIn {
  readonly browser: Browser
  readonly id: string
  readonly idToken: string
  /** Of the authorization response. */
  readonly sessionState: string
}

describe('what the logout plans try', () => {
  let op: Gatehouse
  let receiver: Receiver
  before(async () => {
    receiver = await openReceiver(() => op.issuer)
    op = await startGatehouse()
  })
  after(() => receiver.close())

  const register = async (more: Record<string, unknown>) => {
    const response = await fetch(`${op.issuer}/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        client_name: 'conformance',
        application_type: 'native',
        redirect_uris: [CALLBACK],
        post_logout_redirect_uris: [BYE],
        contacts: ['certification@rp.example'],
        ...more,
      }),
    })
    const body = (await response.json()) as Record<string, string>
    assert.equal(response.status, 201, JSON.stringify(body))
    return body
  }
  const signIn = async (more: Record<string, unknown> = {}): Promise<SignedIn> => {
    const { client_id: id = '', client_secret: secret = '' } = await register(more)
    const browser = new Browser({ stopAt: ({ origin }) => origin === APP })
    const login = await browser.open(authorizationUrl(op.issuer, { client_id: id }))
    const back = await browser.submit(await browser.submit(login, '#continue', asAlice), '#allow')
    const { searchParams } = back.url
    const code = searchParams.get('code') ?? assert.fail(back.url.href)
    const response = await fetch(`${op.issuer}/token`, {
      method: 'POST',
      headers: { authorization: basicAuth(id, secret) },
      body: new URLSearchParams({ grant_type: 'authorization_code', code, redirect_uri: CALLBACK }),
    })
    const { id_token: idToken } = (await response.json()) as { id_token?: string }
    assert.ok(idToken)
    return { browser, id, idToken, sessionState: searchParams.get('session_state') ?? '' }
  }
  /** Undefined leaves a parameter out. */
  const leave = ({ browser, idToken }: SignedIn, more: Record<string, string | undefined> = {}): Promise<Page> => {
    const asked = { id_token_hint: idToken, post_logout_redirect_uri: BYE, state: STATE, ...more }
    const given = Object.entries(asked).filter((pair): pair is [string, string] => pair[1] !== undefined)
    return browser.open(`${op.issuer}/session/end?${new URLSearchParams(given)}`)
  }
  const isOut = async ({ browser, id }: SignedIn) => {
    const { url } = await browser.open(authorizationUrl(op.issuer, { client_id: id, prompt: 'none' }))
    return url.searchParams.get('error') === 'login_required'
  }
  const isErrorPage = (page: Page) => {
    assert.equal(page.url.origin, op.issuer, 'nobody is sent to the application')
    assert.equal(page.status, 400)
    assert.match(page.body, /id="page-error"/)
  }

  test('rp-initiated-logout: asked, out, and back with state and nothing else', async () => {
    const one = await signIn()
    const bye = await one.browser.submit(await leave(one), '#logout-yes')
    assert.equal(bye.url.href, `${BYE}?state=${STATE}`)
    assert.equal(await isOut(one), true)
  })

  test('rp-initiated-logout-no-state: back without any', async () => {
    const one = await signIn()
    const bye = await one.browser.submit(await leave(one, { state: undefined }), '#logout-yes')
    assert.equal(bye.url.href, BYE)
    assert.equal(await isOut(one), true)
  })

  for (const [module, left] of [
    ['no-params', { id_token_hint: undefined, post_logout_redirect_uri: undefined, state: undefined }],
    ['no-post-logout-redirect-uri', { post_logout_redirect_uri: undefined }],
    ['only-state', { id_token_hint: undefined, post_logout_redirect_uri: undefined }],
  ] as const)
    test(`rp-initiated-logout-${module}: out, and a page of ours says so`, async () => {
      const one = await signIn()
      const page = await one.browser.submit(await leave(one, left), '#logout-yes')
      assert.equal(page.url.origin, op.issuer)
      assert.match(page.body, /id="page-logged-out"/)
      assert.equal(await isOut(one), true)
    })

  const forged = async ({ idToken, id }: SignedIn): Promise<string> => {
    const { privateKey } = await generateKeyPair('RS256')
    const { sub } = claimsOf(idToken)
    return new SignJWT({ iss: op.issuer, sub: String(sub), aud: id })
      .setProtectedHeader({ alg: 'RS256' })
      .setIssuedAt()
      .setExpirationTime('1h')
      .sign(privateKey)
  }
  const unsigned = ({ idToken }: SignedIn): Promise<string> => {
    const [, payload = ''] = idToken.split('.')
    return Promise.resolve(`${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`)
  }
  const refused: readonly (readonly [string, (one: SignedIn) => Promise<Record<string, string | undefined>>])[] = [
    ['bad-post-logout-redirect-uri', async () => ({ post_logout_redirect_uri: `${APP}/elsewhere` })],
    ['query-added-to-post-logout-redirect-uri', async () => ({ post_logout_redirect_uri: `${BYE}?foo=bar` })],
    ['modified-id-token-hint', async (one) => ({ id_token_hint: await unsigned(one) })],
    ['bad-id-token-hint', async (one) => ({ id_token_hint: await forged(one) })],
  ]
  for (const [module, wrong] of refused)
    test(`rp-initiated-logout-${module}: an error page`, async () => {
      const one = await signIn()
      isErrorPage(await leave(one, await wrong(one)))
      assert.equal(await isOut(one), false, 'whoever sends such a thing signs nobody out')
    })

  test('rp-initiated-logout-no-id-token-hint: never back to an address that nobody vouches for', async () => {
    const one = await signIn()
    const asked = await leave(one, { id_token_hint: undefined })
    const page = asked.status === 400 ? asked : await one.browser.submit(asked, '#logout-yes')
    assert.equal(page.url.origin, op.issuer)
  })

  test('session-management-rp-initiated-logout: the state of the answer is not that of the next one', async () => {
    const one = await signIn()
    assert.match(one.sessionState, /^[\w-]+\.[\w-]+$/)
    await one.browser.submit(await leave(one), '#logout-yes')
    const { url } = await one.browser.open(authorizationUrl(op.issuer, { client_id: one.id, prompt: 'none' }))
    assert.equal(url.searchParams.get('error'), 'login_required')
    assert.notEqual(url.searchParams.get('session_state'), one.sessionState)
  })

  test('frontchannel-rp-initiated-logout: one frame with iss and sid, then back', async () => {
    const frontchannel_logout_uri = `${APP}/frontchannel_logout`
    const one = await signIn({ frontchannel_logout_uri, frontchannel_logout_session_required: true })
    const { sid } = claimsOf(one.idToken)
    const page = await one.browser.submit(await leave(one), '#logout-yes')
    const frames = page.document.tags.filter(({ name }) => name === 'iframe').map(({ attributes }) => attributes.src)
    const query = new URLSearchParams({ iss: op.issuer, sid: String(sid) })
    assert.deepEqual(frames, [`${frontchannel_logout_uri}?${query}`])
    const next = page.document.tags.find(({ attributes }) => attributes.id === 'continue')
    assert.equal(next?.attributes.href, `${BYE}?state=${STATE}`)
    assert.equal(await isOut(one), true)
  })

  test('backchannel-rp-initiated-logout: one token with sub and sid, and back', async () => {
    const one = await signIn({
      backchannel_logout_uri: receiver.backchannel('registered'),
      backchannel_logout_session_required: true,
    })
    const bye = await one.browser.submit(await leave(one), '#logout-yes')
    assert.equal(bye.url.href, `${BYE}?state=${STATE}`)
    await settled('a token came', () => receiver.asked.length > 0)
    const [given, known] = [claimsOf(receiver.asked[0]?.token ?? ''), claimsOf(one.idToken)]
    assert.deepEqual([given.iss, given.aud, given.sub, given.sid], [op.issuer, one.id, known.sub, known.sid])
    assert.deepEqual(Object.keys(given.events as object), ['http://schemas.openid.net/event/backchannel-logout'])
    assert.equal('nonce' in given, false)
    assert.equal(await isOut(one), true)
  })

  test('…-discovery-endpoint-verification: everything that the plans ask for is named', async () => {
    const response = await fetch(`${op.issuer}/.well-known/openid-configuration`)
    const document = (await response.json()) as Record<string, unknown>
    for (const name of ['frontchannel_logout', 'backchannel_logout'])
      assert.deepEqual([document[`${name}_supported`], document[`${name}_session_supported`]], [true, true], name)
    for (const name of ['end_session_endpoint', 'check_session_iframe'])
      assert.ok(String(document[name]).startsWith(`${op.issuer}/`), name)
  })
})
