/**
 * The names of the keys and the form of their values. Every key stands alone: no command and no script of this room
 * touches two, so that each works in a Cluster. `b` is base64url; the prefix carries the version of this layout.
 *
 *   a:<model>:<b key>     row: hash { p: body, m: meta, c?: "<consumedAt>:<nonce>", x?: "<end>:<grant>" (gravestone) }
 *   u:<model>:<b uid>     pointer: "<b key> <write>"                                 c:<model>:<b user code>  likewise
 *   g:<b grant>           index: sorted set of "<model>:<b key>"; its member "" is the grant's tombstone
 *   t:<model>:<b tag>     index: sorted set of "<b key>"
 *   o:<model>:<b key>     marker "<expiry>:<nonce>"                                  n:<b key>  counter "<expiry>:<n>"
 *   v                     hash kind -> changes, and channel `inv`: the bus
 *
 * meta = "<revision>:<expiry or nothing>:<order>:" <write, 8 characters> <descriptor>. `order` places rows of a tag,
 * oldest first. `write` names the put that wrote the row: a resent put finds its own name and has succeeded before;
 * whoever takes an index entry or pointer back does so only if it is still of the write that was replaced.
 * descriptor = grant, uid, userCode, then each tag: length + 1 in one byte (0: absent), bytes.
 * An index entry's score = expiry in blocks of 1,024 ms * 2^20 + 20 bits of `write`; a tombstone's = its end in ms * 2^10.
 * Expiries are those of Gatehouse's clock and judged by it on every access. Redis gets a time to live that is longer by
 * SLACK, counted from now, so that no difference between clocks takes a row away.
 */
import type { ArtifactRow, Model } from '#kernel/ports.ts'

type Lookup = 'uid' | 'userCode'

/** ms that Redis keeps a key beyond its expiry. */
const SLACK = 10_000
/** ms that an index entry stays beyond its row: a node whose clock is ahead must not prune what lives elsewhere. */
const INDEX_SLACK = 60_000
const WRITE_LENGTH = 8
const BLOCK = 1024
const NEVER = 2 ** 33 - 1

export const name = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url')
export const bytesOf = (text: string): Buffer => Buffer.from(text, 'base64url')

export interface Keys {
  row(model: Model, key: string): string
  pointer(by: Lookup, model: Model, value: Uint8Array): string
  grant(grant: Uint8Array): string
  tag(model: Model, tag: Uint8Array): string
  marker(model: Model, key: Uint8Array): string
  counter(key: Uint8Array): string
  /** Glob for every row, and how to read what it finds. */
  readonly rows: string
  parseRow(key: string): { model: Model; key: Buffer }
}

export const createKeys = (prefix: string): Keys => ({
  row: (model, key) => `${prefix}a:${model}:${key}`,
  pointer: (by, model, value) => `${prefix}${by === 'uid' ? 'u' : 'c'}:${model}:${name(value)}`,
  grant: (grant) => `${prefix}g:${name(grant)}`,
  tag: (model, tag) => `${prefix}t:${model}:${name(tag)}`,
  marker: (model, key) => `${prefix}o:${model}:${name(key)}`,
  counter: (key) => `${prefix}n:${name(key)}`,
  rows: `${prefix.replace(/[\\*?[\]]/g, '\\$&')}a:*`,
  parseRow: (key) => {
    const rest = key.slice(prefix.length + 2)
    const colon = rest.lastIndexOf(':')
    return { model: rest.slice(0, colon), key: bytesOf(rest.slice(colon + 1)) }
  },
})

/** Redis' time to live in ms, or '' for none. */
export const timeToLive = (expiresAt: number | undefined, now: number, slack = SLACK): number | '' =>
  expiresAt === undefined ? '' : Math.max(0, Math.ceil(expiresAt - now)) + slack

export const indexTimeToLive = (expiresAt: number | undefined, now: number): number | '' =>
  timeToLive(expiresAt, now, INDEX_SLACK + SLACK)

/** The expiry of an index entry in blocks. */
export const blockOf = (expiresAt: number | undefined): number =>
  expiresAt === undefined ? NEVER : Math.min(NEVER, Math.max(0, Math.ceil((expiresAt + INDEX_SLACK) / BLOCK)))

/** The 20 bits of a write's name that an index entry carries. */
export const stampOf = (write: string): number => Buffer.from(write, 'base64url').readUIntBE(0, 3) & 0xfffff

type Described = Pick<ArtifactRow, 'grant' | 'uid' | 'userCode' | 'tags'>

const part = (value: Uint8Array | undefined): (Uint8Array | string)[] => {
  if (value === undefined) return ['\0']
  if (value.length > 254) throw new RangeError('a look-up value has at most 254 bytes')
  return [String.fromCharCode(value.length + 1), value]
}

export const describe = ({ grant, uid, userCode, tags = [] }: Described): Buffer => {
  const parts = [grant, uid, userCode, ...tags].flatMap(part)
  return Buffer.concat(parts.map((one) => (typeof one === 'string' ? Buffer.from(one, 'latin1') : one)))
}

/** The descriptor's parts; views on the same memory. */
export const parseDescriptor = (bytes: Buffer): Described => {
  const parts: (Buffer | undefined)[] = []
  for (let at = 0; at < bytes.length; ) {
    const size = bytes[at] ?? 0
    parts.push(size === 0 ? undefined : bytes.subarray(at + 1, at + size))
    at += Math.max(size, 1)
  }
  const [grant, uid, userCode, ...tags] = parts
  const present = tags.filter((tag) => tag !== undefined)
  return { grant, uid, userCode, ...(present.length > 0 && { tags: present }) }
}

/** A replaced or dropped row: which write, and where it could be found. Empty bytes: there was none. */
export interface Former extends Described {
  readonly write: string
}
export const parseFormer = (bytes: Buffer): Former | undefined =>
  bytes.length === 0
    ? undefined
    : { write: bytes.toString('latin1', 0, WRITE_LENGTH), ...parseDescriptor(bytes.subarray(WRITE_LENGTH)) }

const COLON = 58

export interface Meta extends Described {
  readonly revision: number
  readonly expiresAt: number | undefined
  readonly order: number
}
export const parseMeta = (bytes: Buffer): Meta => {
  const first = bytes.indexOf(COLON)
  const second = bytes.indexOf(COLON, first + 1)
  const third = bytes.indexOf(COLON, second + 1)
  const expiry = bytes.toString('latin1', first + 1, second)
  return {
    revision: Number(bytes.toString('latin1', 0, first)),
    expiresAt: expiry === '' ? undefined : Number(expiry),
    order: Number(bytes.toString('latin1', second + 1, third)),
    ...parseDescriptor(bytes.subarray(third + 1 + WRITE_LENGTH)),
  }
}

export const isLive = ({ expiresAt }: Pick<Meta, 'expiresAt'>, now: number): boolean =>
  expiresAt === undefined || expiresAt > now

/** What HMGET p m c gave, or undefined for a row that is absent or expired. */
export const toRow = (
  key: Uint8Array,
  [body, meta, consumed]: readonly (Buffer | null | undefined)[],
  now: number,
): { readonly row: ArtifactRow; readonly order: number } | undefined => {
  if (!body || !meta) return undefined
  const { order, ...rest } = parseMeta(meta)
  if (!isLive(rest, now)) return undefined
  const consumedAt = consumed ? Number(consumed.toString('latin1', 0, consumed.indexOf(COLON))) : undefined
  return { row: { key, body, ...rest, consumedAt }, order }
}
