/** Opening the MongoDB store: every reason why it cannot be opened is one clear line, and no line holds a password. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { createServer } from 'node:tls'
import { inspect } from 'node:util'
import { openMongoArtifacts, openMongoDirectory } from '#adapters/mongo/index.ts'
import { isFault } from '#kernel/faults.ts'
import { createLog } from '#kernel/log.ts'
import { sha256 } from '#kernel/random.ts'
import { startJava } from '../../scripts/mongo/java.ts'
import { freePort } from '../../scripts/mongo/process.ts'
import { type Judge, Middleman, type Verdict } from './mongo-middleman.ts'
import { doomed, hasty, newDatabase, raw, servers, skip, world } from './mongo-world.ts'

const PASSWORD = 'open-sesame'
const [server] = servers
const ours = server?.process

/** Opening is refused within 10 s, for this reason; nothing that could be logged holds the password. */
const refused = async (url: string, reason: RegExp): Promise<void> => {
  const began = performance.now()
  await assert.rejects(openMongoArtifacts(url, hasty), (error) => {
    assert.ok(isFault(error, 'store.unavailable'), String(error))
    assert.match(String(error.detail.reason), reason)
    assert.doesNotMatch(String(error.detail.reason), /\n/)
    assert.doesNotMatch(inspect(error, { depth: 12, showHidden: true }), new RegExp(PASSWORD))
    return true
  })
  assert.ok(performance.now() - began < 10_000)
}

