/** What strangers may write into a client of their own: addresses that mislead, more rights than they may have, markup, masses (HAZARDS 1). */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { APP, authorizationUrl, type Gatehouse, startGatehouse } from '#test/flows/world.ts'
import { find } from '#test/world/html.ts'
import { audits, browser } from './house.ts'
import { judge, MARKUP } from './raw.ts'

interface Made {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown>
}

describe('registration abuse', () => {
  let op: Gatehouse
  before(async () => {
    op = await startGatehouse({
      egress: { allowPrivate: false },
      identityProviders: [
        { id: 'acme', protocol: 'oidc', oidc: { issuer: 'https://acme.invalid', client_id: 'g', client_secret: 's' } },
      ],
    })
  })
  const send = async (url: string, method: string, metadata: unknown, token?: unknown): Promise<Made> => {
    const response = await fetch(url, {
      method,
      headers: { 'content-type': 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) },
      ...(metadata !== undefined && { body: JSON.stringify(metadata) }),
    })
    const text = await response.text()
    return {
      status: response.status,
      headers: response.headers,
      body: text ? (JSON.parse(text) as Record<string, unknown>) : {},
    }
  }
  const register = (metadata: Record<string, unknown>) =>
    send(`${op.issuer}/register`, 'POST', { redirect_uris: ['https://rp.example/cb'], ...metadata })
  const stored = async (id: unknown) => {
    const house = await op.house()
    try {
      return (await house.records.clients.get(String(id))) as Record<string, unknown> | undefined
    } finally {
      await house.close()
    }
  }

  test('control: an honest registration is taken, and told in the audit', async () => {
    const { status, body } = await register({ client_name: 'Honest' })
    assert.equal(status, 201, JSON.stringify(body))
    assert.equal(audits(op, 'client.registered').at(-1)?.client, body.client_id)
  })

  test('redirect URIs that mislead are refused', async () => {
    for (const uri of [
      'https://rp.example/\\@evil.example/',
      'https://rp.example\\.evil.example/',
      'https://user@rp.example/cb',
      'https://user:pw@rp.example/cb',
      'https://@rp.example/cb',
      'https://rp.example/cb\n',
      ' https://rp.example/cb',
      'https://rp.example/c b',
      'https://rp.example/\u0000',
      'https://rp.example/\t',
      'http://rp.example/cb',
      'http://localhost.evil.example/cb',
      'http://127.0.0.1.evil.example/cb',
      'https://rp.example/cb#',
      'https://rp.example/cb#x',
      'javascript:alert(1)',
      'data:text/html,x',
      'file:///etc/passwd',
      'blob:https://rp.example/x',
      '//rp.example/cb',
      '/cb',
      '',
      'https://',
      `https://rp.example/${'x'.repeat(5000)}`,
      42,
      null,
      {},
    ]) {
      const made = await send(`${op.issuer}/register`, 'POST', { redirect_uris: [uri] })
      assert.equal(made.status, 400, `${JSON.stringify(uri)} ${JSON.stringify(made.body)}`)
      assert.match(String(made.body.error), /^invalid_(redirect_uri|client_metadata)$/, String(uri))
      const out = await register({ post_logout_redirect_uris: [uri] })
      assert.equal(out.status, 400, `post_logout ${JSON.stringify(uri)}`)
    }
  })

  test('masses and oversized texts are refused', async () => {
    const many = Array.from({ length: 2000 }, (_, index) => `https://rp.example/${index}`)
    for (const metadata of [
      { redirect_uris: many },
      { post_logout_redirect_uris: many },
      { client_name: 'x'.repeat(40_000) },
      { client_name: 'line\nbreak' },
      { 'client_name#de': 'x'.repeat(40_000) },
      { contacts: many },
      { default_acr_values: many },
      { logo_uri: `https://rp.example/${'x'.repeat(40_000)}` },
      { scope: 'openid '.repeat(6000) },
    ] as Record<string, unknown>[]) {
      const { status } = await register(metadata)
      assert.equal(status, 400, Object.keys(metadata).join())
    }
  })

  test('addresses that this server would call or show: private, plain, or of another scheme', async () => {
    for (const metadata of [
      { backchannel_logout_uri: 'http://169.254.169.254/latest/meta-data' },
      { backchannel_logout_uri: 'https://127.0.0.1/logout' },
      { backchannel_logout_uri: 'https://[::1]/logout' },
      { jwks_uri: 'http://169.254.169.254/keys', token_endpoint_auth_method: 'private_key_jwt' },
      { jwks_uri: 'file:///etc/passwd', token_endpoint_auth_method: 'private_key_jwt' },
      { logo_uri: 'javascript:alert(1)' },
      { client_uri: 'javascript:alert(1)' },
      { policy_uri: 'data:text/html,<script>alert(7)</script>' },
      { tos_uri: 'vbscript:x' },
      { initiate_login_uri: 'http://rp.example/login' },
      { initiate_login_uri: 'javascript:alert(1)' },
    ] as Record<string, unknown>[]) {
      const { status, body } = await register(metadata)
      if (status === 201) {
        // What is not taken must not be kept either.
        const [name = ''] = Object.keys(metadata)
        assert.equal(body[name], undefined, JSON.stringify(metadata))
        assert.equal((await stored(body.client_id))?.[name], undefined, JSON.stringify(metadata))
      } else assert.equal(status, 400, JSON.stringify(metadata))
    }
  })

  test('what only administrators write is neither taken at registration nor by an update', async () => {
    const rights = {
      trusted: true,
      disabled: true,
      persist_authorizations: false,
      providers: ['acme'],
      expires_at: 4_102_444_800,
      client_id: 'web',
      client_secret: 'chosen-by-the-attacker-0123456789',
    }
    const made = await register({
      ...rights,
      scope: 'openid sso-api admin:read admin:write clients:write passport:config',
    })
    assert.equal(made.status, 201, JSON.stringify(made.body))
    const record = await stored(made.body.client_id)
    assert.notEqual(made.body.client_id, 'web')
    assert.notEqual(record?.client_secret, rights.client_secret)
    assert.deepEqual(
      [record?.trusted, record?.disabled, record?.providers, record?.expires_at],
      [false, false, undefined, undefined],
    )
    assert.doesNotMatch(String(record?.scope ?? ''), /sso-api|admin|clients|passport/)
    for (const name of ['trusted', 'disabled', 'providers', 'persist_authorizations', 'expires_at'])
      assert.equal(made.body[name], undefined, name)

    const {
      registration_access_token: token,
      registration_client_uri: uri,
      client_secret_expires_at: _,
      client_id_issued_at: __,
      ...rest
    } = made.body
    const update = await send(
      String(uri),
      'PUT',
      { ...rest, trusted: true, disabled: false, providers: ['acme'], scope: 'openid admin:write' },
      token,
    )
    assert.equal(update.status, 200, JSON.stringify(update.body))
    const after = await stored(made.body.client_id)
    assert.deepEqual([after?.trusted, after?.providers], [false, undefined])
    assert.doesNotMatch(String(after?.scope ?? ''), /admin/)
  })

  test('a registration access token opens its own client only, and dies with it', async () => {
    const [mine, theirs] = [await register({}), await register({})]
    const foreign = await send(
      String(theirs.body.registration_client_uri),
      'GET',
      undefined,
      mine.body.registration_access_token,
    )
    assert.ok(foreign.status === 401 || foreign.status === 403)
    assert.equal(
      (
        await send(
          String(theirs.body.registration_client_uri),
          'DELETE',
          undefined,
          mine.body.registration_access_token,
        )
      ).status >= 400,
      true,
    )
    assert.equal(
      (await send(`${op.issuer}/register/web`, 'GET', undefined, mine.body.registration_access_token)).status >= 400,
      true,
    )
    assert.equal(
      (await send(String(theirs.body.registration_client_uri), 'GET', undefined, theirs.body.registration_access_token))
        .status,
      200,
    )
    assert.equal((await send(String(mine.body.registration_client_uri), 'GET', undefined, undefined)).status, 401)
  })

  test('a sector document of ours whose name cannot be read is none', async () => {
    for (const name of ['%', '%ff', '%00', '..%2f..', ''])
      assert.equal(
        (await register({ subject_type: 'pairwise', sector_identifier_uri: `${op.issuer}/sector/${name}` })).status,
        400,
        name,
      )
  })

  test('unknown response types, grant types and algorithms: none of them arrives', async () => {
    for (const metadata of [
      { response_types: ['token'] },
      { grant_types: ['password'] },
      { grant_types: ['urn:ietf:params:oauth:grant-type:device_code'] },
      { token_endpoint_auth_method: 'tls_client_auth' },
      { id_token_signed_response_alg: 'none', response_types: ['code'] },
      { subject_type: 'private' },
      { redirect_uris: ['https://a.example/cb', 'https://b.example/cb'], subject_type: 'pairwise' },
      { application_type: 'server' },
      { jwks: { keys: [{ kty: 'oct', k: 'AAAA' }] } },
    ] as Record<string, unknown>[]) {
      const { status, body } = await register(metadata)
      assert.equal(status, 400, JSON.stringify([metadata, body]))
    }
  })

  test('markup in names and addresses is shown as text on every page', async () => {
    const name = MARKUP.slice(0, 200)
    const { status, body } = await register({
      client_name: name,
      client_uri: `https://rp.example/?${encodeURIComponent(MARKUP)}"onclick="alert(7)`.replaceAll(' ', ''),
      policy_uri: `https://rp.example/"><script>alert(7)</script>`,
    })
    const made = status === 201 ? body : (await register({ client_name: name })).body
    assert.ok(made.client_id, JSON.stringify(body))
    const someone = browser()
    const request = {
      client_id: String(made.client_id),
      redirect_uri: 'https://rp.example/cb',
      scope: 'openid profile',
    }
    const stop = (page: Awaited<ReturnType<typeof someone.open>>) => {
      assert.match(page.body, /&lt;script&gt;/, 'the name is shown')
      judge(
        { status: page.status, headers: { ...page.headers } as Record<string, string>, body: page.body },
        'a page with the name',
      )
      for (const tag of page.document.tags)
        assert.doesNotMatch(Object.keys(tag.attributes).join(' '), /\bon\w+/, JSON.stringify(tag))
    }
    const choice = await someone.open(authorizationUrl(op.issuer, request))
    stop(choice)
    const login = await someone.open(authorizationUrl(op.issuer, { ...request, acr_values: 'basic' }))
    stop(login)
    const consent = await someone.submit(login, '#continue', { username: 'alice', password: 'wonderland-1865' })
    assert.match(consent.body, /id="page-consent"/)
    stop(consent)
    const hint = find(
      (await someone.open(`${op.issuer}/session/end?client_id=${made.client_id}`)).document,
      '#page-logout',
    )
    assert.ok(hint)
    const error = await someone.open(
      authorizationUrl(op.issuer, { ...request, redirect_uri: `${APP}/"><script>alert(7)</script>` }),
    )
    assert.equal(error.status, 400)
    judge(
      { status: error.status, headers: { ...error.headers } as Record<string, string>, body: error.body },
      'an error page',
    )
  })
})
