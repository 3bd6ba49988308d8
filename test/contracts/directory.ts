/**
 * What every Directory must do (src/kernel/ports.ts, PERSISTENCE 6). A caller gives an opener; a case that a directory
 * cannot pass is excused by name, with the reason.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isFault } from '#kernel/faults.ts'
import type { Directory, DirectoryPiece, StoredRecord } from '#kernel/ports.ts'

export interface DirectorySuite {
  /** A directory that holds nothing. */
  open(): Promise<Directory>
  readonly excused?: Readonly<Record<string, string>>
}
type Case = (directory: Directory) => Promise<void>

const record = (id: string, more: Partial<StoredRecord> = {}): StoredRecord => ({
  id,
  doc: Buffer.from(`doc of ${id}`),
  ...more,
})
const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))
const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString()
const sorted = (index: Readonly<Record<string, readonly string[]>>) =>
  Object.fromEntries(Object.entries(index).map(([name, values]) => [name, values.toSorted()]))
const ids = (records: readonly { id: string }[]): string[] => records.map(({ id }) => id)
const conflict = (index: string) => (error: unknown) =>
  isFault(error, 'directory.conflict') && error.detail.index === index
const stale = (error: unknown) => isFault(error, 'directory.stale')
const outcomes = async (attempts: Promise<unknown>[]) => {
  const settled = await Promise.allSettled(attempts)
  return {
    done: settled.filter(({ status }) => status === 'fulfilled').length,
    refused: settled.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : [])),
  }
}

const records: Record<string, Case> = {
  'what was created is read, with its revision': async (directory) => {
    assert.equal(await directory.read('client', 'a'), undefined)
    const doc = Buffer.from(times(256, (i) => i))
    assert.equal(await directory.create('client', record('a', { doc })), 1)
    const found = await directory.read('client', 'a')
    assert.equal(found?.id, 'a')
    assert.equal(found?.revision, 1)
    assert.ok(Buffer.from(found?.doc ?? []).equals(doc))
    assert.equal(await directory.read('account', 'a'), undefined)
  },
  'an id is taken once in its kind': async (directory) => {
    await directory.create('client', record('a'))
    await assert.rejects(directory.create('client', record('a')), conflict('id'))
    assert.equal(await directory.create('account', record('a')), 1)
  },
  'ids and values are kept exactly as given': async (directory) => {
    const odd = ['passport-x:Ünï/…\u0000😀', '__proto__', 'A', 'a', 'a.b', '$a', "'; DROP TABLE record; --", ' a']
    for (const id of odd)
      await directory.create('link', record(id, { index: { [id]: [id] }, unique: { constructor: id } }))
    for (const id of odd) {
      assert.equal(text((await directory.read('link', id))?.doc), `doc of ${id}`)
      assert.deepEqual(ids(await directory.find('link', id, id, { limit: 9 })), [id])
      assert.deepEqual(ids(await directory.find('link', 'constructor', id, { limit: 9 })), [id])
    }
    assert.equal((await directory.list('link', { limit: 100 })).length, odd.length)
  },
  'a document of a megabyte': async (directory) => {
    const doc = Buffer.alloc(1024 * 1024, 'gatehouse')
    await directory.create('client', record('a', { doc }))
    assert.ok(Buffer.from((await directory.read('client', 'a'))?.doc ?? []).equals(doc))
  },
  'a removed record is gone with its values': async (directory) => {
    await directory.create('account', record('a', { unique: { username: 'alice' }, index: { email: ['a@b.c'] } }))
    await assert.rejects(directory.remove('account', 'a', 7), stale)
    assert.equal(await directory.remove('account', 'a', 1), true)
    assert.equal(await directory.remove('account', 'a'), false)
    assert.equal(await directory.remove('account', 'a', 1), false)
    assert.equal(await directory.read('account', 'a'), undefined)
    assert.deepEqual(await directory.find('account', 'email', 'a@b.c', { limit: 9 }), [])
    assert.equal(await directory.create('account', record('b', { unique: { username: 'alice' } })), 1)
  },
}

