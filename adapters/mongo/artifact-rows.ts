/**
 * How a row stands in MongoDB. All artifacts share one collection, because a batch of writes that is to be one command
 * cannot leave its collection; the first letter of `_id` tells what a document is. Keys are base64url strings, never Binary.
 */
import type { Document, UpdateFilter } from 'mongodb'
import { base64urlOf } from '#kernel/bytes.ts'
import type { ArtifactRow, Mark, Model } from '#kernel/ports.ts'

export interface ArtifactDocument {
  /** `a:<model>:<key>` a row, `o:<model>:<key>` a marker, `n:<key>` a counter, `g:<grant>` a dropped grant. */
  readonly _id: string
  /** Epoch ms; FOREVER when it has none, so that one comparison tells what lives. */
  readonly expires: number
  /** The same for the server's own sweeper; nothing here reads it. */
  readonly ttl?: Date
  readonly body?: Uint8Array
  readonly revision?: number
  readonly consumed?: number
  readonly nonce?: string
  readonly grant?: string
  /** `<model>:<value>`, like the tags. */
  readonly uid?: string
  readonly userCode?: string
  /** Among several rows with one uid or userCode the highest turn has it. */
  readonly turn?: number
  readonly tags?: readonly string[]
  /** Orders rows of one tag by their first write. */
  readonly born?: string
  /** Of a counter. */
  readonly n?: number
  /** Of a dropped grant: when its rows are to be dropped once more. */
  readonly due?: number
}

export const FOREVER = 8.64e15

const bytes = (value: string): Uint8Array => Buffer.from(value, 'base64url')

export const rowId = (model: Model, key: Uint8Array): string => `a:${model}:${base64urlOf(key)}`
export const markerId = (model: Model, key: Uint8Array): string => `o:${model}:${base64urlOf(key)}`
export const counterId = (key: Uint8Array): string => `n:${base64urlOf(key)}`
export const tombstoneId = (grant: string): string => `g:${grant}`
export const scoped = (model: Model, value: Uint8Array): string => `${model}:${base64urlOf(value)}`

/** base64url holds no colon, a model may. */
const last = (value: string): Uint8Array => bytes(value.slice(value.lastIndexOf(':') + 1))
export const modelOf = (id: string): Model => id.slice(2, id.lastIndexOf(':'))

/** The year 9999: not every server can tell dates after it. */
const LAST_DATE = 253_370_764_800_000

export const expiry = (expiresAt: number | undefined): Pick<ArtifactDocument, 'expires' | 'ttl'> =>
  expiresAt === undefined
    ? { expires: FOREVER }
    : { expires: Math.min(expiresAt, FOREVER), ttl: new Date(Math.min(expiresAt, LAST_DATE)) }

/** What a put writes, bytes copied: the caller's buffers are its own again. */
export interface Fields {
  readonly id: string
  readonly set: Partial<ArtifactDocument>
  readonly grant: string | undefined
  readonly consumed: number | undefined
  readonly tagged: boolean
  /** The unique look-ups that the row wants. */
  readonly claims: readonly { readonly field: 'uid' | 'userCode'; readonly value: string }[]
}

export const fieldsOf = (model: Model, row: ArtifactRow): Fields => {
  const grant = row.grant && base64urlOf(row.grant)
  const uid = row.uid && scoped(model, row.uid)
  const userCode = row.userCode && scoped(model, row.userCode)
  const tags = row.tags?.length ? row.tags.map((tag) => scoped(model, tag)) : undefined
  return {
    id: rowId(model, row.key),
    set: { body: Buffer.from(row.body), ...expiry(row.expiresAt), grant, uid, userCode, tags },
    grant,
    consumed: row.consumedAt,
    tagged: tags !== undefined,
    claims: [
      ...(uid === undefined ? [] : [{ field: 'uid' as const, value: uid }]),
      ...(userCode === undefined ? [] : [{ field: 'userCode' as const, value: userCode }]),
    ],
  }
}

const optional = ['ttl', 'grant', 'uid', 'userCode', 'tags'] as const

/** A turn that is not told anew stays, as long as there is something that it is for. */
const split = ({ set, claims }: Fields, turn: number | undefined): { $set: Document; $unset: Document } => {
  const $set: Document = {}
  for (const [name, value] of Object.entries({ ...set, turn })) if (value !== undefined) $set[name] = value
  const $unset: Document = claims.length === 0 ? { turn: 1 } : {}
  for (const name of optional) if (!(name in $set)) $unset[name] = 1
  return { $set, $unset }
}

type Update = UpdateFilter<ArtifactDocument>
const nonEmpty = (operators: Record<string, Document>): Update =>
  Object.fromEntries(Object.entries(operators).filter(([, fields]) => Object.keys(fields).length > 0)) as Update

/** Over a row that lives, or into nothing: consumed stays, of two times the earlier one; the first birth stays. */
export const replacing = (fields: Fields, turn: number | undefined, stamp: string): Update => {
  const { $set, $unset } = split(fields, turn)
  const { tagged, consumed } = fields
  const $min = { ...(tagged && { born: stamp }), ...(consumed !== undefined && { consumed }) }
  return nonEmpty({ $set, $unset, $inc: { revision: 1 }, $min })
}

/** Over an expired row: nothing of it stays. */
export const beginning = (fields: Fields, turn: number | undefined, stamp: string): Update => {
  const { $set, $unset } = split(fields, turn)
  const { tagged, consumed } = fields
  const born = tagged ? { born: stamp } : {}
  return nonEmpty({
    $set: { ...$set, ...born, revision: 1, ...(consumed !== undefined && { consumed }) },
    $unset: { ...$unset, nonce: 1, ...(!tagged && { born: 1 }), ...(consumed === undefined && { consumed: 1 }) },
  })
}

export const toRow = (document: ArtifactDocument): ArtifactRow => ({
  key: last(document._id),
  body: document.body ?? new Uint8Array(),
  expiresAt: document.expires === FOREVER ? undefined : document.expires,
  consumedAt: document.consumed,
  grant: document.grant === undefined ? undefined : bytes(document.grant),
  uid: document.uid === undefined ? undefined : last(document.uid),
  userCode: document.userCode === undefined ? undefined : last(document.userCode),
  tags: document.tags?.map(last),
  revision: document.revision,
})

/** Of a marker, a dropped grant or a counter. */
export const toMark = ({ _id, expires, n }: ArtifactDocument): Mark => {
  const key = last(_id)
  if (_id.startsWith('g:')) return { revoked: { grant: key, until: expires } }
  if (_id.startsWith('n:')) return { counter: { key, count: n ?? 0, expiresAt: expires } }
  return { once: { model: modelOf(_id), key, expiresAt: expires } }
}
