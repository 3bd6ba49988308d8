/**
 * The MongoDB store when two processes are at the same thing at the very same moment: one of them is held back before a
 * certain command, until the other is through.
 */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { openMongoArtifacts, openMongoDirectory } from '#adapters/mongo/index.ts'
import { isFault } from '#kernel/faults.ts'
import type { Directory, StoredRecord } from '#kernel/ports.ts'
import { sha256 } from '#kernel/random.ts'
import { type Command, Middleman, type Verdict } from './mongo-middleman.ts'
import { clock, doomed, newDatabase, servers, skip, unavailable, world } from './mongo-world.ts'

const named = (id: string, username: string): StoredRecord => ({ id, doc: Buffer.from(id), unique: { username } })
const conflict = (error: unknown) => isFault(error, 'directory.conflict') && error.detail.index === 'username'
const holders = async (directory: Directory, username: string): Promise<string[]> =>
  (await directory.find('account', 'username', username, { limit: 9 })).map(({ id }) => id)

/** The way to a database on which the nth command of a sort is held back until released. */
const slowWay = async (t: TestContext, port: number, url: string, fits: (command: Command) => boolean, nth = 1) => {
  const { promise: released, resolve: release } = Promise.withResolvers<Verdict>()
  const { promise: held, resolve: hold } = Promise.withResolvers<void>()
  let left = nth
  const middleman = await Middleman.open(t, port, (_, command) => {
    if (!fits(command) || --left !== 0) return 'pass'
    hold()
    return released
  })
  return { url: middleman.url(url), held, release: () => release('pass') }
}

/** A directory on such a way. */
const holding = async (...given: Parameters<typeof slowWay>) => {
  const way = await slowWay(...given)
  const directory = await openMongoDirectory(way.url, world)
  given[0].after(() => directory.close())
  return { ...way, directory }
}

