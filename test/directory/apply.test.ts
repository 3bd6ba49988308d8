import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApplyOptions } from '#directory/apply.ts'
import { noResources, type Resources } from '#directory/index.ts'
import { Fault, isFault } from '#kernel/faults.ts'
import type { Directory } from '#kernel/ports.ts'
import { accountInput } from '#kernel/records/account.ts'
import { clientRecord } from '#kernel/records/client.ts'
import { acrRecord, type IdentityProvider, mappingRecord, providerBase } from '#kernel/records/provider.ts'
import { type Node, openGround, samePassword } from './ground.ts'

const provider = (id: string, more: Record<string, unknown> = {}): IdentityProvider => ({
  ...providerBase.parse({ id, ...more }),
  protocol: 'oidc',
  oidc: { issuer: `https://${id}.example` },
})

const whole: Resources = {
  clients: [clientRecord.parse({ client_id: 'web', client_secret: 'one' }), clientRecord.parse({ client_id: 'app' })],
  accounts: [accountInput.parse({ username: 'alice', password: 'secret', roles: ['admin'] })],
  identityProviders: [provider('acme')],
  mappings: [mappingRecord.parse({ name: 'acme', attributes: { username: 'sub' } })],
  acrs: [acrRecord.parse({ name: 'strong', steps: [['acme']] })],
  scopes: [],
  sectorIdentifiers: [],
}

const apply = async ({ records }: Node, resources: Partial<Resources>, options: Partial<ApplyOptions> = {}) => {
  const changes = await records.apply({ ...noResources, ...resources }, { samePassword, ...options })
  return changes.map(({ action, resource, id, fields }) => [action, resource, id, ...fields].join(' '))
}

const everything = [
  'create mappings acme',
  'create identityProviders acme',
  'create acrs strong',
  'create clients web',
  'create clients app',
  'create accounts alice',
]

test('what is declared is stored, and the same file again changes nothing', async (t) => {
  const node = await (await openGround(t)).node()
  assert.deepEqual(await apply(node, whole), everything)
  assert.equal((await node.records.clients.get('web'))?.client_secret, 'one')
  assert.deepEqual((await node.records.providers.get('acme'))?.oidc, { issuer: 'https://acme.example' })
  assert.deepEqual(await apply(node, whole), [])
})

test('a dry run says the same and writes nothing', async (t) => {
  const node = await (await openGround(t)).node()
  assert.deepEqual(await apply(node, whole, { dryRun: true }), everything)
  assert.deepEqual(await node.records.clients.all(), [])
  assert.deepEqual(await node.records.accounts.all(), [])
})

test('a difference names the members, and an account keeps its id, its age and an unnamed password', async (t) => {
  const ground = await openGround(t)
  const node = await ground.node()
  await apply(node, whole)
  const before = await node.records.accounts.byUsername('alice')
  ground.clock.skip(60)
  const changed = {
    clients: [clientRecord.parse({ client_id: 'web', client_secret: 'two', client_name: 'Web' })],
    identityProviders: [provider('acme', { displayName: 'ACME' })],
    accounts: [accountInput.parse({ username: 'Alice', email: 'a@example.org' })],
  }
  assert.deepEqual(await apply(node, changed), [
    'update identityProviders acme displayName',
    'update clients web client_name client_secret',
    'update accounts Alice email roles username',
  ])
  const after = await node.records.accounts.byUsername('alice')
  assert.deepEqual(
    [after?.id, after?.createdAt, after?.passwordHash, after?.email],
    [before?.id, before?.createdAt, before?.passwordHash, 'a@example.org'],
  )
  const other = { accounts: [accountInput.parse({ username: 'Alice', email: 'a@example.org', password: 'new' })] }
  assert.deepEqual(await apply(node, other), ['update accounts Alice passwordHash'])
})

test('prune removes what an earlier apply declared, and nothing else', async (t) => {
  const node = await (await openGround(t)).node()
  await node.records.clients.put(clientRecord.parse({ client_id: 'registered' }))
  await node.records.accounts.create(accountInput.parse({ username: 'bob' }))
  await apply(node, { ...whole, accounts: [...whole.accounts, accountInput.parse({ username: 'bob', roles: ['x'] })] })
  assert.deepEqual(await apply(node, { clients: whole.clients.slice(0, 1) }), [])
  assert.deepEqual(await apply(node, { clients: whole.clients.slice(0, 1) }, { prune: true }), [
    'remove clients app',
    'remove accounts alice',
    'remove acrs strong',
    'remove identityProviders acme',
    'remove mappings acme',
  ])
  assert.deepEqual(
    (await node.records.clients.all()).map((client) => client.client_id),
    ['registered', 'web'],
  )
  assert.deepEqual(
    (await node.records.accounts.all()).map(({ username }) => username),
    ['bob'],
  )
  assert.deepEqual(await apply(node, { clients: whole.clients.slice(0, 1) }, { prune: true }), [])
})

