import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Answer, openShell } from './shell.ts'

const json = ({ out }: Answer): Record<string, unknown> => JSON.parse(out) as Record<string, unknown>
const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '')

const client = (client_id: string, more: Record<string, unknown> = {}) => ({
  client_id,
  client_secret: `secret of ${client_id}`,
  redirect_uris: [`https://${client_id}.example/cb`],
  ...more,
})
const resources = {
  clients: [client('web', { trusted: true }), client('app')],
  accounts: [{ username: 'alice', password: 'open sesame', roles: ['admin'], claims: { motto: 'costs $${5}' } }],
  identityProviders: [
    {
      id: 'acme',
      protocol: 'oidc',
      oidc: { issuer: 'https://acme.example', client_id: 'me', client_secret: 'upstream secret' },
    },
  ],
  mappings: [{ name: 'acme', attributes: { username: 'sub', groups: { from: 'groups', split: ',' } } }],
  acrs: [{ name: 'urn:example:strong', steps: [['basic', 'acme']], level: 2 }],
}

test('check-config says yes, or every mistake on a line of its own', async (t) => {
  const shell = await openShell(t)
  const good = await shell.run(['check-config'])
  assert.deepEqual([good.code, good.err], [0, ''])
  assert.match(good.out, /^\S+gatehouse\.yaml is valid\.\n$/)
  assert.deepEqual(json(await shell.run(['check-config', '--json'])), { ok: true, mistakes: [] })

  const bad = await openShell(t, { listen: { prot: 1 }, masterKey: 'hunter2' })
  const told = await bad.run(['check-config'])
  assert.deepEqual([told.code, told.err], [1, ''])
  assert.deepEqual(lines(told.out), [
    'listen.prot: found an unknown setting, must be one of host, port, tls; did you mean "port"?',
    'masterKey: found text (not shown), must be 32 bytes as base64url (43 characters)',
  ])
  const machine = await bad.run(['check-config', '--json'])
  assert.equal(machine.code, 1)
  assert.equal((json(machine).mistakes as unknown[]).length, 2)
  const other = await bad.run(['keys', 'list'])
  assert.deepEqual([other.code, other.out, lines(other.err).length], [1, '', 2])
})

test('clients that the engine would refuse are told of, and apply stores none of them', async (t) => {
  const clients = [
    client('fine', { id_token_signed_response_alg: 'ES256', default_acr_values: ['basic'] }),
    client('frame', { frontchannel_logout_uri: 'https://elsewhere.example/out' }),
    client('implicit', {
      redirect_uris: ['http://localhost/cb'],
      response_types: ['id_token'],
      grant_types: ['implicit'],
    }),
    client('machine', { redirect_uris: undefined, grant_types: ['client_credentials'] }),
    client('sector', { redirect_uris: ['https://a.example/', 'https://b.example/'], subject_type: 'pairwise' }),
  ]
  const told = [
    'clients.1: frontchannel_logout_uri must have the scheme, host and port of a redirect URI',
    'clients.2: redirect_uris for web clients using implicit flow MUST only register URLs using the https scheme',
    'clients.4: sector_identifier_uri is mandatory property',
  ]
  const odd = client('odd', { redirect_uris: 'https://odd.example/cb' })
  const declared = await openShell(t, { clients: [...clients, odd] })
  const checked = await declared.run(['check-config'])
  assert.equal(checked.code, 1)
  assert.deepEqual(
    lines(checked.out).filter((line) => !line.startsWith('clients.5.redirect_uris: ')),
    told,
  )
  assert.equal(lines(checked.out).length, told.length + 1)

  const shell = await openShell(t)
  const applied = await shell.run(['apply', '-'], { input: JSON.stringify({ clients }) })
  assert.deepEqual([applied.code, lines(applied.err)], [1, told])
  assert.deepEqual(json(await shell.run(['client', 'list', '--json'])).clients, [])
})

