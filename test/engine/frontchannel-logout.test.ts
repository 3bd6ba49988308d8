/** Front-Channel Logout 1.0: one frame per client with exactly its address, between the confirmation and the way on (ENGINE 2). */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parse } from '#test/world/html.ts'
import { type Answer, authorizeUrl, claimsOf, redeem, Visitor } from './browser.ts'
import { client, redirectUri, signIn, suiteHouse } from './house.ts'

const bye = 'https://rp.example/bye'
const told = (id: string, uri: string, over: Record<string, unknown> = {}) =>
  client(id, {
    frontchannel_logout_uri: uri,
    frontchannel_logout_session_required: true,
    post_logout_redirect_uris: [bye],
    ...over,
  })

const clients = [
  told('one', 'https://rp.example/logout?keep=a%20b&x=1'),
  told('two', 'https://two.example/logout', { redirect_uris: ['https://two.example/cb', redirectUri] }),
  told('plain', 'https://rp.example/plain', { frontchannel_logout_session_required: false }),
  client('deaf', { post_logout_redirect_uris: [bye] }),
  told('strange', 'https://elsewhere.example/logout'),
]

const tagsOf = (body: string, name: string) => parse(body).tags.filter((tag) => tag.name === name)
const framesOf = ({ body }: Answer) => tagsOf(body, 'iframe').map(({ attributes }) => attributes.src ?? '')
const nextOf = ({ body }: Answer) =>
  tagsOf(body, 'a').find(({ attributes }) => attributes.id === 'continue')?.attributes.href

const confirm = async (visitor: Visitor, query: Record<string, string>, more: Record<string, string>) => {
  const page = await visitor.ask(`/session/end?${new URLSearchParams(query)}`)
  const fields = tagsOf(page.body, 'input').map(({ attributes }) => [attributes.name ?? '', attributes.value ?? ''])
  const { xsrf = '' } = Object.fromEntries(fields) as Record<string, string>
  return visitor.ask('/session/end/confirm', { method: 'POST', body: new URLSearchParams({ xsrf, ...more }) })
}