test('what the served file declares otherwise is refused before anything is written', async (t) => {
  const ground = await openGround(t)
  const node = await ground.node({ overlay: { clients: whole.clients } })
  const same = { clients: whole.clients, acrs: whole.acrs }
  const other = { mappings: whole.mappings, clients: [clientRecord.parse({ client_id: 'web' })] }
  await assert.rejects(apply(node, other), (error) => isFault(error, 'directory.read-only'))
  assert.deepEqual(await node.records.mappings.all(), [])
  assert.deepEqual(await apply(node, same), ['create acrs strong'])
})

test('a username that another account has is refused before anything is written', async (t) => {
  const node = await (await openGround(t)).node()
  await node.records.accounts.create(accountInput.parse({ id: 'one', username: 'alice' }))
  const accounts = [accountInput.parse({ id: 'two', username: 'alice' })]
  await assert.rejects(apply(node, { mappings: whole.mappings, accounts }), (error) =>
    isFault(error, 'directory.conflict'),
  )
  assert.deepEqual(await node.records.mappings.all(), [])
})

/** Fails every write from the given one on, as a killed process would. */
const dying = (port: Directory, writes: number): { restore(): void } => {
  const { create, replace, remove } = port
  let left = writes
  const limited = <A extends unknown[], R>(write: (...args: A) => Promise<R>) =>
    async function (this: unknown, ...args: A): Promise<R> {
      left -= 1
      if (left < 0) throw new Fault('store.unavailable', { reason: 'killed' })
      return write.apply(port, args)
    }
  Object.assign(port, { create: limited(create), replace: limited(replace), remove: limited(remove) })
  return { restore: () => Object.assign(port, { create, replace, remove }) }
}

test('a crash half-way is completed at the next start, wherever it happened', async (t) => {
  for (const writes of [1, 3, 5, 7, 10, 12]) {
    await t.test(`after ${writes} writes`, async (t) => {
      const ground = await openGround(t)
      const node = await ground.node()
      const killed = dying(node.port, writes)
      await assert.rejects(apply(node, whole), (error) => isFault(error, 'store.unavailable'))
      killed.restore()
      const next = await ground.node()
      assert.deepEqual(await apply(next, whole), [])
      assert.equal((await next.records.accounts.byUsername('alice'))?.roles[0], 'admin')
      assert.equal((await next.port.list('intent', { limit: 10 })).length, 0)
      assert.equal((await apply(next, {}, { prune: true })).length, everything.length)
    })
  }
})

test('a crash before the intent was written leaves nothing behind', async (t) => {
  const ground = await openGround(t)
  const node = await ground.node()
  const killed = dying(node.port, 0)
  await assert.rejects(apply(node, whole), (error) => isFault(error, 'store.unavailable'))
  killed.restore()
  assert.deepEqual(await (await ground.node()).records.clients.all(), [])
})

test('two applies at once both end, and a late step undoes nothing', async (t) => {
  const ground = await openGround(t)
  const nodes = [await ground.node(), await ground.node()] as const
  const named = (client_name: string) => ({
    clients: ['a', 'b', 'c', 'd'].map((client_id) => clientRecord.parse({ client_id, client_name })),
  })
  await Promise.all([apply(nodes[0], named('one')), apply(nodes[1], named('two'))])
  const { records, port } = await ground.node()
  const names = new Set((await records.clients.all()).map(({ client_name }) => client_name))
  assert.equal((await records.clients.all()).length, 4)
  assert.equal(names.size, 1, [...names].join())
  assert.equal((await port.list('intent', { limit: 10 })).length, 0)
})

test('a record that somebody changed since the decision is left alone, and the answer says so', async (t) => {
  const ground = await openGround(t)
  const node = await ground.node()
  await node.records.accounts.create(accountInput.parse({ id: 'one', username: 'bob' }))
  const { create } = node.port
  // Between the decision and its first step somebody takes the username that the second step wants.
  node.port.create = async (kind, record) => {
    const revision = await create.call(node.port, kind, record)
    if (kind === 'intent') await node.records.accounts.update('one', (now) => ({ ...now, username: 'alice' }))
    return revision
  }
  const changes = await node.records.apply({ ...noResources, ...whole }, { samePassword })
  assert.deepEqual(
    changes.filter(({ refused }) => refused).map(({ resource, id }) => [resource, id]),
    [['accounts', 'alice']],
  )
  assert.equal((await node.records.clients.all()).length, 2)
  assert.equal((await node.records.accounts.byUsername('alice'))?.id, 'one')
})
