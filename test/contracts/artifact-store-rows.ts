/** Rows, their expiry and the ways to find them (PERSISTENCE 6.1, 6.4, 6.6, 6.16). */
import assert from 'node:assert/strict'
import type { ArtifactRow } from '#kernel/ports.ts'
import { all, type Cases, key, plain, row, text, times } from './artifact-store-world.ts'

/** What `get` promises: the look-ups are `scan`'s to tell. */
const seen = ({ uid: _, userCode: __, tags: ___, ...rest }: ReturnType<typeof plain>) => rest

export const rows: Cases = {
  'what was put is got, and a second put replaces it': async ({ store }) => {
    assert.equal(await store.get('Session', 'key', key('a')), undefined)
    assert.equal(await store.put('Session', row('a')), 'stored')
    assert.equal(text((await store.get('Session', 'key', key('a')))?.body), 'body of a')
    assert.equal(await store.put('Session', row('a', { body: Buffer.from('second') })), 'stored')
    assert.equal(text((await store.get('Session', 'key', key('a')))?.body), 'second')
  },
  'models are worlds of their own': async ({ store }) => {
    await store.put('Session', row('a', { uid: key('u') }))
    assert.equal(await store.get('Grant', 'key', key('a')), undefined)
    assert.equal(await store.get('Grant', 'uid', key('u')), undefined)
    assert.equal(await store.redeem('Grant', key('a'), 'n', 1), 'absent')
    await store.put('Grant', row('a', { uid: key('u') }))
    await store.drop('Grant', key('a'))
    assert.equal(text((await store.get('Session', 'uid', key('u')))?.body), 'body of a')
  },
  'a dropped row is gone, and dropping again is no error': async ({ store }) => {
    await store.put('Session', row('a', { uid: key('u'), userCode: key('c'), tags: [key('t')] }))
    await store.drop('Session', key('a'))
    await store.drop('Session', key('a'))
    assert.equal(await store.get('Session', 'key', key('a')), undefined)
    assert.equal(await store.get('Session', 'uid', key('u')), undefined)
    assert.equal(await store.get('Session', 'userCode', key('c')), undefined)
    assert.deepEqual(await store.findTagged('Session', key('t')), [])
  },
  'every field comes back as it went in, whatever its bytes': async ({ store, clock }) => {
    const given: ArtifactRow = {
      key: Buffer.from(times(64, (i) => i * 4)),
      body: Buffer.from(times(256, (i) => i)),
      expiresAt: clock.now() + 1000,
      grant: key('g'),
      uid: Buffer.from([0]),
      userCode: Buffer.from([0, 255]),
      tags: [key('t'), Buffer.from([0]), Buffer.from(times(64, () => 255))],
    }
    await store.put('Session', given)
    for (const [by, value] of [
      ['key', given.key],
      ['uid', given.uid],
      ['userCode', given.userCode],
    ] as const) {
      const found = await store.get('Session', by, value ?? key(''))
      assert.ok(found, by)
      assert.deepEqual(seen(plain(found)), seen(plain(given)), by)
    }
    const scanned: ArtifactRow[] = []
    for await (const { model, row: each } of store.scan()) if (model === 'Session') scanned.push(each)
    assert.deepEqual(scanned.map(plain), [plain(given)], 'scan')
  },
  'a field left out of the second put is gone': async ({ store, clock }) => {
    const expiresAt = clock.now() + 1000
    await store.put('Session', row('a', { uid: key('u'), grant: key('g'), tags: [key('t')], expiresAt }))
    await store.put('Session', row('a'))
    const found = await store.get('Session', 'key', key('a'))
    assert.ok(found)
    assert.deepEqual(plain(found), plain(row('a')))
    assert.equal(await store.get('Session', 'uid', key('u')), undefined)
    assert.equal(await store.dropGrant(key('g'), clock.now() + 1000), 0)
  },
  'a body of a megabyte, among small ones': async ({ store }) => {
    const body = Buffer.alloc(1024 * 1024, 'gatehouse')
    await Promise.all([
      store.put('Session', row('before')),
      store.put('Session', row('large', { body })),
      store.put('Session', row('after')),
    ])
    assert.ok(Buffer.from((await store.get('Session', 'key', key('large')))?.body ?? []).equals(body))
    assert.equal(text((await store.get('Session', 'key', key('after')))?.body), 'body of after')
    await store.put('Session', row('later'))
    assert.equal(text((await store.get('Session', 'key', key('later')))?.body), 'body of later')
  },
  'bytes belong to the caller again as soon as put returns': async ({ store }) => {
    const body = Buffer.from('mine')
    const stored = store.put('Session', row('a', { body }))
    body.fill(0)
    await stored
    assert.equal(text((await store.get('Session', 'key', key('a')))?.body), 'mine')
  },
  'writes of one turn keep their order': async ({ store }) => {
    const results = await Promise.all([
      store.put('Session', row('a')),
      store.redeem('Session', key('a'), 'n', 1),
      store.drop('Session', key('a')),
      store.redeem('Session', key('a'), 'n', 1),
      store.put('Session', row('a', { body: Buffer.from('last') })),
    ])
    assert.deepEqual(results, ['stored', 'won', undefined, 'absent', 'stored'])
    assert.equal(text((await store.get('Session', 'key', key('a')))?.body), 'last')
  },
}

