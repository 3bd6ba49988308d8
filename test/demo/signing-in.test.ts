/** The test relying party signs in with every response type and mode, and sends what was typed. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { RESPONSE_TYPES } from '#demo/configuration.ts'
import { assertSound, openHouse } from './house.ts'
import { Browser, outcomeOf, successOf, textOf, untick } from './visitor.ts'

const house = openHouse()

describe('signing in', () => {
  for (const type of RESPONSE_TYPES) {
    const modes = [
      '',
      'form_post',
      'fragment',
      'jwt',
      'form_post.jwt',
      'fragment.jwt',
      ...(type === 'code' ? ['query', 'query.jwt'] : []),
    ]
    for (const mode of modes)
      test(`response_type=${type}, response_mode=${mode || 'usual'}`, async () => {
        const page = await house.login(new Browser(), { response_type: type, response_mode: mode })
        assertSound(page)
        assert.equal(outcomeOf(page, 'response-state'), 'passed')
        assert.equal(outcomeOf(page, 'response-mode'), 'passed')
        const parts = type.split(' ')
        const front = parts.includes('id_token')
        assert.equal(outcomeOf(page, 'front-signature'), front ? 'passed' : undefined)
        assert.equal(outcomeOf(page, 'front-nonce'), front ? 'passed' : undefined)
        if (front) {
          assert.equal(outcomeOf(page, 'front-c_hash'), parts.includes('code') ? 'passed' : 'skipped')
          assert.equal(outcomeOf(page, 'front-at_hash'), parts.includes('token') ? 'passed' : 'skipped')
        }
        assert.equal(outcomeOf(page, 'back-signature'), parts.includes('code') ? 'passed' : undefined)
        assert.equal(outcomeOf(page, 'envelope-signature'), mode.endsWith('jwt') ? 'passed' : undefined)
        const expectsIss = !front && !mode.endsWith('jwt')
        assert.equal(outcomeOf(page, 'response-iss'), expectsIss ? 'passed' : 'skipped')
      })
  }

  test('shows the decoded ID token', async () => {
    const page = await house.login(new Browser(), { scope: 'openid profile email' })
    assert.equal(/data-claim="sub">([^<]*)</.exec(page.body)?.[1], 'alice-id')
    assert.match(textOf(page, 'id-token-raw') ?? '', /^[\w-]+\.[\w-]+\.[\w-]+$/)
    assert.match(textOf(page, 'id-token-header') ?? '', /alg RS256/)
  })

  test('PKCE, PAR, nonce and state are in the request', async () => {
    const browser = new Browser()
    const page = await house.login(browser, { par: 'on' })
    assertSound(page)
    assert.deepEqual([...house.departureOf(page).keys()].sort(), ['client_id', 'request_uri'])
    const request = textOf(page, 'request') ?? ''
    for (const name of ['code_challenge', 'code_challenge_method', 'state', 'nonce'])
      assert.match(request, new RegExp(`\\b${name}\\b`))
  })

  test('a signed request carries everything in one object', async () => {
    const wishes: Record<string, string>[] = [{ jar: 'on' }, { jar: 'on', par: 'on' }]
    for (const typed of wishes) {
      const page = await house.login(new Browser(), typed)
      assertSound(page)
      const names = [...house.departureOf(page).keys()].sort()
      assert.deepEqual(names, ['client_id', 'par' in typed ? 'request_uri' : 'request'])
    }
  })

  test('bound tokens are used with a proof, at userinfo and at refresh too', async () => {
    const browser = new Browser()
    const page = await house.login(browser, { dpop: 'on', scope: 'openid offline_access', prompt: 'consent' })
    assertSound(page)
    for (const button of ['userinfo', 'refresh', 'userinfo']) {
      const after = await browser.submit(await browser.open(`${house.url}/result`), `#${button}`)
      assert.equal(successOf(after, 'outcome'), true, `${button}: ${textOf(after, 'outcome')}`)
    }
  })

  test('a token for an API is a JWT with its audience', async () => {
    const page = await house.login(new Browser(), { api: 'on', scope: 'openid' })
    assertSound(page)
    assert.match(textOf(page, 'access-token-raw') ?? '', /^[\w-]+\.[\w-]+\.[\w-]+$/)
    assert.match(page.body, /https:\/\/api\.demo\.example/)
  })

  test('without PKCE no challenge is sent', async () => {
    const page = await house.login(new Browser(), {}, 'start-login', (start) => untick(start, 'pkce'))
    assertSound(page)
    assert.doesNotMatch(textOf(page, 'request') ?? '', /code_challenge/)
  })

  for (const [button, acr] of [
    ['start-basic', 'basic'],
    ['start-demo-idp', 'demo-idp'],
  ] as const)
    test(`#${button} asks for acr_values=${acr}`, async () => {
      const page = await house.login(new Browser(), { acr_values: 'something-else' }, button)
      assertSound(page)
      assert.equal(textOf(page, 'fact-acr'), acr)
      assert.equal(outcomeOf(page, 'back-acr'), 'passed')
    })

  test('every parameter that was typed is sent as typed', async () => {
    const browser = new Browser()
    const typed = {
      scope: 'openid address',
      acr_values: 'basic',
      prompt: 'login',
      max_age: '60',
      login_hint: 'alice@example.org',
      ui_locales: 'de en',
      display: 'popup',
      claims: '{"id_token":{"name":null}}',
    }
    const page = await house.login(browser, { ...typed, extra: 'foo=bar\nresource.x=1=2' })
    assertSound(page)
    for (const [name, value] of Object.entries({ ...typed, foo: 'bar', 'resource.x': '1=2' }))
      assert.equal(house.departureOf(page).get(name), value, name)
    assert.equal(outcomeOf(page, 'back-auth_time'), 'passed')
    const again = await browser.open(`${house.url}/`)
    assert.match(again.body, /id="login_hint"[^>]*value="alice@example.org"/)
  })

  test("the provider's error is shown in its words", async () => {
    const page = await house.login(new Browser(), { prompt: 'none' })
    assert.equal(successOf(page, 'summary'), false)
    assert.match(textOf(page, 'problem') ?? '', /^login_required: /)
    assert.equal(outcomeOf(page, 'response-state'), 'passed')
    assert.equal(outcomeOf(page, 'response-iss'), 'passed')
  })

  test('a refused pushed request is shown on the start page, with what was typed', async () => {
    const page = await house.login(new Browser(), { par: 'on', scope: 'openid', prompt: 'nonsense' })
    assert.equal(page.url.pathname, '/')
    assert.match(textOf(page, 'notice') ?? '', /invalid_request/)
    assert.match(page.body, /id="par" name="par" checked/)
  })
})
