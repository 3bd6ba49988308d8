/**
 * The Directory port: changes go to the writer's thread, reads run here on a connection of their own.
 * Audit lines share the transaction of whatever else is written in the same turn.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { Fault } from '#kernel/faults.ts'
import type { AuditEvent, Directory, DirectoryPiece, PageQuery, StoredRecord, VersionedRecord } from '#kernel/ports.ts'
import type { Channel } from './channel.ts'
import type { Head, Outcome } from './directory-operations.ts'
import { type Dumped, dumpSlice } from './dump.ts'
import { toFault } from './faults.ts'
import { APPEND, APPEND_ONCE, CLAIM, CREATE, NOTHING, REMOVE, REPLACE } from './operations.ts'

interface Row {
  readonly id: string
  readonly doc: Uint8Array
  readonly revision: number
}

const COLUMNS = 'record.name AS id, doc, revision'

export class SqliteDirectory implements Directory {
  readonly #path: string
  readonly #database: DatabaseSync
  readonly #channel: Channel
  readonly #read: StatementSync
  readonly #owner: StatementSync
  readonly #list: StatementSync
  readonly #find: StatementSync
  readonly #epoch: StatementSync
  readonly #version: StatementSync
  readonly #watches = new Set<(kind: string, epoch: number) => void>()
  #known: { version: unknown; epoch: Record<string, number> } | undefined

  constructor(path: string, database: DatabaseSync, channel: Channel) {
    this.#path = path
    this.#database = database
    this.#channel = channel
    this.#read = database.prepare(`SELECT ${COLUMNS} FROM record WHERE kind = ? AND name = ?`)
    this.#owner = database.prepare('SELECT owner FROM record WHERE kind = ? AND name = ?')
    this.#list = database.prepare(`SELECT ${COLUMNS} FROM record WHERE kind = ? AND name > ? ORDER BY name LIMIT ?`)
    this.#find = database.prepare(`SELECT ${COLUMNS} FROM entry JOIN record USING (kind, name)
      WHERE entry.kind = ? AND field = ? AND value = ? AND entry.name > ? ORDER BY entry.name LIMIT ?`)
    this.#epoch = database.prepare('SELECT kind, n FROM epoch')
    this.#version = database.prepare('PRAGMA data_version')
  }

  async read(kind: string, id: string): Promise<VersionedRecord | undefined> {
    return this.#reading(() => {
      const row = this.#read.get(kind, id) as unknown as Row | undefined
      return row && toRecord(row)
    })
  }

  async list(kind: string, { after = '', limit }: PageQuery): Promise<VersionedRecord[]> {
    return this.#reading(() => (this.#list.all(kind, after, limit) as unknown as Row[]).map(toRecord))
  }

  async find(kind: string, index: string, value: string, { after = '', limit }: PageQuery): Promise<VersionedRecord[]> {
    return this.#reading(() => (this.#find.all(kind, index, value, after, limit) as unknown as Row[]).map(toRecord))
  }

  async create(kind: string, record: StoredRecord): Promise<number> {
    const out = this.#channel.begin(CREATE)
    out.text(head(kind, record))
    out.bytes(record.doc)
    return this.#revision(kind, record.id)
  }

  async replace(kind: string, record: StoredRecord, ifRevision: number): Promise<number> {
    const out = this.#channel.begin(REPLACE)
    out.text(head(kind, record))
    out.bytes(record.doc)
    out.number(ifRevision)
    return this.#revision(kind, record.id)
  }

  async remove(kind: string, id: string, ifRevision?: number): Promise<boolean> {
    const out = this.#channel.begin(REMOVE)
    out.text(kind)
    out.text(id)
    out.number(ifRevision)
    return (await this.#outcome(kind, id)).removed === true
  }

  /** `make` runs only when the link is absent; its records are lost when another caller was quicker meanwhile. */
  async claim(
    linkKind: string,
    linkId: string,
    make: () => { owner: string; link: StoredRecord; accountKind: string; account: StoredRecord },
  ): Promise<{ owner: string; created: boolean }> {
    const found = this.#reading(() => this.#owner.get(linkKind, linkId))
    if (found) return { owner: String(found.owner ?? ''), created: false }
    const { owner, link, accountKind, account } = make()
    const out = this.#channel.begin(CLAIM)
    out.text(head(linkKind, { ...link, id: linkId }, owner))
    out.bytes(link.doc)
    out.text(head(accountKind, account))
    out.bytes(account.doc)
    const outcome = await this.#outcome(linkKind, linkId)
    return outcome.owner === undefined ? { owner, created: true } : { owner: outcome.owner, created: false }
  }

  async append(event: AuditEvent, { unlessThere = false }: { unlessThere?: boolean } = {}): Promise<void> {
    this.#channel.begin(unlessThere ? APPEND_ONCE : APPEND).text(JSON.stringify(event))
    await this.#channel.commit()
  }

  /** The newest first. */
  async audit(query: { reference?: string; account?: string; type?: string; limit: number }): Promise<AuditEvent[]> {
    const fields = (['reference', 'account', 'type'] as const).filter((field) => query[field] !== undefined)
    const where = fields.length > 0 ? `WHERE ${fields.map((field) => `${field} = ?`).join(' AND ')}` : ''
    return this.#reading(() =>
      this.#database
        .prepare(`SELECT * FROM audit ${where} ORDER BY id DESC LIMIT ?`)
        .all(...fields.map((field) => query[field] ?? null), query.limit)
        .map(toEvent),
    )
  }

  /** By row number: what is claimed together lies together, the account first. */
  async *dump(): AsyncGenerator<DirectoryPiece> {
    for (let after = 0, slice: Dumped[]; ; after = slice.at(-1)?.at ?? after) {
      slice = this.#reading(() => dumpSlice(this.#database, after))
      if (slice.length === 0) break
      for (const { piece } of slice) yield piece
    }
    const events = this.#database.prepare('SELECT * FROM audit WHERE id > ? ORDER BY id LIMIT 500')
    for (let after = 0; ; ) {
      const rows = this.#reading(() => events.all(after))
      for (const row of rows) yield { event: toEvent(row) }
      const last = rows.at(-1)
      if (!last) return
      after = Number(last.id)
    }
  }

  /** Answered from memory while no other connection has committed, so that polling it is nearly free. */
  async epoch(): Promise<Record<string, number>> {
    return this.#reading(() => {
      const version = this.#version.get()?.data_version
      if (this.#known?.version !== version) {
        const epoch: Record<string, number> = {}
        for (const { kind, n } of this.#epoch.all()) epoch[String(kind)] = Number(n)
        this.#known = { version, epoch }
      }
      return { ...this.#known?.epoch }
    })
  }

  /** Tells which epochs this process's own changes got; answers the function that ends it. */
  onOwnChange(listener: (kind: string, epoch: number) => void): () => void {
    this.#watches.add(listener)
    return () => void this.#watches.delete(listener)
  }

  async ready(): Promise<void> {
    this.#reading(() => this.#version.get())
    this.#channel.begin(NOTHING)
    await this.#channel.commit()
  }

  async close(): Promise<void> {
    if (this.#database.isOpen) this.#database.close()
    await this.#channel.close()
  }

  async #revision(kind: string, id: string): Promise<number> {
    return (await this.#outcome(kind, id)).revision ?? 0
  }

  /** Turns refusals into Faults; `index` names what is taken, never its value. */
  async #outcome(kind: string, id: string): Promise<Outcome> {
    const outcome = await this.#channel.commit<Outcome>()
    for (const change of outcome.changes) for (const listener of this.#watches) listener(change.kind, change.epoch)
    if (outcome.stale) throw new Fault('directory.stale', { kind, id })
    if (outcome.conflict !== undefined) throw new Fault('directory.conflict', { kind, id, index: outcome.conflict })
    return outcome
  }

  #reading<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw toFault(this.#path, error)
    }
  }
}

const head = (kind: string, { id, unique, index }: StoredRecord, owner?: string): string =>
  JSON.stringify({ kind, id, unique, index, owner } satisfies Head)

const toRecord = ({ id, doc, revision }: Row): VersionedRecord => ({ id, doc, revision })

const toEvent = (row: Record<string, unknown>): AuditEvent => {
  const event: Record<string, unknown> = { at: row.at, type: row.type }
  for (const name of ['account', 'client', 'provider', 'reference']) if (row[name] !== null) event[name] = row[name]
  if (typeof row.detail === 'string') event.detail = JSON.parse(row.detail)
  return event as unknown as AuditEvent
}
