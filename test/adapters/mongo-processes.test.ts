/** The MongoDB store between processes: races, a new database opened by many. RACES and CONTENDERS make it larger. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openMongoArtifacts, openMongoDirectory } from '#adapters/mongo/index.ts'
import { sha256 } from '#kernel/random.ts'
import { newDatabase, raw, servers, together, world } from './mongo-world.ts'

const RACES = Number(process.env.GATEHOUSE_TEST_RACES ?? 150)
/** In each of the two processes. */
const CONTENDERS = Number(process.env.GATEHOUSE_TEST_CONTENDERS ?? 4)
const IDENTITIES = 40

/** Every race has one winner, and both processes had some. */
const oneWinnerEach = (answers: unknown[]): void => {
  const [one = [], two = []] = answers as number[][]
  assert.equal(one.length, RACES)
  for (const [i, won] of one.entries()) assert.equal(won + (two[i] ?? 0), 1, `race ${i}`)
  assert.ok(one.includes(1) && two.includes(1), 'both took part')
}

for (const server of servers)
  describe(`${server.name}: several processes`, () => {
    test(`two processes race for ${RACES} codes: each has exactly one winner`, async (t) => {
      const url = newDatabase(server)
      const own = await openMongoArtifacts(url, world)
      t.after(() => own.close())
      for (let i = 0; i < RACES; i += 50)
        await Promise.all(
          Array.from({ length: Math.min(50, RACES - i) }, (_, n) =>
            own.put('AuthorizationCode', { key: sha256(`code ${i + n}`), body: Buffer.from('body') }),
          ),
        )
      oneWinnerEach(await together(t, 2, 'redeem', url, String(RACES), String(CONTENDERS)))
    })

    test(`two processes race for ${RACES} markers: each has exactly one winner`, async (t) => {
      oneWinnerEach(await together(t, 2, 'mark', newDatabase(server), String(RACES), String(CONTENDERS)))
    })

    test(`two processes race for ${IDENTITIES} first logins: one account each`, async (t) => {
      const url = newDatabase(server)
      const directory = await openMongoDirectory(url, world)
      t.after(() => directory.close())
      const [one, two] = (await together(t, 2, 'claim', url, String(IDENTITIES))) as string[][]
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
      assert.deepEqual(await together(t, 4, 'open', url), ['stored', 'stored', 'stored', 'stored'])
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