const swaps: Record<string, Case> = {
  'replace needs the present revision': async (directory) => {
    await directory.create('client', record('a'))
    assert.equal(await directory.replace('client', record('a', { doc: Buffer.from('2') }), 1), 2)
    await assert.rejects(directory.replace('client', record('a', { doc: Buffer.from('x') }), 1), stale)
    await assert.rejects(directory.replace('client', record('absent'), 1), stale)
    const found = await directory.read('client', 'a')
    assert.equal(text(found?.doc), '2')
    assert.equal(found?.revision, 2)
  },
  'of twenty who replace the same revision at once exactly one does': async (directory) => {
    await directory.create('client', record('a'))
    const { done, refused } = await outcomes(times(20, () => directory.replace('client', record('a'), 1)))
    assert.equal(done, 1)
    assert.ok(refused.every(stale))
    assert.equal((await directory.read('client', 'a'))?.revision, 2)
  },
  'of twenty who create the same username at once exactly one does': async (directory) => {
    const { done, refused } = await outcomes(
      times(20, (i) => directory.create('account', record(`a${i}`, { unique: { username: 'alice' } }))),
    )
    assert.equal(done, 1)
    assert.ok(refused.every(conflict('username')))
    assert.equal((await directory.list('account', { limit: 100 })).length, 1)
  },
}

const indexes: Record<string, Case> = {
  'a unique value belongs to one record of its kind, and the conflict names the index': async (directory) => {
    await directory.create('account', record('a', { unique: { username: 'alice', number: '1' } }))
    await assert.rejects(
      directory.create('account', record('b', { unique: { username: 'bob', number: '1' } })),
      conflict('number'),
    )
    assert.equal(await directory.read('account', 'b'), undefined)
    await directory.create('account', record('b', { unique: { username: 'bob' } }))
    await assert.rejects(
      directory.replace('account', record('b', { unique: { username: 'alice' } }), 1),
      conflict('username'),
    )
    assert.equal((await directory.read('account', 'b'))?.revision, 1)
    await directory.create('client', record('c', { unique: { username: 'alice' } }))
    assert.deepEqual(ids(await directory.find('account', 'username', 'bob', { limit: 9 })), ['b'])
  },
  'a record may keep its own unique value, and frees one that it gives up': async (directory) => {
    await directory.create('account', record('a', { unique: { username: 'alice' } }))
    assert.equal(await directory.replace('account', record('a', { unique: { username: 'alice' } }), 1), 2)
    assert.equal(await directory.replace('account', record('a', { unique: { username: 'alicia' } }), 2), 3)
    assert.deepEqual(await directory.find('account', 'username', 'alice', { limit: 9 }), [])
    assert.equal(await directory.create('account', record('b', { unique: { username: 'alice' } })), 1)
  },
  'a plain index finds all that carry the value, and follows a replace': async (directory) => {
    await directory.create('account', record('a', { index: { email: ['x@y.z', 'a@y.z'] } }))
    await directory.create('account', record('b', { index: { email: ['x@y.z'] } }))
    const found = async (value: string) => ids(await directory.find('account', 'email', value, { limit: 9 }))
    assert.deepEqual(await found('x@y.z'), ['a', 'b'])
    assert.deepEqual(await found('a@y.z'), ['a'])
    await directory.replace('account', record('a', { index: { email: ['new@y.z'] } }), 1)
    assert.deepEqual(await found('x@y.z'), ['b'])
    assert.deepEqual(await found('new@y.z'), ['a'])
    assert.deepEqual(ids(await directory.find('account', 'name', 'x@y.z', { limit: 9 })), [])
  },
  'pages come in ascending order and are stable under inserts': async (directory) => {
    for (const id of ['d', 'b', 'f', 'h']) await directory.create('account', record(id, { index: { group: ['g'] } }))
    const pages = [
      (after?: string) => directory.list('account', { after, limit: 2 }),
      (after?: string) => directory.find('account', 'group', 'g', { after, limit: 2 }),
    ]
    for (const [round, page] of pages.entries()) {
      const first = ids(await page())
      assert.deepEqual(first, round === 0 ? ['b', 'd'] : ['a0', 'b'])
      const inserted = `a${round}`
      await directory.create('account', record(inserted, { index: { group: ['g'] } }))
      assert.deepEqual(ids(await page(first.at(-1))), round === 0 ? ['f', 'h'] : ['d', 'f'])
    }
    assert.deepEqual(await directory.list('account', { after: 'h', limit: 2 }), [])
  },
}

