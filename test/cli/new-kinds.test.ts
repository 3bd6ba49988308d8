/** Scopes, sector identifiers and what clients say of spontaneous scopes: applied, exported, backed up and restored like the rest. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { openShell } from './shell.ts'

const written = {
  scopes: [
    { name: 'work', displayName: 'Work', claims: ['department', { claim: 'groups', from: 'roles' }] },
    { name: 'work_time', type: 'dynamic', allowDynamicRegistration: true },
    { name: 'invoices:read', type: 'oauth', description: 'Invoices' },
  ],
  sectorIdentifiers: [{ id: 'group', clients: ['bank'], redirectUris: ['https://old.example/cb'] }],
  clients: [
    {
      client_id: 'bank',
      client_secret: 'a-secret-of-the-bank-0123456789',
      redirect_uris: ['https://bank.example/cb'],
      allow_spontaneous_scopes: true,
      spontaneous_scopes: ['transaction:\\d+'],
    },
  ],
}

test('apply, the same again, export into another directory, prune', async (t) => {
  const shell = await openShell(t)
  const file = await shell.file('resources.json', written)
  const first = await shell.run(['apply', file])
  assert.equal(first.code, 0, first.err)
  assert.match(first.out, /\+ scopes work\n/)
  assert.match(first.out, /\+ sectorIdentifiers group\n/)
  assert.match((await shell.run(['apply', file])).out, /^Nothing to change\.\n$/)

  const { out } = await shell.run(['export', '--secrets'])
  const other = await openShell(t)
  const copy = await other.file('copy.yaml', out)
  assert.equal((await other.run(['apply', copy])).code, 0)
  assert.match((await other.run(['apply', file])).out, /^Nothing to change\.\n$/)

  const less = await shell.file('less.json', { ...written, scopes: written.scopes.slice(1), sectorIdentifiers: [] })
  const pruned = await shell.run(['apply', '--prune', less])
  assert.match(pruned.out, /- sectorIdentifiers group\n/)
  assert.match(pruned.out, /- scopes work\n/)
})

test('backup and restore carry them', async (t) => {
  const shell = await openShell(t, { masterKey: Buffer.alloc(32, 9).toString('base64url') })
  assert.equal((await shell.run(['apply', await shell.file('resources.json', written)])).code, 0)
  assert.equal((await shell.run(['registration-token', 'create', '--note', 'kept'])).code, 0)
  const file = join(shell.folder, 'all.backup')
  assert.equal((await shell.run(['backup', file])).code, 0)
  const other = await openShell(t, { masterKey: Buffer.alloc(32, 9).toString('base64url') })
  const restored = await other.run(['restore', file])
  assert.equal(restored.code, 0, restored.err)
  const exported = async (from: typeof shell) => JSON.parse((await from.run(['export', '--json'])).out) as unknown
  assert.deepEqual(await exported(other), await exported(shell))
})

test('mistakes are told: a pattern that is none, a scope with a meaning, claims of an oauth scope', async (t) => {
  const shell = await openShell(t)
  const [bank] = written.clients
  const { code, err } = await shell.run([
    'apply',
    await shell.file('wrong.json', {
      clients: [{ ...bank, spontaneous_scopes: ['(a)\\1', `${'x'.repeat(201)}`] }],
      scopes: [
        { name: 'openid' },
        { name: 'sso-api', type: 'oauth' },
        { name: 'email', type: 'dynamic' },
        { name: 'api', type: 'oauth', claims: ['x'] },
        { name: 'two words' },
        { name: 'tricky', claims: ['sub', { claim: 'iss', from: 'email' }] },
        { name: 'same' },
        { name: 'same' },
      ],
    }),
  ])
  assert.equal(code, 1)
  for (const [path, text] of [
    ['clients.0.spontaneous_scopes.0', 'regular expression'],
    ['clients.0.spontaneous_scopes.1', 'regular expression'],
    ['scopes.0.name', 'has a meaning already'],
    ['scopes.1.name', 'has a meaning already'],
    ['scopes.2.type', 'must be openid for a standard scope'],
    ['scopes.3.claims', 'must be empty'],
    ['scopes.4.name', 'must be a scope'],
    ['scopes.5.claims', ''],
    ['scopes.7.name', 'must differ from scopes.6.name'],
  ] as const)
    assert.ok(
      err.split('\n').some((line) => line.startsWith(path) && line.includes(text)),
      `${path} ${text}\n${err}`,
    )
})