for (const server of servers) {
  const { process: ours } = server
  if (!ours) continue

  /** A username whose record is gone, because the process that removed it died before it freed the name. */
  const leaveBehind = async (t: TestContext, url: string, here: Directory, username: string): Promise<void> => {
    await here.create('account', named('gone', username))
    const middleman = await Middleman.open(t, ours.port, (name, { delete: from }) =>
      name === 'delete' && from === 'records' ? 'cut' : 'pass',
    )
    const dying = await openMongoDirectory(middleman.url(url), doomed)
    await assert.rejects(dying.remove('account', 'gone'), unavailable())
    await dying.close()
    assert.equal(await here.read('account', 'gone'), undefined)
  }

  const open = async (t: TestContext) => {
    const url = newDatabase(server)
    const here = await openMongoDirectory(url, world)
    t.after(() => here.close())
    return { url, here }
  }

  describe(`${server.name}: at the same moment`, () => {
    test('two take over one name that was left behind: the slower one is refused', async (t) => {
      const { url, here } = await open(t)
      await leaveBehind(t, url, here, 'alice')
      const slow = await holding(t, ours.port, url, ({ update }) => update === 'names')
      const late = slow.directory.create('account', named('slow', 'alice'))
      await slow.held
      assert.equal(await here.create('account', named('quick', 'alice')), 1)
      slow.release()
      await assert.rejects(late, conflict)
      assert.deepEqual(await holders(here, 'alice'), ['quick'])
      assert.equal(await slow.directory.read('account', 'slow'), undefined)
    })

    test('a name that a stalled replace has claimed: refused at first, then given away, and the replace is refused', async (t) => {
      const { url, here } = await open(t)
      await here.create('account', named('a', 'alice'))
      // The first update of records tells that the replace is under way, the second one is the replace.
      const slow = await holding(t, ours.port, url, ({ update }) => update === 'records', 2)
      const late = slow.directory.replace('account', named('a', 'alicia'), 1)
      await slow.held
      await assert.rejects(here.create('account', named('b', 'alicia')), conflict)
      await skip(60_000)
      assert.equal(await here.create('account', named('b', 'alicia')), 1)
      slow.release()
      await assert.rejects(late, (error) => isFault(error, 'directory.stale'))
      assert.deepEqual(await holders(here, 'alicia'), ['b'])
      assert.deepEqual(await holders(here, 'alice'), ['a'])
      assert.equal((await here.read('account', 'a'))?.revision, 1)
    })

    test('a create that stalls is completed by whoever wants its name, and comes to the same end', async (t) => {
      const { url, here } = await open(t)
      const slow = await holding(t, ours.port, url, ({ update }) => update === 'records')
      const late = slow.directory.create('account', named('slow', 'alice'))
      await slow.held
      await assert.rejects(here.create('account', named('quick', 'alice')), conflict)
      assert.deepEqual(await holders(here, 'alice'), ['slow'])
      slow.release()
      assert.equal(await late, 1)
      assert.deepEqual(await holders(here, 'alice'), ['slow'])
      assert.equal((await here.epoch()).account, 1)
    })

    test('a first login that stalls is completed by the next one; a late insert brings no removed account back', async (t) => {
      const { url, here } = await open(t)
      const claim = (directory: Directory, account: string) =>
        directory.claim('link', 'google:42', () => ({
          owner: account,
          link: { id: 'google:42', doc: Buffer.from('l') },
          accountKind: 'account',
          account: named(account, 'alice'),
        }))
      const slow = await holding(t, ours.port, url, ({ update }) => update === 'records')
      const late = claim(slow.directory, 'slow')
      await slow.held
      assert.deepEqual(await claim(here, 'quick'), { owner: 'slow', created: false })
      assert.equal(await here.remove('link', 'google:42'), true)
      assert.equal(await here.remove('account', 'slow'), true)
      slow.release()
      const { owner } = await late
      assert.deepEqual(await holders(here, 'alice'), [owner])
      assert.equal((await here.list('account', { limit: 9 })).length, 1)
    })

    test('a row that is put while its grant is dropped: refused, and nothing of it stays', async (t) => {
      const url = newDatabase(server)
      const here = await openMongoArtifacts(url, world)
      const slow = await slowWay(t, ours.port, url, ({ update }) => update === 'artifacts')
      const there = await openMongoArtifacts(slow.url, world)
      t.after(() => Promise.all([here.close(), there.close()]))
      const [key, grant, body] = [sha256('a'), sha256('g'), Buffer.from('body')]
      const late = there.put('AccessToken', { key, body, grant, uid: sha256('u') })
      await slow.held
      assert.equal(await here.dropGrant(grant, clock.now() + 60_000), 0)
      slow.release()
      assert.equal(await late, 'revoked')
      assert.equal(await here.get('AccessToken', 'key', key), undefined)
      assert.equal(await here.get('AccessToken', 'uid', sha256('u')), undefined)
    })

    test('a uid that two rows are put with: one of them is found by it, the same for everybody', async (t) => {
      const url = newDatabase(server)
      const here = await openMongoArtifacts(url, world)
      const slow = await slowWay(t, ours.port, url, ({ update }) => update === 'artifacts')
      const there = await openMongoArtifacts(slow.url, world)
      t.after(() => Promise.all([here.close(), there.close()]))
      const [uid, body] = [sha256('u'), Buffer.from('body')]
      const late = there.put('Session', { key: sha256('slow'), body, uid })
      await slow.held
      assert.equal(await here.put('Session', { key: sha256('quick'), body, uid }), 'stored')
      slow.release()
      assert.equal(await late, 'stored')
      const found = await here.get('Session', 'uid', uid)
      assert.ok(found)
      assert.deepEqual((await there.get('Session', 'uid', uid))?.key, found.key)
      // Whoever puts it later has it alone.
      assert.equal(await here.put('Session', { key: sha256('last'), body, uid }), 'stored')
      assert.deepEqual((await there.get('Session', 'uid', uid))?.key, sha256('last'))
      for (const name of ['slow', 'quick'])
        assert.equal((await here.get('Session', 'key', sha256(name)))?.uid, undefined, name)
    })
  })
}
