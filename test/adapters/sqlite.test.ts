/** The embedded store: the contracts of its three ports, and what only files, threads and several processes can go wrong in. */
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import diagnostics from 'node:diagnostics_channel'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { after, describe, type TestContext, test } from 'node:test'
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import { createLocalBus, openSqliteArtifacts, openSqliteDirectory } from '#adapters/sqlite/index.ts'
import { prepareFile } from '#adapters/sqlite/open.ts'
import { artifactSchema } from '#adapters/sqlite/schema.ts'
import { type Clock, systemClock } from '#kernel/clock.ts'
import { Fault, isFault } from '#kernel/faults.ts'
import { silentLog } from '#kernel/log.ts'
import type { ArtifactStore } from '#kernel/ports.ts'
import { randomId, sha256 } from '#kernel/random.ts'
import { artifactStoreContract } from '#test/contracts/artifact-store.ts'
import { busContract } from '#test/contracts/bus.ts'
import { directoryContract } from '#test/contracts/directory.ts'

const folder = mkdtempSync(join(tmpdir(), 'gatehouse-sqlite-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const newPath = () => join(folder, `${randomId()}.sqlite`)

// Stands still unless moved, so that a case may stand one millisecond before an expiry.
let now = systemClock.now()
const clock: Clock = { now: () => now }
const world = { clock, log: silentLog }
const body = Buffer.from('body')
const key = sha256('a')

const store = async (t: TestContext, path = newPath()) => {
  const opened = await openSqliteArtifacts(path, world)
  t.after(() => opened.close())
  return opened
}

const rowCount = async (own: ArtifactStore): Promise<number> => {
  let count = 0
  for await (const _ of own.scan()) count++
  return count
}

/** Another process at work on a file (sqlite-process.ts). */
const start = (t: TestContext, task: string, path: string, execPath = process.execPath): ChildProcess => {
  const child = fork(new URL('./sqlite-process.ts', import.meta.url), [task, path], {
    execPath,
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  t.after(() => child.kill('SIGKILL'))
  return child
}
const message = async (child: ChildProcess): Promise<unknown> => (await once(child, 'message'))[0]

/** Tells all at once to begin; answers what each said. */
const goAll = (children: readonly ChildProcess[], go: (nth: number) => string): Promise<unknown[]> => {
  const answers = Promise.all(children.map(message))
  for (const [nth, child] of children.entries()) child.send(go(nth))
  return answers
}

/** Runs a task in several processes that begin together; answers what each said. */
const together = async (t: TestContext, task: string, path: string, count: number): Promise<unknown[]> => {
  const children = Array.from({ length: count }, () => start(t, task, path))
  await Promise.all(children.map(message))
  return goAll(children, String)
}

const unavailable = (reason: RegExp) => (error: unknown) =>
  isFault(error, 'store.unavailable') && reason.test(String(error.detail.reason))

artifactStoreContract('sqlite', {
  open: () => openSqliteArtifacts(newPath(), world),
  clock,
  skip: async (ms) => {
    now += ms
  },
})
directoryContract('sqlite', { open: () => openSqliteDirectory(newPath(), world) })
busContract('sqlite', {
  open: async (count) => {
    const path = newPath()
    return Promise.all(
      Array.from({ length: count }, async () => {
        const directory = await openSqliteDirectory(path, world)
        return { directory, bus: createLocalBus({ directory, pollMs: 250 }) }
      }),
    )
  },
})

describe('sqlite: several processes', () => {
  test('two processes race for 2,000 codes: each has exactly one winner', async (t) => {
    const path = newPath()
    const own = await store(t, path)
    await Promise.all(
      Array.from({ length: 2000 }, (_, i) => own.put('AuthorizationCode', { key: sha256(`code ${i}`), body })),
    )
    const won = (await together(t, 'redeem', path, 2)) as number[][]
    assert.ok(
      won.every(({ length }) => length > 0),
      'both took part',
    )
    assert.deepEqual(
      won.flat().sort((a, b) => a - b),
      Array.from({ length: 2000 }, (_, i) => i),
    )
  })

  test('two processes race for 100 first logins: one account each', async (t) => {
    const path = newPath()
    const directory = await openSqliteDirectory(path, world)
    t.after(() => directory.close())
    const [one, two] = (await together(t, 'claim', path, 2)) as string[][]
    assert.equal(one?.length, 100)
    assert.deepEqual(one, two)
    const accounts = await directory.list('account', { limit: 1000 })
    assert.deepEqual(
      accounts.map(({ id }) => id),
      one.toSorted((a, b) => (a < b ? -1 : 1)),
    )
  })

  test('four processes open one new file at once', async (t) => {
    const children = Array.from({ length: 4 }, () => start(t, 'open', ''))
    await Promise.all(children.map(message))
    for (let round = 0; round < 5; round++) {
      const path = newPath()
      assert.deepEqual(await goAll(children, () => path), ['stored', 'stored', 'stored', 'stored'])
      const own = await store(t, path)
      assert.equal(await rowCount(own), 4)
    }
  })

  test('a writer is killed: every row that it acknowledged is there', async (t) => {
    const path = newPath()
    for (let round = 0; round < 2; round++) {
      const child = start(t, 'write', path)
      assert.ok(child.stdout)
      const acknowledged: number[] = []
      for await (const line of createInterface(child.stdout)) {
        acknowledged.push(Number(line))
        if (acknowledged.length === 300) child.kill('SIGKILL')
      }
      assert.ok(acknowledged.length >= 300)
      const own = await store(t, path)
      for (const i of acknowledged) assert.ok(await own.get('Session', 'key', sha256(`row ${i}`)), `row ${i}`)
      await own.close()
      const raw = new DatabaseSync(path)
      assert.deepEqual({ ...raw.prepare('PRAGMA integrity_check').get() }, { integrity_check: 'ok' })
      raw.close()
    }
  })
})

describe('sqlite: groups and sweeps', () => {
  test('five hundred puts of one turn are few transactions', async (t) => {
    const own = await store(t)
    await own.ready()
    const before = own.transactions
    await Promise.all(Array.from({ length: 500 }, (_, i) => own.put('Session', { key: sha256(`row ${i}`), body })))
    assert.equal(await rowCount(own), 500)
    assert.ok(own.transactions - before <= 5, `${own.transactions - before} transactions`)
  })

  test('what arrives while a batch is away travels together', async (t) => {
    const own = await store(t)
    const before = own.transactions
    const puts: Promise<unknown>[] = []
    for (let i = 0; i < 300; i++) {
      puts.push(own.put('Session', { key: sha256(`row ${i}`), body }))
      await turn()
    }
    await Promise.all(puts)
    assert.ok(own.transactions - before < 150, `${own.transactions - before} transactions`)
  })

  test('an operation that cannot be run costs the others of its batch nothing', async (t) => {
    const own = await store(t)
    // No number breaks NOT NULL: the whole group rolls back and is run again singly.
    const results = await Promise.allSettled([
      own.put('Session', { key: sha256('a'), body }),
      own.increment(key, Number.NaN, clock.now() + 1000),
      own.put('Session', { key: sha256('c'), body }),
    ])
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    assert.ok(await own.get('Session', 'key', sha256('a')))
    assert.ok(await own.get('Session', 'key', sha256('c')))
    assert.equal(await own.increment(key, 0, 0), 0)
  })

  test('the sweeper works by itself, in batches of at most 200 rows', async (t) => {
    const path = newPath()
    const own = await openSqliteArtifacts(path, { ...world, sweepMs: 50 })
    t.after(() => own.close())
    const tags = [sha256('t')]
    const put = (i: number, expiresAt: number) => own.put('Session', { key: sha256(`row ${i}`), body, tags, expiresAt })
    await Promise.all(Array.from({ length: 1000 }, (_, i) => put(i, clock.now() + 60_000)))
    await put(1000, clock.now() + 3_600_000)
    const raw = new DatabaseSync(path, { timeout: 1000 })
    t.after(() => raw.close())
    // 'now' stands still during one statement: rows that went together have one time.
    raw.exec(`CREATE TABLE gone (at TEXT);
      CREATE TRIGGER note AFTER DELETE ON artifact BEGIN
        INSERT INTO gone VALUES (strftime('%Y-%m-%d %H:%M:%f', 'now'));
      END`)
    const rows = raw.prepare('SELECT count(*) AS n FROM artifact')
    now += 60_000
    await own.ready()
    const late = systemClock.now() + 5000
    while (rows.get()?.n !== 1) {
      assert.ok(systemClock.now() < late, 'swept within 5 s')
      await delay(10)
    }
    const batches = raw.prepare('SELECT count(*) AS n FROM gone GROUP BY at').all()
    assert.deepEqual(
      batches.map(({ n }) => n),
      [200, 200, 200, 200, 200],
    )
    assert.deepEqual({ ...raw.prepare('SELECT count(*) AS n FROM tagged').get() }, { n: 1 })
  })

  test('nothing is left of rows that were dropped, revoked or swept', async (t) => {
    const path = newPath()
    const own = await store(t, path)
    const expiresAt = clock.now() + 1000
    const full = (name: string) => ({
      key: sha256(name),
      body,
      expiresAt,
      tags: [sha256('t')],
      uid: sha256(`u ${name}`),
    })
    await own.put('Session', { ...full('a'), grant: sha256('g') })
    await own.put('Session', full('b'))
    await own.put('Session', full('c'))
    await own.putOnce('Replay', key, expiresAt)
    await own.increment(key, 1, expiresAt)
    await own.dropGrant(sha256('g'), expiresAt)
    await own.drop('Session', sha256('b'))
    now += 1000
    await own.sweep(100)
    const raw = new DatabaseSync(path, { readOnly: true })
    t.after(() => raw.close())
    for (const table of ['artifact', 'tagged', 'marker', 'counter', 'tombstone'])
      assert.deepEqual({ ...raw.prepare(`SELECT count(*) AS n FROM ${table}`).get() }, { n: 0 }, table)
  })
})

describe('sqlite: files and versions', () => {
  test('files are for their owner only', async (t) => {
    const path = newPath()
    const own = await store(t, path)
    await own.put('Session', { key, body })
    for (const end of ['', '-wal', '-shm']) assert.equal(statSync(path + end).mode & 0o777, 0o600, end)
  })

  const later = { ...artifactSchema, steps: [...artifactSchema.steps, 'CREATE TABLE later (id INTEGER PRIMARY KEY)'] }

  test('an older file is backed up and brought on; an older Gatehouse then refuses it', async (t) => {
    const path = newPath()
    const own = await store(t, path)
    await own.put('Session', { key, body })
    await own.close()
    await prepareFile(path, later)
    const backup = `${path}.v1.bak`
    assert.equal(statSync(backup).mode & 0o777, 0o600)
    const migrated = new DatabaseSync(path)
    t.after(() => migrated.close())
    assert.deepEqual({ ...migrated.prepare('PRAGMA user_version').get() }, { user_version: 2 })
    assert.equal(migrated.prepare('SELECT * FROM later').all().length, 0)
    assert.equal(migrated.prepare('SELECT * FROM artifact').all().length, 1)
    const restored = await store(t, backup)
    assert.ok(await restored.get('Session', 'key', key))
    await assert.rejects(
      openSqliteArtifacts(path, world),
      (error) =>
        error instanceof Fault &&
        error.code === 'store.newer' &&
        /schema version 2, this Gatehouse knows versions up to 1/.test(String(error.detail.reason)),
    )
  })

  test('several processes that migrate at once do it once', async () => {
    const path = newPath()
    await prepareFile(path, artifactSchema)
    await Promise.all(Array.from({ length: 4 }, () => prepareFile(path, later)))
    const backup = new DatabaseSync(`${path}.v1.bak`, { readOnly: true })
    assert.deepEqual({ ...backup.prepare('PRAGMA user_version').get() }, { user_version: 1 })
    backup.close()
  })

  test('a step that fails leaves the file as it was', async (t) => {
    const path = newPath()
    await prepareFile(path, artifactSchema)
    const broken = {
      ...artifactSchema,
      steps: [...artifactSchema.steps, 'CREATE TABLE half (id); CREATE TABLE model (id)'],
    }
    await assert.rejects(prepareFile(path, broken), unavailable(/model already exists/))
    const own = await store(t, path)
    assert.equal(await own.put('Session', { key, body }), 'stored')
    const raw = new DatabaseSync(path, { readOnly: true })
    t.after(() => raw.close())
    assert.equal(raw.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'half'").get(), undefined)
  })

  for (const schema of ['artifacts', 'directory'])
    test(`a file of ${schema} version 1 is understood`, async (t) => {
      const path = newPath()
      const raw = new DatabaseSync(path)
      raw.exec(readFileSync(new URL(`./fixtures/${schema}-v1.sql`, import.meta.url), 'utf8'))
      raw.close()
      if (schema === 'artifacts') {
        const own = await store(t, path)
        const found = await own.get('Session', 'uid', Buffer.from('uid'))
        assert.equal(Buffer.from(found?.body ?? []).toString(), 'sealed')
        assert.equal(found?.consumedAt, 1_700_000_000_000)
        assert.equal((await own.findTagged('Session', Buffer.from('tag'))).length, 1)
        assert.equal(await own.put('Session', { key, body, grant: Buffer.from('dropped') }), 'revoked')
      } else {
        const directory = await openSqliteDirectory(path, world)
        t.after(() => directory.close())
        assert.equal((await directory.find('account', 'username', 'alice', { limit: 1 }))[0]?.revision, 3)
        assert.deepEqual(await directory.epoch(), { account: 3 })
        assert.equal((await directory.audit({ reference: 'R', limit: 9 })).length, 1)
      }
    })

  test('a path that cannot be used is refused with its reason', async (t) => {
    const refused = (path: string, reason: RegExp) =>
      assert.rejects(openSqliteArtifacts(path, world), unavailable(reason))
    await refused(join(folder, 'absent', 'x.sqlite'), /directory of the database file does not exist/)
    assert.ok(!existsSync(join(folder, 'absent')))
    const directory = join(folder, randomId())
    mkdirSync(directory)
    await refused(directory, /is a directory/)
    const garbage = newPath()
    writeFileSync(garbage, 'this is no database, whatever its name says. '.repeat(100))
    await refused(garbage, /not a SQLite database/)
    const foreign = newPath()
    const raw = new DatabaseSync(foreign)
    raw.exec('CREATE TABLE theirs (id)')
    raw.close()
    await refused(foreign, /not one of Gatehouse's artifacts/)
    const confused = newPath()
    const other = await openSqliteDirectory(confused, world)
    t.after(() => other.close())
    await refused(confused, /not one of Gatehouse's artifacts/)
  })

  test('a file without permission is refused with its reason', async (t) => {
    const closed = join(folder, randomId())
    mkdirSync(closed, { mode: 0o700 })
    const path = join(closed, 'x.sqlite')
    await prepareFile(path, artifactSchema)
    const expected = { code: 'store.unavailable', reason: 'no permission to open the database file' }
    if (process.geteuid?.() === 0) {
      assert.deepEqual(await message(start(t, 'nobody', path)), expected)
    } else {
      chmodSync(path, 0)
      await assert.rejects(openSqliteArtifacts(path, world), unavailable(/no permission/))
    }
  })
})

describe('sqlite: trouble while running', () => {
  test('a locked file: refused within 2 s, readable meanwhile, usable afterwards', async (t) => {
    const path = newPath()
    const own = await store(t, path)
    await own.put('Session', { key, body })
    const lock = new DatabaseSync(path)
    t.after(() => lock.close())
    lock.exec('BEGIN IMMEDIATE')
    const began = systemClock.now()
    const refusals = [own.put('Session', { key: sha256('b'), body }), own.ready()].map((one) =>
      assert.rejects(one, unavailable(/locked by another process|did not answer in time/)),
    )
    assert.ok(await own.get('Session', 'key', key))
    await turn()
    // Arrives while the writer waits for the lock already.
    refusals.push(assert.rejects(own.put('Session', { key: sha256('c'), body }), unavailable(/./)))
    await Promise.all(refusals)
    assert.ok(systemClock.now() - began < 2100, `${systemClock.now() - began} ms`)
    lock.exec('COMMIT')
    await own.ready()
    assert.equal(await own.put('Session', { key: sha256('d'), body }), 'stored')
    assert.equal(await own.get('Session', 'key', sha256('b')), undefined)
    assert.equal(await own.get('Session', 'key', sha256('c')), undefined)
  })

  test('a damaged file is named so', async (t) => {
    const path = newPath()
    const own = await store(t, path)
    const ids = Array.from({ length: 500 }, (_, i) => sha256(`row ${i}`))
    await Promise.all(ids.map((id) => own.put('Session', { key: id, body: Buffer.alloc(500, 1) })))
    await own.close()
    const bytes = readFileSync(path)
    bytes.fill(0xff, bytes.length / 2)
    writeFileSync(path, bytes)
    const damaged = await store(t, path)
    const reads = await Promise.allSettled(ids.map((id) => damaged.get('Session', 'key', id)))
    const failures = reads.flatMap((read) => (read.status === 'rejected' ? [read.reason as unknown] : []))
    assert.ok(failures.length > 0)
    assert.ok(failures.every(unavailable(/damaged/)))
    const writes = await Promise.allSettled(ids.map((id) => damaged.put('Session', { key: id, body })))
    const refusals = writes.flatMap((write) => (write.status === 'rejected' ? [write.reason as unknown] : []))
    assert.ok(refusals.length > 0)
    assert.ok(refusals.every(unavailable(/damaged/)))
  })

  test('a full disk: refused, what stands is readable', { skip: process.platform === 'win32' }, async (t) => {
    const path = newPath()
    const limited = join(folder, randomId())
    writeFileSync(limited, `#!/bin/sh\nulimit -f 4096\nexec '${process.execPath}' "$@"\n`, { mode: 0o700 })
    const { failed, readable } = (await message(start(t, 'fill', path, limited))) as {
      failed: { code: string; reason: string }
      readable: boolean
    }
    assert.equal(failed.code, 'store.unavailable')
    assert.match(failed.reason, /disk/)
    assert.ok(readable)
  })

  test('a writer that dies: what waits and what follows is refused at once', async (t) => {
    const born: Worker[] = []
    const note = (event: unknown) => void born.push((event as { worker: Worker }).worker)
    diagnostics.subscribe('worker_threads', note)
    t.after(() => diagnostics.unsubscribe('worker_threads', note))
    const own = await store(t)
    assert.equal(born.length, 1)
    await own.put('Session', { key, body })
    const waiting = Array.from({ length: 10 }, (_, i) => own.put('Session', { key: sha256(`row ${i}`), body }))
    const refused = Promise.all(waiting.map((one) => assert.rejects(one, unavailable(/writer/))))
    await born[0]?.terminate()
    await refused
    await assert.rejects(own.put('Session', { key, body }), unavailable(/writer/))
    await assert.rejects(own.ready(), unavailable(/writer/))
    assert.ok(await own.get('Session', 'key', key))
    await own.close()
  })
})
