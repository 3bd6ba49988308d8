/**
 * Records in the writer's thread. Every check stands before the first write, so that a refused operation leaves the
 * batch's transaction as it was. A change counts its kind's epoch in the same transaction.
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import type { Inbox } from './message.ts'
import { APPEND, APPEND_ONCE, CLAIM, CREATE, REMOVE, REPLACE } from './operations.ts'
import type { Operations } from './writer.ts'

/** Which record changed, and the epoch that its kind got by that. */
export interface Change {
  readonly kind: string
  readonly epoch: number
}
/** What a directory operation answers: exactly one of the outcomes. */
export interface Outcome {
  /** Name of the unique index whose value is taken. */
  readonly conflict?: string
  readonly stale?: true
  readonly revision?: number
  readonly removed?: boolean
  readonly owner?: string
  readonly changes: readonly Change[]
}

/** The small fields of a record, as they travel. */
export interface Head {
  readonly kind: string
  readonly id: string
  readonly unique?: Readonly<Record<string, string>>
  readonly index?: Readonly<Record<string, readonly string[]>>
  readonly owner?: string
}

const nothing: readonly Change[] = []

class DirectoryOperations implements Operations {
  readonly #find
  readonly #taken
  readonly #insert
  readonly #update
  readonly #delete
  readonly #addEntry
  readonly #dropEntries
  readonly #count
  readonly #audit
  readonly #known

  constructor(database: DatabaseSync) {
    const prepare = (sql: string): StatementSync => database.prepare(sql)
    this.#find = prepare('SELECT revision, owner FROM record WHERE kind = ? AND name = ?')
    this.#taken = prepare('SELECT name FROM entry WHERE kind = ? AND field = ? AND value = ? AND alone = 1')
    this.#insert = prepare('INSERT INTO record (kind, name, revision, owner, doc) VALUES (?, ?, 1, ?, ?)')
    this.#update = prepare(
      'UPDATE record SET revision = revision + 1, owner = coalesce(?, owner), doc = ? WHERE kind = ? AND name = ?',
    )
    this.#delete = prepare('DELETE FROM record WHERE kind = ? AND name = ?')
    this.#addEntry = prepare('INSERT OR IGNORE INTO entry (kind, field, value, name, alone) VALUES (?, ?, ?, ?, ?)')
    this.#dropEntries = prepare('DELETE FROM entry WHERE kind = ? AND name = ?')
    this.#count = prepare(
      'INSERT INTO epoch (kind, n) VALUES (?, 1) ON CONFLICT (kind) DO UPDATE SET n = n + 1 RETURNING n',
    )
    this.#audit = prepare(
      'INSERT INTO audit (at, type, account, client, provider, reference, detail) VALUES (?, ?, ?, ?, ?, ?, ?)',
    )
    this.#known = prepare(`SELECT 1 FROM audit WHERE at = ? AND type = ? AND account IS ? AND client IS ?
      AND provider IS ? AND reference IS ? AND detail IS ?`)
  }

  run(code: number, inbox: Inbox): unknown {
    switch (code) {
      case CREATE:
        return this.#create(head(inbox), inbox.bytes())
      case REPLACE:
        return this.#replace(head(inbox), inbox.bytes(), inbox.number())
      case REMOVE:
        return this.#remove(inbox.text(), inbox.text(), inbox.numberOrNull())
      case CLAIM:
        return this.#claim(head(inbox), inbox.bytes(), head(inbox), inbox.bytes())
      case APPEND:
        this.#audit.run(...eventValues(inbox.text()))
        return undefined
      case APPEND_ONCE: {
        const values = eventValues(inbox.text())
        if (!this.#known.get(...values)) this.#audit.run(...values)
        return undefined
      }
      default:
        throw new Error(`unknown operation ${code}`)
    }
  }

  rolledBack(): void {}

  #create(record: Head, doc: Uint8Array): Outcome {
    const conflict = this.#find.get(record.kind, record.id) ? 'id' : this.#conflict(record)
    if (conflict !== undefined) return { conflict, changes: nothing }
    return { revision: 1, changes: [this.#write(record, doc)] }
  }

  #replace(record: Head, doc: Uint8Array, ifRevision: number): Outcome {
    if (this.#find.get(record.kind, record.id)?.revision !== ifRevision) return { stale: true, changes: nothing }
    const conflict = this.#conflict(record)
    if (conflict !== undefined) return { conflict, changes: nothing }
    this.#update.run(ownerOf(record), doc, record.kind, record.id)
    this.#dropEntries.run(record.kind, record.id)
    this.#enter(record)
    return { revision: ifRevision + 1, changes: [this.#changed(record.kind)] }
  }

  #remove(kind: string, id: string, ifRevision: number | null): Outcome {
    const found = this.#find.get(kind, id)
    if (ifRevision !== null && found && found.revision !== ifRevision) return { stale: true, changes: nothing }
    if (!found) return { removed: false, changes: nothing }
    this.#delete.run(kind, id)
    this.#dropEntries.run(kind, id)
    return { removed: true, changes: [this.#changed(kind)] }
  }

  /** The look at the link and both inserts stand in one transaction: nothing is half done, however many race. */
  #claim(link: Head, linkDoc: Uint8Array, account: Head, accountDoc: Uint8Array): Outcome {
    const found = this.#find.get(link.kind, link.id)
    if (found) return { owner: String(found.owner ?? ''), changes: nothing }
    const conflict = this.#conflict(link) ?? (this.#find.get(account.kind, account.id) ? 'id' : this.#conflict(account))
    if (conflict !== undefined) return { conflict, changes: nothing }
    return { changes: [this.#write(account, accountDoc), this.#write(link, linkDoc)] }
  }

  /** The first unique index of the record whose value another record has. */
  #conflict({ kind, id, unique = {} }: Head): string | undefined {
    for (const [field, value] of Object.entries(unique)) {
      const holder = this.#taken.get(kind, field, value)
      if (holder && holder.name !== id) return field
    }
    return undefined
  }

  #write(record: Head, doc: Uint8Array): Change {
    this.#insert.run(record.kind, record.id, ownerOf(record), doc)
    this.#enter(record)
    return this.#changed(record.kind)
  }

  #enter({ kind, id, unique = {}, index = {} }: Head): void {
    for (const [field, value] of Object.entries(unique)) this.#addEntry.run(kind, field, value, id, 1)
    for (const [field, values] of Object.entries(index))
      for (const value of values) this.#addEntry.run(kind, field, value, id, 0)
  }

  #changed(kind: string): Change {
    return { kind, epoch: Number(this.#count.get(kind)?.n) }
  }
}

/** A link that was not claimed but created belongs to the account in its index. */
const ownerOf = ({ owner, index }: Head): string | null => owner ?? index?.account?.[0] ?? null

/** In the order of the table's columns. */
const eventValues = (json: string): SQLInputValue[] => {
  const { at, type, account, client, provider, reference, detail } = JSON.parse(json)
  const values = [account, client, provider, reference, detail && JSON.stringify(detail)]
  return [at, type, ...values.map((value) => value ?? null)]
}

const head = (inbox: Inbox): Head => JSON.parse(inbox.text()) as Head

export const directoryOperations = (database: DatabaseSync): Operations => new DirectoryOperations(database)
