/** The MongoDB store between processes: first logins at the same moment, a new database opened by many. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openMongoDirectory } from '#adapters/mongo/index.ts'
import { newDatabase, raw, servers, start, world } from './mongo-world.ts'
import { together } from './processes.ts'

const IDENTITIES = 40

for (const server of servers)
  describe(`${server.name}: several processes`, () => {
    test(`two processes race for ${IDENTITIES} first logins: one account each`, async (t) => {
      const url = newDatabase(server)
      const directory = await openMongoDirectory(url, world)
      t.after(() => directory.close())
      const [one, two] = (await together([0, 1].map(() => start(t, 'claim', url, String(IDENTITIES))))) as string[][]
      assert.equal(one?.length, IDENTITIES)
      assert.deepEqual(one, two)
      const accounts = await directory.list('account', { limit: 1000 })
      assert.deepEqual(
        accounts.map(({ id }) => id),
        one.toSorted((a, b) => (a < b ? -1 : 1)),
      )
    })

    test('four processes open one new database at once: one schema, no lease left', async (t) => {
      const url = newDatabase(server)
      assert.deepEqual(await together([0, 1, 2, 3].map(() => start(t, 'open', url))), [
        'stored',
        'stored',
        'stored',
        'stored',
      ])
      const metas = await (await raw(t, url)).collection('meta').find().sort({ _id: 1 }).toArray()
      assert.deepEqual(
        metas.map(({ _id, version, lease }) => [_id, version, lease.until]),
        [
          ['artifacts', 1, 0],
          ['directory', 1, 0],
        ],
      )
    })
  })
