/**
 * The two files and how each came to its present form: numbered steps, applied by migrate.ts, never edited once released.
 * Rowid tables with BLOB keys; bodies come last in a row, so that reading the small columns never walks a long body.
 */

/** What a file holds; its `applicationId` stands in the file's header and keeps the two from being confused. */
export interface Schema {
  readonly name: string
  readonly applicationId: number
  /** Step n brings a file from version n to n + 1. */
  readonly steps: readonly string[]
}

/** `grant_key`: hash of the grant id. `tags`: the row's tags in one value, so that an update knows which entries to take back. */
export const artifactSchema: Schema = {
  name: 'artifacts',
  applicationId: 0x47484131, // "GHA1"
  steps: [
    `
    CREATE TABLE model (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE artifact (
      id INTEGER PRIMARY KEY, model INTEGER NOT NULL, key BLOB NOT NULL, expires INTEGER, revision INTEGER NOT NULL,
      consumed INTEGER, nonce TEXT, grant_key BLOB, uid BLOB, user_code BLOB, tags BLOB, body BLOB NOT NULL
    );
    CREATE UNIQUE INDEX artifact_key ON artifact (key, model);
    CREATE INDEX artifact_expires ON artifact (expires) WHERE expires IS NOT NULL;
    CREATE INDEX artifact_grant ON artifact (grant_key) WHERE grant_key IS NOT NULL;
    CREATE UNIQUE INDEX artifact_uid ON artifact (uid, model) WHERE uid IS NOT NULL;
    CREATE UNIQUE INDEX artifact_user_code ON artifact (user_code, model) WHERE user_code IS NOT NULL;
    CREATE TABLE tagged (tag BLOB NOT NULL, model INTEGER NOT NULL, artifact INTEGER NOT NULL,
      PRIMARY KEY (tag, model, artifact)) WITHOUT ROWID;
    CREATE TABLE marker (id INTEGER PRIMARY KEY, model INTEGER NOT NULL, key BLOB NOT NULL, expires INTEGER NOT NULL);
    CREATE UNIQUE INDEX marker_key ON marker (key, model);
    CREATE INDEX marker_expires ON marker (expires);
    CREATE TABLE counter (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, n INTEGER NOT NULL, expires INTEGER NOT NULL);
    CREATE INDEX counter_expires ON counter (expires);
    CREATE TABLE tombstone (id INTEGER PRIMARY KEY, grant_key BLOB NOT NULL UNIQUE, expires INTEGER NOT NULL);
    CREATE INDEX tombstone_expires ON tombstone (expires);
    `,
  ],
}

/** `owner`: whom a claimed link belongs to. `entry.alone` = 1: no other record of the kind may have the value. */
export const directorySchema: Schema = {
  name: 'directory',
  applicationId: 0x47484431, // "GHD1"
  steps: [
    `
    CREATE TABLE record (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL,
      owner TEXT, doc BLOB NOT NULL);
    CREATE UNIQUE INDEX record_name ON record (kind, name);
    CREATE TABLE entry (kind TEXT NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL, name TEXT NOT NULL,
      alone INTEGER NOT NULL, PRIMARY KEY (kind, field, value, name)) WITHOUT ROWID;
    CREATE UNIQUE INDEX entry_alone ON entry (kind, field, value) WHERE alone = 1;
    CREATE INDEX entry_name ON entry (kind, name);
    CREATE TABLE epoch (kind TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE audit (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, type TEXT NOT NULL, account TEXT, client TEXT,
      provider TEXT, reference TEXT, detail TEXT);
    CREATE INDEX audit_type ON audit (type);
    CREATE INDEX audit_account ON audit (account) WHERE account IS NOT NULL;
    CREATE INDEX audit_reference ON audit (reference) WHERE reference IS NOT NULL;
    `,
    'CREATE INDEX audit_at ON audit (at)',
  ],
}

export const schemas = { artifacts: artifactSchema, directory: directorySchema }
export type SchemaName = keyof typeof schemas