describe('front-channel logout', () => {
  const open = suiteHouse(() => ({ resources: { clients } }))

  const at = async (...names: string[]) => {
    const visitor = new Visitor(open())
    const tokens = new Map<string, Record<string, unknown>>()
    for (const name of names)
      tokens.set(name, claimsOf((await redeem(open(), name, await visitor.code(name))).id_token))
    return { visitor, tokens }
  }

  test('one frame per client: its own query kept, iss and sid added together or not at all, nothing else', async () => {
    const { visitor, tokens } = await at('one', 'two', 'plain', 'deaf')
    const answer = await confirm(
      visitor,
      { client_id: 'one', post_logout_redirect_uri: bye, state: 'back' },
      { logout: 'yes' },
    )
    assert.equal(answer.status, 200)
    const iss = encodeURIComponent(open().issuer)
    assert.deepEqual(framesOf(answer).sort(), [
      `https://rp.example/logout?keep=a%20b&x=1&iss=${iss}&sid=${tokens.get('one')?.sid}`,
      'https://rp.example/plain',
      `https://two.example/logout?iss=${iss}&sid=${tokens.get('two')?.sid}`,
    ])
    assert.equal(tokens.get('plain')?.sid, undefined, 'no sid in the ID token of a client that did not ask for it')
    assert.equal(nextOf(answer), `${bye}?state=back`)
  })

  test('the page may frame these applications and nobody else, and nobody may frame it', async () => {
    const { visitor } = await at('one', 'two')
    const answer = await confirm(visitor, {}, { logout: 'yes' })
    const policy = answer.headers.get('content-security-policy') ?? ''
    const directive = (name: string) => policy.split(';').find((each) => each.startsWith(`${name} `))
    assert.equal(directive('frame-src'), 'frame-src https://rp.example https://two.example')
    assert.equal(directive('frame-ancestors'), "frame-ancestors 'none'")
    assert.equal(directive('default-src'), "default-src 'none'")
    for (const { attributes } of tagsOf(answer.body, 'iframe')) {
      assert.equal(attributes.referrerpolicy, 'no-referrer')
      assert.doesNotMatch(attributes.sandbox ?? 'allow-top-navigation', /top-navigation|popups/)
    }
    assert.equal(nextOf(answer), `${open().issuer}/session/end/success`)
  })

  test('without JavaScript the browser goes on by itself after three seconds, and there is a link', async () => {
    const { visitor } = await at('one')
    const answer = await confirm(visitor, { client_id: 'one', post_logout_redirect_uri: bye }, { logout: 'yes' })
    assert.match(
      answer.body,
      /<noscript><meta http-equiv="refresh" content="3;url=https:\/\/rp\.example\/bye"><\/noscript>/,
    )
    assert.equal(nextOf(answer), bye)
  })

  test('out of one application only: one frame', async () => {
    const { visitor } = await at('one', 'two')
    const answer = await confirm(visitor, { client_id: 'two' }, {})
    assert.deepEqual(
      framesOf(answer).map((frame) => new URL(frame).origin),
      ['https://two.example'],
    )
    assert.equal((await visitor.authorize('one', { prompt: 'none' })).url.searchParams.has('code'), true)
  })

  test('with nobody to tell the browser goes on at once; a refused confirmation tells nobody', async () => {
    const { visitor } = await at('deaf')
    const gone = await confirm(visitor, {}, { logout: 'yes' })
    assert.deepEqual([gone.status, gone.headers.get('location')], [303, `${open().issuer}/session/end/success`])
    const other = await at('one')
    const refused = await confirm(other.visitor, {}, { logout: 'yes', xsrf: 'wrong' })
    assert.equal(refused.status, 400)
    assert.deepEqual(framesOf(refused), [])
    assert.equal((await other.visitor.authorize('one', { prompt: 'none' })).url.searchParams.has('code'), true)
  })

  test('another person at the same browser: the applications of the first are told on the way', async () => {
    const house = open()
    const { visitor } = await at('one')
    house.person = { login: () => signIn('bob') }
    const handed = await visitor.go(authorizeUrl(house, 'two', { prompt: 'login' }))
    house.person = {}
    const fields = tagsOf(handed.body, 'input').map(({ attributes }) => [attributes.name ?? '', attributes.value ?? ''])
    const answer = await visitor.ask('/session/end/confirm', {
      method: 'POST',
      body: new URLSearchParams(Object.fromEntries(fields) as Record<string, string>),
    })
    assert.ok(framesOf(answer).some((frame) => new URL(frame).origin === 'https://rp.example'))
    const code = (await visitor.go(nextOf(answer) ?? '')).url.searchParams.get('code') ?? assert.fail('no code')
    assert.equal(claimsOf((await redeem(house, 'two', code)).id_token).sub, 'bob')
  })

  test('an address that is not at a redirect URI’s origin makes the client unusable (Front-Channel Logout 2)', async () => {
    const answer = await new Visitor(open()).authorize('strange')
    assert.equal(answer.status, 400)
  })

  test('registration reads logout_uri as frontchannel_logout_uri', async () => {
    const register = async (members: Record<string, unknown>) => {
      const answer = await fetch(`${open().issuer}/register`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ redirect_uris: [redirectUri], ...members }),
      })
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
    }
    const { status, body } = await register({ logout_uri: 'https://rp.example/out' })
    assert.deepEqual(
      [status, body.frontchannel_logout_uri, body.logout_uri],
      [201, 'https://rp.example/out', undefined],
    )
    for (const wrong of [
      'https://other.example/out',
      'https://rp.example:444/out',
      'http://rp.example/out',
      'https://rp.example/out#x',
      7,
    ])
      assert.equal(
        (await register({ frontchannel_logout_uri: wrong })).body.error,
        'invalid_client_metadata',
        String(wrong),
      )
    assert.equal((await register({ frontchannel_logout_session_required: 'yes' })).status, 400)
  })
})

describe('features.frontchannelLogout: false', () => {
  const open = suiteHouse(() => ({
    settings: { features: { frontchannelLogout: false } },
    resources: { clients },
  }))

  test('shows no frames and announces nothing', async () => {
    const visitor = new Visitor(open())
    await visitor.code('one')
    assert.equal((await confirm(visitor, {}, { logout: 'yes' })).status, 303)
    const discovery = await (await fetch(`${open().issuer}/.well-known/openid-configuration`)).json()
    assert.equal((discovery as Record<string, unknown>).frontchannel_logout_supported, undefined)
  })
})