const claiming: Record<string, Case> = {
  'the first claim creates both records, the next finds the owner': async (directory) => {
    const claim = (account: string) =>
      directory.claim('link', 'google:42', () => ({
        owner: account,
        link: record('google:42', { index: { account: [account] } }),
        accountKind: 'account',
        account: record(account),
      }))
    assert.deepEqual(await claim('a'), { owner: 'a', created: true })
    assert.deepEqual(await claim('b'), { owner: 'a', created: false })
    assert.ok(await directory.read('account', 'a'))
    assert.equal(await directory.read('account', 'b'), undefined)
    assert.deepEqual(ids(await directory.find('link', 'account', 'a', { limit: 9 })), ['google:42'])
  },
  'a link that was created by itself belongs to the account in its index': async (directory) => {
    await directory.create('link', record('google:42', { index: { account: ['a'] } }))
    const claimed = await directory.claim('link', 'google:42', () => assert.fail('nothing is to be made'))
    assert.deepEqual(claimed, { owner: 'a', created: false })
  },
  'of thirty first logins at once all get one account': async (directory) => {
    const claims = await Promise.all(
      times(30, (i) =>
        directory.claim('link', 'google:42', () => ({
          owner: `a${i}`,
          link: record('google:42'),
          accountKind: 'account',
          account: record(`a${i}`, { unique: { username: `alice-${i}` } }),
        })),
      ),
    )
    assert.equal(new Set(claims.map(({ owner }) => owner)).size, 1)
    assert.equal(claims.filter(({ created }) => created).length, 1)
    assert.deepEqual(ids(await directory.list('account', { limit: 100 })), [claims[0]?.owner])
  },
  'a claim whose link has a taken value leaves nothing behind': async (directory) => {
    await directory.create('link', record('google:1', { unique: { handle: 'h' } }))
    const claim = directory.claim('link', 'google:42', () => ({
      owner: 'a',
      link: record('google:42', { unique: { handle: 'h' } }),
      accountKind: 'account',
      account: record('a'),
    }))
    await assert.rejects(claim, conflict('handle'))
    assert.equal(await directory.read('link', 'google:42'), undefined)
    assert.equal(await directory.read('account', 'a'), undefined)
  },
  'a claim whose username is taken leaves nothing behind': async (directory) => {
    await directory.create('account', record('a', { unique: { username: 'alice' } }))
    const claim = (username: string) =>
      directory.claim('link', 'google:42', () => ({
        owner: 'b',
        link: record('google:42'),
        accountKind: 'account',
        account: record('b', { unique: { username } }),
      }))
    await assert.rejects(claim('alice'), conflict('username'))
    assert.equal(await directory.read('link', 'google:42'), undefined)
    assert.equal(await directory.read('account', 'b'), undefined)
    assert.deepEqual(await claim('alice-2'), { owner: 'b', created: true })
  },
}

const dumped = async (directory: Directory) => {
  const pieces: DirectoryPiece[] = []
  for await (const piece of directory.dump()) pieces.push(piece)
  return {
    events: pieces.flatMap((piece) => ('event' in piece ? [piece.event] : [])),
    // By id, documents as text, absent values as empty ones.
    records: pieces
      .flatMap((piece) => ('kind' in piece ? [piece] : []))
      .map(({ kind, record: { id, doc, unique = {}, index = {} } }) => ({ kind, id, doc: text(doc), unique, index }))
      .sort((a, b) => (`${a.kind} ${a.id}` < `${b.kind} ${b.id}` ? -1 : 1)),
    firstEvent: pieces.findIndex((piece) => 'event' in piece),
  }
}

