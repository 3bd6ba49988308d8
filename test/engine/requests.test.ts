/** Every way of asking for authorization that certification tries, and what comes back (OIDC Core 3, RFC 7636, RFC 9207). */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { authorizeUrl, claimsOf, pkce, post, redeem, userinfo, Visitor } from './browser.ts'
import { certifiedClients, redirectUri, responseTypes, suiteHouse } from './house.ts'

const open = suiteHouse(certifiedClients)

const answerIn = (url: URL): URLSearchParams => new URLSearchParams(url.hash.slice(1))

describe('authorization requests', () => {
  test('POST is turned into GET, so that the Lax session cookie is there', async () => {
    const visitor = new Visitor(open())
    await visitor.code('web')
    const url = authorizeUrl(open(), 'web', { prompt: 'none', state: 'a b+c&d' })
    const bounced = await visitor.ask('/authorize', { method: 'POST', body: url.searchParams })
    assert.equal(bounced.status, 303)
    const end = await visitor.go(bounced.headers.get('location') ?? '')
    assert.ok(end.url.searchParams.has('code'))
    assert.equal(end.url.searchParams.get('state'), 'a b+c&d')
    const large = await visitor.ask('/authorize', {
      method: 'POST',
      body: new URLSearchParams({ x: 'y'.repeat(60_000) }),
    })
    assert.equal(large.status, 413)
  })

  test('PKCE: required of public clients, plain refused, the verifier checked', async () => {
    const visitor = new Visitor(open())
    const error = async (over: Record<string, string>) =>
      (await visitor.authorize('spa', over)).url.searchParams.get('error_description') ?? ''
    assert.match(await error({}), /PKCE/)
    const { verifier, challenge } = pkce()
    assert.match(await error({ code_challenge: challenge, code_challenge_method: 'plain' }), /code_challenge_method/)
    assert.match(await error({ code_challenge: challenge }), /code_challenge_method/)
    const over = { code_challenge: challenge, code_challenge_method: 'S256' }
    const ask = (code: string, code_verifier: string) =>
      post(open(), '/token', {
        grant_type: 'authorization_code',
        client_id: 'spa',
        code,
        redirect_uri: redirectUri,
        code_verifier,
      })
    const code = await visitor.code('spa', over)
    assert.equal((await ask(code, pkce().verifier)).error, 'invalid_grant')
    assert.equal((await ask(code, verifier)).status, 200, 'a wrong verifier does not burn the code')
    assert.equal(
      (await visitor.authorize('web', { nonce: 'n' })).url.searchParams.has('code'),
      true,
      'optional elsewhere',
    )
  })

  test('unknown parameters, display and locales are ignored; what is doubled is refused', async () => {
    const visitor = new Visitor(open())
    await visitor.code('web', { frobnicate: 'x', display: 'touch', ui_locales: 'tlh de', claims_locales: 'zz' })
    const url = authorizeUrl(open(), 'web')
    url.searchParams.append('state', 'a')
    url.searchParams.append('state', 'b')
    assert.match((await visitor.go(url)).url.href, /invalid_request|error/)
  })

  for (const type of responseTypes)
    test(`response_type ${type} answers what it says`, async () => {
      const answer = await new Visitor(open()).authorize('web', { response_type: type, nonce: 'n', state: 's' })
      const front = type !== 'code' && type !== 'none'
      const given = front ? answerIn(answer.url) : answer.url.searchParams
      assert.equal(given.get('state'), 's')
      assert.equal(given.has('code'), type.split(' ').includes('code'))
      assert.equal(given.has('access_token'), type.split(' ').includes('token'))
      assert.equal(given.has('id_token'), type.split(' ').includes('id_token'))
      if (given.has('id_token')) assert.equal(claimsOf(given.get('id_token') ?? '').nonce, 'n')
      else assert.equal(given.get('iss'), open().issuer, 'RFC 9207')
    })

  test('response_type token alone is refused', async () => {
    const answer = await new Visitor(open()).authorize('web', { response_type: 'token', nonce: 'n' })
    assert.match(answer.url.href, /unsupported_response_type/)
  })

  test('form_post hands the answer over in a form that submits itself', async () => {
    const answer = await new Visitor(open()).authorize('web', { response_mode: 'form_post', state: '"><script>' })
    assert.equal(answer.status, 200)
    assert.match(answer.body, /name="code" value="[^"]+"/)
    assert.ok(!answer.body.includes('"><script>'))
    assert.match(answer.body, /<button [^>]*id="continue"/)
    assert.doesNotMatch(answer.body, /<script(?! type="module" src="\/assets\/)/)
    assert.match(answer.headers.get('content-security-policy') ?? '', /script-src 'self';(?!.*form-action)/)
  })

  test('form_post.jwt hands over one signed field, an error by its status too', async () => {
    const visitor = new Visitor(open())
    const signed = async (more: Record<string, string>) => {
      const { status, body } = await visitor.authorize('web', { response_mode: 'form_post.jwt', state: 's', ...more })
      const [, response] = /name="response" value="([^"]+)"/.exec(body) ?? []
      assert.equal(body.match(/type="hidden"/g)?.length, 1)
      return { status, claims: claimsOf(response) }
    }
    const good = await signed({})
    assert.deepEqual([good.status, good.claims.state, good.claims.aud], [200, 's', 'web'])
    assert.equal((await redeem(open(), 'web', String(good.claims.code))).status, 200)
    const bad = await signed({ prompt: 'none', max_age: '0' })
    assert.deepEqual([bad.status, bad.claims.error], [400, 'login_required'])
  })

  test('an ID token alone carries the claims of its scopes; beside a code they are at userinfo', async () => {
    const visitor = new Visitor(open())
    const scope = 'openid profile email address phone'
    const alone = await visitor.authorize('web', { response_type: 'id_token', nonce: 'n', scope })
    const claims = claimsOf(answerIn(alone.url).get('id_token') ?? '')
    assert.deepEqual(
      [claims.name, claims.email, claims.phone_number],
      ['Alice Example', 'alice@example.org', '+49 30 1'],
    )
    assert.deepEqual(claims.address, { locality: 'Berlin', country: 'DE' })
    assert.equal(claims.preferred_username, 'alice')
    const tokens = await redeem(open(), 'web', await visitor.code('web', { scope }))
    assert.equal(claimsOf(tokens.id_token).email, undefined)
    const told = (await userinfo(open(), tokens.access_token ?? '')).claims
    assert.deepEqual([told.email, told.email_verified, told.address], ['alice@example.org', true, claims.address])
    assert.deepEqual([told.acr, told.idp, told.sub], [undefined, undefined, 'alice'])
  })

  test('the claims parameter asks for single claims, in the ID token and at userinfo', async () => {
    const claims = JSON.stringify({ id_token: { email: { essential: true } }, userinfo: { given_name: null } })
    const tokens = await redeem(open(), 'web', await new Visitor(open()).code('web', { claims }))
    assert.equal(claimsOf(tokens.id_token).email, 'alice@example.org')
    const told = await userinfo(open(), tokens.access_token ?? '')
    assert.deepEqual([told.claims.given_name, told.claims.email], ['Alice', undefined])
  })

  test('a request that leads nowhere ends on a page that names the error and the reference', async () => {
    const answer = await new Visitor(open()).authorize('nobody')
    assert.equal(answer.status, 400)
    assert.match(answer.body, /<code id="error">invalid_client<\/code>/)
    assert.match(answer.body, /<code id="reference">[A-Z2-9]{10}<\/code>/)
  })
})
