/** Who wins when several want the same: redeeming, markers, counters, revisions, dropped grants (PERSISTENCE 6.2, 6.3, 6.5). */
import assert from 'node:assert/strict'
import { all, type Cases, count, key, row, text, times } from './artifact-store-world.ts'

export const redeeming: Cases = {
  'of fifty who redeem at once exactly one wins': async ({ store, clock }) => {
    await store.put('AuthorizationCode', row('code'))
    const results = await Promise.all(
      times(50, (i) => store.redeem('AuthorizationCode', key('code'), `nonce ${i}`, clock.now())),
    )
    assert.equal(count(results, 'won'), 1)
    assert.equal(count(results, 'lost'), 49)
  },
  'the winning nonce wins again, another never': async ({ store }) => {
    await store.put('AuthorizationCode', row('code'))
    assert.equal(await store.redeem('AuthorizationCode', key('code'), 'mine', 1), 'won')
    assert.equal(await store.redeem('AuthorizationCode', key('code'), 'yours', 2), 'lost')
    assert.equal(await store.redeem('AuthorizationCode', key('code'), 'mine', 3), 'won')
    assert.equal((await store.get('AuthorizationCode', 'key', key('code')))?.consumedAt, 1)
  },
  'what is not there is absent, not lost': async ({ store }) => {
    assert.equal(await store.redeem('AuthorizationCode', key('nothing'), 'n', 1), 'absent')
    assert.equal(await store.get('AuthorizationCode', 'key', key('nothing')), undefined)
  },
  'consumed is seen by every reader and survives a put': async ({ store }) => {
    await store.put('Session', row('a', { uid: key('u'), tags: [key('t')] }))
    await store.redeem('Session', key('a'), 'n', 1_700_000_000_123)
    await store.put('Session', row('a', { uid: key('u'), tags: [key('t')], body: Buffer.from('second') }))
    for (const found of [
      await store.get('Session', 'key', key('a')),
      await store.get('Session', 'uid', key('u')),
      (await store.findTagged('Session', key('t')))[0],
      (await all(store))[0]?.row,
    ]) {
      assert.equal(found?.consumedAt, 1_700_000_000_123)
      assert.equal(text(found?.body), 'second')
    }
    assert.equal(await store.redeem('Session', key('a'), 'other', 2), 'lost')
  },
  'of fifty who mark at once exactly one is first, until the marker expires': async ({ store, clock, skip }) => {
    const mark = () => store.putOnce('Replay', key('proof'), clock.now() + 1000)
    assert.equal(count(await Promise.all(times(50, mark)), true), 1)
    assert.equal(await store.putOnce('OtherReplay', key('proof'), clock.now() + 1000), true)
    await skip(999)
    assert.equal(await mark(), false)
    await skip(1)
    assert.equal(count(await Promise.all(times(50, mark)), true), 1)
  },
  'a counter loses no increment and starts over when it expires': async ({ store, clock, skip }) => {
    const expiresAt = clock.now() + 1000
    assert.equal(await store.increment(key('n'), 0, expiresAt), 0)
    const values = await Promise.all(times(50, () => store.increment(key('n'), 2, expiresAt)))
    assert.equal(new Set(values).size, 50)
    assert.equal(Math.max(...values), 100)
    assert.equal(await store.increment(key('n'), 1, expiresAt + 9000), 101)
    assert.equal(await store.increment(key('n'), 0, expiresAt), 101)
    await skip(1000)
    assert.equal(await store.increment(key('n'), 0, expiresAt + 9000), 0)
    assert.equal(await store.increment(key('n'), 1, expiresAt + 9000), 1)
  },
}