export const expiry: Cases = {
  'an expired row is absent to every reader, swept or not': async ({ store, clock, skip }) => {
    const expiresAt = clock.now() + 2000
    await store.put('Session', row('a', { uid: key('u'), userCode: key('c'), tags: [key('t')], expiresAt }))
    assert.ok(await store.get('Session', 'uid', key('u')))
    await skip(2000)
    assert.equal(await store.get('Session', 'key', key('a')), undefined)
    assert.equal(await store.get('Session', 'uid', key('u')), undefined)
    assert.equal(await store.get('Session', 'userCode', key('c')), undefined)
    assert.deepEqual(await store.findTagged('Session', key('t')), [])
    assert.deepEqual(await all(store), [])
    assert.equal(await store.redeem('Session', key('a'), 'n', 1), 'absent')
  },
  'a row without expiry stays': async ({ store, skip }) => {
    await store.put('Session', row('a'))
    await skip(400 * 24 * 3600 * 1000)
    await store.sweep(100)
    assert.ok(await store.get('Session', 'key', key('a')))
  },
  'a put over an expired row begins anew': async ({ store, clock, skip }) => {
    await store.put('Session', row('a', { expiresAt: clock.now() + 1000, tags: [key('old')] }))
    await store.redeem('Session', key('a'), 'n', clock.now())
    await skip(1000)
    await store.put('Session', row('a', { tags: [key('new')] }))
    const found = await store.get('Session', 'key', key('a'))
    assert.equal(found?.consumedAt, undefined)
    assert.equal(found?.revision, 1)
    assert.deepEqual(await store.findTagged('Session', key('old')), [])
    assert.equal(await store.redeem('Session', key('a'), 'other', clock.now()), 'won')
  },
}

/** Of a store that keeps what has expired until it is swept. */
export const swept: Cases = {
  'a sweep takes expired rows only, and at most as many as it may': async ({ store, clock, skip }) => {
    const expiresAt = clock.now() + 1000
    await Promise.all(times(25, (i) => store.put('AccessToken', row(`token ${i}`, { expiresAt }))))
    await Promise.all(times(5, (i) => store.putOnce('Replay', key(`proof ${i}`), expiresAt)))
    await store.put('AccessToken', row('stays', { expiresAt: expiresAt + 1 }))
    assert.equal(await store.sweep(100), 0)
    await skip(1000)
    assert.equal(await store.sweep(20), 20)
    assert.equal(await store.sweep(20), 10)
    assert.equal(await store.sweep(20), 0)
    assert.deepEqual(
      (await all(store)).map(({ row }) => text(row.body)),
      ['body of stays'],
    )
  },
}

/** Of a database that removes what has expired by itself. */
export const unswept: Cases = {
  'a sweep has nothing to do, and takes nothing that lives': async ({ store, clock, skip }) => {
    const expiresAt = clock.now() + 1000
    await Promise.all(times(25, (i) => store.put('AccessToken', row(`token ${i}`, { expiresAt }))))
    await store.put('AccessToken', row('stays', { expiresAt: expiresAt + 1 }))
    await skip(1000)
    assert.equal(await store.sweep(100), 0)
    assert.deepEqual(
      (await all(store)).map(({ row }) => text(row.body)),
      ['body of stays'],
    )
  },
}

export const lookups: Cases = {
  'a uid moves to the row that was put last, and dropping the former keeps it': async ({ store }) => {
    for (const by of ['uid', 'userCode'] as const) {
      await store.put('Session', row('old', { [by]: key('u') }))
      await store.put('Session', row('new', { [by]: key('u') }))
      assert.equal(text((await store.get('Session', by, key('u')))?.body), 'body of new')
      assert.equal((await store.get('Session', 'key', key('old')))?.[by], undefined)
      await store.drop('Session', key('old'))
      assert.equal(text((await store.get('Session', by, key('u')))?.body), 'body of new')
      await store.drop('Session', key('new'))
    }
  },
  'an expired row does not hold its uid': async ({ store, clock, skip }) => {
    await store.put('Session', row('old', { uid: key('u'), expiresAt: clock.now() + 1000 }))
    await skip(1000)
    assert.equal(await store.put('Session', row('new', { uid: key('u') })), 'stored')
    assert.equal(text((await store.get('Session', 'uid', key('u')))?.body), 'body of new')
  },
  'tagged rows come oldest first, as many as asked for': async ({ store }) => {
    for (const name of ['a', 'b', 'c']) await store.put('Session', row(name, { tags: [key('t'), key(name)] }))
    await store.put('Session', row('a', { tags: [key('t')], body: Buffer.from('again') }))
    const bodies = async (tag: string, limit?: number) =>
      (await store.findTagged('Session', key(tag), limit)).map(({ body }) => text(body))
    assert.deepEqual(await bodies('t'), ['again', 'body of b', 'body of c'])
    assert.deepEqual(await bodies('t', 2), ['again', 'body of b'])
    assert.deepEqual(await bodies('a'), [])
    assert.deepEqual(await bodies('b'), ['body of b'])
    assert.deepEqual(await store.findTagged('Grant', key('t')), [])
  },
}
