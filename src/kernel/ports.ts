/**
 * The ports: what the rooms need of a database and of the engine, in the fewest words that let every store be correct.
 * Implementations live in `adapters/` and `src/op`; each passes the suites of test/contracts.
 * All times are epoch milliseconds, all keys and bodies are bytes: no token id and no plaintext passes a store port.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'

/** What an artifact is: oidc-provider's model names and ours. A store treats it as an opaque word of at most 64 characters. */
export type Model = string

export interface ArtifactRow {
  /** SHA-256 (or HMAC) of the id; at most 64 bytes. */
  readonly key: Uint8Array
  /** Sealed payload. */
  readonly body: Uint8Array
  /** Epoch ms; absent: never expires. An expired row is absent to every reader, swept or not. */
  readonly expiresAt?: number
  /** Set by `redeem`, kept by every later `put`. Epoch ms. */
  readonly consumedAt?: number
  /** Hash of the grant id: `dropGrant` finds it. */
  readonly grant?: Uint8Array
  /** Second and third unique look-up, hashed (Session uid, DeviceCode user code). */
  readonly uid?: Uint8Array
  readonly userCode?: Uint8Array
  /** Non-unique look-ups, hashed (account of a session, upstream session, trace reference). */
  readonly tags?: readonly Uint8Array[]
  /** Counts writes; given back by `get`, ignored by `put`. */
  readonly revision?: number
}

/** `stale`: `ifRevision` did not match, nothing was written. `revoked`: the row's grant was dropped before, nothing was written. */
export type PutResult = 'stored' | 'stale' | 'revoked'
export type Redeem = 'won' | 'lost' | 'absent'

/** What a store remembers beside its rows: markers of `putOnce`, grants that `dropGrant` refuses, counters of `increment`. */
export type Mark =
  | { readonly once: { readonly model: Model; readonly key: Uint8Array; readonly expiresAt: number } }
  | { readonly revoked: { readonly grant: Uint8Array; readonly until: number } }
  | { readonly counter: { readonly key: Uint8Array; readonly count: number; readonly expiresAt: number } }

/** Short-lived things. Throws Fault `store.unavailable` when the database does not answer within 2 s. */
export interface ArtifactStore {
  /** A call is a round trip to another process: what is needed soon is worth asking for together. */
  readonly remote?: true
  /** Inserts or replaces. Keeps `consumedAt` of an existing row; a userCode or uid that a live row of another key holds moves to this row. */
  put(model: Model, row: ArtifactRow, options?: { ifRevision?: number }): Promise<PutResult>
  /** True for the first caller of (model, key) until `expiresAt`, false for everyone after: replay markers, one-time proofs. */
  putOnce(model: Model, key: Uint8Array, expiresAt: number): Promise<boolean>
  /** The look-ups that the row was put with (uid, userCode, tags) may be left out; `scan` has them. */
  get(model: Model, by: 'key' | 'uid' | 'userCode', value: Uint8Array): Promise<ArtifactRow | undefined>
  /** Live rows that carry the tag, oldest first, at most `limit` (default 1,000). */
  findTagged(model: Model, tag: Uint8Array, limit?: number): Promise<ArtifactRow[]>
  /** Marks consumed; exactly one nonce ever wins a key. The same nonce again wins again (a resent command). */
  redeem(model: Model, key: Uint8Array, nonce: string, at: number): Promise<Redeem>
  drop(model: Model, key: Uint8Array): Promise<void>
  /** Drops every row of the grant, of all models, and refuses rows of that grant until `until` (epoch ms). Answers how many went. */
  dropGrant(grant: Uint8Array, until: number): Promise<number>
  /** Atomic counter that starts over after `expiresAt` (taken from the call that created it). Answers the new value. `by: 0` reads. */
  increment(key: Uint8Array, by: number, expiresAt: number): Promise<number>
  /** Removes at most `limit` expired rows, answers how many. Called by the store's own timer; public for tests. */
  sweep(limit: number): Promise<number>
  /** Every live row, for backup. */
  scan(): AsyncIterable<{ model: Model; row: ArtifactRow }>
  /**
   * Every live mark, for backup: another store gets the same state by `putOnce`, `dropGrant` and `increment` with these
   * values. In slices, in any order; what is marked meanwhile may be missing.
   */
  marks(): AsyncIterable<Mark>
  /** Throws Fault `store.unavailable` when not usable. */
  ready(): Promise<void>
  close(): Promise<void>
}