export const revisions: Cases = {
  'a revision counts writes, and a put with another one writes nothing': async ({ store }) => {
    await store.put('Session', row('a'))
    const first = await store.get('Session', 'key', key('a'))
    assert.equal(first?.revision, 1)
    assert.equal(await store.put('Session', row('a', { body: Buffer.from('2') }), { ifRevision: 1 }), 'stored')
    assert.equal(
      await store.put('Session', row('a', { body: Buffer.from('x'), uid: key('u') }), { ifRevision: 1 }),
      'stale',
    )
    const found = await store.get('Session', 'key', key('a'))
    assert.equal(text(found?.body), '2')
    assert.equal(found?.revision, 2)
    assert.equal(await store.get('Session', 'uid', key('u')), undefined)
    assert.equal(await store.put('Session', row('absent'), { ifRevision: 1 }), 'stale')
  },
  'revision 0 stands for an absent row': async ({ store }) => {
    assert.equal(await store.put('Session', row('a'), { ifRevision: 0 }), 'stored')
    assert.equal(await store.put('Session', row('a'), { ifRevision: 0 }), 'stale')
  },
  'of twenty who replace the same revision at once exactly one does': async ({ store }) => {
    await store.put('Session', row('a'))
    const results = await Promise.all(times(20, () => store.put('Session', row('a'), { ifRevision: 1 })))
    assert.equal(count(results, 'stored'), 1)
    assert.equal(count(results, 'stale'), 19)
  },
}

export const granted: Cases = {
  'a dropped grant takes its rows of every model, and only those': async ({ store, clock }) => {
    const until = clock.now() + 60_000
    for (const model of ['AccessToken', 'RefreshToken', 'AuthorizationCode'])
      await store.put(model, row('a', { grant: key('g') }))
    await store.put('AccessToken', row('b', { grant: key('other') }))
    await store.put('AccessToken', row('c'))
    assert.equal(await store.dropGrant(key('g'), until), 3)
    assert.equal(await store.dropGrant(key('g'), until), 0)
    assert.deepEqual((await all(store)).map(({ row }) => text(row.body)).sort(), ['body of b', 'body of c'])
  },
  'a row of a dropped grant is refused until the tombstone ends': async ({ store, clock, skip }) => {
    await store.dropGrant(key('g'), clock.now() + 2000)
    await store.dropGrant(key('g'), clock.now() + 1000)
    await skip(1999)
    assert.equal(await store.put('AccessToken', row('a', { grant: key('g') })), 'revoked')
    assert.equal(await store.get('AccessToken', 'key', key('a')), undefined)
    assert.equal(await store.put('AccessToken', row('a', { grant: key('other') })), 'stored')
    await skip(1)
    assert.equal(await store.put('AccessToken', row('a', { grant: key('g') })), 'stored')
  },
  'a refused put leaves the row that stands as it was': async ({ store, clock }) => {
    await store.put('Session', row('a', { uid: key('u') }))
    await store.dropGrant(key('g'), clock.now() + 1000)
    assert.equal(await store.put('Session', row('b', { uid: key('u'), grant: key('g') })), 'revoked')
    assert.equal(text((await store.get('Session', 'uid', key('u')))?.body), 'body of a')
  },
  'a grant of a thousand rows goes as a whole, whatever is put meanwhile': async ({ store, clock }) => {
    const put = (i: number) => store.put('AccessToken', row(`token ${i}`, { grant: key('g'), tags: [key('t')] }))
    // A thousand at once would ask how long the last one waits, which is another question.
    for (let done = 0; done < 900; done += 100) await Promise.all(times(100, (i) => put(done + i)))
    const before = Promise.all(times(100, (i) => put(900 + i)))
    const dropped = store.dropGrant(key('g'), clock.now() + 60_000)
    const after = await Promise.all(times(100, (i) => put(1000 + i)))
    await before
    await dropped
    assert.ok(after.every((result) => result === 'stored' || result === 'revoked'))
    assert.equal(await put(2000), 'revoked')
    assert.deepEqual(await all(store), [])
    assert.deepEqual(await store.findTagged('AccessToken', key('t')), [])
  },
}
