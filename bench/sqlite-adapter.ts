/**
 * The plain adapter that Gatehouse is compared with: one table, prepared statements, JSON as it comes, one transaction
 * per write, as durable as Gatehouse by default (WAL, synchronous=FULL). Nothing is hashed, sealed, batched or cached.
 */
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { Adapter, AdapterPayload } from 'oidc-provider'

const schema = `
  CREATE TABLE IF NOT EXISTS artifact (model TEXT NOT NULL, id TEXT NOT NULL, payload TEXT NOT NULL, expires INTEGER,
    grant_id TEXT, uid TEXT, user_code TEXT, PRIMARY KEY (model, id));
  CREATE INDEX IF NOT EXISTS artifact_grant ON artifact (grant_id) WHERE grant_id IS NOT NULL;
  CREATE INDEX IF NOT EXISTS artifact_uid ON artifact (uid) WHERE uid IS NOT NULL;
  CREATE INDEX IF NOT EXISTS artifact_user_code ON artifact (user_code) WHERE user_code IS NOT NULL;`

/** @param path a file, or `:memory:` for a server whose cost is not counted */
export const openDatabase = (path: string): DatabaseSync => {
  const database = new DatabaseSync(path, { timeout: 1500 })
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; ${schema}`)
  return database
}

const now = () => Math.floor(Date.now() / 1000)

interface Statements {
  readonly upsert: StatementSync
  readonly find: StatementSync
  readonly findByUid: StatementSync
  readonly findByUserCode: StatementSync
  readonly consume: StatementSync
  readonly destroy: StatementSync
  readonly revoke: StatementSync
}

const prepare = (database: DatabaseSync): Statements => {
  const find = (by: string) => database.prepare(`SELECT payload, expires FROM artifact WHERE model = ? AND ${by} = ?`)
  return {
    upsert: database.prepare(
      `INSERT INTO artifact (model, id, payload, expires, grant_id, uid, user_code) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (model, id) DO UPDATE SET payload = excluded.payload, expires = excluded.expires,
         grant_id = excluded.grant_id, uid = excluded.uid, user_code = excluded.user_code`,
    ),
    find: find('id'),
    findByUid: find('uid'),
    findByUserCode: find('user_code'),
    consume: database.prepare(
      `UPDATE artifact SET payload = json_set(payload, '$.consumed', ?) WHERE model = ? AND id = ?`,
    ),
    destroy: database.prepare('DELETE FROM artifact WHERE model = ? AND id = ?'),
    revoke: database.prepare('DELETE FROM artifact WHERE model = ? AND grant_id = ?'),
  }
}

const read = (statement: StatementSync, model: string, value: string): AdapterPayload | undefined => {
  const row = statement.get(model, value) as { payload: string; expires: number | null } | undefined
  if (!row || (row.expires !== null && row.expires <= now())) return undefined
  return JSON.parse(row.payload) as AdapterPayload
}

/** @returns oidc-provider's `adapter` setting */
export const plainAdapter = (database: DatabaseSync): ((model: string) => Adapter) => {
  const statements = prepare(database)
  return (model) => ({
    async upsert(id, payload, ttl) {
      const { grantId = null, uid = null, userCode = null } = payload
      const expires = ttl ? now() + ttl : null
      statements.upsert.run(model, id, JSON.stringify(payload), expires, grantId, uid, userCode)
    },
    find: async (id) => read(statements.find, model, id),
    findByUid: async (uid) => read(statements.findByUid, model, uid),
    findByUserCode: async (code) => read(statements.findByUserCode, model, code),
    consume: async (id) => void statements.consume.run(now(), model, id),
    destroy: async (id) => void statements.destroy.run(model, id),
    revokeByGrantId: async (grantId) => void statements.revoke.run(model, grantId),
  })
}