/** A durable record as a store sees it. The directory room computes the index entries and seals the document. */
export interface StoredRecord {
  readonly id: string
  readonly doc: Uint8Array
  /** Values that no other record of the kind may have, already normalised: { username: 'alice' }. */
  readonly unique?: Readonly<Record<string, string>>
  /** Values to find by, already normalised: { email: ['a@b.c'] }. */
  readonly index?: Readonly<Record<string, readonly string[]>>
}
export interface VersionedRecord {
  readonly id: string
  readonly doc: Uint8Array
  readonly revision: number
}
/** `after` is the last id of the page before; ids come in ascending order, so paging is stable under inserts. */
export interface PageQuery {
  readonly after?: string
  readonly limit: number
}
export interface AuditEvent {
  readonly at: number
  readonly type: string
  readonly account?: string
  readonly client?: string
  readonly provider?: string
  readonly reference?: string
  readonly detail?: Readonly<Record<string, unknown>>
}

/** A piece of a directory's dump. A record comes with every value that it was written with, so that `create` can take it. */
export type DirectoryPiece = { readonly kind: string; readonly record: StoredRecord } | { readonly event: AuditEvent }

/** Durable, versioned records. `kind` is an opaque word. Throws Fault `directory.conflict` ({ index }), `directory.stale`, `store.unavailable`. */
export interface Directory {
  read(kind: string, id: string): Promise<VersionedRecord | undefined>
  list(kind: string, page: PageQuery): Promise<VersionedRecord[]>
  /** By a unique or a plain index. */
  find(kind: string, index: string, value: string, page: PageQuery): Promise<VersionedRecord[]>
  /** Conflict names the index (`id` for the id itself). Answers revision 1. */
  create(kind: string, record: StoredRecord): Promise<number>
  /** Compare-and-swap on `ifRevision`; answers the new revision. Absent or other revision: `directory.stale`. */
  replace(kind: string, record: StoredRecord, ifRevision: number): Promise<number>
  remove(kind: string, id: string, ifRevision?: number): Promise<boolean>
  /**
   * The first-login race (one account per external identity): if (linkKind, linkId) exists its `owner` is answered,
   * otherwise both records are created. Safe between processes and across a crash half-way.
   */
  claim(
    linkKind: string,
    linkId: string,
    make: () => { owner: string; link: StoredRecord; accountKind: string; account: StoredRecord },
  ): Promise<{ owner: string; created: boolean }>
  /** With `unlessThere` an event that is there already, equal in every member, is not added again (restoring twice). */
  append(event: AuditEvent, options?: { unlessThere?: boolean }): Promise<void>
  audit(query: { reference?: string; account?: string; type?: string; limit: number }): Promise<AuditEvent[]>
  /**
   * Everything, for backup: every record of every kind, then every audit event, the oldest first. In slices: it must
   * neither hold up writers nor grow in memory. A record whole (its document and index values belong together), one that
   * is written meanwhile in either state; a link that `claim` made never comes without its account.
   */
  dump(): AsyncIterable<DirectoryPiece>
  /** How often each kind was changed; another process's change moves it. */
  epoch(): Promise<Record<string, number>>
  ready(): Promise<void>
  close(): Promise<void>
}

