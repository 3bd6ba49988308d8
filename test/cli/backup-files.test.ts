/** Which files are written, which are refused and how that is said. */
import assert from 'node:assert/strict'
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { sha256 } from '#kernel/random.ts'
import {
  fill,
  HOUR,
  inHouse,
  isUntouched,
  MASTER,
  OTHER_MASTER,
  oneLine,
  openTwo,
  PASSPHRASE,
  withPassphrase,
} from './backup-world.ts'
import { openShell } from './shell.ts'

test('without a passphrase the master key locks, an older one still opens', async (t) => {
  const [here, other] = await openTwo(t)
  await fill(here)
  const file = join(here.folder, 'all.backup')
  const written = await here.run(['backup', file])
  assert.match(written.out, /locked by the master key, without which it cannot be opened/)
  oneLine(await other.run(['restore', file]), /is locked by another master key: add that one to masterKey/)
  oneLine(await withPassphrase(other, ['restore', file]), /is locked by the master key, not by a passphrase/)
  await isUntouched(other)
  const both = await openShell(t, { masterKey: [OTHER_MASTER, MASTER] })
  assert.equal((await both.run(['restore', file])).code, 0)
  // The restored installation works under its newest master key alone.
  const newest = { GATEHOUSE__MASTERKEY: OTHER_MASTER }
  const exported = await both.run(['export', '--secrets'], { env: newest })
  assert.equal(exported.out, (await here.run(['export', '--secrets'])).out, exported.err)
})

test('a foreign, damaged or cut file is refused in one line, and nothing is written', async (t) => {
  const here = await openShell(t, { masterKey: MASTER })
  const there = await openShell(t, { masterKey: MASTER })
  await fill(here)
  // More than two chunks, so that one can be cut off or swapped whole.
  await inHouse(here, ({ box }) => box.put('Session', 'big', 'x'.repeat(150_000), { ttl: HOUR }))
  const file = join(here.folder, 'all.backup')
  assert.equal((await here.run(['backup', file])).code, 0)
  const whole = await readFile(file)
  const first = whole.indexOf('\n') + 1
  const chunk = 64 * 1024 + 16
  const bad = join(here.folder, 'bad.backup')
  const tryFile = async (bytes: Uint8Array | string, message: RegExp) => {
    await writeFile(bad, bytes)
    oneLine(await there.run(['restore', bad]), message)
  }
  const flipped = (at: number) => {
    const bytes = Buffer.from(whole)
    bytes[at] = (bytes[at] ?? 0) ^ 1
    return bytes
  }
  for (const foreign of ['', 'issuer: https://id.example.org\n', '{"format":"other","version":1}\n', '{}', sha256('')])
    await tryFile(foreign, /is no backup of Gatehouse\.$/m)
  await tryFile(whole.toString('latin1').replace('"version":1', '"version":2'), /has format 2, this Gatehouse reads 1/)
  const damaged = /is damaged or cut short\.$/m
  for (const at of [first, first + chunk - 1, first + chunk, whole.length - 1]) await tryFile(flipped(at), damaged)
  for (const end of [first, first + 10, first + chunk, first + 2 * chunk, whole.length - 1])
    await tryFile(whole.subarray(0, end), damaged)
  await tryFile(Buffer.concat([whole, Buffer.alloc(1)]), damaged)
  const swapped = [whole.subarray(0, first), whole.subarray(first + chunk, first + 2 * chunk)]
  await tryFile(
    Buffer.concat([...swapped, whole.subarray(first, first + chunk), whole.subarray(first + 2 * chunk)]),
    damaged,
  )

  oneLine(await there.run(['restore', join(here.folder, 'none')]), /cannot be read \(ENOENT\)/)
  oneLine(await there.run(['restore', here.folder]), /cannot be read \(EISDIR\)/)
  await isUntouched(there)
  assert.equal((await there.run(['restore', file])).code, 0)
})

test('a passphrase that is wrong, missing or short is told so', async (t) => {
  const [here, there] = await openTwo(t)
  await fill(here)
  const file = join(here.folder, 'all.backup')
  const secret = await here.file('passphrase', `${PASSPHRASE}\n`)
  assert.equal((await here.run(['backup', file, '--passphrase-file', secret])).code, 0)
  oneLine(await withPassphrase(there, ['restore', file], 'another long passphrase'), /^The passphrase does not open /)
  oneLine(await there.run(['restore', file]), /is locked by a passphrase: give it with --passphrase-file/)
  oneLine(await withPassphrase(there, ['restore', file], 'short'), /at least 12 characters/)
  oneLine(await there.run(['restore', file, '--passphrase-file', '/nowhere']), /\/nowhere cannot be read \(ENOENT\)/)
  await isUntouched(there)
  assert.equal((await withPassphrase(there, ['restore', file])).code, 0)
})

test('a backup replaces an earlier one and no other file, and there must be something to back up', async (t) => {
  const [here, empty] = await openTwo(t)
  const file = join(here.folder, 'all.backup')
  oneLine(await empty.run(['backup', file]), /^The stores are empty/)
  await fill(here)
  assert.equal((await here.run(['backup', file])).code, 0)
  assert.equal((await here.run(['backup', file])).code, 0)
  const config = join(here.folder, 'gatehouse.yaml')
  const before = await readFile(config)
  oneLine(await here.run(['backup', config]), /is there already and is no backup: choose another name/)
  assert.deepEqual(await readFile(config), before)
  oneLine(await here.run(['backup', join(here.folder, 'none', 'x')]), /cannot be written \(ENOENT\)/)
})

test('two installations are not mixed', async (t) => {
  const [here, there] = await openTwo(t)
  await fill(here)
  await there.run(['account', 'create', 'mallory'])
  const before = (await there.run(['export', '--secrets'])).out
  const file = join(here.folder, 'all.backup')
  await withPassphrase(here, ['backup', file])
  oneLine(await withPassphrase(there, ['restore', file]), /hold another installation/)
  assert.equal((await there.run(['export', '--secrets'])).out, before)
})

test('what was copied beside the backup does not open without its keys', async (t) => {
  const [here, there] = await openTwo(t)
  await fill(here)
  await copyFile(join(here.folder, 'directory.db'), join(there.folder, 'directory.db'))
  oneLine(await there.run(['backup', join(there.folder, 'x')]), /seal\.broken/)
})
