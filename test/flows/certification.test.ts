/** What the OpenID Foundation's provider plans would try of the basic profile, one test an instance of theirs. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { Browser, type Page } from '#test/world/browser.ts'
import {
  APP,
  alice,
  asAlice,
  authorizationUrl,
  basicAuth,
  CALLBACK,
  claimsOf,
  client,
  type Gatehouse,
  redeem,
  SECRET,
  startGatehouse,
} from './world.ts'

const person = {
  ...alice,
  claims: {
    name: 'Alice Liddell',
    given_name: 'Alice',
    family_name: 'Liddell',
    middle_name: 'Pleasance',
    nickname: 'Al',
    preferred_username: 'alice.l',
    profile: 'https://alice.example/profile',
    picture: 'https://alice.example/me.png',
    website: 'https://alice.example',
    gender: 'female',
    birthdate: '1852-05-04',
    zoneinfo: 'Europe/London',
    locale: 'en-GB',
    phone_number: '+44 1865 000000',
    phone_number_verified: true,
    address: { formatted: 'Christ Church, Oxford', country: 'United Kingdom' },
  },
}
const PROFILE = [
  'name',
  'given_name',
  'family_name',
  'middle_name',
  'nickname',
  'preferred_username',
  'profile',
  'picture',
  'website',
  'gender',
  'birthdate',
  'zoneinfo',
  'locale',
  'updated_at',
]

describe('what certification tries', () => {
  let op: Gatehouse
  let ahead = 0
  const fresh = () => new Browser({ stopAt: ({ origin }) => origin === APP })
  before(async () => {
    op = await startGatehouse(
      {
        accounts: [person],
        clients: [
          client({ trusted: true, redirect_uris: [CALLBACK, `${CALLBACK}?kept=1`] }),
          client({ client_id: 'signed', trusted: true, userinfo_signed_response_alg: 'RS256' }),
          client({
            client_id: 'cards',
            logo_uri: 'https://app.example/logo.png',
            policy_uri: 'https://app.example/policy',
            tos_uri: 'https://app.example/terms',
            initiate_login_uri: 'https://app.example/login',
          }),
        ],
      },
      { clock: { now: () => Date.now() + ahead } },
    )
  })

  const signIn = async (browser: Browser, more: Record<string, string> = {}): Promise<Page> => {
    const login = await browser.open(authorizationUrl(op.issuer, more))
    assert.match(login.body, /id="page-login"/)
    const back = await browser.submit(login, '#continue', asAlice)
    assert.equal(back.url.origin, APP, back.body)
    return back
  }
  const answer = ({ url }: Page) => new URLSearchParams(url.hash.slice(1) || url.search)
  const tokens = async (more: Record<string, string> = {}, browser = fresh()) => {
    const { status, body } = await redeem(op.issuer, answer(await signIn(browser, more)).get('code') ?? '')
    assert.equal(status, 200, JSON.stringify(body))
    return body
  }
  const userinfo = (token: string, init: RequestInit = {}) =>
    fetch(`${op.issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` }, ...init })

  test('a code presented again is refused and its access token dies at once', async () => {
    const code = answer(await signIn(fresh())).get('code') ?? ''
    const first = await redeem(op.issuer, code)
    assert.equal((await userinfo(first.body.access_token ?? '')).status, 200)
    const second = await redeem(op.issuer, code)
    assert.deepEqual([second.status, second.body.error], [400, 'invalid_grant'])
    assert.equal((await userinfo(first.body.access_token ?? '')).status, 401)
  })

  test('thirty seconds later too', async () => {
    const code = answer(await signIn(fresh())).get('code') ?? ''
    const first = await redeem(op.issuer, code)
    assert.equal((await userinfo(first.body.access_token ?? '')).status, 200)
    ahead = 30_000
    try {
      assert.equal((await redeem(op.issuer, code)).body.error, 'invalid_grant')
      assert.equal((await userinfo(first.body.access_token ?? '')).status, 401)
    } finally {
      ahead = 0
    }
  })

  test('redirect URIs are compared exactly: fragment and foreign ones refused on a page, a registered query kept', async () => {
    for (const redirect_uri of [
      `${CALLBACK}#x`,
      `${CALLBACK}/`,
      `${CALLBACK}?other=1`,
      'http://127.0.0.1:1/CB',
      'https://evil.example/cb',
    ]) {
      const page = await fresh().open(authorizationUrl(op.issuer, { redirect_uri }))
      assert.equal(page.url.origin, op.issuer, redirect_uri)
      assert.equal(page.status, 400)
      assert.match(page.body, /id="page-error"/)
    }
    const back = await signIn(fresh(), { redirect_uri: `${CALLBACK}?kept=1` })
    assert.equal(back.url.searchParams.get('kept'), '1')
    assert.ok(back.url.searchParams.get('code'))
  })

  test('without a redirect URI, with two registered: an error page', async () => {
    const url = new URL(authorizationUrl(op.issuer))
    url.searchParams.delete('redirect_uri')
    assert.equal((await fresh().open(url)).status, 400)
  })

  test('userinfo by GET, by POST with a header, and by POST with a body; not by query', async () => {
    const { access_token = '' } = await tokens({ scope: 'openid email' })
    const ways = [
      userinfo(access_token),
      userinfo(access_token, { method: 'POST' }),
      userinfo('', { method: 'POST', headers: {}, body: new URLSearchParams({ access_token }) }),
    ]
    for (const way of ways) {
      const response = await way
      assert.equal(response.status, 200)
      assert.equal(((await response.json()) as Record<string, unknown>).email, alice.email)
    }
    assert.ok((await fetch(`${op.issuer}/userinfo?access_token=${access_token}`)).status >= 400)
  })

  test('every standard claim, address and phone included, by its scope', async () => {
    const { access_token = '' } = await tokens({ scope: 'openid profile email address phone' })
    const claims = (await (await userinfo(access_token)).json()) as Record<string, unknown>
    for (const name of PROFILE.filter((each) => each !== 'updated_at'))
      assert.equal(claims[name], (person.claims as Record<string, unknown>)[name], name)
    assert.equal(typeof claims.updated_at, 'number')
    assert.deepEqual(claims.address, person.claims.address)
    assert.deepEqual([claims.phone_number, claims.phone_number_verified], [person.claims.phone_number, true])
    assert.deepEqual([claims.email, claims.email_verified], [alice.email, true])
  })

  test('id_token alone carries the claims of its scopes', async () => {
    const fragment = answer(await signIn(fresh(), { response_type: 'id_token', scope: 'openid email' }))
    const claims = claimsOf(fragment.get('id_token') ?? '')
    assert.deepEqual([claims.email, claims.nonce], [alice.email, 'n1'])
    assert.equal(fragment.get('access_token'), null)
  })

  test('implicit and hybrid types need a nonce; bare token is not offered', async () => {
    for (const response_type of ['id_token', 'id_token token', 'code id_token']) {
      const url = new URL(authorizationUrl(op.issuer, { response_type }))
      url.searchParams.delete('nonce')
      const page = await fresh().open(url)
      assert.equal(answer(page).get('error'), 'invalid_request', response_type)
    }
    const token = await fresh().open(authorizationUrl(op.issuer, { response_type: 'token' }))
    assert.match(
      answer(token).get('error') ?? token.body,
      /unsupported_response_type|invalid_request|unauthorized_client/,
    )
  })

  test('the hybrid answer hashes what it carries', async () => {
    const fragment = answer(await signIn(fresh(), { response_type: 'code id_token token' }))
    const claims = claimsOf(fragment.get('id_token') ?? '')
    assert.ok(claims.c_hash && claims.at_hash)
    assert.equal((await redeem(op.issuer, fragment.get('code') ?? '')).status, 200)
  })

  test('form_post answers by a form of the provider', async () => {
    const browser = fresh()
    const login = await browser.open(authorizationUrl(op.issuer, { response_mode: 'form_post' }))
    const page = await browser.submit(login, '#continue', asAlice)
    assert.equal(page.status, 200)
    assert.match(page.body, new RegExp(`action="${CALLBACK}"`))
    assert.match(page.body, /name="code"/)
  })

  test('prompt=none: login_required before a login, a code right after it', async () => {
    const browser = fresh()
    const before = await browser.open(authorizationUrl(op.issuer, { prompt: 'none' }))
    assert.equal(answer(before).get('error'), 'login_required')
    await signIn(browser)
    const after = await browser.open(authorizationUrl(op.issuer, { prompt: 'none' }))
    assert.ok(answer(after).get('code'), after.url.href)
  })

  test('prompt=login and max_age ask again and move auth_time; a large max_age does not', async () => {
    const browser = fresh()
    const first = claimsOf((await tokens({ max_age: '3600' }, browser)).id_token ?? '')
    const again = await browser.open(authorizationUrl(op.issuer, { prompt: 'login' }))
    assert.match(again.body, /id="page-login"/)
    const silent = await browser.open(authorizationUrl(op.issuer, { max_age: '10000' }))
    const second = claimsOf((await redeem(op.issuer, answer(silent).get('code') ?? '')).body.id_token ?? '')
    assert.equal(first.auth_time, second.auth_time)
    const aged = await browser.open(authorizationUrl(op.issuer, { max_age: '0' }))
    assert.match(aged.body, /id="page-login"/)
  })

  test('id_token_hint of another person asks for a sign-in; of this one it does not', async () => {
    const browser = fresh()
    const { id_token = '' } = await tokens({}, browser)
    const same = await browser.open(authorizationUrl(op.issuer, { prompt: 'none', id_token_hint: id_token }))
    assert.ok(answer(same).get('code'), same.url.href)
    const stranger = await fresh().open(authorizationUrl(op.issuer, { prompt: 'none', id_token_hint: id_token }))
    assert.equal(answer(stranger).get('error'), 'login_required')
  })

  test('login_hint fills the username; display, ui_locales and unknown parameters are no error', async () => {
    const page = await fresh().open(
      authorizationUrl(op.issuer, {
        login_hint: 'alice',
        display: 'popup',
        ui_locales: 'xx de',
        claims_locales: 'zz',
        acr_values: 'what 1 2',
        extra: 'foobar',
      }),
    )
    assert.match(page.body, /value="alice"/)
    assert.match(page.body, /<html lang="de"/)
  })

  test('the claims parameter: essential name from userinfo, auth_time in the ID token', async () => {
    const claims = JSON.stringify({
      userinfo: { name: { essential: true } },
      id_token: { auth_time: { essential: true }, email: null },
    })
    const body = await tokens({ claims })
    const idToken = claimsOf(body.id_token ?? '')
    assert.equal(typeof idToken.auth_time, 'number')
    assert.equal(idToken.email, alice.email)
    const info = (await (await userinfo(body.access_token ?? '')).json()) as Record<string, unknown>
    assert.equal(info.name, person.claims.name)
  })

  test('userinfo is signed where the client registered for it', async () => {
    const back = answer(await signIn(fresh(), { client_id: 'signed' }))
    const { body } = await redeem(op.issuer, back.get('code') ?? '', {}, 'signed')
    const response = await userinfo(body.access_token ?? '')
    assert.match(response.headers.get('content-type') ?? '', /application\/jwt/)
    const claims = claimsOf(await response.text())
    assert.deepEqual([claims.iss, claims.aud], [op.issuer, 'signed'])
  })

  test('an essential acr that nobody can give ends in unmet_authentication_requirements', async () => {
    const claims = JSON.stringify({ id_token: { acr: { essential: true, values: ['urn:nobody'] } } })
    const page = await fresh().open(authorizationUrl(op.issuer, { claims }))
    assert.equal(answer(page).get('error'), 'unmet_authentication_requirements')
  })

  test('a request object by value without signature is not accepted silently', async () => {
    const request = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"client_id":"web"}').toString('base64url')}.`
    const page = await fresh().open(authorizationUrl(op.issuer, { request }))
    assert.match(answer(page).get('error') ?? page.body, /invalid_request_object|request_not_supported|invalid_request/)
  })

  test('logo, policy and terms of the client are shown at login', async () => {
    const page = await fresh().open(authorizationUrl(op.issuer, { client_id: 'cards' }))
    for (const shown of ['https://app.example/logo.png', 'https://app.example/policy', 'https://app.example/terms'])
      assert.ok(page.body.includes(shown), shown)
  })

  test('dynamic registration: create, use, read, update, delete', async () => {
    const register = await fetch(`${op.issuer}/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        redirect_uris: ['https://dyn.example/cb'],
        client_name: 'Dynamic',
        subject_type: 'pairwise',
        initiate_login_uri: 'https://dyn.example/login',
        contacts: ['a@dyn.example'],
      }),
    })
    assert.equal(register.status, 201)
    const made = (await register.json()) as Record<string, string>
    const authorization = `Bearer ${made.registration_access_token}`
    const read = await fetch(made.registration_client_uri ?? '', { headers: { authorization } })
    assert.equal(read.status, 200)
    const metadata = (await read.json()) as Record<string, unknown>
    assert.deepEqual(
      [metadata.client_id, metadata.client_name, metadata.initiate_login_uri],
      [made.client_id, 'Dynamic', 'https://dyn.example/login'],
    )
    const {
      registration_access_token: token,
      registration_client_uri: _,
      client_id_issued_at: __,
      client_secret_expires_at: ___,
      ...rest
    } = metadata
    const update = await fetch(made.registration_client_uri ?? '', {
      method: 'PUT',
      headers: {
        authorization: `Bearer ${token ?? made.registration_access_token}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({ ...rest, client_name: 'Renamed' }),
    })
    const changed = (await update.json()) as Record<string, string>
    assert.equal(update.status, 200, JSON.stringify(changed))
    assert.equal(changed.client_name, 'Renamed')
    const remove = await fetch(made.registration_client_uri ?? '', {
      method: 'DELETE',
      headers: {
        authorization: `Bearer ${changed.registration_access_token ?? token ?? made.registration_access_token}`,
      },
    })
    assert.equal(remove.status, 204)
    const gone = await fetch(made.registration_client_uri ?? '', {
      headers: { authorization: `Bearer ${changed.registration_access_token}` },
    })
    assert.equal(gone.status, 401)
  })

  test('registration refuses a redirect URI with a fragment, and without any', async () => {
    for (const redirect_uris of [['https://dyn.example/cb#x'], []]) {
      const response = await fetch(`${op.issuer}/register`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ redirect_uris }),
      })
      assert.equal(response.status, 400)
      assert.match(
        ((await response.json()) as Record<string, string>).error ?? '',
        /invalid_(redirect_uri|client_metadata)/,
      )
    }
  })

  test('a client that only acts for itself says no more than that', async () => {
    const registered = await fetch(`${op.issuer}/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ grant_types: ['client_credentials'] }),
    })
    assert.equal(registered.status, 201)
    const { client_id, client_secret, response_types } = (await registered.json()) as Record<string, unknown>
    assert.deepEqual(response_types, [])
    const answer = await fetch(`${op.issuer}/token`, {
      method: 'POST',
      headers: { authorization: basicAuth(String(client_id), String(client_secret)) },
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    })
    assert.equal(answer.status, 200)
  })

  test('client authentication: basic, post and a wrong secret', async () => {
    const grant = { grant_type: 'client_credentials' }
    const basic = await fetch(`${op.issuer}/token`, {
      method: 'POST',
      headers: { authorization: basicAuth() },
      body: new URLSearchParams(grant),
    })
    assert.equal(basic.status, 200)
    const wrong = await fetch(`${op.issuer}/token`, {
      method: 'POST',
      headers: { authorization: basicAuth('web', `${SECRET}x`) },
      body: new URLSearchParams(grant),
    })
    assert.deepEqual([wrong.status, ((await wrong.json()) as Record<string, string>).error], [401, 'invalid_client'])
  })

  test('guessing a client secret is limited, and only for the one who guesses', async () => {
    const other = await startGatehouse({ trustProxy: ['127.0.0.0/8'] })
    const ask = (secret: string, from: string) =>
      fetch(`${other.issuer}/token`, {
        method: 'POST',
        headers: { authorization: basicAuth('web', secret), 'x-forwarded-for': from },
        body: new URLSearchParams({ grant_type: 'client_credentials' }),
      })
    for (let guess = 0; guess < 10; guess++) assert.equal((await ask(`guess-${guess}`, '203.0.113.7')).status, 401)
    const limited = await ask(SECRET, '203.0.113.7')
    assert.equal(limited.status, 429)
    assert.ok(Number(limited.headers.get('retry-after')) > 0)
    assert.equal((await ask(SECRET, '198.51.100.9')).status, 200)
  })

  test('refresh, introspection and revocation', async () => {
    const browser = fresh()
    const login = await browser.open(authorizationUrl(op.issuer, { scope: 'openid offline_access', prompt: 'consent' }))
    const page = await browser.submit(login, '#continue', asAlice)
    const back = page.body.includes('page-consent') ? await browser.submit(page, '#allow') : page
    const { body } = await redeem(op.issuer, answer(back).get('code') ?? '')
    assert.ok(body.refresh_token, JSON.stringify(body))
    const call = (path: string, fields: Record<string, string>) =>
      fetch(`${op.issuer}/${path}`, {
        method: 'POST',
        headers: { authorization: basicAuth() },
        body: new URLSearchParams(fields),
      })
    const refreshed = (await (
      await call('token', { grant_type: 'refresh_token', refresh_token: body.refresh_token ?? '' })
    ).json()) as Record<string, string>
    assert.ok(
      refreshed.access_token && refreshed.refresh_token && refreshed.refresh_token !== body.refresh_token,
      JSON.stringify(refreshed),
    )
    assert.equal(claimsOf(refreshed.id_token ?? '').sub, claimsOf(body.id_token ?? '').sub)
    const active = async () =>
      ((await (await call('introspect', { token: refreshed.access_token ?? '' })).json()) as Record<string, unknown>)
        .active
    assert.equal(await active(), true)
    assert.equal((await call('revoke', { token: refreshed.access_token ?? '' })).status, 200)
    assert.equal(await active(), false)
  })

  test('a refresh token presented twice kills the family', async () => {
    const browser = fresh()
    const login = await browser.open(authorizationUrl(op.issuer, { scope: 'openid offline_access', prompt: 'consent' }))
    const { body } = await redeem(
      op.issuer,
      answer(await browser.submit(login, '#continue', asAlice)).get('code') ?? '',
    )
    const refresh = async (token: string) => {
      const response = await fetch(`${op.issuer}/token`, {
        method: 'POST',
        headers: { authorization: basicAuth() },
        body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: token }),
      })
      return (await response.json()) as Record<string, string>
    }
    const next = await refresh(body.refresh_token ?? '')
    assert.ok(next.access_token)
    assert.equal((await refresh(body.refresh_token ?? '')).error, 'invalid_grant')
    assert.equal((await userinfo(next.access_token ?? '')).status, 401)
    assert.equal((await refresh(next.refresh_token ?? '')).error, 'invalid_grant')
  })

  test('pushed authorization request', async () => {
    const pushed = await fetch(`${op.issuer}/par`, {
      method: 'POST',
      headers: { authorization: basicAuth() },
      body: new URLSearchParams({
        client_id: 'web',
        response_type: 'code',
        scope: 'openid',
        redirect_uri: CALLBACK,
        state: 'par',
      }),
    })
    const { request_uri } = (await pushed.json()) as Record<string, string>
    assert.equal(pushed.status, 201)
    const browser = fresh()
    const login = await browser.open(
      `${op.issuer}/authorize?${new URLSearchParams({ client_id: 'web', request_uri: request_uri ?? '' })}`,
    )
    const back = await browser.submit(login, '#continue', asAlice)
    assert.equal(back.url.searchParams.get('state'), 'par')
  })

  test('logout by the relying party ends the session and returns with state', async () => {
    const browser = fresh()
    op = await startGatehouse({ clients: [client({ trusted: true, post_logout_redirect_uris: [`${APP}/bye`] })] })
    const { id_token = '' } = await tokens({}, browser)
    const page = await browser.open(
      `${op.issuer}/session/end?${new URLSearchParams({ id_token_hint: id_token, post_logout_redirect_uri: `${APP}/bye`, state: 'out' })}`,
    )
    assert.match(page.body, /id="page-logout"/)
    const bye = await browser.submit(page, '#logout-yes')
    assert.equal(bye.url.href, `${APP}/bye?state=out`)
    const after = await browser.open(authorizationUrl(op.issuer, { prompt: 'none' }))
    assert.equal(answer(after).get('error'), 'login_required')
  })
})
