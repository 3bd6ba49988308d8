/** The commands about clients and initial access tokens, over a folder of their own. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { openShell } from './shell.ts'

const golden = new URL('./client-summary.golden', import.meta.url)

const clients = [
  {
    client_id: 'web',
    client_secret: 'a-secret-that-nobody-may-read',
    client_name: 'Web | `App` <b>*bold*</b>',
    redirect_uris: ['https://app.example.org/cb', 'https://app.example.org/`cb`'],
    post_logout_redirect_uris: ['https://app.example.org/'],
    grant_types: ['authorization_code', 'refresh_token', 'password'],
    subject_type: 'pairwise',
    scope: 'openid email legacy',
    default_acr_values: ['basic', 'gone'],
    userinfo_signed_response_alg: 'ES256',
    client_uri: 'https://app.example.org/',
    contacts: ['ops@example.org'],
    trusted: true,
  },
]

describe('client', () => {
  test('summary: Markdown, with what is registered but not in force, without any secret', async (t) => {
    const shell = await openShell(t, { clients })
    const { code, out } = await shell.run(['client', 'summary', 'web'])
    assert.equal(code, 0)
    assert.doesNotMatch(out, /nobody-may-read/)
    assert.equal(out, readFileSync(golden, 'utf8'))
    const json = await shell.run(['client', 'summary', 'web', '--json'])
    assert.deepEqual(JSON.parse(json.out), { client_id: 'web', state: 'enabled', summary: out })
    const missing = await shell.run(['client', 'summary', 'wbe'])
    assert.deepEqual([missing.code, missing.out], [1, ''])
    assert.match(missing.err, /There is no client wbe/)
  })

  test('list, disable, enable, remove; what the file declares is changed there', async (t) => {
    const shell = await openShell(t, { clients })
    const file = await shell.file('more.yaml', {
      clients: [
        { client_id: 'job', client_secret: 'another-secret-0123456789', redirect_uris: ['https://job.example/cb'] },
      ],
    })
    assert.equal((await shell.run(['apply', file])).code, 0)
    const list = async () =>
      (JSON.parse((await shell.run(['client', 'list', '--json'])).out) as { clients: Record<string, unknown>[] })
        .clients
    assert.deepEqual(
      (await list()).map(({ client_id, state, declared }) => [client_id, state, declared]),
      [
        ['job', 'enabled', false],
        ['web', 'enabled', true],
      ],
    )
    assert.match((await shell.run(['client', 'disable', 'job'])).out, /job is disabled/)
    assert.equal((await list())[0]?.state, 'disabled')
    assert.match((await shell.run(['client', 'enable', 'job'])).out, /job is enabled/)
    const declared = await shell.run(['client', 'disable', 'web'])
    assert.deepEqual([declared.code, /configuration file/.test(declared.err)], [1, true])
    assert.equal((await shell.run(['client', 'remove', 'job'])).code, 0)
    assert.equal((await list()).length, 1)
  })
})

describe('registration-token', () => {
  test('create shows the token once; list and revoke know it by its id', async (t) => {
    const shell = await openShell(t)
    const made = await shell.run(['registration-token', 'create', '--uses', '3', '--lifetime', 'PT8H', '--note', 'ci'])
    assert.deepEqual([made.code, /^[\w-]{43}\n$/.test(made.out)], [0, true])
    assert.match(made.err, /Registers 3 client\(s\) until 20/)
    const { out } = await shell.run(['registration-token', 'list', '--json'])
    assert.doesNotMatch(out, new RegExp(made.out.trim()))
    const { tokens } = JSON.parse(out) as { tokens: { id: string; uses: number; used: number; note: string }[] }
    assert.deepEqual(
      tokens.map(({ uses, used, note }) => [uses, used, note]),
      [[3, 0, 'ci']],
    )
    assert.match((await shell.run(['registration-token', 'list'])).out, /0 of 3/)
    assert.equal((await shell.run(['registration-token', 'revoke', tokens[0]?.id ?? ''])).code, 0)
    assert.equal((await shell.run(['registration-token', 'revoke', tokens[0]?.id ?? ''])).code, 1)
  })

  test('nonsense is refused', async (t) => {
    const shell = await openShell(t)
    for (const flags of [
      ['--lifetime', 'soon'],
      ['--lifetime', 'PT0S'],
      ['--lifetime', 'P9999999D'],
      ['--uses', '0'],
    ])
      assert.equal((await shell.run(['registration-token', 'create', ...flags])).code, 1, flags.join(' '))
    const off = await openShell(t, { registration: { enabled: false } })
    assert.equal((await off.run(['registration-token', 'create'])).code, 1)
  })
})
