import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFault } from '#kernel/faults.ts'
import { type Client, clientRecord } from '#kernel/records/client.ts'
import { heard, openGround } from './ground.ts'

const client = (client_id: string, more: Record<string, unknown> = {}): Client =>
  clientRecord.parse({ client_id, ...more })

test('what the file declares wins, is read-only, and is gone with the file', async (t) => {
  const ground = await openGround(t)
  const plain = await ground.node()
  await plain.records.clients.put(client('web', { client_name: 'stored' }))
  await plain.records.clients.put(client('zed'))
  const { records } = await ground.node({ overlay: { clients: [client('web', { client_name: 'declared' })] } })
  assert.equal((await records.clients.get('web'))?.client_name, 'declared')
  assert.equal((await records.clients.versioned('web'))?.revision, 0)
  assert.deepEqual(
    (await records.clients.all()).map((one) => one.client_name),
    ['declared', undefined],
  )
  const page = await records.clients.page({ limit: 10 })
  assert.deepEqual(
    page.map(({ value, revision }) => [value.client_id, revision]),
    [
      ['web', 0],
      ['zed', 1],
    ],
  )
  for (const change of [() => records.clients.put(client('web')), () => records.clients.remove('web')])
    await assert.rejects(change, (error) => isFault(error, 'directory.read-only'))
  assert.equal((await plain.records.clients.get('web'))?.client_name, 'stored')
})

test('pages of declared and stored records together miss and repeat nothing', async (t) => {
  const declared = ['b', 'd', 'x'].map((id) => client(id))
  const { records } = await (await openGround(t)).node({ overlay: { clients: declared } })
  for (const id of ['a', 'c', 'e', 'y']) await records.clients.put(client(id))
  const seen: string[] = []
  for (;;) {
    const after = seen.at(-1)
    const page = await records.clients.page({ limit: 2, ...(after !== undefined && { after }) })
    if (page.length === 0) break
    seen.push(...page.map(({ value }) => value.client_id))
  }
  assert.deepEqual(seen, ['a', 'b', 'c', 'd', 'e', 'x', 'y'])
})

test('a record that is not one is refused, and what an older version left out is filled in', async (t) => {
  const { records, port, sealer } = await (await openGround(t)).node()
  await assert.rejects(records.clients.put({ client_id: 'has space' } as Client), (error) =>
    isFault(error, 'request.invalid'),
  )
  await records.clients.put({ client_id: 'bare' } as Client)
  assert.equal((await records.clients.get('bare'))?.persist_authorizations, true)
  await port.create('client', { id: 'old', doc: sealer.seal('{"client_id":"old"}', 'client:old') })
  assert.equal((await records.clients.get('old'))?.trusted, false)
})

test('a document that was moved to another id does not open', async (t) => {
  const { records, port } = await (await openGround(t)).node()
  await records.clients.put(client('rich', { trusted: true }))
  const row = await port.read('client', 'rich')
  await port.create('client', { id: 'poor', doc: row?.doc ?? Buffer.alloc(0) })
  await assert.rejects(records.clients.get('poor'), (error) => isFault(error, 'seal.broken'))
})

test('a change shows at once to its own process and soon to another one', async (t) => {
  const ground = await openGround(t)
  const [here, there] = [await ground.node(), await ground.node()]
  assert.equal(await there.records.clients.get('web'), undefined)
  const told = heard(there, 'client')
  await here.records.clients.put(client('web'))
  assert.equal((await here.records.clients.get('web'))?.client_id, 'web')
  await told
  assert.equal((await there.records.clients.get('web'))?.disabled, false)
  const again = heard(there, 'client')
  await here.records.clients.put(client('web', { disabled: true }))
  await again
  assert.equal((await there.records.clients.get('web'))?.disabled, true)
  const removed = heard(there, 'client')
  await here.records.clients.remove('web')
  await removed
  assert.equal(await there.records.clients.get('web'), undefined)
})

test('where no news arrives, nothing is believed for longer than 30 seconds', async (t) => {
  const ground = await openGround(t)
  const here = await ground.node()
  const deaf = await ground.node({ pollMs: 3_600_000 })
  await here.records.clients.put(client('web', { client_name: 'old' }))
  assert.equal((await deaf.records.clients.get('web'))?.client_name, 'old')
  await here.records.clients.put(client('web', { client_name: 'new' }))
  assert.equal((await deaf.records.clients.get('web'))?.client_name, 'old')
  ground.clock.skip(31)
  assert.equal((await deaf.records.clients.get('web'))?.client_name, 'new')
})

test('nobody listens after close', async (t) => {
  const ground = await openGround(t)
  const node = await ground.node()
  let calls = 0
  node.records.onChange(() => {
    calls += 1
  })
  const stop = node.records.onChange(() => {
    calls += 100
  })
  stop()
  await node.records.clients.put(client('a'))
  assert.equal(calls, 1)
  await node.records.close()
  await node.bus.publish('client', 'a')
  assert.equal(calls, 1)
})
