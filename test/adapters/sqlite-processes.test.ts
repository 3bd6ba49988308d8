/** The embedded store between processes: races, a new file opened by many, a killed writer. */
import assert from 'node:assert/strict'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { describe, type TestContext, test } from 'node:test'
import { openSqliteDirectory } from '#adapters/sqlite/index.ts'
import { sha256 } from '#kernel/random.ts'
import { marked, redeemed } from '#test/contracts/single-use.ts'
import { assertWonOnce, endContest, numbers } from './contention.ts'
import { goAll, message, together } from './processes.ts'
import { body, newPath, rowCount, start, store, world } from './sqlite-world.ts'

describe('sqlite: several processes', () => {
  /** Two processes that contend until the test ends. */
  const contenders = async (t: TestContext, task: 'redeem' | 'mark', path: string) => {
    const children = [0, 1].map(() => start(t, task, path))
    await together(children)
    t.after(() => endContest(children))
    return children
  }

  test('twenty contenders of two processes for each of 1,000 of every single-use kind: exactly 1,000 winners', async (t) => {
    const path = newPath()
    const own = await store(t, path)
    const children = await contenders(t, 'redeem', path)
    for (const model of redeemed) {
      await Promise.all(numbers(1000).map((i) => own.put(model, { key: sha256(`${i}`), body })))
      await assertWonOnce(children, model, message)
    }
  })

  test('twenty contenders of two processes for each of 1,000 proofs of every kind: exactly 1,000 are first', async (t) => {
    const children = await contenders(t, 'mark', newPath())
    for (const model of marked) await assertWonOnce(children, model, message)
  })

  test('two processes race for 100 first logins: one account each', async (t) => {
    const path = newPath()
    const directory = await openSqliteDirectory(path, world)
    t.after(() => directory.close())
    const [one, two] = (await together([0, 1].map(() => start(t, 'claim', path)))) as string[][]
    assert.equal(one?.length, 100)
    assert.deepEqual(one, two)
    const accounts = await directory.list('account', { limit: 1000 })
    assert.deepEqual(
      accounts.map(({ id }) => id),
      one.toSorted((a, b) => (a < b ? -1 : 1)),
    )
  })

  test('four processes open one new file at once', async (t) => {
    const children = Array.from({ length: 4 }, () => start(t, 'open', ''))
    await Promise.all(children.map(message))
    for (let round = 0; round < 5; round++) {
      const path = newPath()
      assert.deepEqual(await goAll(children, () => path), ['stored', 'stored', 'stored', 'stored'])
      const own = await store(t, path)
      assert.equal(await rowCount(own), 4)
    }
  })

  test('a writer is killed: every row that it acknowledged is there', async (t) => {
    const path = newPath()
    for (let round = 0; round < 2; round++) {
      const child = start(t, 'write', path)
      assert.ok(child.stdout)
      const acknowledged: number[] = []
      for await (const line of createInterface(child.stdout)) {
        acknowledged.push(Number(line))
        if (acknowledged.length === 300) child.kill('SIGKILL')
      }
      assert.ok(acknowledged.length >= 300)
      const own = await store(t, path)
      for (const i of acknowledged) assert.ok(await own.get('Session', 'key', sha256(`row ${i}`)), `row ${i}`)
      await own.close()
      const raw = new DatabaseSync(path)
      assert.deepEqual({ ...raw.prepare('PRAGMA integrity_check').get() }, { integrity_check: 'ok' })
      raw.close()
    }
  })
})
