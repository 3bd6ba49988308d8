/** Artifacts in the writer's thread: each operation is atomic because it runs inside the batch's transaction. */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import type { Inbox } from './message.ts'
import { DROP, DROP_GRANT, INCREMENT, PUT, PUT_ONCE, REDEEM, type Revoked, SWEEP } from './operations.ts'
import { equalBytes, unpackTags } from './tags.ts'
import type { Operations } from './writer.ts'

interface Existing {
  readonly id: number
  readonly expires: number | null
  readonly revision: number
  readonly uid: Uint8Array | null
  readonly user_code: Uint8Array | null
  readonly tags: Uint8Array | null
}
interface Dropped {
  readonly id: number
  readonly model: number
  readonly expires: number | null
  readonly tags: Uint8Array | null
}

const live = (row: { expires: number | null }, now: number): boolean => row.expires === null || row.expires > now

const INSERT = `INTO artifact (model, key, expires, revision, consumed, grant_key, uid, user_code, tags, body)
  VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?)`

class ArtifactOperations implements Operations {
  readonly #models = new Map<string, number>()
  readonly #prepare: (sql: string) => StatementSync
  readonly #insertNew
  readonly #insert
  readonly #update
  readonly #existing
  readonly #buried
  readonly #moveUid
  readonly #moveUserCode
  readonly #tag
  readonly #untag
  readonly #mark
  readonly #consume
  readonly #consumer
  readonly #drop
  readonly #dropGrant
  readonly #bury
  readonly #increment
  readonly #sweepArtifacts
  readonly #sweepOthers

