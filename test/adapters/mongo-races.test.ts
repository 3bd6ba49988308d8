/**
 * Exactly one winner in MongoDB, whoever asks: two processes, ten contenders in each, a thousand races of everything that
 * may be used once. nx-27017 is slow, so that it gets a fifth; GATEHOUSE_TEST_RACES sets the number for every server, and
 * is per kind where several kinds share the primitive.
 */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { describe, type TestContext, test } from 'node:test'
import { openMongoArtifacts, openMongoDirectory } from '#adapters/mongo/index.ts'
import { sha256 } from '#kernel/random.ts'
import { redeemed } from '#test/contracts/single-use.ts'
import { NX } from '../../scripts/mongo/nx.ts'
import { newDatabase, servers, start, world } from './mongo-world.ts'
import { message } from './processes.ts'

const ASKED = Number(process.env.GATEHOUSE_TEST_RACES ?? 0)
/** In each of the two processes. */
const CONTENDERS = 10
/** Races whose rows stand at a time: the stand-ins look through all of them. */
const BATCH = 100

interface Prepared {
  /** What the races from..to need; `clear` takes it away. */
  prepare?(from: number, to: number): Promise<unknown>
  clear?(from: number, to: number): Promise<unknown>
}

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)

/** One batch: every race has one winner. Answers how many each process won. */
const batch = async (children: readonly ChildProcess[], from: number, to: number): Promise<number[]> => {
  const answers = Promise.all(children.map(message))
  for (const [nth, child] of children.entries()) child.send([from, to, nth === 1])
  const won = (await answers) as number[][]
  for (const i of numbers(from, to))
    assert.equal(
      won.reduce((sum, one) => sum + (one[i - from] ?? 0), 0),
      1,
      `race ${i}`,
    )
  return won.map((one) => one.reduce((sum, wins) => sum + wins, 0))
}

const race = async (t: TestContext, total: number, given: Prepared, task: string, ...rest: string[]): Promise<void> => {
  const children = [0, 1].map(() => start(t, task, ...rest))
  await Promise.all(children.map(message))
  const wins = [0, 0]
  for (let from = 0; from < total; from += BATCH) {
    const to = Math.min(total, from + BATCH)
    await given.prepare?.(from, to)
    for (const [nth, won] of (await batch(children, from, to)).entries()) wins[nth] = (wins[nth] ?? 0) + won
    await given.clear?.(from, to)
  }
  for (const child of children) child.send('end')
  assert.equal((wins[0] ?? 0) + (wins[1] ?? 0), total)
  // A few races may all go to the process that is a little ahead.
  assert.ok(total < 500 || wins.every((won) => won > 0), 'both took part')
  t.diagnostic(`${wins.join(' + ')} winners`)
}

for (const server of servers) {
  const share = server.name === NX ? 0.2 : 1
  const many = ASKED || 1000 * share
  /** Several documents each. */
  const some = ASKED || 100 * share

  describe(`${server.name}: exactly one winner`, () => {
    test('what is redeemed', async (t) => {
      const url = newDatabase(server)
      const own = await openMongoArtifacts(url, world)
      t.after(() => own.close())
      const rowsOf = (from: number, to: number) =>
        numbers(from, to).map((i) => {
          const model = redeemed[i % redeemed.length] ?? ''
          return { model, key: sha256(`${model} ${i}`) }
        })
      const given = {
        prepare: (from: number, to: number) =>
          Promise.all(rowsOf(from, to).map(({ model, key }) => own.put(model, { key, body: Buffer.from('body') }))),
        clear: (from: number, to: number) =>
          Promise.all(rowsOf(from, to).map(({ model, key }) => own.drop(model, key))),
      }
      const total = ASKED ? ASKED * redeemed.length : many
      await race(t, total, given, 'redeem', url, String(CONTENDERS), ...redeemed)
    })

    test('replay markers', async (t) => {
      await race(t, many, {}, 'mark', newDatabase(server), String(CONTENDERS))
    })

    test('usernames', async (t) => {
      const url = newDatabase(server)
      await race(t, some, {}, 'name', url, String(CONTENDERS))
      const directory = await openMongoDirectory(url, world)
      t.after(() => directory.close())
      assert.equal((await directory.list('account', { limit: some * 2 })).length, some)
    })

    test('the next revision of a record', async (t) => {
      const url = newDatabase(server)
      const directory = await openMongoDirectory(url, world)
      t.after(() => directory.close())
      const prepare = (from: number, to: number) =>
        Promise.all(numbers(from, to).map((i) => directory.create('client', { id: `${i}`, doc: Buffer.from('a') })))
      await race(t, some, { prepare }, 'replace', url, String(CONTENDERS))
      assert.ok((await directory.list('client', { limit: some })).every(({ revision }) => revision === 2))
    })
  })
}
