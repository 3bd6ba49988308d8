/**
 * The ArtifactStore port: writes go to the writer's thread, reads run here on a connection of their own.
 * WAL readers wait for nobody, and a read after an acknowledged write sees it.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Clock } from '#kernel/clock.ts'
import type { ArtifactRow, ArtifactStore, Mark, Model, PutResult, Redeem } from '#kernel/ports.ts'
import type { Channel } from './channel.ts'
import { toFault } from './faults.ts'
import { DROP, DROP_GRANT, INCREMENT, NOTHING, PUT, PUT_ONCE, REDEEM, type Revoked, SWEEP } from './operations.ts'
import { packTags, unpackTags } from './tags.ts'

type By = 'key' | 'uid' | 'userCode'

/** A row as COLUMNS reads it. */
interface Row {
  readonly key: Uint8Array
  readonly expires: number | null
  readonly revision: number
  readonly consumed: number | null
  readonly grant_key: Uint8Array | null
  readonly uid: Uint8Array | null
  readonly user_code: Uint8Array | null
  readonly tags: Uint8Array | null
  readonly body: Uint8Array
}
interface ScannedRow extends Row {
  readonly id: number
  readonly name: string
}

const COLUMNS = 'key, expires, revision, consumed, grant_key, uid, user_code, tags, body'
/** What a reader of one row needs, as an array, and text where bytes cost more: half of the cost of naming all columns. */
const SEEN = 'body, expires, revision, consumed, hex(grant_key)'
type SeenRow = [Uint8Array, number | null, number, number | null, string, Uint8Array?]
const LIVE = '(expires IS NULL OR expires > ?)'
const SCAN_ROWS = 100
/** Rows of a dropped grant that go in one transaction. */
const GRANT_ROWS = 250

const toRow = (row: Row): ArtifactRow => ({
  key: row.key,
  body: row.body,
  expiresAt: row.expires ?? undefined,
  consumedAt: row.consumed ?? undefined,
  grant: row.grant_key ?? undefined,
  uid: row.uid ?? undefined,
  userCode: row.user_code ?? undefined,
  tags: row.tags === null ? undefined : unpackTags(row.tags),
  revision: row.revision,
})

/** @param sought the key that the row was found by; a row that was found by another name tells its key itself */
const toSeen = ([body, expires, revision, consumed, grant, key]: SeenRow, sought: Uint8Array): ArtifactRow => ({
  key: key ?? sought,
  body,
  revision,
  expiresAt: expires ?? undefined,
  consumedAt: consumed ?? undefined,
  grant: grant === '' ? undefined : Buffer.from(grant, 'hex'),
})

interface MarkRow {
  readonly id: number
  readonly bytes: Uint8Array
  readonly expires: number
  readonly n: number
  readonly name: string
}

const MARK_ROWS = 500
const markTables: readonly { sql: string; toMark(row: MarkRow): Mark }[] = [
  {
    sql: `SELECT marker.id, key AS bytes, expires, name FROM marker JOIN model ON model.id = model
      WHERE marker.id > ? AND expires > ?`,
    toMark: ({ name, bytes, expires }) => ({ once: { model: name, key: bytes, expiresAt: expires } }),
  },
  {
    sql: 'SELECT id, grant_key AS bytes, expires FROM tombstone WHERE id > ? AND expires > ?',
    toMark: ({ bytes, expires }) => ({ revoked: { grant: bytes, until: expires } }),
  },
  {
    sql: 'SELECT id, key AS bytes, n, expires FROM counter WHERE id > ? AND expires > ?',
    toMark: ({ bytes, n, expires }) => ({ counter: { key: bytes, count: n, expiresAt: expires } }),
  },
]

export class SqliteArtifacts implements ArtifactStore {
  readonly #path: string
  readonly #clock: Clock
  readonly #database: DatabaseSync
  readonly #channel: Channel
  readonly #models = new Map<string, number>()
  readonly #model: StatementSync
  readonly #get: Readonly<Record<By, StatementSync>>
  readonly #tagged: StatementSync
  readonly #counter: StatementSync
  readonly #scan: StatementSync