  constructor(database: DatabaseSync) {
    const prepare = (sql: string): StatementSync => database.prepare(sql)
    this.#prepare = prepare
    this.#insertNew = prepare(`INSERT OR IGNORE ${INSERT}`)
    this.#insert = prepare(`INSERT ${INSERT}`)
    this.#update = prepare(`UPDATE artifact SET expires = ?, revision = revision + 1, consumed = coalesce(consumed, ?),
      grant_key = ?, uid = ?, user_code = ?, tags = ?, body = ? WHERE id = ?`)
    this.#existing = prepare(
      'SELECT id, expires, revision, uid, user_code, tags FROM artifact WHERE key = ? AND model = ?',
    )
    this.#buried = prepare('SELECT 1 FROM tombstone WHERE grant_key = ? AND expires > ?')
    this.#moveUid = prepare('UPDATE artifact SET uid = NULL WHERE uid = ? AND model = ?')
    this.#moveUserCode = prepare('UPDATE artifact SET user_code = NULL WHERE user_code = ? AND model = ?')
    this.#tag = prepare('INSERT OR IGNORE INTO tagged (tag, model, artifact) VALUES (?, ?, ?)')
    this.#untag = prepare('DELETE FROM tagged WHERE tag = ? AND model = ? AND artifact = ?')
    this.#mark = prepare(`INSERT INTO marker (model, key, expires) VALUES (?, ?, ?)
      ON CONFLICT (key, model) DO UPDATE SET expires = excluded.expires WHERE expires <= ?`)
    this.#consume = prepare(`UPDATE artifact SET consumed = ?, nonce = ?, revision = revision + 1
      WHERE key = ? AND model = ? AND consumed IS NULL AND (expires IS NULL OR expires > ?)`)
    this.#consumer = prepare('SELECT nonce, expires FROM artifact WHERE key = ? AND model = ?')
    this.#drop = prepare('DELETE FROM artifact WHERE key = ? AND model = ? RETURNING id, model, expires, tags')
    // The oldest first: the grant's own row is in the first slice, and what hangs on it ends with it.
    this.#dropGrant = prepare(`DELETE FROM artifact WHERE id IN
      (SELECT id FROM artifact WHERE grant_key = ? ORDER BY id LIMIT ?) RETURNING id, model, expires, tags`)
    this.#bury = prepare(`INSERT INTO tombstone (grant_key, expires) VALUES (?, ?)
      ON CONFLICT (grant_key) DO UPDATE SET expires = max(expires, excluded.expires)`)
    this.#increment = prepare(`INSERT INTO counter (key, n, expires) VALUES (?1, ?2, ?3)
      ON CONFLICT (key) DO UPDATE SET n = iif(expires <= ?4, ?2, n + ?2), expires = iif(expires <= ?4, ?3, expires)
      RETURNING n`)
    this.#sweepArtifacts = prepare(`DELETE FROM artifact WHERE id IN
      (SELECT id FROM artifact WHERE expires <= ? ORDER BY expires LIMIT ?) RETURNING id, model, expires, tags`)
    this.#sweepOthers = ['marker', 'counter', 'tombstone'].map((table) =>
      prepare(`DELETE FROM ${table} WHERE id IN (SELECT id FROM ${table} WHERE expires <= ? ORDER BY expires LIMIT ?)`),
    )
  }

  run(code: number, inbox: Inbox, now: number): unknown {
    switch (code) {
      case PUT:
        return this.#put(inbox, now)
      case PUT_ONCE:
        return this.#mark.run(this.#model(inbox.text()), inbox.bytes(), inbox.number(), now).changes === 1
      case REDEEM:
        return this.#redeem(this.#model(inbox.text()), inbox.bytes(), inbox.text(), inbox.number(), now)
      case DROP:
        return this.#dropOne(this.#model(inbox.text()), inbox.bytes(), now)
      case DROP_GRANT:
        return this.#revoke(inbox.bytes(), inbox.number(), inbox.number(), now)
      case INCREMENT:
        return this.#increment.get(inbox.bytes(), inbox.number(), inbox.number(), now)?.n
      case SWEEP:
        return this.sweep(now, inbox.number())
      default:
        throw new Error(`unknown operation ${code}`)
    }
  }

  sweep(now: number, limit: number): number {
    const dropped = this.#sweepArtifacts.all(now, limit)
    this.#forget(dropped, now)
    let swept = dropped.length
    for (const statement of this.#sweepOthers)
      if (swept < limit) swept += Number(statement.run(now, limit - swept).changes)
    return swept
  }

  rolledBack(): void {
    this.#models.clear()
  }

  /** A new row costs one statement; anything else is found first. */
  #put(inbox: Inbox, now: number): 'stored' | 'stale' | 'revoked' {
    const model = this.#model(inbox.text())
    const key = inbox.bytes()
    const expires = inbox.numberOrNull()
    const consumed = inbox.numberOrNull()
    const grant = inbox.bytesOrNull()
    const uid = inbox.bytesOrNull()
    const userCode = inbox.bytesOrNull()
    const tags = inbox.bytesOrNull()
    const body = inbox.bytes()
    const ifRevision = inbox.numberOrNull()
    if (grant && this.#buried.get(grant, now)) return 'revoked'
    const values: SQLInputValue[] = [expires, consumed, grant, uid, userCode, tags, body]
    if (!ifRevision) {
      const { changes, lastInsertRowid } = this.#insertNew.run(model, key, ...values)
      if (changes === 1) {
        if (tags) this.#retag(model, Number(lastInsertRowid), null, tags)
        return 'stored'
      }
    }
    let existing = this.#existing.get(key, model) as Existing | undefined
    if (existing && !live(existing, now)) {
      this.#forget(this.#drop.all(key, model), now)
      existing = undefined
    }
    if (ifRevision !== null && (existing?.revision ?? 0) !== ifRevision) return 'stale'
    if (uid && !(existing?.uid && equalBytes(uid, existing.uid))) this.#moveUid.run(uid, model)
    if (userCode && !(existing?.user_code && equalBytes(userCode, existing.user_code)))
      this.#moveUserCode.run(userCode, model)
    let id = existing?.id
    if (id === undefined) id = Number(this.#insert.run(model, key, ...values).lastInsertRowid)
    else this.#update.run(...values, id)
    this.#retag(model, id, existing?.tags ?? null, tags)
    return 'stored'
  }

  #retag(model: number, id: number, before: Uint8Array | null, after: Uint8Array | null): void {
    if (before && after && equalBytes(before, after)) return
    if (before) for (const tag of unpackTags(before)) this.#untag.run(tag, model, id)
    if (after) for (const tag of unpackTags(after)) this.#tag.run(tag, model, id)
  }

  #dropOne(model: number, key: Uint8Array, now: number): void {
    this.#forget(this.#drop.all(key, model), now)
  }

  /** Compare-and-set; a resent command finds its own nonce and has won again. */
  #redeem(model: number, key: Uint8Array, nonce: string, at: number, now: number): 'won' | 'lost' | 'absent' {
    if (this.#consume.run(at, nonce, key, model, now).changes === 1) return 'won'
    const row = this.#consumer.get(key, model) as { nonce: string | null; expires: number | null } | undefined
    if (!row || !live(row, now)) return 'absent'
    return row.nonce === nonce ? 'won' : 'lost'
  }

  /** One slice; the tombstone stands from the first one on. */
  #revoke(grant: Uint8Array, until: number, limit: number, now: number): Revoked {
    this.#bury.run(grant, until)
    const rows = this.#dropGrant.all(grant, limit)
    return { live: this.#forget(rows, now), rows: rows.length }
  }

  /** Takes back the tags of dropped rows; answers how many of the rows were live. */
  #forget(rows: unknown[], now: number): number {
    let count = 0
    for (const { id, model, expires, tags } of rows as Dropped[]) {
      this.#retag(model, id, tags, null)
      if (expires === null || expires > now) count++
    }
    return count
  }

  /** Models are numbers in the file. */
  #model(name: string): number {
    let id = this.#models.get(name)
    if (id === undefined) {
      this.#prepare('INSERT OR IGNORE INTO model (name) VALUES (?)').run(name)
      id = Number(this.#prepare('SELECT id FROM model WHERE name = ?').get(name)?.id)
      this.#models.set(name, id)
    }
    return id
  }
}

export const artifactOperations = (database: DatabaseSync): Operations => new ArtifactOperations(database)
