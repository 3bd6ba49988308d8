/**
 * How a record stands in MongoDB. All kinds share one collection; `_id` is `<kind>:<id>` and sorts as ids do. Values to
 * find by stand in `entries` as hashes of one length, so that no value is too long or too odd for an index, and beside
 * them as they were given, for backups. Values that are unique have a document of their own in `names` (names.ts).
 */
import type { DirectoryPiece, StoredRecord, VersionedRecord } from '#kernel/ports.ts'
import { sha256 } from '#kernel/random.ts'

/** A unique value that a record has, and the token of the claim that got it. */
export interface Held {
  readonly index: string
  readonly value: string
  /** `_id` of its document in `names`. */
  readonly name: string
  readonly token: string
}

export interface RecordDocument {
  readonly _id: string
  /** Once more: records with one entry are in its order in the index. */
  readonly id: string
  readonly doc: Uint8Array
  readonly revision: number
  readonly unique: readonly Held[]
  readonly index: readonly { readonly index: string; readonly values: readonly string[] }[]
  readonly entries: readonly string[]
  /** Whom a link belongs to. */
  readonly owner?: string
  /** By which claim it came, and `_id` of the account that was made with it. */
  readonly claim?: { readonly token: string; readonly account?: string }
  /** The claim is under way: nobody sees the record yet. */
  readonly pending?: {
    /** All names are held: it only goes forward, and whoever comes by completes it. */
    readonly decided: boolean
    readonly account?: RecordDocument
  }
  /** A replace with new unique values is under way; epoch ms. */
  readonly claiming?: { readonly token: string; readonly at: number }
  /** Of an account that came with a claim: epoch ms. */
  readonly born?: number
}

/** A kind stands escaped, so that no kind is the beginning of another one's ids. */
const prefix = (kind: string): string => `${encodeURIComponent(kind)}:`
export const recordId = (kind: string, id: string): string => prefix(kind) + id
export const kindOf = (_id: string): string => decodeURIComponent(_id.slice(0, _id.indexOf(':')))
/** The `_id`s of a kind after one of them; a semicolon is what follows a colon. */
export const range = (kind: string, after = ''): { $gt: string; $lt: string } => ({
  $gt: recordId(kind, after),
  $lt: `${encodeURIComponent(kind)};`,
})

/** What a value to find by is called in `entries` and `names`. */
export const entryOf = (kind: string, index: string, value: string): string =>
  sha256(JSON.stringify([kind, index, value])).toString('base64url')

/** The unique values of a record, as a claim with this token gets them. */
export const heldBy = (kind: string, { unique = {} }: StoredRecord, token: string): Held[] =>
  Object.entries(unique).map(([index, value]) => ({ index, value, name: entryOf(kind, index, value), token }))

/** A link that was not claimed but created belongs to the account in its index. */
const ownerOf = ({ index }: StoredRecord): string | undefined => index?.account?.[0]

/** The caller's bytes are its own again. */
export const copyOf = (record: StoredRecord): StoredRecord => ({ ...record, doc: Buffer.from(record.doc) })

/** What a create and a replace write alike. */
export const fieldsOf = (
  kind: string,
  record: StoredRecord,
  held: readonly Held[],
): Pick<RecordDocument, 'doc' | 'unique' | 'index' | 'entries' | 'owner'> => {
  const index = Object.entries(record.index ?? {}).map(([name, values]) => ({ index: name, values: [...values] }))
  const plain = index.flatMap(({ index: name, values }) => values.map((value) => entryOf(kind, name, value)))
  return {
    doc: record.doc,
    unique: [...held],
    index,
    entries: [...new Set([...held.map(({ name }) => name), ...plain])],
    owner: ownerOf(record),
  }
}

export const toDocument = (kind: string, record: StoredRecord, held: readonly Held[]): RecordDocument => ({
  _id: recordId(kind, record.id),
  id: record.id,
  revision: 1,
  ...fieldsOf(kind, record, held),
})

export const toRecord = ({ id, doc, revision }: RecordDocument): VersionedRecord => ({ id, doc, revision })

/** Names are data here: `__proto__` is one like any other. */
export const toPiece = ({ _id, id, doc, unique, index }: RecordDocument): DirectoryPiece => ({
  kind: kindOf(_id),
  record: {
    id,
    doc,
    ...(unique.length > 0 && { unique: Object.fromEntries(unique.map((held) => [held.index, held.value])) }),
    ...(index.length > 0 && { index: Object.fromEntries(index.map((one) => [one.index, one.values])) }),
  },
})
