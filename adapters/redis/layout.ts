/**
 * The names of the keys and the form of their values. Every key stands alone: no command and no script of this room
 * touches two, so that each works in a Cluster, except gatehousePutListed, which is asked only where there is one server.
 * `b` is base64url; the prefix carries the version of this layout.
 *
 *   a:<model>:<b key>     row: hash { p: body, m: meta, c?: "<consumedAt>:<nonce>", x?: gravestones }
 *   u:<model>:<b uid>     pointer: "<b key> <write>"                                 c:<model>:<b user code>  likewise
 *   g:<b grant>           index: sorted set of entries by expiry; its member "" is the grant's tombstone, by its end
 *   t:<model>:<b tag>     index: sorted set of entries by expiry
 *   o:<model>:<b key>     marker "<expiry>:<nonce>"                                  n:<b key>  counter "<expiry>:<n>:<nonce>"
 *   v                     hash kind -> changes, and channel `inv`: the bus
 *
 * meta = "<revision>:<expiry or nothing>:<order>:" <write> <descriptor>. `order` places the rows of a tag, oldest first.
 * `write` is the name, 8 characters of base64url, of the put that wrote the row.
 * descriptor = grant, uid, userCode, then each tag: length + 1 in one byte (0: absent), bytes.
 * gravestones, one after the other: "<end>:", the grant's length in one byte, the grant.
 * entry = write (6 bytes), in a grant's index the model's length in one byte and the model, key. Each put has its own
 * entries, and takes back those of the write that it replaced: an entry is never another write's to remove.
 * Expiries are those of Gatehouse's clock and judged by it on every access. Redis gets a time to live that is longer by
 * SLACK, counted from now, so that no difference between clocks takes a row away.
 */
import { base64urlOf } from '#kernel/bytes.ts'
import type { ArtifactRow, Mark, Model } from '#kernel/ports.ts'
import type { Client } from './scripts.ts'

/** ms that Redis keeps a key beyond its expiry. */
const SLACK = 10_000
/** ms that an index entry stays beyond its row: a node whose clock is ahead must not prune what lives elsewhere. */
const INDEX_SLACK = 60_000
/** ms that a gravestone stays: far longer than a put is under way. */
export const GRAVESTONE = 120_000
const WRITE_LENGTH = 8
/** The same in an entry. */
const WRITE_BYTES = 6

const bytesOf = (text: string): Buffer => Buffer.from(text, 'base64url')

type Lookup = 'uid' | 'userCode'
type Described = Pick<ArtifactRow, 'grant' | 'uid' | 'userCode' | 'tags'>

/** Where a row lies. */
export interface Place {
  readonly model: Model
  /** The row's key in base64url. */
  readonly name: string
  /** Redis' key. */
  readonly key: string
}
/** A sorted set that a row belongs in, and under which name. */
export interface Entry {
  readonly key: string
  readonly member: Buffer
}
/** `which` of the descriptor's parts the pointer is for (gatehouseLose). */
export interface Pointer {
  readonly key: string
  readonly which: 2 | 3
}
/** A put under way, in bytes of its own. */
export interface Write {
  readonly place: Place
  readonly now: number
  readonly name: string
  readonly order: number
  readonly body: Buffer
  /** Its name and descriptor. */
  readonly described: Buffer
  readonly expiresAt: number | undefined
  /** `<consumedAt>:`, or ''. */
  readonly consumed: string
  readonly isGranted: boolean
  readonly entries: readonly Entry[]
  readonly pointers: readonly Pointer[]
}

/** The names of one deployment's keys. */
export class Keys {
  readonly #prefix: string
  readonly ready: string
  readonly versions: string
  readonly channel: string
  /** Globs. */
  readonly rows: string
  readonly marks: string

  constructor(prefix: string) {
    this.#prefix = prefix
    this.ready = `${prefix}ready`
    this.versions = `${prefix}v`
    this.channel = `${prefix}inv`
    const literal = prefix.replace(/[\\*?[\]]/g, '\\$&')
    this.rows = `${literal}a:*`
    this.marks = `${literal}[ong]:*`
  }

  row(model: Model, key: Uint8Array): Place {
    return this.rowNamed(model, base64urlOf(key))
  }

  rowNamed(model: Model, key: string): Place {
    return { model, name: key, key: `${this.#prefix}a:${model}:${key}` }
  }

