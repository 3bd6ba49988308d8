/**
 * What stands in a backup's lines, one JSON object each: the header first, then data keys, records, audit events,
 * artifacts, marks, what was redeemed meanwhile, and the end with the counts and a SHA-256 of all lines before it.
 * Documents and bodies stay sealed by the data keys that travel with them. Bytes are base64.
 */
import { createHash } from 'node:crypto'
import type { RingKey } from '#directory/keyring.ts'
import { bufferOf } from '#kernel/bytes.ts'
import type { ArtifactRow, DirectoryPiece, Mark, Model } from '#kernel/ports.ts'

export interface Header {
  readonly format: 'gatehouse'
  readonly version: 1
  readonly issuer: string
  /** Epoch ms, before anything was read. */
  readonly createdAt: number
}
/** How many of each; records by kind, artifacts by model. */
export interface Counts {
  keys: number
  records: Record<string, number>
  events: number
  artifacts: Record<string, number>
  marks: number
  redeemed: number
}
export interface End {
  readonly counts: Counts
  /** hexadecimal */
  readonly sha256: string
}
/** One thing that a backup brings. */
export type Item =
  | { readonly dataKey: RingKey }
  | DirectoryPiece
  | { readonly model: Model; readonly row: ArtifactRow }
  | Mark
  | { readonly redeemed: { readonly model: Model; readonly key: Uint8Array; readonly at: number } }

export const noCounts = (): Counts => ({ keys: 0, records: {}, events: 0, artifacts: {}, marks: 0, redeemed: 0 })

const one = (counts: Record<string, number>, name: string) => {
  counts[name] = (counts[name] ?? 0) + 1
}

export const countItem = (counts: Counts, item: Item): void => {
  if ('kind' in item) one(counts.records, item.kind)
  else if ('row' in item) one(counts.artifacts, item.model)
  else if ('event' in item) counts.events += 1
  else if ('dataKey' in item) counts.keys += 1
  else if ('redeemed' in item) counts.redeemed += 1
  else counts.marks += 1
}

/** Objects whose byte members became text. */
type Written = Record<string, unknown>
const isBytes = (value: unknown): value is Uint8Array => value instanceof Uint8Array
const text = (value: unknown): unknown => {
  if (isBytes(value)) return bufferOf(value).toString('base64')
  return Array.isArray(value) ? value.map(text) : value
}
const written = (members: object): Written =>
  Object.fromEntries(Object.entries(members).map(([name, value]) => [name, text(value)]))

/** The one member of a line and what it holds. */
export const encodeItem = (item: Item): string => {
  if ('kind' in item) {
    return JSON.stringify({ record: { kind: item.kind, ...written(item.record) } })
  }
  if ('row' in item) {
    const { revision: _, ...row } = item.row
    return JSON.stringify({ artifact: { model: item.model, ...written(row) } })
  }
  if ('event' in item) return JSON.stringify(item)
  const [[name, members] = ['', {}]] = Object.entries(item) as [string, object][]
  return JSON.stringify({ [name]: written(members) })
}

const bytes = (value: unknown): Uint8Array => Buffer.from(String(value), 'base64')
const bytesOf = (from: Written, ...names: string[]): Written =>
  Object.fromEntries(names.filter((name) => name in from).map((name) => [name, bytes(from[name])]))

type Line = { readonly header: Header } | { readonly end: End } | { readonly item: Item }

const itemOf = (item: object): Line => ({ item: item as Item })
/** An item of one member, with its bytes. */
const reader =
  (name: string, ...inBytes: string[]) =>
  (from: Written): Line =>
    itemOf({ [name]: { ...from, ...bytesOf(from, ...inBytes) } })

/** How each kind of line is read; what stands in none of them was written by somebody else. */
const readers: Readonly<Record<string, (from: Written) => Line>> = {
  header: (header) => ({ header: header as unknown as Header }),
  end: (end) => ({ end: end as unknown as End }),
  dataKey: reader('dataKey', 'key'),
  record: ({ kind, ...record }) => itemOf({ kind, record: { ...record, ...bytesOf(record, 'doc') } }),
  event: reader('event'),
  artifact: ({ model, tags, ...row }) => {
    const inBytes = bytesOf(row, 'key', 'body', 'grant', 'uid', 'userCode')
    return itemOf({ model, row: { ...row, ...inBytes, ...(Array.isArray(tags) && { tags: tags.map(bytes) }) } })
  },
  once: reader('once', 'key'),
  revoked: reader('revoked', 'grant'),
  counter: reader('counter', 'key'),
  redeemed: reader('redeemed', 'key'),
}

/** Answers undefined for what is no line of a backup. */
export const decodeLine = (line: string): Line | undefined => {
  const [entry] = Object.entries(JSON.parse(line) as Record<string, Written>)
  return entry && readers[entry[0]]?.(entry[1])
}

/** The checksum over all lines before the end. */
export const createSum = () => {
  const hash = createHash('sha256')
  return {
    add: (line: string) => void hash.update(line).update('\n'),
    end: () => hash.digest('hex'),
  }
}
