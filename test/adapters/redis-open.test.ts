/** Opening a Redis: addresses, and servers that cannot be used, each refused with one clear sentence. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { createRedisBus, openRedisArtifacts } from '#adapters/redis/index.ts'
import { parseAddress } from '#adapters/redis/url.ts'
import { systemClock } from '#kernel/clock.ts'
import { Fault } from '#kernel/faults.ts'
import { type Log, silentLog } from '#kernel/log.ts'
import { sha256 } from '#kernel/random.ts'
import { settled } from '#test/world/settled.ts'
import { type RedisService, startRedis, startRedisSentinel } from '../../scripts/redis.ts'
import { body, key, missing, store, unavailable, world } from './redis-world.ts'

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-redis-'))
const running: RedisService[] = []
after(async () => {
  rmSync(folder, { recursive: true, force: true })
  for (const service of running) await service.close()
})
const start = async (...more: string[]): Promise<RedisService> => {
  const service = await startRedis(...more)
  running.push(service)
  return service
}

const refused = async (url: string, reason: RegExp) => {
  const began = systemClock.now()
  await assert.rejects(openRedisArtifacts(url, world), (error) => {
    assert.ok(error instanceof Fault)
    assert.equal(error.code, 'store.unavailable')
    const said = String(error.detail.reason)
    assert.match(said, reason)
    assert.ok(!said.includes('\n') && !said.includes('hunter'), said)
    return true
  })
  assert.ok(systemClock.now() - began < 5000)
  await assert.rejects(createRedisBus(url, world), unavailable(reason))
}

describe('redis: addresses', () => {
  test('their parts are understood', () => {
    const { mode, hosts, db, username, password, prefix, tls } = parseAddress('rediss://me:hunt%40er@[::1]/2?prefix=x')
    assert.deepEqual(
      { mode, hosts, db, username, password, prefix, tls },
      {
        mode: 'alone',
        hosts: [{ host: '::1', port: 6379 }],
        db: 2,
        username: 'me',
        password: 'hunt@er',
        prefix: 'x:gh1:',
        tls: {},
      },
    )
    const cluster = parseAddress('redis+cluster://:hunter@a,b:7000')
    assert.deepEqual([cluster.mode, cluster.username, cluster.password], ['cluster', undefined, 'hunter'])
    assert.deepEqual(cluster.hosts, [
      { host: 'a', port: 6379 },
      { host: 'b', port: 7000 },
    ])
    const sentinel = parseAddress('redis+sentinel://a,b:1/main/3?sentinelPassword=hunter')
    assert.deepEqual([sentinel.mode, sentinel.name, sentinel.db], ['sentinel', 'main', 3])
    assert.equal(parseAddress('redis+sentinel://a,b').name, 'mymaster')
    assert.deepEqual([sentinel.hosts[0]?.port, sentinel.sentinel], [26379, { password: 'hunter' }])
    assert.ok(![cluster, sentinel].some(({ label }) => label.includes('hunter')))
  })

  const wrong: Record<string, RegExp> = {
    'http://localhost': /must begin with redis:/,
    'redis://': /is no host or host:port/,
    'redis://localhost:port': /is no host or host:port/,
    'redis://localhost:70000': /is no host or host:port/,
    'redis://me:hunter/2@localhost': /percent-encoded/,
    'redis://me:hunter%2@localhost': /percent-encoded/,
    'redis://a,b': /several hosts need/,
    'redis://a/one': /is not a number/,
    'redis://a/1/2': /more than a database/,
    'redis+cluster://a/1': /no numbered databases/,
    'redis://a?tls=true': /unknown option "tls"/,
    'redis://a?replicas=many': /"replicas" is a number/,
    'redis://a?ca=x.pem': /needs TLS/,
    'rediss://a?ca=/nowhere/x.pem': /"ca" cannot be read: \/nowhere\/x.pem/,
  }
  for (const [url, reason] of Object.entries(wrong)) test(`${url} is refused`, () => refused(url, reason))
})

describe('redis: servers that cannot be used', { skip: missing }, () => {
  let server: RedisService
  let port = 0
  before(async () => {
    server = await start('--requirepass', 'hunter')
    port = server.servers[0]?.port ?? 0
  })

  test('nothing listens there, or the name is not known', async () => {
    await refused('redis://127.0.0.1:1', /nothing listens there/)
    await refused('redis+cluster://127.0.0.1:1', /nothing listens there/)
    await refused('redis+sentinel://127.0.0.1:1/main', /no sentinel can be reached/)
    await refused('redis://nowhere.invalid', /host name is not known/)
  })

  test('wrong password, none, a database that is not there', async () => {
    await refused(`redis://:hunter3@127.0.0.1:${port}`, /password are wrong/)
    await refused(`redis://127.0.0.1:${port}`, /a password is needed/)
    await refused(`redis://:hunter@127.0.0.1:${port}/99`, /no database of this number/)
    await refused(`redis+cluster://:hunter3@127.0.0.1:${port}`, /password are wrong/)
    await refused(`redis+cluster://:hunter@127.0.0.1:${port}`, /it is no Cluster/)
    const opened = await openRedisArtifacts(`redis://:hunter@127.0.0.1:${port}/3`, world)
    await opened.close()
  })

  test('a user who may not do what is needed', async () => {
    const own = await start()
    const url = own.url.replace('//', '//reader:hunter@')
    await own.servers[0]?.ask('ACL SETUSER reader on >hunter ~gh1:* &gh1:* +@read +@connection +info')
    await refused(url, /may not run a needed command/)
    await own.servers[0]?.ask('ACL SETUSER reader ~other:* +@all')
    await own.servers[0]?.ask('ACL SETUSER reader resetkeys ~other:*')
    await refused(url, /or use a needed key/)
  })

  test('a user who may do just that', async (t) => {
    const own = await start()
    const url = own.url.replace('//', '//gatehouse:hunter@')
    await own.servers[0]?.ask('ACL SETUSER gatehouse on >hunter ~gh1:* &gh1:* +@all -@admin -@dangerous +info')
    const artifacts = await store(t, url)
    await artifacts.put('Session', { key, body, tags: [key], grant: key, uid: key })
    assert.equal((await artifacts.findTagged('Session', key)).length, 1)
    assert.equal(await artifacts.dropGrant(key, world.clock.now() + 1000), 1)
    const bus = await createRedisBus(url, world)
    await bus.publish('client', 'a')
    await bus.close()
  })

  test('a Cluster that does not say so: nothing asks two slots at once', async (t) => {
    const own = await start('--cluster-enabled', 'yes')
    await own.servers[0]?.ask('CLUSTER ADDSLOTSRANGE 0 16383')
    // Not even what it is may be asked.
    await own.servers[0]?.ask('ACL SETUSER gatehouse on >hunter ~gh1:* &gh1:* +@all -@admin -@dangerous')
    await settled(
      'its slots are served',
      async () => (await own.servers[0]?.ask('CLUSTER INFO'))?.includes('state:ok') ?? false,
    )
    const artifacts = await store(t, own.url.replace('//', '//gatehouse:hunter@'))
    const keys = ['a', 'b', 'c', 'd'].map((name) => sha256(name))
    for (const one of keys) assert.equal(await artifacts.put('AccessToken', { key: one, body, grant: key }), 'stored')
    assert.equal(await artifacts.dropGrant(key, world.clock.now() + 1000), 4)
    assert.equal(await artifacts.put('AccessToken', { key: sha256('e'), body, grant: key }), 'revoked')
  })

  test('TLS where none is spoken, none where it is, an unknown certificate', async (t) => {
    const file = (name: string) => join(folder, name)
    const [certificate, secret] = [file('cert.pem'), file('key.pem')]
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
    const form = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '1']
    execFileSync('openssl', ['req', ...form, ...subject, '-keyout', secret, '-out', certificate], { stdio: 'ignore' })
    const files = ['--tls-cert-file', certificate, '--tls-key-file', secret, '--tls-auth-clients', 'no']
    const own = await start('--tls-port', '0', ...files)
    const [plain] = own.servers
    const listening = createServer().listen(0, '127.0.0.1')
    await once(listening, 'listening')
    const address = listening.address()
    const free = address !== null && typeof address === 'object' ? address.port : 0
    listening.close()
    await once(listening, 'close')
    await plain?.ask(`CONFIG SET tls-port ${free}`)
    await refused(`rediss://127.0.0.1:${port}`, /does it speak TLS/)
    await refused(`redis://localhost:${free}`, /does it want TLS/)
    await refused(`rediss://localhost:${free}`, /certificate is not trusted/)
    await refused(`rediss://127.0.0.1:${free}?ca=${certificate}`, /certificate is for another name/)
    await store(t, `rediss://localhost:${free}?ca=${certificate}`)
    await store(t, `rediss://127.0.0.1:${free}?ca=${certificate}&servername=localhost`)
  })

  test('a version before 7', async (t) => {
    const replies: Record<string, string> = {
      hello: '-ERR unknown command HELLO\r\n',
      info: '$22\r\nredis_version:6.2.14\r\n\r\n',
    }
    const old = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.setEncoding('utf8').on('data', (text: string) => {
        for (const [, name = ''] of text.matchAll(/\*\d+\r\n\$\d+\r\n(\w+)/g))
          socket.write(replies[name.toLowerCase()] ?? '+OK\r\n')
      })
    }).listen(0, '127.0.0.1')
    t.after(() => old.close())
    await once(old, 'listening')
    const address = old.address()
    assert.ok(address !== null && typeof address === 'object')
    await refused(`redis://127.0.0.1:${address.port}`, /version 6.2.14 is too old/)
  })

  test('a server that does not answer', async (t) => {
    const mute = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1')
    t.after(() => mute.close())
    await once(mute, 'listening')
    const address = mute.address()
    assert.ok(address !== null && typeof address === 'object')
    const url = `redis://127.0.0.1:${address.port}`
    await assert.rejects(openRedisArtifacts(url, world), unavailable(/did not answer in time/))
  })

  test('settings that lose what was used up are warned of', async (t) => {
    const said: unknown[] = []
    const log: Log = { ...silentLog, warn: (event, fields) => said.push({ event, ...fields }) }
    const own = await start('--appendonly', 'no', '--maxmemory-policy', 'allkeys-lru')
    await store(t, own.url, { log })
    assert.match(JSON.stringify(said), /allkeys-lru.*noeviction/)
    assert.match(JSON.stringify(said), /append-only/)
    said.length = 0
    await store(t, (await start()).url, { log })
    assert.deepEqual(said, [])
  })

  test('a sentinel, a replica, an unknown group', async (t) => {
    const group = await startRedisSentinel()
    running.push(group)
    const [sentinels = '', name] = group.url.replace('redis+sentinel://', '').split('/')
    await refused(`redis://${sentinels.split(',')[0]}`, /this is a sentinel/)
    await refused(`redis://127.0.0.1:${group.servers[1]?.port}`, /read-only replica/)
    await refused(`redis+sentinel://${sentinels}/other`, /no sentinel can be reached, or none knows/)
    await store(t, `redis+sentinel://${sentinels}/${name}`)
  })
})
