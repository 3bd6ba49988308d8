/**
 * A full run, then a search for every secret that it handed out or was given: in the log, the traces and the audit, and
 * byte by byte in what the stores hold, as somebody who got hold of it would.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { APP, alice, authorizationUrl, basicAuth, CALLBACK, client, SECRET } from '#test/flows/world.ts'
import type { Browser, Page } from '#test/world/browser.ts'
import { bytesOf } from '#test/world/dump.ts'
import { find } from '#test/world/html.ts'
import { settled } from '#test/world/settled.ts'
import type { PairName } from '#test/world/stores.ts'
import { Upstream } from '#test/world/upstream.ts'
import { askTokens, browser, codeOf, pkce, post } from './house.ts'
import { type OwnServer, startOwn } from './own-server.ts'

/** @param name the stores of the run */
export const secretsSuite = (name: PairName): void => {
  const secrets = new Map<string, string>()
  /** Values that are both public and in a cookie: the interaction's name stands in its address. */
  const inAddresses = new Set<string>()
  const keep = (what: string, value: unknown) => {
    assert.ok(typeof value === 'string' && value.length >= 8, `${what}: ${value}`)
    secrets.set(value, what)
    return value
  }
  const keepAll = (what: string, body: Record<string, unknown>) => {
    for (const name of [
      'access_token',
      'refresh_token',
      'id_token',
      'client_secret',
      'registration_access_token',
      'request_uri',
    ])
      if (typeof body[name] === 'string') keep(`${what} ${name}`, body[name])
  }
  /** Remembers the cookies that the server sets and the secrets in the addresses that the browser passes. */
  const watched = (): Browser => {
    const someone = browser()
    const store = someone.cookies.store.bind(someone.cookies)
    someone.cookies.store = (url, lines) => {
      for (const line of lines) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
        if (value.length < 8) continue
        keep(`cookie ${name}`, value)
        if (/^(interaction|resume)_\d+$/.test(name)) inAddresses.add(value)
      }
      store(url, lines)
    }
    return someone
  }
  const keepTrail = (page: Page) => {
    for (const url of page.trail)
      for (const [name, value] of [...url.searchParams, ...new URLSearchParams(url.hash.slice(1))])
        if (
          ['code', 'state', 'nonce', 'h', 'r', 'id_token', 'access_token', 'request_uri'].includes(name) &&
          value.length >= 8
        )
          keep(`address ${name}`, value)
    const token = find(page.document, '[name=csrf]')?.attributes.value
    if (token) keep('form token', token)
    return page
  }

  describe(`secrets on ${name}`, () => {
    let server: OwnServer
    let acme: Upstream
    before(async () => {
      acme = await Upstream.start()
      server = await startOwn(
        {
          clients: [client({ post_logout_redirect_uris: [`${APP}/out`] })],
          identityProviders: [
            {
              id: 'acme',
              protocol: 'oidc',
              oidc: { issuer: acme.issuer, client_id: acme.clientId, client_secret: acme.clientSecret },
            },
          ],
        },
        name,
      )
      await everything()
    })
    after(() => acme.close())

    const passwordLogin = async (someone: Browser) => {
      const { verifier, challenge } = pkce()
      keep('verifier', verifier)
      const fields = {
        scope: 'openid offline_access',
        prompt: 'consent',
        state: keep('state', `state-${verifier}`),
        nonce: keep('nonce', `nonce-${verifier}`),
      }
      const login = keepTrail(
        await someone.open(
          authorizationUrl(server.issuer, {
            acr_values: 'basic',
            ...fields,
            code_challenge: challenge,
            code_challenge_method: 'S256',
          }),
        ),
      )
      const wrong = await someone.submit(login, '#continue', {
        username: 'alice',
        password: keep('password', 'a-wrong-password-of-hers'),
      })
      const consent = keepTrail(
        await someone.submit(wrong, '#continue', { username: 'alice', password: keep('password', alice.password) }),
      )
      const page = keepTrail(await someone.submit(consent, '#allow'))
      const { body } = await askTokens(server, {
        grant_type: 'authorization_code',
        code: codeOf(page),
        code_verifier: verifier,
      })
      keepAll('password login', body)
      const again = await askTokens(server, { grant_type: 'refresh_token', refresh_token: String(body.refresh_token) })
      keepAll('refreshed', again.body)
      await askTokens(server, { grant_type: 'refresh_token', refresh_token: String(body.refresh_token) })
      await askTokens(server, { grant_type: 'authorization_code', code: codeOf(page), code_verifier: verifier })
      return body
    }
    const federatedLogin = async () => {
      const someone = watched()
      const page = keepTrail(
        await someone.open(authorizationUrl(server.issuer, { acr_values: 'acme', scope: 'openid profile' })),
      )
      const done = keepTrail(await someone.submit(page, '#allow'))
      keepAll(
        'federated login',
        (await askTokens(server, { grant_type: 'authorization_code', code: codeOf(done) })).body,
      )
      for (const { params, authorization } of acme.seen) {
        for (const name of ['state', 'nonce', 'code', 'code_verifier', 'client_secret'])
          if (params.has(name)) keep(`upstream ${name}`, params.get(name))
        if (authorization) keep('upstream authorization', authorization.replace(/^\w+ /, ''))
      }
      keep('upstream secret', acme.clientSecret)
      acme.tamper = 'id token no JWT'
      await watched().open(authorizationUrl(server.issuer, { acr_values: 'acme' }))
      acme.tamper = undefined
    }
    const registration = async () => {
      const response = await fetch(`${server.issuer}/register`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          redirect_uris: ['https://dyn.example/cb'],
          token_endpoint_auth_method: 'client_secret_basic',
        }),
      })
      const made = (await response.json()) as Record<string, unknown>
      keepAll('registered', made)
      await fetch(String(made.registration_client_uri), {
        headers: { authorization: `Bearer ${made.registration_access_token}` },
      })
    }
    const everything = async () => {
      keep('client secret', SECRET)
      const someone = watched()
      const tokens = await passwordLogin(someone)
      await federatedLogin()
      await registration()
      const basic = { authorization: basicAuth() }
      keep('basic', basicAuth().slice(6))
      keepAll(
        'par',
        (
          await post(
            `${server.issuer}/par`,
            {
              client_id: 'web',
              response_type: 'code',
              redirect_uri: CALLBACK,
              scope: 'openid',
              state: keep('state', 'state-of-the-pushed'),
            },
            basic,
          )
        ).body,
      )
      keepAll('client', (await askTokens(server, { grant_type: 'client_credentials' })).body)
      await post(`${server.issuer}/introspect`, { token: String(tokens.access_token) }, basic)
      await post(`${server.issuer}/revoke`, { token: String(tokens.refresh_token) }, basic)
      await post(`${server.issuer}/token`, {
        grant_type: 'client_credentials',
        client_id: 'web',
        client_secret: keep('wrong secret', 'a-wrong-secret-of-a-client'),
      })
      await fetch(`${server.issuer}/userinfo`, {
        headers: { authorization: `Bearer ${keep('made-up token', 'a-made-up-token-0123456789-0123456789-abcdef')}` },
      })
      await fetch(
        `${server.issuer}/federation/acme/callback?code=${keep('made-up code', 'a-made-up-code-0123456789')}&state=${keep('made-up state', 'a-made-up-state-0123456789')}`,
      )
      // Left open: an interaction and a trip that wait, a session that lives.
      keepTrail(await watched().open(authorizationUrl(server.issuer)))
      const hybrid = keepTrail(
        await someone.open(
          authorizationUrl(server.issuer, {
            response_type: 'code id_token',
            state: keep('state', 'state-of-the-hybrid'),
          }),
        ),
      )
      assert.match(hybrid.url.hash, /id_token=/)
      const out = await someone.open(`${server.issuer}/session/end`)
      keep('logout token', find(out.document, '[name=xsrf]')?.attributes.value)
    }
    const references = () =>
      new Set(server.text.flatMap((line) => (JSON.parse(line) as { reference?: string }).reference ?? []))
    const foundIn = (text: string, except: ReadonlySet<string> = new Set()) =>
      [...secrets]
        .filter(([value]) => !except.has(value) && text.includes(value))
        .map(([value, what]) => `${what}: ${value}`)

    test('control: the run handed out secrets of every kind', () => {
      const kinds = new Set(secrets.values())
      for (const kind of [
        'cookie session',
        'address code',
        'upstream code',
        'upstream code_verifier',
        'upstream authorization',
        'password login refresh_token',
        'registered registration_access_token',
        'par request_uri',
        'form token',
        'address h',
        'federated login access_token',
      ])
        assert.ok(
          [...kinds].some((each) => each.startsWith(kind)),
          `${kind} of ${[...kinds]}`,
        )
      assert.ok(secrets.size > 50, `${secrets.size}`)
    })

    test('none is in the log', () => {
      const log = server.text.join('\n')
      assert.match(log, /"client":"web"/, 'control')
      assert.match(log, /login\.failed/, 'control')
      assert.deepEqual(foundIn(log, inAddresses), [])
    })

    test('none is in a trace or in the audit trail', async () => {
      const house = await server.house()
      try {
        const read = () => Promise.all([...references()].map((reference) => house.trace.read(reference)))
        // Traces are written a moment after the answers.
        await settled('traces are written', async () => (await read()).flat().length > 10)
        assert.deepEqual(foundIn(JSON.stringify(await read()), inAddresses), [])
        const audit = await house.directory.audit({ limit: 1000 })
        assert.ok(audit.length > 5, 'control')
        assert.deepEqual(foundIn(JSON.stringify(audit)), [])
      } finally {
        await house.close()
      }
    })

    test('none lies in the stores, as text or as the bytes that it encodes', async () => {
      if (name === 'sqlite')
        assert.ok(
          readdirSync(server.folder).some((file) => file.endsWith('-wal')),
          'control',
        )
      const files = await bytesOf(server.place)
      const tokens = [...secrets].filter(([, what]) => /access_token|refresh_token/.test(what)).map(([value]) => value)
      const hashed = tokens
        .map((token) => createHash('sha256').update(token).digest())
        .filter((hash) => files.includes(hash) || files.includes(hash.toString('base64url')))
      assert.ok(hashed.length > 0, 'control: what the stores hold of a token is its hash')
      const raw = (value: string) => {
        const bytes = Buffer.from(value, 'base64url')
        return bytes.length >= 20 && /^[\w-]{27,}$/.test(value) && files.includes(bytes)
      }
      assert.deepEqual(
        [...secrets]
          .filter(([value]) => files.includes(value) || raw(value))
          .map(([value, what]) => `${what}: ${value}`),
        [],
      )
      for (const text of ['wonderland', 'BEGIN PRIVATE KEY', '"d":"'])
        assert.ok(!files.includes(text), `${text} lies open`)
    })

    test('the answers that carry secrets may not be kept by anybody', async () => {
      const response = await fetch(`${server.issuer}/token`, {
        method: 'POST',
        headers: { authorization: basicAuth() },
        body: new URLSearchParams({ grant_type: 'client_credentials' }),
      })
      assert.match(response.headers.get('cache-control') ?? '', /no-store/)
      for (const answer of [
        await fetch(`${server.issuer}/userinfo`),
        await fetch(`${server.issuer}/par`, { method: 'POST' }),
      ])
        assert.match(answer.headers.get('cache-control') ?? '', /no-store/, answer.url)
    })
  })
}
