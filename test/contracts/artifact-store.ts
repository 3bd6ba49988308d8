/**
 * What every ArtifactStore must do (src/kernel/ports.ts, PERSISTENCE 6). A caller gives an opener and moves the time;
 * a case that a store cannot pass is excused by name, with the reason.
 */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { Clock } from '#kernel/clock.ts'
import { isFault } from '#kernel/faults.ts'
import type { ArtifactRow, ArtifactStore } from '#kernel/ports.ts'
import { sha256 } from '#kernel/random.ts'

export interface ArtifactStoreSuite {
  /** A store that holds nothing. */
  open(): Promise<ArtifactStore>
  /** The store's clock. */
  readonly clock: Clock
  /** Moves it on; a real engine may have to sleep. */
  skip(ms: number): Promise<void>
  readonly excused?: Readonly<Record<string, string>>
}
interface World extends Omit<ArtifactStoreSuite, 'open'> {
  readonly store: ArtifactStore
}
type Case = (world: World, t: TestContext) => Promise<void>

const key = (name: string): Buffer => sha256(name)
const row = (name: string, more: Partial<ArtifactRow> = {}): ArtifactRow => ({
  key: key(name),
  body: Buffer.from(`body of ${name}`),
  ...more,
})
const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))
const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString()
const all = async (store: ArtifactStore) => {
  const found: { model: string; row: ArtifactRow }[] = []
  for await (const one of store.scan()) found.push(one)
  return found
}
const count = <T>(values: readonly T[], value: T): number => values.filter((one) => one === value).length

/** A row without what the store may add or leave undefined, in comparable form. */
const plain = ({ revision: _, ...rest }: ArtifactRow): unknown =>
  JSON.parse(
    JSON.stringify(rest, (_name, value) => (value?.type === 'Buffer' ? value.data : value)),
    (_name, value) => (value !== null && typeof value === 'object' && '0' in value ? Object.values(value) : value),
  )

const rows: Record<string, Case> = {
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
      assert.deepEqual(plain(found), plain(given), by)
    }
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

const expiry: Record<string, Case> = {
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

const redeeming: Record<string, Case> = {
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

const lookups: Record<string, Case> = {
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

const revisions: Record<string, Case> = {
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

const granted: Record<string, Case> = {
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
    const before = Promise.all(times(1000, put))
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

const life: Record<string, Case> = {
  'a scan gives every live row, as another store can take it': async ({ store, clock }) => {
    const expiresAt = clock.now() + 60_000
    const given = times(250, (i) =>
      row(`row ${i}`, { expiresAt, uid: key(`u ${i}`), grant: key('g'), tags: [key('t'), key(`t ${i}`)] }),
    )
    await Promise.all(given.map((one, i) => store.put(i % 2 ? 'Session' : 'Grant', one)))
    const found = await all(store)
    assert.equal(found.length, 250)
    assert.equal(found.filter(({ model }) => model === 'Session').length, 125)
    const byKey = new Map(found.map(({ row }) => [Buffer.from(row.key).toString('hex'), row]))
    for (const one of given) {
      const same = byKey.get(Buffer.from(one.key).toString('hex'))
      assert.ok(same)
      assert.deepEqual(plain(same), plain(one))
    }
  },
  'after close every call is refused, none hangs': async ({ store, clock }) => {
    await store.ready()
    const last = store.put('Session', row('a'))
    await store.close()
    assert.equal(await last, 'stored')
    await store.close()
    const unavailable = (error: unknown) => isFault(error, 'store.unavailable')
    await assert.rejects(store.put('Session', row('a')), unavailable)
    await assert.rejects(store.get('Session', 'key', key('a')), unavailable)
    await assert.rejects(store.redeem('Session', key('a'), 'n', clock.now()), unavailable)
    await assert.rejects(store.ready(), unavailable)
  },
}

/** Declares the suite: one `describe` per topic, one fresh store per case. */
export const artifactStoreContract = (name: string, { open, excused = {}, ...time }: ArtifactStoreSuite): void => {
  describe(`artifact store contract: ${name}`, () => {
    for (const [topic, cases] of Object.entries({ rows, expiry, redeeming, lookups, revisions, granted, life }))
      describe(topic, () => {
        for (const [title, run] of Object.entries(cases))
          test(title, { skip: excused[title] ?? false }, async (t) => {
            const store = await open()
            t.after(() => store.close())
            await run({ store, ...time }, t)
          })
      })
  })
}
