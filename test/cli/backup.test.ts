/** Backups: what comes back and what does not. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { openLocked } from '#cli/backup/file.ts'
import { readStores } from '#cli/backup/read-stores.ts'
import { restore } from '#cli/backup/restore.ts'
import { itemsIn, verify } from '#cli/backup/verify.ts'
import { systemClock } from '#kernel/clock.ts'
import { sha256 } from '#kernel/random.ts'
import {
  contentOf,
  fill,
  HOUR,
  inHouse,
  inStores,
  isUntouched,
  MASTER,
  oneLine,
  openTwo,
  PASSPHRASE,
  resources,
  withPassphrase,
} from './backup-world.ts'
import { executable, openShell } from './shell.ts'

test('what was backed up is there under another master key, and a backup of it holds the same', async (t) => {
  const [here, there] = await openTwo(t)
  await fill(here)
  const file = join(here.folder, 'all.backup')
  const written = await withPassphrase(here, ['backup', file])
  assert.equal(written.code, 0, written.err)
  assert.match(written.out, /^Wrote \S+, locked by the passphrase:\n {2}records: 3 account, /)
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  for (const clear of ['alice', 'secret of web', 'argon2id', 'dataKey'])
    assert.equal((await readFile(file)).includes(clear), false, clear)

  const checked = await withPassphrase(there, ['restore', file, '--check'])
  assert.match(checked.out, /is whole, made \d{4}-/)
  await isUntouched(there)
  const restored = await withPassphrase(there, ['restore', file])
  assert.deepEqual([restored.code, restored.err], [0, ''])
  assert.match(restored.out, /^Restored \S+: \d+ records created, 0 replaced, 0 as they were; 6 artifacts added, /)

  assert.equal((await there.run(['export', '--secrets'])).out, (await here.run(['export', '--secrets'])).out)
  assert.equal((await there.run(['keys', 'list'])).out, (await here.run(['keys', 'list'])).out)
  assert.equal((await there.run(['trace', 'ABCDEFGHJK'])).out, (await here.run(['trace', 'ABCDEFGHJK'])).out)
  await inHouse(there, async ({ box, store, records, directory }) => {
    assert.deepEqual(await box.getByUid('Session', 'uid 1'), { who: 'alice' })
    assert.deepEqual(await box.findTagged('Session', 'alice'), [{ who: 'alice' }])
    assert.deepEqual(await box.get('Session', 'for ever'), { who: 'bob' })
    assert.equal(await box.take('Code', 'used'), undefined)
    assert.equal(await box.putOnce('Replay', 'jti', HOUR), false)
    assert.equal(
      await store.put('Grant', { key: sha256('x'), body: sha256('x'), grant: sha256('revoked grant') }),
      'revoked',
    )
    assert.ok(await store.get('Grant', 'userCode', sha256('user code')))
    assert.equal(await store.increment(sha256('attempts'), 0, 0), 3)
    const link = await records.links.get('acme', 'uid/1')
    assert.equal((await records.accounts.get(link?.accountId ?? ''))?.username, 'carol')
    assert.equal((await records.accounts.byLogin('ALICE@example.org'))?.username, 'alice')
    assert.deepEqual(
      (await directory.audit({ type: 'login', limit: 9 })).map(({ account }) => account),
      ['a'],
    )
  })
  assert.equal((await there.run(['apply', '-'], { input: JSON.stringify(resources) })).out, 'Nothing to change.\n')

  const again = join(there.folder, 'again.backup')
  assert.equal((await withPassphrase(there, ['backup', again])).code, 0)
  const content = await contentOf(file)
  assert.ok(content.length > 20)
  assert.deepEqual(await contentOf(again), content)

  const second = await withPassphrase(there, ['restore', file, '--json'])
  const { restored: report } = JSON.parse(second.out)
  assert.deepEqual([report.records.created, report.records.replaced, report.artifacts.added], [0, 0, 0])
  await withPassphrase(there, ['backup', again])
  assert.deepEqual(await contentOf(again), content)
})

test('into the same stores: records come back, what ended meanwhile does not', async (t) => {
  const shell = await openShell(t, { masterKey: MASTER })
  await fill(shell)
  const file = join(shell.folder, 'all.backup')
  assert.equal((await shell.run(['backup', file])).code, 0)
  const before = (await shell.run(['export', '--secrets'])).out
  const signing = async () => (await shell.run(['keys', 'list'])).out

  await shell.run(['account', 'remove', 'alice'])
  await shell.run(['account', 'disable', 'bob'])
  await shell.run(['keys', 'rotate'])
  const keys = await signing()
  await inHouse(shell, async ({ box, store }) => {
    await box.drop('Session', 's1')
    await box.take('Code', 'unused')
    await store.dropGrant(sha256('grant'), systemClock.now() + HOUR * 1000)
    await box.put('Session', 'rotated', { who: 'bob' }, { uid: 'for ever' })
  })
  const restored = await shell.run(['restore', file])
  assert.deepEqual([restored.code, restored.err], [0, ''])
  assert.match(restored.out, /Sessions and tokens were left out: .* --keep-tokens brings them\.$/m)
  assert.equal((await shell.run(['export', '--secrets'])).out, before)
  assert.equal(await signing(), keys)
  const ended = () =>
    inHouse(shell, async ({ box, store }) => ({
      session: await box.get('Session', 's1'),
      taken: await box.take('Code', 'unused'),
      grant: await store.get('Grant', 'key', sha256('g')),
    }))
  assert.deepEqual(await ended(), { session: undefined, taken: undefined, grant: undefined })

  // Asked for, a session comes back; what is known as used or revoked still does not.
  assert.match((await shell.run(['restore', file, '--keep-tokens'])).out, /1 artifacts added/)
  assert.deepEqual(await ended(), { session: { who: 'alice' }, taken: undefined, grant: undefined })
})

test('a record whose name was taken meanwhile is told of, the rest is restored', async (t) => {
  const shell = await openShell(t, { masterKey: MASTER })
  await fill(shell)
  const file = join(shell.folder, 'all.backup')
  await shell.run(['backup', file])
  await shell.run(['account', 'remove', 'alice'])
  await shell.run(['account', 'remove', 'bob'])
  await shell.run(['account', 'create', 'Alice', '--id', 'another'])
  const restored = await shell.run(['restore', file])
  assert.equal(restored.code, 1)
  assert.match(restored.err, /^Not restored: account \S{22}, because another one has its username\.\n$/)
  assert.equal((await shell.run(['account', 'show', 'bob'])).code, 0)
  assert.match((await shell.run(['account', 'show', 'alice'])).out, /^id: another$/m)
})

test('an old backup signs nobody in, unless that is asked for', async (t) => {
  const [here, there] = await openTwo(t)
  await fill(here)
  await inHouse(here, ({ box }) => box.put('Session', 's2', { who: 'carol' }, { ttl: 9 * HOUR }))
  await inHouse(here, ({ box }) => box.put('RegistrationAccessToken', 'r', { client: 'web' }))
  const path = join(here.folder, 'all.backup')
  await withPassphrase(here, ['backup', path])
  const clock = { now: () => systemClock.now() + 2 * HOUR * 1000 }
  const late = async (keepTokens: boolean) => {
    const file = await openLocked(path, { passphrase: PASSPHRASE, masterKeys: [] })
    t.after(() => file.close())
    const summary = await verify(file, path)
    return inStores(there, (stores) => restore(stores, summary, itemsIn(file), { keepTokens, clock }))
  }
  const has = (model: string, id: string) => inHouse(there, ({ box }) => box.get(model, id))

  assert.equal((await late(false)).left, 'old')
  assert.equal(await has('Session', 's2'), undefined)
  assert.equal(await has('Session', 'for ever'), undefined)
  assert.deepEqual(await has('RegistrationAccessToken', 'r'), { client: 'web' })
  assert.equal((await there.run(['trace', 'ABCDEFGHJK'])).code, 0)
  assert.equal((await there.run(['account', 'show', 'alice'])).code, 0)
  assert.equal((await late(true)).left, undefined)
  assert.deepEqual(await has('Session', 's2'), { who: 'carol' })
})

test('what is redeemed or revoked while the backup is written is so in it', async (t) => {
  const [here, there] = await openTwo(t)
  await fill(here)
  const ids = Array.from({ length: 500 }, (_, i) => `code ${i}`)
  const grant = sha256('ends meanwhile')
  const lines = await inHouse(here, async ({ box, store, directory }) => {
    for (const id of ids) await box.put('Code', id, { id }, { ttl: HOUR })
    await store.put('Grant', { key: sha256('m'), body: Buffer.from('opaque'), grant })
    const stores = { store, directory, masterKeys: [Buffer.from(MASTER, 'base64url')], close: async () => undefined }
    const written: string[] = []
    let codes = 0
    for await (const line of readStores(stores, 'http://localhost:3000', systemClock)) {
      written.push(line)
      if (line.startsWith('{"artifact":{"model":"Code"')) codes += 1
      if (codes !== ids.length) continue
      codes += 1
      // Code 0 was read long ago.
      assert.deepEqual(await box.take('Code', 'code 0'), { id: 'code 0' })
      await store.dropGrant(grant, systemClock.now() + HOUR * 1000)
    }
    assert.equal(codes > ids.length, true)
    return written
  })
  const file = {
    lines: async function* () {
      yield* lines
    },
    close: async () => undefined,
  }
  const summary = await verify(file, 'the backup')
  assert.equal(summary.counts.redeemed, 1)
  await inStores(there, (stores) => restore(stores, summary, itemsIn(file), { keepTokens: false, clock: systemClock }))
  await inHouse(there, async ({ box, store }) => {
    assert.equal(await box.take('Code', 'code 0'), undefined)
    assert.deepEqual(await box.take('Code', 'code 499'), { id: 'code 499' })
    assert.equal(await store.get('Grant', 'key', sha256('m')), undefined)
  })
})

test('killed half-way: nothing is served from the stores until the restore has run again', async (t) => {
  const here = await openShell(t, { masterKey: MASTER })
  const there = await openShell(t, { masterKey: MASTER })
  await fill(here)
  const ids = Array.from({ length: 15_000 }, (_, i) => `session ${i}`)
  await inHouse(here, async ({ box }) => {
    while (ids.length > 0)
      await Promise.all(ids.splice(0, 500).map((id) => box.put('Session', id, { id }, { ttl: HOUR, uid: id })))
  })
  const file = join(here.folder, 'all.backup')
  assert.equal((await here.run(['backup', file])).code, 0)

  // Opened first, so that the store's files are there to be looked at.
  await inStores(there, async ({ store }) => {
    const child = spawn(executable, ['restore', file], { cwd: there.folder, env: { PATH: process.env.PATH } })
    t.after(() => void child.kill('SIGKILL'))
    const ended = once(child, 'exit')
    const begun = async () => (await store.get('Session', 'uid', sha256('session 100'))) !== undefined
    while (child.exitCode === null && !(await begun())) await delay(5)
    child.kill('SIGKILL')
    assert.deepEqual(await ended, [null, 'SIGKILL'], 'it was still at work')
    assert.equal(await store.get('Session', 'uid', sha256('session 14999')), undefined)
  })
  oneLine(await there.run(['account', 'list']), /begun and not finished: run `gatehouse restore` again/)
  oneLine(await there.run(['backup', join(there.folder, 'x')]), /begun and not finished/)
  assert.equal((await there.spawn(['serve'])).code, 1)

  const again = await there.run(['restore', file, '--json'])
  assert.equal(again.code, 0, again.err)
  const { artifacts } = JSON.parse(again.out).restored
  assert.ok(artifacts.present > 100 && artifacts.added > 100, JSON.stringify(artifacts))
  const copy = join(there.folder, 'copy.backup')
  assert.equal((await there.run(['backup', copy])).code, 0)
  const lock = { masterKeys: [Buffer.from(MASTER, 'base64url')] }
  assert.deepEqual(await contentOf(copy, lock), await contentOf(file, lock))
})
