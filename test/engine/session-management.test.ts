/** Session Management 1.0: session_state in every kind of response, and the cookie that it goes with (ENGINE 1). */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import { decodeJwt } from 'jose'
import { stateCookie } from '#op/session-management.ts'
import { parse } from '#test/world/html.ts'
import { type Answer, Visitor } from './browser.ts'
import { client, type House, redirectUri, signIn, suiteHouse } from './house.ts'

const origin = new URL(redirectUri).origin

/** What the browser knows, as the check page reads it. */
const browserState = (visitor: Visitor): string | undefined => {
  const { name } = stateCookie(visitor.house.issuer)
  const cookies = visitor.jar.header(new URL(visitor.house.issuer), { crossSite: false, method: 'GET' }) ?? ''
  const value = cookies.split('; ').find((pair) => pair.startsWith(`${name}=`))
  return value?.slice(name.length + 1).split('.')[0]
}

/** Session Management 3.2: what the check page computes. */
const expected = (clientId: string, state: string | undefined, sessionState: string): string => {
  const salt = sessionState.split('.')[1] ?? ''
  return `${createHash('sha256').update(`${clientId} ${origin} ${state} ${salt}`).digest('base64url')}.${salt}`
}

const params = (answer: Answer): URLSearchParams => new URLSearchParams(answer.url.search || answer.url.hash.slice(1))
const fieldsOf = (body: string): Record<string, string> =>
  Object.fromEntries(
    parse(body)
      .tags.filter(({ name }) => name === 'input')
      .map(({ attributes }) => [attributes.name ?? '', attributes.value ?? '']),
  )

const logout = async (visitor: Visitor) => {
  const page = await visitor.ask('/session/end')
  const { xsrf = '' } = fieldsOf(page.body)
  return visitor.ask('/session/end/confirm', { method: 'POST', body: new URLSearchParams({ xsrf, logout: 'yes' }) })
}

const web = client('web', {
  response_types: ['code', 'id_token', 'code id_token', 'none'],
  grant_types: ['authorization_code', 'implicit'],
  redirect_uris: [redirectUri],
})

