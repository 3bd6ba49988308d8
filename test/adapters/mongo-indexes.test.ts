/**
 * Every command of the MongoDB store is served by an index: neither a look-up nor a sweep may grow with what else is
 * stored. Read off the commands themselves, because the stand-ins explain nothing.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openMongoArtifacts, openMongoDirectory } from '#adapters/mongo/index.ts'
import type { Directory, StoredRecord } from '#kernel/ports.ts'
import { sha256 } from '#kernel/random.ts'
import { type Command, Middleman } from './mongo-middleman.ts'
import { clock, newDatabase, raw, servers, skip, world } from './mongo-world.ts'

const [server] = servers
const ours = server?.process

type Document = Readonly<Record<string, unknown>>
interface Question {
  readonly collection: string
  readonly filter: Document
  readonly sort: Document
}

const isDocument = (value: unknown): value is Document => typeof value === 'object' && value !== null
const documents = (value: unknown): Document[] => (Array.isArray(value) ? value.filter(isDocument) : [])
const document = (value: unknown): Document => (isDocument(value) ? value : {})

/** What a command looks for. */
const questionsOf = (command: Command): Question[] => {
  const collection = String(Object.values(command)[0])
  if ('find' in command || 'findAndModify' in command)
    return [{ collection, filter: document(command.filter ?? command.query), sort: document(command.sort) }]
  const changes = [...documents(command.updates), ...documents(command.deletes)]
  return changes.map(({ q }) => ({ collection, filter: document(q), sort: {} }))
}

const isEquality = (value: unknown): boolean =>
  !isDocument(value) || !Object.keys(value).some((name) => name.startsWith('$') && name !== '$in')

/** The fields of an index after those that the filter says the value of: what it is in the order of. */
const orderOf = (index: Document, filter: Document): string[] => {
  const names = Object.keys(index)
  const first = names.findIndex((name) => !(name in filter && isEquality(filter[name])))
  return first < 0 ? [] : names.slice(first)
}

/** The look-up begins with the index's first field, and comes in the index's order. */
const serves = (index: Document, { filter, sort }: Question): boolean => {
  const [first = ''] = Object.keys(index)
  if (!(first in filter) && Object.keys(sort)[0] !== first) return false
  const order = orderOf(index, filter)
  return Object.keys(sort).every((name, nth) => order[nth] === name)
}

const record = (id: string, more: Partial<StoredRecord> = {}): StoredRecord => ({ id, doc: Buffer.from(id), ...more })

/** Everything that a directory does, conflicts included. */
const useDirectory = async (directory: Directory): Promise<void> => {
  const alice = { unique: { username: 'alice' }, index: { email: ['a@b.c'] } }
  await directory.create('account', record('a', alice))
  await assert.rejects(directory.create('account', record('b', alice)))
  await directory.create('client', record('c'))
  await directory.replace('account', record('a', { unique: { username: 'alicia' } }), 1)
  await assert.rejects(directory.replace('account', record('a'), 1))
  for (const account of ['d', 'e'])
    await directory.claim('link', 'google:42', () => ({
      owner: account,
      link: record('google:42', { index: { account: [account] } }),
      accountKind: 'account',
      account: record(account, { unique: { username: account } }),
    }))
  await directory.read('account', 'a')
  await directory.list('account', { after: 'a', limit: 5 })
  await directory.find('account', 'username', 'alicia', { after: '', limit: 5 })
  await directory.append({ at: 1, type: 'login', account: 'a', reference: 'R' })
  await directory.append({ at: 1, type: 'login', account: 'a', reference: 'R' }, { unlessThere: true })
  for (const query of [{}, { type: 'login' }, { account: 'a' }, { reference: 'R' }, { account: 'a', type: 'login' }])
    await directory.audit({ ...query, limit: 5 })
  for await (const _ of directory.dump());
  await directory.epoch()
  await directory.remove('client', 'c')
}

describe('mongo: indexes', { skip: ours ? false : 'no server of our own' }, () => {
  test('every look-up of artifacts and of the directory begins in an index and comes in its order', async (t) => {
    assert.ok(server && ours)
    const url = newDatabase(server)
    const asked: Question[] = []
    const middleman = await Middleman.open(t, ours.port, (_, command) => {
      asked.push(...questionsOf(command))
      return 'pass'
    })
    const store = await openMongoArtifacts(middleman.url(url), world)
    const directory = await openMongoDirectory(middleman.url(url), world)
    t.after(() => Promise.all([store.close(), directory.close()]))
    const [key, other, uid, tag, grant] = ['a', 'b', 'u', 't', 'g'].map(sha256) as [
      Buffer,
      Buffer,
      Buffer,
      Buffer,
      Buffer,
    ]
    const body = Buffer.from('x')
    const soon = clock.now() + 1000
    for (const each of [key, other])
      await store.put('Session', { key: each, body, uid, userCode: uid, tags: [tag], grant, expiresAt: soon })
    for (const by of ['key', 'uid', 'userCode'] as const) await store.get('Session', by, by === 'key' ? key : uid)
    await store.put('Session', { key, body, uid, tags: [tag] }, { ifRevision: 1 })
    await store.findTagged('Session', tag)
    for (const nonce of ['one', 'two']) await store.redeem('Session', key, nonce, 1)
    for (let i = 0; i < 2; i++) await store.putOnce('Replay', key, soon)
    for (const by of [1, 1, 0]) await store.increment(key, by, soon)
    await store.drop('Session', other)
    await store.dropGrant(grant, soon)
    for await (const _ of store.scan());
    for await (const _ of store.marks());
    await skip(60_000)
    assert.ok((await store.sweep(100)) > 0)
    await useDirectory(directory)

    const database = await raw(t, url)
    const seen = new Set<string>()
    for (const question of asked) {
      const shape = JSON.stringify([question.collection, Object.keys(question.filter), question.sort])
      if (seen.has(shape)) continue
      seen.add(shape)
      // As many documents as there are kinds of records, or settings of the schema.
      if (['epochs', 'meta'].includes(question.collection)) continue
      const indexes = await database.collection(question.collection).indexes()
      assert.ok(
        indexes.some((index) => serves({ ...index.key }, question)),
        shape,
      )
    }
    t.diagnostic(`${seen.size} shapes of look-ups`)
    assert.ok(seen.size > 25)
  })

  test('control: a look-up or an order that no index has is noticed', () => {
    const question = (filter: Document, sort: Document = {}): Question => ({ collection: 'x', filter, sort })
    assert.ok(serves({ a: 1, b: 1 }, question({ a: 1 }, { b: 1 })))
    assert.ok(serves({ _id: 1 }, question({ _id: { $gt: '' } }, { _id: 1 })))
    assert.ok(!serves({ a: 1, b: 1 }, question({ b: 1 })))
    assert.ok(!serves({ a: 1, b: 1 }, question({ a: 1 }, { c: 1 })))
    assert.ok(!serves({ a: 1, b: 1 }, question({ a: { $gt: 1 } }, { b: 1 })))
    assert.ok(!serves({ a: 1 }, question({})))
  })
})