  constructor(path: string, clock: Clock, database: DatabaseSync, channel: Channel) {
    this.#path = path
    this.#clock = clock
    this.#database = database
    this.#channel = channel
    const by = (column: string) => {
      const columns = column === 'key' ? SEEN : `${SEEN}, key`
      const statement = database.prepare(
        `SELECT ${columns} FROM artifact WHERE ${column} = ? AND model = ? AND ${LIVE}`,
      )
      statement.setReturnArrays(true)
      return statement
    }
    this.#model = database.prepare('SELECT id FROM model WHERE name = ?')
    this.#get = { key: by('key'), uid: by('uid'), userCode: by('user_code') }
    this.#tagged = database.prepare(`SELECT ${COLUMNS} FROM tagged JOIN artifact ON artifact.id = tagged.artifact
      WHERE tagged.tag = ? AND tagged.model = ? AND ${LIVE} ORDER BY tagged.artifact LIMIT ?`)
    this.#counter = database.prepare('SELECT n FROM counter WHERE key = ? AND expires > ?')
    this.#scan = database.prepare(`SELECT artifact.id, model.name, ${COLUMNS} FROM artifact JOIN model
      ON model.id = artifact.model WHERE artifact.id > ? AND ${LIVE} ORDER BY artifact.id LIMIT ${SCAN_ROWS}`)
  }

  /** How many transactions the writer committed: tests and the benchmark look at it. */
  get transactions(): number {
    return this.#channel.transactions
  }

  async put(model: Model, row: ArtifactRow, options?: { ifRevision?: number }): Promise<PutResult> {
    const out = this.#channel.begin(PUT)
    out.text(model)
    out.bytes(row.key)
    out.number(row.expiresAt)
    out.number(row.consumedAt)
    out.bytes(row.grant)
    out.bytes(row.uid)
    out.bytes(row.userCode)
    out.bytes(packTags(row.tags))
    out.bytes(row.body)
    out.number(options?.ifRevision)
    return this.#channel.commit()
  }

  async putOnce(model: Model, key: Uint8Array, expiresAt: number): Promise<boolean> {
    const out = this.#channel.begin(PUT_ONCE)
    out.text(model)
    out.bytes(key)
    out.number(expiresAt)
    return this.#channel.commit()
  }

  async get(model: Model, by: By, value: Uint8Array): Promise<ArtifactRow | undefined> {
    return this.#read(() => {
      const id = this.#modelId(model)
      const row = id === undefined ? undefined : this.#get[by].get(value, id, this.#clock.now())
      return row && toSeen(row as unknown as SeenRow, value)
    })
  }

  async findTagged(model: Model, tag: Uint8Array, limit = 1000): Promise<ArtifactRow[]> {
    return this.#read(() => {
      const id = this.#modelId(model)
      const rows = id === undefined ? [] : this.#tagged.all(tag, id, this.#clock.now(), limit)
      return (rows as unknown as Row[]).map(toRow)
    })
  }

  async redeem(model: Model, key: Uint8Array, nonce: string, at: number): Promise<Redeem> {
    const out = this.#channel.begin(REDEEM)
    out.text(model)
    out.bytes(key)
    out.text(nonce)
    out.number(at)
    return this.#channel.commit()
  }

  async drop(model: Model, key: Uint8Array): Promise<void> {
    const out = this.#channel.begin(DROP)
    out.text(model)
    out.bytes(key)
    return this.#channel.commit()
  }

  /** In slices, so that nobody waits for a grant of many rows; from the first one on nothing is put under it any more. */
  async dropGrant(grant: Uint8Array, until: number): Promise<number> {
    const own = Buffer.from(grant)
    for (let count = 0; ; ) {
      const out = this.#channel.begin(DROP_GRANT)
      out.bytes(own)
      out.number(until)
      out.number(GRANT_ROWS)
      const { live, rows } = await this.#channel.commit<Revoked>()
      count += live
      if (rows < GRANT_ROWS) return count
    }
  }

  async increment(key: Uint8Array, by: number, expiresAt: number): Promise<number> {
    if (by === 0) return this.#read(() => Number(this.#counter.get(key, this.#clock.now())?.n ?? 0))
    const out = this.#channel.begin(INCREMENT)
    out.bytes(key)
    out.number(by)
    out.number(expiresAt)
    return this.#channel.commit()
  }

  async sweep(limit: number): Promise<number> {
    this.#channel.begin(SWEEP).number(limit)
    return this.#channel.commit()
  }

  /** In slices, so that a backup holds up neither the main thread nor the write-ahead log. */
  async *scan(): AsyncGenerator<{ model: Model; row: ArtifactRow }> {
    let after = 0
    for (;;) {
      const rows = this.#read(() => this.#scan.all(after, this.#clock.now()) as unknown as ScannedRow[])
      for (const row of rows) yield { model: row.name, row: toRow(row) }
      const last = rows.at(-1)
      if (!last) return
      after = last.id
    }
  }

  async *marks(): AsyncGenerator<Mark> {
    for (const { sql, toMark } of markTables) {
      const slice = this.#database.prepare(`${sql} ORDER BY 1 LIMIT ${MARK_ROWS}`)
      for (let after = 0; ; ) {
        const rows = this.#read(() => slice.all(after, this.#clock.now()) as unknown as MarkRow[])
        for (const row of rows) yield toMark(row)
        const last = rows.at(-1)
        if (!last) break
        after = last.id
      }
    }
  }

  async ready(): Promise<void> {
    this.#read(() => this.#model.get(''))
    this.#channel.begin(NOTHING)
    return this.#channel.commit()
  }

  async close(): Promise<void> {
    if (this.#database.isOpen) this.#database.close()
    await this.#channel.close()
  }

  /** A model that no row was ever written for has no number. */
  #modelId(name: Model): number | undefined {
    let id = this.#models.get(name)
    if (id === undefined) {
      const row = this.#model.get(name)
      if (!row) return undefined
      id = Number(row.id)
      this.#models.set(name, id)
    }
    return id
  }

  #read<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw toFault(this.#path, error)
    }
  }
}
