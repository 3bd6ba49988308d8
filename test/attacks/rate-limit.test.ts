/** Too many requests: counted per network whatever its spelling or its headers say, together by all processes. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { openSqliteArtifacts } from '#adapters/sqlite/index.ts'
import { createLimit } from '#http/limit.ts'
import { systemClock } from '#kernel/clock.ts'
import { Fault, isFault } from '#kernel/faults.ts'
import { silentLog } from '#kernel/log.ts'
import { openShell, serve } from '#test/cli/shell.ts'
import { startGatehouse } from '#test/flows/world.ts'
import { type Answer, ask } from '#test/http/world.ts'
import { freePorts } from '#test/world/free-port.ts'

const DAY = 86_400_000

const open = async (max: number, more: Record<string, unknown> = {}) => {
  const clock = { at: Date.now(), now: () => clock.at }
  const op = await startGatehouse({ rateLimit: { windowMs: DAY, max }, ...more }, { clock })
  const port = Number(new URL(op.issuer).port)
  const get = (path: string, headers: Record<string, string> = {}) => ask(port, path, { headers })
  return { op, port, clock, get }
}

const statuses = (answers: readonly Answer[]) => answers.map(({ status }) => status)

describe('beyond the limit', () => {
  test('every route answers 429 with the time to wait, in its own form; probes and assets go on', async () => {
    const { op, port, clock, get } = await open(3)
    for (const path of ['/jwks', '/', '/nowhere']) assert.notEqual((await get(path)).status, 429, path)

    const page = await get('/', { accept: 'text/html' })
    assert.equal(page.status, 429)
    const left = (Math.floor(clock.at / DAY) + 1) * DAY - clock.at
    assert.equal(page.headers['retry-after'], String(Math.ceil(left / 1000)))
    assert.match(page.headers['content-type'] ?? '', /^text\/html/)
    assert.match(page.body, /Too many requests came from your network/)
    for (const path of page.body.match(/\/assets\/[^"]+/g) ?? assert.fail('the page has a style'))
      assert.equal((await get(path)).status, 200, path)

    const german = await get('/', { accept: 'text/html', 'accept-language': 'de' })
    assert.match(german.body, /zu viele Anfragen/)

    const token = await ask(port, '/token', { method: 'POST', body: 'grant_type=client_credentials' })
    assert.equal(token.status, 429)
    assert.ok(Number(token.headers['retry-after']) > 0)
    assert.equal((JSON.parse(token.body) as { error: string }).error, 'temporarily_unavailable')

    for (const path of ['/authorize', '/userinfo', '/.well-known/openid-configuration', '/interaction/x', '/nowhere'])
      assert.equal((await get(path)).status, 429, path)
    for (const path of ['/healthz', '/readyz']) assert.equal((await get(path)).status, 200, path)

    clock.at += left
    assert.equal((await get('/jwks')).status, 200)
    assert.equal(op.log.filter(({ level }) => level === 'error').length, 0)
  })
})

describe('who is counted', () => {
  test('all spellings of a network are one, others are others', async () => {
    const { get } = await open(2, { trustProxy: ['127.0.0.0/8'] })
    const from = async (address: string) => (await get('/jwks', { 'x-forwarded-for': address })).status
    assert.equal(await from('192.0.2.7'), 200)
    assert.equal(await from('::ffff:192.0.2.7'), 200)
    for (const spelling of ['192.0.2.7:4711', '::FFFF:c000:207', '[::ffff:192.0.2.7]:443', '0:0:0:0:0:ffff:c000:0207'])
      assert.equal(await from(spelling), 429, spelling)
    assert.equal(await from('192.0.2.8'), 200)

    assert.equal(await from('2001:db8:1:2::1'), 200)
    assert.equal(await from('[2001:DB8:1:2:ffff::9]:1'), 200)
    assert.equal(await from('2001:0db8:0001:0002:aaaa:bbbb:cccc:dddd'), 429)
    assert.equal(await from('2001:db8:1:3::1'), 200)
  })

  test('nobody is believed without trustProxy', async () => {
    const { get } = await open(2)
    const answers = []
    for (const address of ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'])
      answers.push(await get('/jwks', { 'x-forwarded-for': address, forwarded: `for=${address}` }))
    assert.deepEqual(statuses(answers), [200, 200, 429, 429])
  })

  test('behind trusted proxies the right-most address that is none of them counts, whatever stands before it', async () => {
    const { get } = await open(2, { trustProxy: ['127.0.0.0/8', '10.0.0.0/8'] })
    const answers = []
    for (const invented of ['192.0.2.1', '10.0.0.1', '::1', 'unknown', '', '127.0.0.1'])
      answers.push(await get('/jwks', { 'x-forwarded-for': `${invented}, 203.0.113.9, 10.1.2.3` }))
    assert.deepEqual(statuses(answers), [200, 200, 429, 429, 429, 429])
  })
})

describe('together', () => {
  test('two processes on one store let through exactly what one would', async (t) => {
    const shell = await openShell(t, { rateLimit: { windowMs: DAY, max: 60 }, trustProxy: true })
    const ports = await freePorts(2)
    const servers = []
    for (const port of ports) servers.push(await serve(t, shell, port))
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, turn) =>
        ask(ports[turn % 2] ?? 0, '/jwks', { headers: { 'x-forwarded-for': '192.0.2.1' } }),
      ),
    )
    assert.equal(answers.filter(({ status }) => status === 200).length, 60)
    assert.equal(answers.filter(({ status }) => status === 429).length, 140)
    for (const server of servers) assert.equal(await server.stop(), 0)
  })

  test('far from the limit counts travel in groups; all of them arrive, and the limit is exact', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-limit-'))
    const open = () => openSqliteArtifacts(join(folder, 'artifacts.db'), { clock: systemClock, log: silentLog })
    const stores = [await open(), await open()]
    t.after(async () => {
      for (const store of stores) await store.close()
      rmSync(folder, { recursive: true, force: true })
    })
    const limits = stores.map((store) => createLimit({ store, clock: systemClock, windowMs: DAY, max: 1000 }))
    const before = stores.map(({ transactions }) => transactions)
    let passed = 0
    for (let turn = 0; turn < 700; turn++)
      await Promise.all(
        limits.map(async (limit) => {
          await setImmediate()
          await limit('192.0.2.1').then(
            () => passed++,
            (error) => assert.ok(isFault(error, 'request.limited')),
          )
        }),
      )
    assert.equal(passed, 1000)
    const transactions = stores.reduce((sum, store, node) => sum + store.transactions - (before[node] ?? 0), 0)
    assert.ok(transactions < 500, `${transactions} transactions for 1000 counts`)
  })

  test('a store that is away limits nobody; a full network costs the store nothing', async () => {
    const clock = { now: () => 1_000_000 }
    let asked = 0
    const counting = createLimit({ clock, windowMs: 1000, max: 2, store: { increment: async () => ++asked } })
    await counting('192.0.2.1')
    await counting('192.0.2.1')
    for (let turn = 0; turn < 5; turn++)
      await assert.rejects(counting('192.0.2.1'), (error) => isFault(error, 'request.limited'))
    assert.equal(asked, 2)
    const away = createLimit({
      clock,
      windowMs: 1000,
      max: 1,
      store: { increment: () => Promise.reject(new Fault('store.unavailable')) },
    })
    for (let turn = 0; turn < 5; turn++) await away('192.0.2.1')
  })
})