test('the folder of a SQLite file is made, with a master key of one’s own too', async (t) => {
  const shell = await openShell(t)
  const config = await shell.file('elsewhere.yaml', {
    stores: { artifacts: 'sqlite:./new/a/artifacts.db', directory: 'sqlite:./new/b/directory.db' },
    masterKey: Buffer.alloc(32, 7).toString('base64url'),
    accounts: [{ username: 'alice' }],
  })
  const listed = await shell.spawn(['account', 'list', '--config', config, '--json'])
  assert.equal(listed.err, '')
  assert.deepEqual(
    (json(listed).accounts as { username: string }[]).map(({ username }) => username),
    ['alice'],
  )
})

test('apply prints the difference, once', async (t) => {
  const shell = await openShell(t)
  const file = await shell.file('resources.json', resources)
  const created = [
    '+ mappings acme',
    '+ identityProviders acme',
    '+ acrs urn:example:strong',
    '+ clients web',
    '+ clients app',
    '+ accounts alice',
  ]
  const dry = await shell.run(['apply', file, '--dry-run'])
  assert.deepEqual(lines(dry.out), [...created, '6 to create, 0 to update, 0 to remove; nothing was written.'])
  const first = await shell.run(['apply', file])
  assert.deepEqual(lines(first.out), [...created, '6 created, 0 updated, 0 removed.'])
  const second = await shell.run(['apply', file])
  assert.deepEqual([second.code, second.out, second.err], [0, 'Nothing to change.\n', ''])

  const fewer = JSON.stringify({ ...resources, clients: [client('web', { client_name: 'Web' })] })
  const update = await shell.run(['apply', '-', '--prune', '--json'], { input: fewer })
  assert.deepEqual(json(update), {
    dryRun: false,
    changes: [
      { resource: 'clients', id: 'web', action: 'update', fields: ['client_name', 'trusted'] },
      { resource: 'clients', id: 'app', action: 'remove', fields: [] },
    ],
  })
})

test('apply writes nothing of a file that has a mistake, and repeats no secret', async (t) => {
  const shell = await openShell(t)
  const file = await shell.file('resources.json', {
    ...resources,
    acrs: [{ name: 'a', steps: [['acne']] }],
    issuer: 'https://id.example.org',
    accounts: [{ username: 'alice', password: ['open sesame'] }],
  })
  const told = await shell.run(['apply', file])
  assert.deepEqual([told.code, told.out], [1, ''])
  assert.deepEqual(lines(told.err), [
    'issuer: found a setting, must be a resource (clients, accounts, identityProviders, mappings, acrs, scopes, sectorIdentifiers)',
    'accounts.0.password: found a list, must be text',
    'acrs.0.steps.0.0: found "acne", which is no method or provider, must be one of basic, otp, acme; did you mean "acme"?',
  ])
  assert.match((await shell.run(['export'])).out, /\{\}/)
  assert.equal((await shell.run(['apply', '/nowhere.yaml'])).code, 1)
})