/** Tells every node that records of a kind changed. A hint that may get lost; the directory's epoch is the guarantee. */
export interface Bus {
  publish(kind: string, id: string): Promise<void>
  /** Answers the function that stops listening. `id` is absent when only the kind is known. */
  onChange(listener: (kind: string, id?: string) => void): () => void
  close(): Promise<void>
}

/** One HTTP exchange, without the web framework. */
export interface Exchange {
  readonly req: IncomingMessage
  readonly res: ServerResponse
}

/** A relying party's authorization request that waits for the person at the browser. */
export interface Interaction {
  readonly uid: string
  /** One per authorization request, kept over its consecutive prompts: the trace's name. */
  readonly correlation: string
  /** The authorization request's parameters, as the specifications name them. */
  readonly params: Readonly<Record<string, unknown>>
  readonly prompt: {
    readonly name: string
    readonly reasons: readonly string[]
    readonly details: Readonly<Record<string, unknown>>
  }
  readonly clientId: string
  /** Who is signed in at this browser already. */
  readonly session?: {
    readonly uid: string
    readonly accountId: string
    readonly acr?: string
    readonly amr?: readonly string[]
    readonly authTime?: number
    /** Every way of signing in that the session was given, for a request that needs one more. */
    readonly ways?: readonly WayTaken[]
    /** The provider's session that it came from. */
    readonly upstream?: { readonly provider: string; readonly id: string }
  }
  /** What earlier prompts of the same request ended with. */
  readonly lastSubmission?: Readonly<Record<string, unknown>>
  /** Epoch ms. */
  readonly expiresAt: number
  /** Stores the result; answers the URL that the browser must be sent to with 303. */
  finish(result: InteractionResult): Promise<string>
  /** Records what the person agreed to; answers the grant id for `finish({ consent })`. */
  grant(decision: ConsentDecision): Promise<string>
}

/** One way of signing in that was completed: a local method or a provider. */
export interface WayTaken {
  /** Its id. */
  readonly by: string
  readonly amr: readonly string[]
  /** Epoch seconds. */
  readonly authTime: number
}

export interface LoginResult {
  readonly accountId: string
  readonly acr: string
  readonly amr: readonly string[]
  /** Epoch seconds of the authentication. */
  readonly ts: number
}
export type InteractionResult =
  | {
      readonly login: LoginResult
      readonly create?: Record<string, never>
      /** All that the session stands on from now. */
      readonly ways?: readonly WayTaken[]
      readonly upstream?: { readonly provider: string; readonly id: string }
    }
  | { readonly consent: { readonly grantId: string } }
  | { readonly error: string; readonly error_description?: string }

export interface ConsentDecision {
  /** Scopes that the person declined; they are not asked again. */
  readonly rejectedScopes: readonly string[]
  readonly remember: boolean
}

/** A request that outlived its interaction: enough to start it again. */
export interface KeptRequest {
  readonly params: Readonly<Record<string, unknown>>
  readonly clientId: string
  readonly state: 'open' | 'finished' | 'expired'
}

/** What lower rooms need of the OpenID Provider engine. `op` implements it, `wire` hands it out. */
export interface Engine {
  /** The interaction of this path and this browser's cookie; undefined when gone, expired or another browser's. */
  interaction(exchange: Exchange, uid: string): Promise<Interaction | undefined>
  /** What is known of an interaction without its cookie; nothing personal may be shown from it. */
  kept(uid: string): Promise<KeptRequest | undefined>
  /**
   * A logout token (Back-Channel Logout 2.4), signed anew at each call, and where it goes; undefined when the client has
   * no back-channel address any more. `jti` names the token.
   */
  logoutToken(to: {
    readonly clientId: string
    readonly accountId: string
    readonly sid: string
  }): Promise<{ readonly uri: string; readonly token: string; readonly jti: string } | undefined>
  /** The authorization URL that starts a kept request again. Hints about the person are left out. */
  restartUrl(kept: KeptRequest): string
}