  /** From Redis' key. */
  parseRow(key: string): Place {
    const rest = key.slice(this.#prefix.length + 2)
    // A model may have colons, a key has none.
    const colon = rest.lastIndexOf(':')
    return this.rowNamed(rest.slice(0, colon), rest.slice(colon + 1))
  }

  /** What a key that `marks` fits says, or undefined if it says nothing (any more). */
  async readMark(client: Client, key: string): Promise<Mark | undefined> {
    const kind = key[this.#prefix.length]
    const rest = key.slice(this.#prefix.length + 2)
    if (kind === 'g') {
      const score = await client.zscore(key, '')
      return score === null ? undefined : { revoked: { grant: bytesOf(rest), until: Number(score) } }
    }
    const value = await client.get(key)
    if (value === null) return undefined
    const [expires, count] = value.split(':')
    const expiresAt = Number(expires)
    if (kind === 'n') return { counter: { key: bytesOf(rest), count: Number(count), expiresAt } }
    const { model, name } = this.parseRow(key)
    return { once: { model, key: bytesOf(name), expiresAt } }
  }

  pointer(by: Lookup, model: Model, value: Uint8Array): string {
    return `${this.#prefix}${by === 'uid' ? 'u' : 'c'}:${model}:${base64urlOf(value)}`
  }

  grant(grant: Uint8Array): string {
    return `${this.#prefix}g:${base64urlOf(grant)}`
  }

  tag(model: Model, tag: Uint8Array): string {
    return `${this.#prefix}t:${model}:${base64urlOf(tag)}`
  }

  marker(model: Model, key: Uint8Array): string {
    return `${this.#prefix}o:${model}:${base64urlOf(key)}`
  }

  counter(key: Uint8Array): string {
    return `${this.#prefix}n:${base64urlOf(key)}`
  }

  /** Where a write of a row is entered. */
  entries(place: Place, write: string, { grant, tags = [] }: Described): Entry[] {
    const [own, key] = [Buffer.from(write, 'base64url'), bytesOf(place.name)]
    const found: Entry[] = tags.map((tag) => ({ key: this.tag(place.model, tag), member: Buffer.concat([own, key]) }))
    if (grant) {
      const model = Buffer.from(place.model)
      const member = Buffer.concat([own, Buffer.of(model.length), model, key])
      found.push({ key: this.grant(grant), member })
    }
    return found
  }

  /** The row of an entry in a grant's index. */
  ofGrant(member: Buffer): Place {
    const from = WRITE_BYTES + 1
    const to = from + (member[WRITE_BYTES] ?? 0)
    return this.row(member.toString('utf8', from, to), member.subarray(to))
  }

  /** The row of an entry in a tag's index. */
  ofTag(model: Model, member: Buffer): Place {
    return this.row(model, member.subarray(WRITE_BYTES))
  }

  pointers(model: Model, { uid, userCode }: Described): Pointer[] {
    const found: Pointer[] = []
    if (uid) found.push({ key: this.pointer('uid', model, uid), which: 2 })
    if (userCode) found.push({ key: this.pointer('userCode', model, userCode), which: 3 })
    return found
  }
}

/** Redis' time to live in ms, or '' for none. */
export const timeToLive = (expiresAt: number | undefined, now: number, slack = SLACK): number | '' =>
  expiresAt === undefined ? '' : Math.max(0, Math.ceil(expiresAt - now)) + slack

export const indexTimeToLive = (expiresAt: number | undefined, now: number): number | '' =>
  timeToLive(expiresAt, now, INDEX_SLACK + SLACK)

/** The score of an index entry. */
export const scoreOf = (expiresAt: number | undefined): number | '+inf' =>
  expiresAt === undefined ? '+inf' : Math.ceil(expiresAt) + INDEX_SLACK

/** A write's name and the row's descriptor. Throws RangeError for a look-up value of more than 254 bytes. */
export const describe = (write: string, { grant, uid, userCode, tags = [] }: Described): Buffer => {
  const parts = [grant, uid, userCode, ...tags]
  const bytes = Buffer.allocUnsafe(parts.reduce((sum, part) => sum + 1 + (part?.length ?? 0), WRITE_LENGTH))
  let at = bytes.write(write, 'latin1')
  for (const part of parts) {
    if (part && part.length > 254) throw new RangeError('a look-up value has at most 254 bytes')
    bytes[at] = part ? part.length + 1 : 0
    if (part) bytes.set(part, at + 1)
    at += 1 + (part?.length ?? 0)
  }
  return bytes
}

/** The descriptor's parts; views on the same memory. */
export const parseDescriptor = (bytes: Buffer): Described => {
  const parts: (Buffer | undefined)[] = []
  for (let at = 0; at < bytes.length; ) {
    const size = bytes[at] ?? 0
    parts.push(size === 0 ? undefined : bytes.subarray(at + 1, at + size))
    at += Math.max(size, 1)
  }
  const [grant, uid, userCode] = parts
  // Most rows have none.
  if (parts.length <= 3) return { grant, uid, userCode }
  return { grant, uid, userCode, tags: parts.slice(3).filter((tag) => tag !== undefined) }
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
/** Characters among which the three numbers of a meta stand for certain. */
const MOST_HEAD = 64

export interface Meta extends Described {
  readonly revision: number
  readonly expiresAt: number | undefined
  readonly order: number
}
export const parseMeta = (bytes: Buffer): Meta => {
  const head = bytes.toString('latin1', 0, MOST_HEAD)
  const first = head.indexOf(':')
  const second = head.indexOf(':', first + 1)
  const third = head.indexOf(':', second + 1)
  return {
    revision: Number(head.slice(0, first)),
    expiresAt: second === first + 1 ? undefined : Number(head.slice(first + 1, second)),
    order: Number(head.slice(second + 1, third)),
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
  const { order, revision, expiresAt, grant, uid, userCode, tags } = parseMeta(meta)
  if (!isLive({ expiresAt }, now)) return undefined
  const consumedAt = consumed ? Number(consumed.toString('latin1', 0, consumed.indexOf(COLON))) : undefined
  return { row: { key, body, revision, expiresAt, grant, uid, userCode, consumedAt, ...(tags && { tags }) }, order }
}
