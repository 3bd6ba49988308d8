/**
 * Stores that cannot be used when the executable starts: one clear line that names the setting and the reason, exit code
 * 1, nothing listens, and no password anywhere. (The adapters' own tests know more reasons.)
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { after, describe, type TestContext, test } from 'node:test'
import { openShell } from '#test/cli/shell.ts'
import { freePorts } from '#test/world/free-port.ts'
import { masterKey, pairMissing } from '#test/world/stores.ts'
import { startRedis } from '../../scripts/redis.ts'

const SECRET = 'hunter2'
const closing: (() => Promise<unknown>)[] = []
after(async () => {
  for (const close of closing.splice(0)) await close()
})

const refuses = (port: number): Promise<boolean> =>
  fetch(`http://127.0.0.1:${port}/healthz`).then(
    () => false,
    () => true,
  )

/** @param stores addresses; FOLDER stands for the shell's folder */
const refused = async (t: TestContext, stores: Record<string, string>, line: RegExp, more = {}): Promise<void> => {
  const [port = 0] = await freePorts(1)
  const shell = await openShell(t)
  const placed = Object.entries(stores).map(([name, address]) => [name, address.replace('FOLDER', shell.folder)])
  const settings = { listen: { port }, stores: Object.fromEntries(placed), ...more }
  await shell.file('gatehouse.yaml', settings)
  const { code, out, err } = await shell.spawn(['serve'])
  assert.equal(code, 1, out)
  assert.match(err, line)
  assert.match(err, /^[^\n]+\n$/, 'one line')
  assert.doesNotMatch(out, /"event":"ready"/)
  assert.ok(!`${out}${err}`.includes(SECRET), err)
  assert.ok(await refuses(port))
}

describe('SQLite', () => {
  const artifacts = 'sqlite:FOLDER/artifacts.db'
  test('a path through what is no directory', (t) =>
    refused(t, { artifacts, directory: 'sqlite:FOLDER/gatehouse.yaml/d.db' }, /^stores\.directory: .*not a directory/))
  test('a file that is none of ours', (t) =>
    refused(
      t,
      { artifacts, directory: 'sqlite:FOLDER/gatehouse.yaml' },
      /^stores\.directory: .*not a SQLite database/,
      { masterKey },
    ))
  test('a read-only disk', (t) =>
    refused(t, { artifacts, directory: 'sqlite:/sys/d.db' }, /^stores\.directory: .*(read-only|no permission)/))
  test('a full disk', (t) =>
    refused(t, { artifacts, directory: 'sqlite:/dev/full' }, /^stores\.directory: .*disk is full/, { masterKey }))
})

describe('Redis', { skip: await pairMissing('redis+sqlite') }, () => {
  const directory = 'sqlite:FOLDER/directory.db'
  const own = async (...given: string[]) => {
    const service = await startRedis(...given)
    closing.push(() => service.close())
    const [server] = service.servers
    assert.ok(server)
    return { server, with: (user: string) => service.url.replace('//', `//${user}:${SECRET}@`), url: service.url }
  }

  test('for the directory', (t) =>
    refused(t, { directory: `redis://:${SECRET}@127.0.0.1` }, /^stores\.directory: found redis:…, which cannot hold/))
  test('an address that is none', (t) =>
    refused(t, { artifacts: `redis://:${SECRET}/@127.0.0.1`, directory }, /^stores\.artifacts: .*percent-encoded/))
  test('nobody there', (t) =>
    refused(
      t,
      { artifacts: `redis://:${SECRET}@127.0.0.1:1`, directory },
      /^stores\.artifacts: .*nothing listens there/,
    ))
  test('a wrong password', async (t) => {
    const { with: as } = await own('--requirepass', 'another')
    await refused(t, { artifacts: as(''), directory }, /^stores\.artifacts: .*password are wrong/)
  })
  test('TLS where none is spoken', async (t) => {
    const { url } = await own()
    const address = url.replace('redis:', 'rediss:')
    await refused(t, { artifacts: address, directory }, /^stores\.artifacts: .*does it speak TLS/)
  })
  test('a user who may not write', async (t) => {
    const { server, with: as } = await own()
    await server.ask(`ACL SETUSER reader on >${SECRET} ~gh1:* &gh1:* +@read +@connection +info`)
    await refused(t, { artifacts: as('reader'), directory }, /^stores\.artifacts: .*may not run a needed command/)
  })
  test('a read-only replica', async (t) => {
    const master = await own()
    const { url } = await own('--replicaof', '127.0.0.1', String(master.server.port))
    await refused(t, { artifacts: url, directory }, /^stores\.artifacts: .*read-only replica/)
  })
  test('a version that is too old', async (t) => {
    const old = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.setEncoding('utf8').on('data', (text: string) => {
        for (const [, name = ''] of text.matchAll(/\*\d+\r\n\$\d+\r\n(\w+)/g))
          socket.write(name.toLowerCase() === 'info' ? '$22\r\nredis_version:6.2.14\r\n\r\n' : '+OK\r\n')
      })
    }).listen(0, '127.0.0.1')
    t.after(() => old.close())
    await once(old, 'listening')
    const address = old.address()
    assert.ok(address !== null && typeof address === 'object')
    const artifacts = `redis://127.0.0.1:${address.port}`
    await refused(t, { artifacts, directory }, /^stores\.artifacts: .*6\.2\.14 is too old/)
  })
})

describe('MongoDB', { skip: await pairMissing('mongo') }, () => {
  const at = (address: string) => ({ artifacts: address, directory: address })

  test('without a master key', (t) =>
    refused(t, at(`mongodb://me:${SECRET}@127.0.0.1:1/x`), /^masterKey: missing, must be set/))
  test('an address that is none', (t) =>
    refused(
      t,
      { artifacts: 'redis://127.0.0.1', directory: `mongodb://me:${SECRET}@@127.0.0.1/x` },
      /^stores\.directory: .*percent-encoded/,
      { masterKey },
    ))
  test('nobody there', (t) =>
    refused(t, at(`mongodb://me:${SECRET}@127.0.0.1:1/x`), /^stores\.artifacts: .*nothing listens there/, {
      masterKey,
    }))
})
