/**
 * Which index each statement of the embedded store uses, by SQLite's own word: nothing that a request waits for walks a
 * table whose length grows with use, or sorts what it found.
 */
import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { artifactOperations } from '#adapters/sqlite/artifact-operations.ts'
import { directoryOperations } from '#adapters/sqlite/directory-operations.ts'
import { openSqliteArtifacts, openSqliteDirectory } from '#adapters/sqlite/index.ts'
import { newPath, world } from './sqlite-world.ts'

/** Few rows, whatever is served. */
const small = /\b(model|epoch|sqlite_schema)\b/

/** What is bad in a statement's plan, undefined when nothing is. */
const badness = (database: DatabaseSync, sql: string): string | undefined => {
  const plan = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all() as unknown as { detail: string }[]
  return plan
    .map(({ detail }) => detail)
    .find((line) => /TEMP B-TREE|^SCAN (?!.*CONSTANT)/.test(line) && !small.test(line))
}

test('sqlite: every statement finds its rows by an index, in the order that it gives them', async (t) => {
  const said = new Map<string, Set<string>>()
  const { prepare } = DatabaseSync.prototype
  t.mock.method(DatabaseSync.prototype, 'prepare', function (this: DatabaseSync, sql: string) {
    const path = this.location() ?? ''
    said.set(path, (said.get(path) ?? new Set()).add(sql))
    return prepare.call(this, sql)
  })
  const [artifactPath, directoryPath] = [newPath(), newPath()]
  const artifacts = await openSqliteArtifacts(artifactPath, world)
  const directory = await openSqliteDirectory(directoryPath, world)
  t.after(() => Promise.all([artifacts.close(), directory.close()]))
  // Made when they are needed.
  for await (const _ of artifacts.marks()) assert.fail('empty')
  for (const field of ['reference', 'account', 'type']) await directory.audit({ [field]: 'x', limit: 1 })
  const files = [
    { path: artifactPath, operations: artifactOperations, least: 20 },
    { path: directoryPath, operations: directoryOperations, least: 10 },
  ]
  for (const { path, operations, least } of files) {
    const raw = new DatabaseSync(path)
    t.after(() => raw.close())
    operations(raw)
    const statements = [...(said.get(raw.location() ?? '') ?? [])].filter((sql) =>
      /^\s*(SELECT|UPDATE|DELETE)/.test(sql),
    )
    assert.ok(statements.length >= least, `${statements.length} statements`)
    for (const sql of statements) assert.equal(badness(raw, sql), undefined, sql)
    if (path !== artifactPath) continue
    assert.match(badness(raw, 'SELECT 1 FROM artifact WHERE body = ?') ?? '', /SCAN artifact/, 'control: a walk')
    const sorted = 'SELECT 1 FROM artifact WHERE uid = ? AND model = ? ORDER BY body'
    assert.equal(badness(raw, sorted), undefined, 'one row at most')
    assert.match(
      badness(raw, 'SELECT 1 FROM artifact WHERE grant_key = ? ORDER BY body') ?? '',
      /TEMP B-TREE/,
      'control',
    )
  }
})
