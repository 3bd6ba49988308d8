import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFault } from '#kernel/faults.ts'
import { accountInput } from '#kernel/records/account.ts'
import { openGround } from './ground.ts'

const person = (username: string) => accountInput.parse({ username })

test('of many first sign-ons in two processes exactly one makes the account', async (t) => {
  const ground = await openGround(t)
  const nodes = [await ground.node(), await ground.node()]
  const claims = await Promise.all(
    Array.from({ length: 16 }, (_, i) => nodes[i % 2]?.records.links.claim('acme', '42', () => person('alice'))),
  )
  assert.equal(claims.filter((claim) => claim?.created).length, 1)
  assert.equal(new Set(claims.map((claim) => claim?.accountId)).size, 1)
  assert.equal((await nodes[0]?.records.accounts.all())?.length, 1)
})

test('a taken username gets a number, later a random end', async (t) => {
  const { records } = await (await openGround(t)).node()
  const usernames: string[] = []
  for (let i = 0; i < 11; i += 1) {
    const { accountId } = await records.links.claim('acme', String(i), () => person('alice'))
    usernames.push((await records.accounts.get(accountId))?.username ?? '')
  }
  assert.deepEqual(usernames.slice(0, 3), ['alice', 'alice-2', 'alice-3'])
  assert.equal(usernames[8], 'alice-9')
  assert.match(usernames[10] ?? '', /^alice-[a-z0-9_-]{6}$/)
  assert.equal(new Set(usernames).size, 11)
})

test('the user id is kept exactly as given, whatever it looks like', async (t) => {
  const { records } = await (await openGround(t)).node()
  const uids = ['Ü1', 'ü1', ' ü1', 'a:b', 'a', "'; --", `x${'y'.repeat(400)}`, `x${'y'.repeat(401)}`]
  const ids = new Set<string>()
  for (const uid of uids) ids.add((await records.links.claim('acme', uid, () => person('someone'))).accountId)
  assert.equal(ids.size, uids.length)
  for (const uid of uids) assert.equal((await records.links.get('acme', uid))?.uid, uid)
  assert.equal(await records.links.get('other', 'a'), undefined)
})

test('a provider and uid that join to the same text are not mixed up', async (t) => {
  const { records } = await (await openGround(t)).node()
  await records.links.claim('a', 'b:c', () => person('one'))
  assert.equal(await records.links.get('a:b', 'c'), undefined)
})

test('an identity belongs to one account', async (t) => {
  const { records } = await (await openGround(t)).node()
  const [alice, bob] = [await records.accounts.create(person('alice')), await records.accounts.create(person('bob'))]
  await records.links.link('acme', '42', alice.id)
  await records.links.link('acme', '42', alice.id)
  await assert.rejects(records.links.link('acme', '42', bob.id), (error) => isFault(error, 'directory.conflict'))
  await assert.rejects(records.links.link('acme', '43', 'nobody'), (error) => isFault(error, 'directory.absent'))
  assert.deepEqual(await records.links.claim('acme', '42', () => person('mallory')), {
    accountId: alice.id,
    created: false,
  })
  assert.deepEqual(
    (await records.links.ofAccount(alice.id)).map(({ id }) => id),
    ['passport-acme:42'],
  )
  assert.equal(await records.links.unlink('acme', '42'), true)
  assert.equal(await records.links.unlink('acme', '42'), false)
  await records.links.link('acme', '42', bob.id)
})