describe('session_state', () => {
  const open = suiteHouse(() => ({
    resources: {
      clients: [
        web,
        client('other'),
        client('app', { application_type: 'native', redirect_uris: ['com.example.app:/cb'] }),
      ],
    },
  }))

  const cases: { name: string; over: Record<string, string>; read: (answer: Answer) => string | undefined }[] = [
    { name: 'query', over: {}, read: (answer) => params(answer).get('session_state') ?? undefined },
    {
      name: 'fragment',
      over: { response_type: 'code id_token', nonce: 'n' },
      read: (answer) => new URLSearchParams(answer.url.hash.slice(1)).get('session_state') ?? undefined,
    },
    { name: 'form_post', over: { response_mode: 'form_post' }, read: ({ body }) => fieldsOf(body).session_state },
    {
      name: 'jwt',
      over: { response_mode: 'query.jwt' },
      read: (answer) => {
        assert.deepEqual([...params(answer).keys()], ['response'], 'nothing stands outside the signed response')
        return decodeJwt(params(answer).get('response') ?? '').session_state as string
      },
    },
    {
      name: 'fragment.jwt',
      over: { response_mode: 'fragment.jwt' },
      read: (answer) => {
        const response = new URLSearchParams(answer.url.hash.slice(1)).get('response') ?? ''
        return decodeJwt(response).session_state as string
      },
    },
    {
      name: 'form_post.jwt',
      over: { response_mode: 'form_post.jwt' },
      read: ({ body }) => decodeJwt(fieldsOf(body).response ?? '').session_state as string,
    },
    {
      name: 'response_type none',
      over: { response_type: 'none' },
      read: (answer) => params(answer).get('session_state') ?? undefined,
    },
  ]
  for (const { name, over, read } of cases)
    test(`is in a successful response and in a failed one: ${name}`, async () => {
      const visitor = new Visitor(open())
      const failed = read(await visitor.authorize('web', { ...over, prompt: 'none' }))
      assert.ok(failed, 'with prompt=none and nobody signed in')
      assert.equal(browserState(visitor), '-')
      assert.equal(failed, expected('web', '-', failed))
      const succeeded = read(await visitor.authorize('web', over))
      assert.ok(succeeded)
      assert.notEqual(browserState(visitor), '-')
      assert.equal(succeeded, expected('web', browserState(visitor), succeeded))
    })

  test('is left out without openid, and for an application that has no page', async () => {
    const visitor = new Visitor(open())
    assert.equal(params(await visitor.authorize('web', { scope: 'profile' })).get('session_state'), null)
    const native = await visitor.authorize('app', {
      redirect_uri: 'com.example.app:/cb',
      code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
      code_challenge_method: 'S256',
    })
    assert.equal(params(native).get('session_state'), null)
    assert.ok(params(native).get('code'))
  })

  test('the browser state stays over a further sign-on, and changes at sign-in, at another person and at logout', async () => {
    const house = open()
    const visitor = new Visitor(house)
    await visitor.authorize('web')
    const first = browserState(visitor)
    await visitor.authorize('other')
    assert.equal(browserState(visitor), first, 'single sign-on')
    house.person = { login: () => ({ login: { ...signIn('alice').login, ts: 1_700_000_000 } }) }
    await visitor.authorize('web', { prompt: 'login' })
    const again = browserState(visitor)
    assert.notEqual(again, first)
    house.person = {}
    await logout(visitor)
    assert.equal(browserState(visitor), '-')
    await visitor.authorize('web')
    assert.equal(new Set([first, again, '-', browserState(visitor)]).size, 4)
  })

  test('a request that changes nothing sets no cookie again', async () => {
    const visitor = new Visitor(open())
    await visitor.authorize('web')
    const url = new URL('/authorize', open().issuer)
    url.search = String(
      new URLSearchParams({ client_id: 'web', response_type: 'code', scope: 'openid', redirect_uri: redirectUri }),
    )
    const { headers } = await visitor.ask(url)
    assert.equal(
      headers.getSetCookie().some((line) => line.startsWith('op_bs')),
      false,
    )
  })

  test('discovery names the check page, which any site may frame and which may contact nobody', async () => {
    const house = open()
    const discovery = (await (await fetch(`${house.issuer}/.well-known/openid-configuration`)).json()) as Record<
      string,
      string
    >
    assert.equal(discovery.check_session_iframe, `${house.issuer}/session/check`)
    const page = await fetch(discovery.check_session_iframe ?? '')
    const policy = page.headers.get('content-security-policy') ?? ''
    assert.match(policy, /default-src 'none'/)
    assert.match(policy, /frame-ancestors \*/)
    assert.doesNotMatch(policy, /connect-src|img-src|form-action '?[^n' ]/)
    assert.equal(page.headers.get('x-frame-options'), null)
    const ours = await new Visitor(house).authorize('web', { prompt: 'none', redirect_uri: 'https://evil.example/' })
    assert.match(ours.headers.get('content-security-policy') ?? '', /frame-ancestors 'none'/)
  })
})

describe('features.sessionManagement: false', () => {
  const open = suiteHouse(() => ({
    settings: { features: { sessionManagement: false } },
    resources: { clients: [client('web')] },
  }))

  test('leaves out all of it', async () => {
    const house: House = open()
    const visitor = new Visitor(house)
    assert.equal(params(await visitor.authorize('web')).get('session_state'), null)
    assert.equal(browserState(visitor), undefined)
    const discovery = await (await fetch(`${house.issuer}/.well-known/openid-configuration`)).json()
    assert.equal((discovery as Record<string, unknown>).check_session_iframe, undefined)
    assert.equal((await fetch(`${house.issuer}/session/check`)).status, 404)
  })
})
