/**
 * The directory room's door: typed records and their rules over the Directory port. Read this first.
 * What the served file declares overlays what is stored: it wins on read and is read-only (Fault `directory.read-only`);
 * accounts are the exception, they are created once when the username is new.
 */
import type { Account, AccountInput, Consent, Link } from '#kernel/records/account.ts'
import type { Client } from '#kernel/records/client.ts'
import type { Credential } from '#kernel/records/credential.ts'
import type { Acr, IdentityProvider, Mapping } from '#kernel/records/provider.ts'
import type { Scope, SectorIdentifier } from '#kernel/records/scope.ts'
import type { PairwiseSubject } from '#kernel/records/subject.ts'

export interface Versioned<T> {
  readonly value: T
  /** 0: declared by the served file. */
  readonly revision: number
}

/** One kind of record. Reads come from a short cache that the bus and the epoch poll invalidate; treat them as immutable. */
export interface Shelf<T> {
  get(id: string): Promise<T | undefined>
  versioned(id: string): Promise<Versioned<T> | undefined>
  /** Ascending by id. */
  page(query: { after?: string; limit: number }): Promise<Versioned<T>[]>
  /** Everything, declared first; only for kinds that stay small (providers, mappings, acrs). Cached. */
  all(): Promise<readonly T[]>
  /** Creates or replaces. Throws `directory.conflict`, `directory.stale` (with ifRevision), `directory.read-only`. */
  put(value: T, ifRevision?: number): Promise<number>
  remove(id: string): Promise<boolean>
}

export interface Clients extends Shelf<Client> {
  /** Stored ones whose `expires_at` lies on the day of this instant, epoch seconds; at most 1,000. */
  expiringOn(at: number): Promise<Client[]>
}

export interface Accounts extends Shelf<Account> {
  byUsername(username: string): Promise<Account | undefined>
  /** All that carry the address; e-mail is not unique. */
  byEmail(email: string): Promise<Account[]>
  /** By username, else by an e-mail that exactly one account has (CONTRACT 7). */
  byLogin(login: string): Promise<Account | undefined>
  /** Hashes the password, chooses the id. Throws `directory.conflict` with the index. */
  create(input: AccountInput): Promise<Account>
  /** Compare-and-swap: `change` may run again on a fresh copy, so it must be pure. Throws `directory.absent`. */
  update(id: string, change: (now: Account) => Account): Promise<Account>
}

export interface Links {
  get(provider: string, uid: string): Promise<Link | undefined>
  ofAccount(accountId: string): Promise<Link[]>
  /**
   * The account of an external identity, created by `draft` when it is new: exactly one account however many race.
   * A taken username gets a suffix.
   */
  claim(provider: string, uid: string, draft: () => AccountInput): Promise<{ accountId: string; created: boolean }>
  /** Binds an external identity to an existing account. Throws `directory.conflict` when it has another. */
  link(provider: string, uid: string, accountId: string): Promise<void>
  unlink(provider: string, uid: string): Promise<boolean>
}

export interface Consents {
  /** Those that were taken back leave an empty record. At most 10,000. */
  ofAccount(accountId: string): Promise<Consent[]>
  ofClient(clientId: string): Promise<Consent[]>
  get(accountId: string, clientId: string): Promise<Consent | undefined>
  /** Adds to what was allowed before; a scope allowed now is no longer rejected. */
  remember(
    accountId: string,
    clientId: string,
    given: {
      scopes: string[]
      claims: string[]
      rejectedScopes: string[]
      /** Scopes by resource (RFC 8707). */
      resources?: Readonly<Record<string, readonly string[]>>
    },
  ): Promise<void>
  forget(accountId: string, clientId: string): Promise<void>
}

export interface Credentials {
  get(accountId: string, method: Credential['method']): Promise<Credential | undefined>
  ofAccount(accountId: string): Promise<Credential[]>
  /** Throws `directory.conflict` when the account has one of this method. */
  create(credential: Credential): Promise<void>
  /** In place of whatever is there. */
  replace(credential: Credential): Promise<void>
  /**
   * Compare-and-swap: of all that race, on whatever node, each sees what the one before left. `next` must be pure;
   * undefined leaves the record. Answers whether it was changed.
   */
  change(
    accountId: string,
    method: Credential['method'],
    next: (now: Credential) => Credential | undefined,
  ): Promise<boolean>
  remove(accountId: string, method: Credential['method']): Promise<boolean>
}

export interface PairwiseSubjects {
  /** The subject of an account at a sector; made when there is none. */
  of(accountId: string, sector: string): Promise<string>
  ofAccount(accountId: string): Promise<PairwiseSubject[]>
  /** The sector's clients see a new subject from then on. */
  forget(accountId: string, sector: string): Promise<boolean>
}

export interface SigningKey {
  readonly kid: string
  readonly alg: string
  /** Private JWK. */
  readonly jwk: Readonly<Record<string, unknown>>
  /** Epoch ms: published from, signs from, only verifies from, gone from. */
  readonly publishAt: number
  readonly activateAt: number
  readonly retireAt?: number
  readonly dropAt?: number
}

export interface Keys {
  /** Those published at this moment, the signing ones first within each algorithm. Creates the first set when there is none. */
  published(): Promise<readonly SigningKey[]>
  all(): Promise<readonly SigningKey[]>
  /** Makes new keys and lets them sign at once; the old ones verify for keepAfter. Only of `alg` when given. */
  rotate(alg?: string): Promise<readonly SigningKey[]>
  retire(kid: string): Promise<void>
  /** A named 32-byte secret, made on first use: cookie keys, pairwise key and salt, CSRF key, low-entropy ids. */
  secret(name: string): Promise<Buffer>
  /** Epoch ms of the next instant after `since` (now) at which `published()` changes, if any. */
  nextChange(since?: number): Promise<number | undefined>
}

export interface Records {
  readonly accounts: Accounts
  readonly links: Links
  readonly clients: Clients
  readonly providers: Shelf<IdentityProvider>
  readonly mappings: Shelf<Mapping>
  readonly acrs: Shelf<Acr>
  readonly scopes: Shelf<Scope>
  readonly sectorIdentifiers: Shelf<SectorIdentifier>
  readonly subjects: PairwiseSubjects
  readonly consents: Consents
  readonly credentials: Credentials
  readonly keys: Keys
  /** Called after a change that this or another process made. Answers the function that stops listening. */
  onChange(listener: (kind: string, id?: string) => void): () => void
  close(): Promise<void>
}
