/** The embedded store's files: versions, permissions, damage, and a database that does not answer. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import diagnostics from 'node:diagnostics_channel'
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { DatabaseSync } from 'node:sqlite'
import { describe, test } from 'node:test'
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import { openSqliteArtifacts, openSqliteDirectory } from '#adapters/sqlite/index.ts'
import { prepareFile } from '#adapters/sqlite/open.ts'
import { artifactSchema } from '#adapters/sqlite/schema.ts'
import { systemClock } from '#kernel/clock.ts'
import { Fault } from '#kernel/faults.ts'
import type { ArtifactStore } from '#kernel/ports.ts'
import { randomId, sha256 } from '#kernel/random.ts'
import { message } from './processes.ts'
import { body, folder, key, newPath, start, store, unavailable, world } from './sqlite-world.ts'

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

/** Waits, at most 5 s, until a store takes what is written. */
const usable = async (own: ArtifactStore): Promise<boolean> => {
  for (const end = performance.now() + 5000; performance.now() < end; await delay(20)) {
    const ready = await own.ready().then(
      () => true,
      () => false,
    )
    if (ready) return true
  }
  return false
}

const run = (program: string, ...args: string[]): boolean => spawnSync(program, args, { stdio: 'ignore' }).status === 0
/** A small file system of its own; only root may. */
const canMount = (() => {
  const place = join(folder, 'probe')
  mkdirSync(place)
  return run('mount', '-t', 'tmpfs', '-o', 'size=1m', 'none', place) && run('umount', place)
})()

describe('sqlite: trouble while running', () => {
  test('a disk that is full or read-only for a while: refused, readable, usable afterwards', {
    skip: canMount ? false : 'may not mount a file system',
  }, async (t) => {
    const place = join(folder, randomId())
    mkdirSync(place)
    assert.ok(run('mount', '-t', 'tmpfs', '-o', 'size=4m', 'none', place))
    t.after(() => run('umount', '-l', place))
    const own = await store(t, join(place, 'x.sqlite'))
    await own.put('Session', { key, body })
    writeFileSync(join(place, 'ballast'), Buffer.alloc(1_000_000))
    let reason: unknown
    for (let n = 0; n < 100 && reason === undefined; n++)
      await own.put('Session', { key: sha256(`row ${n}`), body: Buffer.alloc(100_000, 1) }).catch((error) => {
        reason = error
      })
    assert.ok(unavailable(/disk is full/)(reason), String(reason))
    assert.ok(await own.get('Session', 'key', key))
    rmSync(join(place, 'ballast'))
    assert.ok(await usable(own))
    assert.equal(await own.put('Session', { key: sha256('after'), body: Buffer.alloc(100_000, 1) }), 'stored')

    // What is open for writing cannot be made read-only: the next start is asked.
    await own.close()
    assert.ok(run('mount', '-o', 'remount,ro', place))
    await assert.rejects(store(t, join(place, 'x.sqlite')), unavailable(/read-only/))
    assert.ok(run('mount', '-o', 'remount,rw', place))
    assert.ok(await (await store(t, join(place, 'x.sqlite'))).get('Session', 'key', sha256('after')))
  })

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
    assert.ok(systemClock.now() - began < 2400, `${systemClock.now() - began} ms`)
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

  test('a writer that dies: what waits is refused at once, and another one takes over', async (t) => {
    const born: Worker[] = []
    const note = (event: unknown) => void born.push((event as { worker: Worker }).worker)
    diagnostics.subscribe('worker_threads', note)
    t.after(() => diagnostics.unsubscribe('worker_threads', note))
    const path = newPath()
    const own = await store(t, path)
    assert.equal(born.length, 1)
    await own.put('Session', { key, body })
    // The first waits for the lock in the writer, the second waits here for the first.
    const lock = new DatabaseSync(path)
    t.after(() => lock.close())
    lock.exec('BEGIN IMMEDIATE')
    const away = own.put('Session', { key: sha256('away'), body })
    await turn()
    const waiting = own.put('Session', { key: sha256('waiting'), body })
    const refused = [away, waiting].map((one) => assert.rejects(one, unavailable(/writer has ended/)))
    const ended = born[0]?.terminate()
    lock.exec('ROLLBACK')
    await ended
    await Promise.all(refused)
    await assert.rejects(own.put('Session', { key, body }), unavailable(/writer/))
    assert.ok(await own.get('Session', 'key', key))
    assert.ok(await usable(own))
    assert.equal(born.length, 2)
    assert.equal(await own.put('Session', { key: sha256('after'), body: Buffer.alloc(200_000, 1) }), 'stored')
    assert.equal((await own.get('Session', 'key', sha256('after')))?.body.length, 200_000)
    // The second one may die as well.
    await born[1]?.terminate()
    assert.ok(await usable(own))
    await own.close()
    await assert.rejects(own.put('Session', { key, body }), unavailable(/closed/))
  })
})
