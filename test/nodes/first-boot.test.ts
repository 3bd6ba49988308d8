/** The first start of several nodes on empty stores: one key set, one account for each that is declared, whoever comes first. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { silentLog } from '#kernel/log.ts'
import { openHouse } from '#src/house.ts'
import { start } from '#src/wire.ts'
import { alice, client, load } from '#test/flows/world.ts'
import { ask } from '#test/http/world.ts'
import { freePorts } from '#test/world/free-port.ts'
import { emptyPair, masterKey, pairMissing } from '#test/world/stores.ts'

// What holds the directory is what this is about.
for (const name of ['sqlite', 'mongo'] as const)
  describe(`three nodes on empty stores, ${name}`, { skip: await pairMissing(name) }, () => {
    test('publish the same keys, and no others were made', async (t) => {
      const pair = await emptyPair(name)
      const closing = [pair.close]
      t.after(async () => {
        for (const close of closing.toReversed()) await close()
      })
      const ports = await freePorts(3)
      const host = `localhost:${ports[0]}`
      const written = { issuer: `http://${host}`, masterKey, ...pair.settings, clients: [client()], accounts: [alice] }
      const starts = ports.map((port) => start(load({ ...written, listen: { port } }), { log: silentLog }))
      for (const one of await Promise.allSettled(starts)) if (one.status === 'fulfilled') closing.push(one.value.close)
      await Promise.all(starts)
      const published = await Promise.all(
        ports.map(async (port) => (await ask(port, '/jwks', { headers: { host } })).body),
      )
      const kids = (JSON.parse(published[0] ?? '') as { keys: { kid: string; alg: string }[] }).keys
      assert.equal(new Set(published).size, 1)
      assert.equal(new Set(kids.map(({ alg }) => alg)).size, kids.length, 'one key for each algorithm')
      const house = await openHouse(load(written), { log: silentLog })
      closing.push(house.close)
      assert.equal((await house.records.keys.all()).length, kids.length, 'no key that nobody publishes')
      const people = await house.directory.find('account', 'username', alice.username, { limit: 9 })
      assert.equal(people.length, 1, 'a declared account is created once')
    })
  })
