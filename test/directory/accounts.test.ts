import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { isFault } from '#kernel/faults.ts'
import { accountInput } from '#kernel/records/account.ts'
import { openGround } from './ground.ts'

const person = (username: string, more: Record<string, unknown> = {}) => accountInput.parse({ username, ...more })
const conflict = (index: string) => (error: unknown) =>
  isFault(error, 'directory.conflict') && error.detail.index === index

test('usernames differ by neither case nor compatibility form', async (t) => {
  const { records } = await (await openGround(t)).node()
  const alice = await records.accounts.create(person('Ａlice'))
  assert.equal((await records.accounts.byUsername('ALICE'))?.id, alice.id)
  assert.equal((await records.accounts.get(alice.id))?.username, 'Ａlice')
  await assert.rejects(records.accounts.create(person('alice')), conflict('username'))
})

test('an e-mail address is found however its ASCII letters and its domain are written', async (t) => {
  const { records } = await (await openGround(t)).node()
  const { id } = await records.accounts.create(person('alice', { email: 'Alice.A+x@Bücher.example' }))
  const ids = async (email: string) => (await records.accounts.byEmail(email)).map((account) => account.id)
  assert.deepEqual(await ids('alice.a+x@xn--bcher-kva.EXAMPLE'), [id])
  assert.deepEqual(await ids('alicea+x@bücher.example'), [])
  assert.deepEqual(await ids('alice.a@bücher.example'), [])
})

test('letters that only Unicode folds to ASCII are other mailboxes', async (t) => {
  const { records } = await (await openGround(t)).node()
  await records.accounts.create(person('kim', { email: 'kim@example.org' }))
  assert.deepEqual(await records.accounts.byEmail('\u212Aim@example.org'), [])
})

test('a login is a username, else the e-mail address of exactly one account', async (t) => {
  const { records } = await (await openGround(t)).node()
  const alice = await records.accounts.create(person('alice', { email: 'a@example.org' }))
  assert.equal((await records.accounts.byLogin('A@example.org'))?.id, alice.id)
  await records.accounts.create(person('alice2', { email: 'a@example.org' }))
  assert.equal(await records.accounts.byLogin('a@example.org'), undefined)
  const named = await records.accounts.create(person('a@example.org'))
  assert.equal((await records.accounts.byLogin('a@example.org'))?.id, named.id)
})

test('a password is kept as its hash, and the file shows nothing of a person', async (t) => {
  const ground = await openGround(t)
  const { records } = await ground.node()
  const account = await records.accounts.create(
    person('alice', { password: 'correct horse', claims: { family_name: 'Andersson' } }),
  )
  assert.match(account.passwordHash ?? '', /^\$argon2id\$/)
  assert.equal('password' in account, false)
  const files = await Promise.all(
    [ground.path, `${ground.path}-wal`].map((path) => readFile(path).catch(() => Buffer.alloc(0))),
  )
  const stored = Buffer.concat(files)
  assert.ok(stored.includes('alice'), 'the index of usernames is in clear')
  for (const secret of ['correct horse', 'Andersson', account.passwordHash ?? '-'])
    assert.equal(stored.includes(secret), false, secret)
})

test('concurrent updates all count, and the id cannot be changed', async (t) => {
  const { records } = await (await openGround(t)).node()
  const { id } = await records.accounts.create(person('alice', { claims: { n: 0 } }))
  await Promise.all(
    Array.from({ length: 10 }, () =>
      records.accounts.update(id, (now) => ({ ...now, id: 'other', claims: { n: Number(now.claims.n) + 1 } })),
    ),
  )
  assert.equal((await records.accounts.get(id))?.claims.n, 10)
  assert.equal(await records.accounts.get('other'), undefined)
  await assert.rejects(
    records.accounts.update('nobody', (now) => now),
    (error) => isFault(error, 'directory.absent'),
  )
})

test('put with a revision replaces only what was read', async (t) => {
  const { records } = await (await openGround(t)).node()
  const { id } = await records.accounts.create(person('alice'))
  const read = await records.accounts.versioned(id)
  assert.ok(read)
  await records.accounts.put({ ...read.value, roles: ['admin'] }, read.revision)
  await assert.rejects(records.accounts.put({ ...read.value, roles: [] }, read.revision), (error) =>
    isFault(error, 'directory.stale'),
  )
  assert.deepEqual((await records.accounts.get(id))?.roles, ['admin'])
})

test('removing an account takes its links and consents with it', async (t) => {
  const { records } = await (await openGround(t)).node()
  const { accountId } = await records.links.claim('acme', '42', () => person('alice'))
  await records.consents.remember(accountId, 'web', { scopes: ['openid'], claims: [], rejectedScopes: [] })
  assert.equal(await records.accounts.remove(accountId), true)
  assert.equal(await records.accounts.get(accountId), undefined)
  assert.equal(await records.links.get('acme', '42'), undefined)
  assert.equal(await records.consents.get(accountId, 'web'), undefined)
  assert.equal(await records.accounts.remove(accountId), false)
})

test('declared accounts are created once and never overwritten', async (t) => {
  const ground = await openGround(t)
  const declared = { accounts: [person('alice', { password: 'one', email: 'a@example.org' })] }
  const first = await ground.node({ overlay: declared })
  const alice = await first.records.accounts.byUsername('alice')
  assert.ok(alice)
  await first.records.accounts.update(alice.id, (now) => ({ ...now, email: 'b@example.org' }))
  const second = await ground.node({ overlay: declared })
  assert.equal((await second.records.accounts.byUsername('alice'))?.email, 'b@example.org')
})

test('paging is ascending by id and complete', async (t) => {
  const { records } = await (await openGround(t)).node()
  for (const name of ['c', 'a', 'e', 'b', 'd']) await records.accounts.create(person(name, { id: name }))
  const first = await records.accounts.page({ limit: 3 })
  const second = await records.accounts.page({ limit: 3, after: 'c' })
  assert.deepEqual(
    [...first, ...second].map(({ value }) => value.id),
    ['a', 'b', 'c', 'd', 'e'],
  )
  assert.equal((await records.accounts.all()).length, 5)
})