test('what is exported applies elsewhere to the same, and back to no change', async (t) => {
  const [here, there] = [await openShell(t), await openShell(t)]
  await here.run(['apply', await here.file('resources.json', resources)])
  const whole = await here.run(['export', '--secrets'])
  assert.equal(whole.code, 0)
  assert.match(whole.out, /^# Resources of http:\/\/localhost:3000, for: gatehouse apply FILE\n# Holds secrets/)
  for (const secret of ['secret of web', 'upstream secret', '$argon2id$']) assert.ok(whole.out.includes(secret), secret)
  assert.equal(whole.out.includes('open sesame'), false)

  assert.equal((await here.run(['apply', '-'], { input: whole.out })).out, 'Nothing to change.\n')
  const moved = await there.run(['apply', '-'], { input: whole.out })
  assert.match(moved.out, /6 created/, moved.err)
  assert.equal((await there.run(['export', '--secrets'])).out, whole.out)
  const again = await there.run(['apply', await there.file('resources.json', resources)])
  assert.equal(again.out, 'Nothing to change.\n')
})

test('export leaves secrets out unless they are asked for', async (t) => {
  const shell = await openShell(t)
  await shell.run(['apply', await shell.file('resources.json', resources)])
  for (const args of [['export'], ['export', '--json']]) {
    const { out } = await shell.run(args)
    assert.ok(out.includes('https://acme.example'))
    for (const secret of ['secret of', 'upstream secret', 'argon2']) assert.equal(out.includes(secret), false, secret)
  }
})

test('keys are listed, rotated, retired and exported', async (t) => {
  const shell = await openShell(t)
  const keys = (answer: Answer) => json(answer).keys as Record<string, string>[]
  const [first] = keys(await shell.run(['keys', 'list', '--json']))
  assert.deepEqual([first?.alg, first?.state], ['ES256', 'active'])
  const rotated = keys(await shell.run(['keys', 'rotate', '--json']))
  assert.deepEqual(
    rotated.map(({ state }) => state),
    ['active', 'retired'],
  )
  assert.equal(rotated[1]?.kid, first?.kid)
  const table = await shell.run(['keys', 'list'])
  assert.match(table.out, /^ALG +STATE +SIGNS FROM/)
  assert.equal(lines(table.out).length, 3)

  assert.equal((await shell.run(['keys', 'retire', first?.kid ?? ''])).code, 0)
  const published = json(await shell.run(['keys', 'export'])).keys as Record<string, string>[]
  assert.deepEqual(
    published.map(({ kid }) => kid),
    [rotated[0]?.kid],
  )
  assert.equal(
    published.some((key) => 'd' in key),
    false,
  )
  assert.match((await shell.run(['keys', 'export', '--pem'])).out, /^-----BEGIN PUBLIC KEY-----\n[^P]/)

  const unknown = await shell.run(['keys', 'retire', 'nothing'])
  assert.deepEqual(unknown, { code: 1, out: '', err: 'There is no key nothing: see `gatehouse keys list`.\n' })
  const other = await shell.run(['keys', 'rotate', '--alg', 'RS256'])
  assert.deepEqual([other.code, other.err], [1, 'There is no key for RS256: choose one of ES256.\n'])
})

test('accounts are made, shown, changed and removed', async (t) => {
  const shell = await openShell(t)
  const args = [
    'account',
    'create',
    'alice',
    '--email',
    'a@example.org',
    '--email-verified',
    '--role',
    'x',
    '--role',
    'y',
  ]
  const made = json(await shell.run([...args, '--password-stdin', '--json'], { input: 'open sesame\n' }))
  assert.deepEqual(
    [made.username, made.email, made.email_verified, made.roles, made.password],
    ['alice', 'a@example.org', true, ['x', 'y'], true],
  )
  assert.equal('generatedPassword' in made, false)
  const taken = await shell.run(['account', 'create', 'ALICE'])
  assert.deepEqual([taken.code, taken.err], [1, 'The username is taken: choose another one.\n'])

  const shown = await shell.run(['account', 'show', 'a@example.org'])
  assert.match(shown.out, /^id: \S{22}\nusername: alice\n/)
  assert.equal(shown.out.includes('argon2'), false)
  assert.equal(json(await shell.run(['account', 'disable', 'alice', '--json'])).disabled, true)
  assert.match((await shell.run(['account', 'list'])).out, /alice +a@example\.org +disabled +x y/)
  assert.equal(json(await shell.run(['account', 'enable', 'alice', '--json'])).disabled, false)
  const changed = json(await shell.run(['account', 'passwd', 'alice', '--json']))
  assert.match(String(changed.generatedPassword), /^[\w-]{24}$/)

  const removed = await shell.run(['account', 'remove', 'alice'])
  assert.equal(removed.out, `Removed alice (${made.id}).\n`)
  const gone = await shell.run(['account', 'show', 'alice'])
  assert.equal(gone.code, 1)
  assert.match(gone.err, /^There is no account alice /)
  assert.deepEqual(json(await shell.run(['account', 'list', '--json'])), { accounts: [] })
})

test('what the commands do not know is told in a line, with code 1', async (t) => {
  const shell = await openShell(t)
  const trace = await shell.run(['trace', 'ABCDEFGHJK'])
  assert.deepEqual([trace.code, trace.out, lines(trace.err).length], [1, '', 1])
  const limit = await shell.run(['account', 'list', '--limit', 'many'])
  assert.deepEqual([limit.code, lines(limit.err).length], [1, 1])
  const typo = await shell.run(['acount', 'list'])
  assert.equal(typo.code, 1)
  assert.match(typo.err, /Did you mean account\?/)
})
