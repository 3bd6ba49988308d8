/**
 * The MongoDB store when a process dies between two commands of one operation: the connection is taken away after the
 * first command, after the second, and so on until the operation gets through. Whatever was done by then, another
 * process must find nothing half.
 */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { openMongoArtifacts, openMongoDirectory } from '#adapters/mongo/index.ts'
import { isFault } from '#kernel/faults.ts'
import type { Directory, StoredRecord } from '#kernel/ports.ts'
import { sha256 } from '#kernel/random.ts'
import { Middleman } from './mongo-middleman.ts'
import { clock, doomed, newDatabase, servers, skip, unavailable, world } from './mongo-world.ts'

const record = (id: string, more: Partial<StoredRecord> = {}): StoredRecord => ({ id, doc: Buffer.from(id), ...more })
const named = (id: string, username: string) => record(id, { unique: { username }, index: { email: [`${id}@x.y`] } })
const conflict = (error: unknown) => isFault(error, 'directory.conflict')
const total = async (directory: Directory): Promise<number> =>
  Object.values(await directory.epoch()).reduce((sum, n) => sum + n, 0)

/** Longer than anything is taken to be under way. */
const LONG = 20_000
const MOST_COMMANDS = 40

/** Calls `attempt` with the connection cut after its first command, its second …; `check` follows each time. */
const everywhere = async (
  cutAfter: (count: number) => void,
  once: (nth: number) => Promise<boolean>,
): Promise<number> => {
  for (let nth = 1; nth <= MOST_COMMANDS; nth++) {
    cutAfter(nth)
    if (await once(nth)) return nth - 1
  }
  return assert.fail('never got through')
}

/** True when the operation got through. */
const attempt = async (work: Promise<unknown>): Promise<boolean> => {
  try {
    await work
    return true
  } catch (error) {
    assert.ok(unavailable()(error), String(error))
    return false
  }
}

