import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ConfigurationError } from '#config/load.ts'
import { masterKeys } from '#config/master-key.ts'

const stores = (t: TestContext) => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-key-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const data = join(folder, 'data')
  return { data, stores: { artifacts: `sqlite:${data}/artifacts.db`, directory: `sqlite:${data}/directory.db` } }
}

test('the settings win, one key or several', async (t) => {
  const [a, b] = [1, 2].map((byte) => Buffer.alloc(32, byte))
  const given = stores(t)
  const written = [a, b].map((key) => key?.toString('base64url') ?? '')
  assert.deepEqual(await masterKeys({ ...given, masterKey: written }), [a, b])
  assert.deepEqual(await masterKeys({ ...given, masterKey: written[0] }), [a])
})

test('without one it is made once, readable by its owner only, whoever starts first', async (t) => {
  const given = stores(t)
  const made = await Promise.all([1, 2, 3, 4].map(() => masterKeys({ ...given, masterKey: undefined })))
  assert.equal(new Set(made.map(([key]) => key?.toString('hex'))).size, 1)
  assert.equal(made[0]?.[0]?.length, 32)
  const file = join(given.data, 'master.key')
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.equal(readFileSync(file, 'utf8'), `${made[0]?.[0]?.toString('base64url')}\n`)
  assert.deepEqual(readdirSync(given.data), ['master.key'])
})

test('a lost key is not replaced, and a damaged one is told', async (t) => {
  const given = stores(t)
  await masterKeys({ ...given, masterKey: undefined })
  writeFileSync(join(given.data, 'directory.db'), '')
  rmSync(join(given.data, 'master.key'))
  const refused = (pattern: RegExp) => (error: unknown) =>
    error instanceof ConfigurationError && pattern.test(error.message)
  await assert.rejects(masterKeys({ ...given, masterKey: undefined }), refused(/^masterKey: missing, and .* is gone/))
  assert.deepEqual(readdirSync(given.data), ['directory.db'])
  writeFileSync(join(given.data, 'master.key'), 'hunter2')
  await assert.rejects(masterKeys({ ...given, masterKey: undefined }), refused(/^masterKey: found .*damaged/))
})