const dumping: Record<string, Case> = {
  'a dump gives every record whole, then every event, the oldest first': async (directory) => {
    assert.deepEqual(await dumped(directory), { events: [], records: [], firstEvent: -1 })
    const given = times(250, (i) => ({
      kind: i % 2 ? 'account' : 'client',
      record: record(`${1000 + i}`, {
        unique: { username: `user ${i}`, ['__proto__']: `p ${i}` },
        index: { email: ['a@b.c', `${i}@b.c`], group: [`g${i % 3}`] },
      }),
    }))
    await Promise.all(given.map(({ kind, record: one }) => directory.create(kind, one)))
    await directory.create('client', record('plain'))
    await directory.replace('client', record('plain', { doc: Buffer.from('second'), index: { x: ['y'] } }), 1)
    await directory.create('client', record('gone'))
    await directory.remove('client', 'gone')
    await directory.claim('link', 'google:42', () => ({
      owner: 'b',
      link: record('google:42', { index: { account: ['b'] } }),
      accountKind: 'account',
      account: record('b', { unique: { username: 'bob' } }),
    }))
    const events = times(600, (i) => ({ at: i, type: 'login', account: 'a', detail: { n: [i] } }))
    for (const event of events) await directory.append(event)

    const found = await dumped(directory)
    const expected = [
      ...given.map(({ kind, record: { id, doc, unique = {}, index = {} } }) => ({ kind, id, doc, unique, index })),
      { kind: 'client', id: 'plain', doc: Buffer.from('second'), unique: {}, index: { x: ['y'] } },
      { kind: 'account', id: 'b', doc: record('b').doc, unique: { username: 'bob' }, index: {} },
      { kind: 'link', id: 'google:42', doc: record('google:42').doc, unique: {}, index: { account: ['b'] } },
    ]
    assert.deepEqual(
      found.records.map((one) => ({ ...one, index: sorted(one.index) })),
      expected
        .map((one) => ({ ...one, doc: text(one.doc), index: sorted(one.index) }))
        .sort((a, b) => (`${a.kind} ${a.id}` < `${b.kind} ${b.id}` ? -1 : 1)),
    )
    assert.deepEqual(found.events, events)
    assert.equal(found.firstEvent, expected.length)
  },
  'an event that is there is not added again when that is asked': async (directory) => {
    const event = { at: 7, type: 'login', account: 'a', reference: 'R1', detail: { ip: '::1' } }
    const others = [
      { ...event, at: 8 },
      { ...event, detail: { ip: '::2' } },
      { at: 7, type: 'login' },
    ]
    await directory.append(event)
    for (const one of [event, ...others, ...others]) await directory.append(one, { unlessThere: true })
    assert.equal((await directory.audit({ limit: 9 })).length, 4)
    await directory.append(event)
    assert.equal((await directory.audit({ limit: 9 })).length, 5)
  },
}

const history: Record<string, Case> = {
  'audit events come back whole, the newest first': async (directory) => {
    const events = [
      {
        at: 1,
        type: 'login',
        account: 'a',
        client: 'c',
        provider: 'p',
        reference: 'R1',
        detail: { ip: '::1', n: [1] },
      },
      { at: 2, type: 'login', account: 'b', reference: 'R2' },
      { at: 3, type: 'logout', account: 'a' },
    ]
    for (const event of events) await directory.append(event)
    assert.deepEqual(await directory.audit({ limit: 9 }), events.toReversed())
    assert.deepEqual(await directory.audit({ reference: 'R1', limit: 9 }), [events[0]])
    assert.deepEqual(await directory.audit({ account: 'a', limit: 9 }), [events[2], events[0]])
    assert.deepEqual(await directory.audit({ account: 'a', type: 'login', limit: 9 }), [events[0]])
    assert.deepEqual(await directory.audit({ type: 'login', limit: 1 }), [events[1]])
  },
  'the epoch of a kind counts its changes and nothing else': async (directory) => {
    const epoch = async (kind: string) => (await directory.epoch())[kind] ?? 0
    assert.equal(await epoch('client'), 0)
    await directory.create('client', record('a'))
    await directory.replace('client', record('a'), 1)
    assert.equal(await epoch('client'), 2)
    await assert.rejects(directory.replace('client', record('a'), 1), stale)
    await assert.rejects(directory.create('client', record('a')), conflict('id'))
    await directory.remove('client', 'absent')
    await directory.append({ at: 1, type: 'login' })
    assert.equal(await epoch('client'), 2)
    await directory.remove('client', 'a')
    assert.equal(await epoch('client'), 3)
    assert.equal(await epoch('account'), 0)
  },
  'after close every call is refused, none hangs': async (directory) => {
    await directory.ready()
    const last = directory.create('client', record('a'))
    await directory.close()
    assert.equal(await last, 1)
    await directory.close()
    const unavailable = (error: unknown) => isFault(error, 'store.unavailable')
    await assert.rejects(directory.read('client', 'a'), unavailable)
    await assert.rejects(directory.create('client', record('b')), unavailable)
    await assert.rejects(directory.epoch(), unavailable)
    await assert.rejects(directory.ready(), unavailable)
  },
}

/** Declares the suite: one `describe` per topic, one fresh directory per case. */
export const directoryContract = (name: string, { open, excused = {} }: DirectorySuite): void => {
  describe(`directory contract: ${name}`, () => {
    for (const [topic, cases] of Object.entries({ records, swaps, indexes, claiming, dumping, history }))
      describe(topic, () => {
        for (const [title, run] of Object.entries(cases))
          test(title, { skip: excused[title] ?? false }, async (t) => {
            const directory = await open()
            t.after(() => directory.close())
            await run(directory)
          })
      })
  })
}