for (const server of servers) {
  const { process: ours } = server
  if (!ours) continue

  const between = async (t: TestContext) => {
    let left = Number.POSITIVE_INFINITY
    const proxy = await Middleman.open(t, ours.port, () => (--left === 0 ? 'cut' : 'pass'))
    const cutAfter = (count: number) => {
      proxy.heal()
      left = count
    }
    return { proxy, cutAfter }
  }

  const directories = async (t: TestContext) => {
    const url = newDatabase(server)
    const { proxy, cutAfter } = await between(t)
    const here = await openMongoDirectory(url, world)
    const dying = await openMongoDirectory(proxy.url(url), doomed)
    t.after(async () => {
      await here.close()
      await dying.close()
    })
    return { here, dying, cutAfter }
  }

  describe(`${server.name}: half-way`, () => {
    test('a first login: the next one ends with one account, whatever the first had done', async (t) => {
      const { here, dying, cutAfter } = await directories(t)
      const claim = (directory: Directory, link: string, account: string) =>
        directory.claim('link', link, () => ({
          owner: account,
          link: record(link, { index: { account: [account] } }),
          accountKind: 'account',
          account: named(account, `user of ${link}`),
        }))
      const commands = await everywhere(cutAfter, async (nth) => {
        const link = `google:${nth}`
        const before = await total(here)
        const through = await attempt(claim(dying, link, `${nth} first`))
        const { owner } = await claim(here, link, `${nth} second`)
        assert.deepEqual(await claim(here, link, `${nth} third`), { owner, created: false })
        assert.equal((await here.find('link', 'account', owner, { limit: 9 })).length, 1)
        const users = await here.find('account', 'username', `user of ${link}`, { limit: 9 })
        assert.deepEqual(
          users.map(({ id }) => id),
          [owner],
        )
        assert.equal((await here.list('account', { limit: 999 })).length, nth)
        await skip(LONG)
        assert.ok((await total(here)) >= before + 2, 'both kinds were counted')
        return through
      })
      t.diagnostic(`${commands} commands`)
      assert.ok(commands >= 8)
    })

    test('a create: the record is there with its name, or the name is free', async (t) => {
      const { here, dying, cutAfter } = await directories(t)
      const commands = await everywhere(cutAfter, async (nth) => {
        const through = await attempt(dying.create('account', named(`${nth} first`, `user ${nth}`)))
        const second = await here.create('account', named(`${nth} second`, `user ${nth}`)).catch((error) => {
          assert.ok(conflict(error), String(error))
          return 'conflict'
        })
        const found = await here.find('account', 'username', `user ${nth}`, { limit: 9 })
        assert.deepEqual(
          found.map(({ id }) => id),
          [second === 'conflict' ? `${nth} first` : `${nth} second`],
        )
        if (through) assert.equal(second, 'conflict')
        // Whoever meets what the first left behind changes nothing of that.
        if (second === 1)
          await here.create('account', record(`${nth} first`)).catch((error) => assert.ok(conflict(error)))
        const later = await here.find('account', 'username', `user ${nth}`, { limit: 9 })
        assert.deepEqual(later, found)
        await skip(LONG)
        assert.ok((await total(here)) >= nth, 'each of the records was counted')
        return through
      })
      assert.ok(commands >= 5)
    })

    test('a replace that changes the name: one of the two names is free, the other is not', async (t) => {
      const { here, dying, cutAfter } = await directories(t)
      const commands = await everywhere(cutAfter, async (nth) => {
        await here.create('account', named(`${nth}`, `old ${nth}`))
        await skip(LONG)
        const before = await total(here)
        const through = await attempt(dying.replace('account', named(`${nth}`, `new ${nth}`), 1))
        const done = (await here.read('account', `${nth}`))?.revision === 2
        if (through) assert.ok(done)
        await skip(LONG)
        if (done) assert.ok((await total(here)) > before, 'the change was counted')
        const [taken, free] = done ? ['new', 'old'] : ['old', 'new']
        await assert.rejects(here.create('account', named(`${nth} taken`, `${taken} ${nth}`)), conflict)
        assert.equal(await here.create('account', named(`${nth} free`, `${free} ${nth}`)), 1)
        const found = await here.find('account', 'username', `${taken} ${nth}`, { limit: 9 })
        assert.deepEqual(
          found.map(({ id }) => id),
          [`${nth}`],
        )
        return through
      })
      assert.ok(commands >= 7)
    })

    test('a remove: the record is there with its name, or the name is free', async (t) => {
      const { here, dying, cutAfter } = await directories(t)
      const commands = await everywhere(cutAfter, async (nth) => {
        await here.create('account', named(`${nth}`, `user ${nth}`))
        const through = await attempt(dying.remove('account', `${nth}`))
        const there = (await here.read('account', `${nth}`)) !== undefined
        if (through) assert.ok(!there)
        const again = here.create('account', named(`${nth} again`, `user ${nth}`))
        if (there) await assert.rejects(again, conflict)
        else assert.equal(await again, 1)
        return through
      })
      assert.ok(commands >= 4)
    })

    test('a revocation that was begun is completed by another node, and a row that slipped in goes with it', async (t) => {
      const url = newDatabase(server)
      const { proxy, cutAfter } = await between(t)
      const here = await openMongoArtifacts(url, world)
      const dying = await openMongoArtifacts(proxy.url(url), doomed)
      t.after(async () => {
        await here.close()
        await dying.close()
      })
      const until = clock.now() + 3_600_000
      const body = Buffer.from('body')
      const revoking = await everywhere(cutAfter, async (nth) => {
        const [key, grant] = [sha256(`row ${nth}`), sha256(`grant ${nth}`)]
        await here.put('AccessToken', { key, body, grant })
        const through = await attempt(dying.dropGrant(grant, until))
        await skip(LONG)
        await here.sweep(1)
        assert.equal(await here.get('AccessToken', 'key', key), undefined)
        assert.equal(await here.put('AccessToken', { key, body, grant }), 'revoked')
        return through
      })
      assert.equal(revoking, 2)
      const putting = await everywhere(cutAfter, async (nth) => {
        const [key, grant] = [sha256(`late ${nth}`), sha256(`late grant ${nth}`)]
        await here.dropGrant(grant, until)
        const late = dying.put('AccessToken', { key, body, grant }).then((result) => assert.equal(result, 'revoked'))
        const through = await attempt(late)
        await skip(LONG)
        await here.sweep(1)
        assert.equal(await here.get('AccessToken', 'key', key), undefined)
        return through
      })
      assert.equal(putting, 2)
    })

    test('a redemption whose answer was lost: its own nonce has won, no other one has', async (t) => {
      const url = newDatabase(server)
      const { proxy, cutAfter } = await between(t)
      const here = await openMongoArtifacts(url, world)
      const dying = await openMongoArtifacts(proxy.url(url), doomed)
      t.after(async () => {
        await here.close()
        await dying.close()
      })
      const key = sha256('code')
      await here.put('AuthorizationCode', { key, body: Buffer.from('body') })
      cutAfter(1)
      await assert.rejects(dying.redeem('AuthorizationCode', key, 'mine', 1), unavailable())
      assert.equal(await here.redeem('AuthorizationCode', key, 'yours', 2), 'lost')
      cutAfter(Number.POSITIVE_INFINITY)
      assert.equal(await dying.redeem('AuthorizationCode', key, 'mine', 3), 'won')
    })
  })
}