const tlsServer = async (t: TestContext): Promise<number> => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-tls-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const [key, cert] = [join(folder, 'key'), join(folder, 'cert')]
  const subject = ['-subj', '/CN=localhost', '-days', '2']
  const fresh = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  execFileSync('openssl', [...fresh, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  const listener = createServer({ key: readFileSync(key), cert: readFileSync(cert) }).listen(0, '127.0.0.1')
  listener.on('tlsClientError', () => {})
  await once(listener, 'listening')
  t.after(() => listener.close())
  const address = listener.address()
  return typeof address === 'object' && address ? address.port : 0
}

describe('mongo: addresses', () => {
  test('an address that is no MongoDB URL', async () => {
    await refused(`mongodb:/localhost/${PASSWORD}`, /not a valid MongoDB URL/)
    await refused(`mongodb://user:${PASSWORD}`, /not a valid MongoDB URL|unknown/)
    await refused(`mongodb://user:${PASSWORD}@b@localhost/x`, /not a valid MongoDB URL/)
    await refused(`mongodb://us/er:${PASSWORD}@localhost/x`, /not a valid MongoDB URL/)
    await refused(`mongodb://user:${PASSWORD}@localhost/x?sesame=open`, /sesame/i)
    await refused(`mongodb://user:${PASSWORD}@localhost/x?tls=maybe`, /tls/)
  })

  test('nobody there', async () => {
    const port = await freePort()
    await refused(`mongodb://user:${PASSWORD}@127.0.0.1:${port}/x`, /cannot be reached: nothing listens there/)
    await refused(`mongodb://user:${PASSWORD}@nobody.invalid:1/x`, /host name/)
  })

  test('a certificate of an unknown authority', async (t) => {
    const port = await tlsServer(t)
    await refused(`mongodb://user:${PASSWORD}@localhost:${port}/x?tls=true`, /self-signed; name it with tlsCAFile/)
  })

  test('a server that wants TLS', async (t) => {
    const port = await tlsServer(t)
    await refused(`mongodb://user:${PASSWORD}@127.0.0.1:${port}/x`, /do both sides use TLS/)
  })
})

describe('mongo: servers that will not do', { skip: ours ? false : 'no server of our own' }, () => {
  const answering = async (t: TestContext, judge: Judge) => {
    assert.ok(server && ours)
    return (await Middleman.open(t, ours.port, judge)).url(newDatabase(server))
  }

  test('a server without TLS', async () => {
    await refused(`mongodb://user:${PASSWORD}@127.0.0.1:${ours?.port}/x?tls=true`, /do both sides use TLS/)
  })

  test('a wrong password', async (t) => {
    const no = { ok: 0, code: 18, codeName: 'AuthenticationFailed', errmsg: 'Authentication failed.' }
    const url = await answering(t, (name) => (name === 'saslStart' ? no : 'pass'))
    await refused(
      url.replace('//', `//user:${PASSWORD}@`).concat('&authMechanism=SCRAM-SHA-256'),
      /user name or password are refused/,
    )
  })

  test('a server that does not take writes, whether the database is new or not', async (t) => {
    const writes = ['insert', 'update', 'createIndexes', 'findAndModify']
    const troubles: readonly [Verdict, RegExp][] = [
      [{ ok: 0, code: 13, codeName: 'Unauthorized', errmsg: 'not authorized on x' }, /role readWrite/],
      [{ ok: 0, code: 10107, codeName: 'NotWritablePrimary', errmsg: 'not primary' }, /needs all members/],
      [{ ok: 0, code: 14031, codeName: 'OutOfDiskSpace', errmsg: 'no space' }, /disk .* full/],
      [
        { ok: 1, n: 1, nModified: 1, writeConcernError: { code: 64, errmsg: 'waiting for replication timed out' } },
        /majority/,
      ],
    ]
    for (const [no, reason] of troubles) {
      const url = await answering(t, (name) => (writes.includes(name) ? no : 'pass'))
      await refused(url, reason)
      assert.ok(server)
      const there = new URL(url)
      await (await openMongoArtifacts(server.database(there.pathname.slice(1)), world)).close()
      await refused(url, reason)
    }
  })

  test('a server that is too old', {
    skip: server?.grade === 'real' ? 'a stand-in says its version here' : false,
  }, async () => {
    const old = await startJava(8)
    try {
      await refused(old.server.url, /MongoDB 4\.4 or newer is needed/)
    } finally {
      await old.close()
    }
  })

  test('data of a newer Gatehouse', async (t) => {
    assert.ok(server)
    const url = newDatabase(server)
    await (await openMongoDirectory(url, world)).close()
    const metas = (await raw(t, url)).collection<{ _id: string; version: number }>('meta')
    await metas.updateOne({ _id: 'directory' }, { $set: { version: 9 } })
    await assert.rejects(
      openMongoDirectory(url, world),
      (error) =>
        isFault(error, 'store.newer') &&
        /schema version 9, this Gatehouse knows versions up to/.test(String(error.detail.reason)),
    )
    await (await openMongoArtifacts(url, world)).close()
  })

  test('a server without TTL indexes will do, and the log says so', async (t) => {
    const lines: string[] = []
    const no = { ok: 0, code: 67, codeName: 'CannotCreateIndex', errmsg: 'no TTL here' }
    const isTtl = (command: unknown) => JSON.stringify(command).includes('expireAfterSeconds')
    const url = await answering(t, (name, command) => (name === 'createIndexes' && isTtl(command) ? no : 'pass'))
    const store = await openMongoArtifacts(url, { ...world, log: createLog('info', (line) => lines.push(line)) })
    t.after(() => store.close())
    assert.ok(lines.some((line) => line.includes('store.no-ttl') && line.includes('no TTL here')))
    await store.put('Session', { key: sha256('a'), body: Buffer.from('x'), expiresAt: world.clock.now() + 1000 })
    await skip(1000)
    assert.equal(await store.get('Session', 'key', sha256('a')), undefined)
    assert.equal(await store.sweep(10), 1)
  })

  test('a node that dies while it migrates: the next one goes on when its lease ends', async (t) => {
    assert.ok(server && ours)
    for (let nth = 1; ; nth++) {
      assert.ok(nth < 20)
      const url = newDatabase(server)
      let left = nth
      const middleman = await Middleman.open(t, ours.port, () => (--left === 0 ? 'cut' : 'pass'))
      const died = await openMongoArtifacts(middleman.url(url), doomed).then(
        (store) => store.close().then(() => false),
        () => true,
      )
      const waiting = openMongoArtifacts(url, world)
      await skip(60_000)
      const store = await waiting
      t.after(() => store.close())
      assert.equal(await store.put('Session', { key: sha256('a'), body: Buffer.from('x') }), 'stored')
      const indexes = await (await raw(t, url)).collection('artifacts').indexes()
      assert.ok(indexes.some(({ key }) => 'due' in key))
      if (!died) return
    }
  })
})
