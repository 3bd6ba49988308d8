/**
 * A look through a whole backup before anything is done with it: every chunk as it was written, every line known, the
 * counts and the checksum right, and of each data key one value that it opens.
 */
import { isDeepStrictEqual } from 'node:util'
import { placeOf } from '#artifacts/box.ts'
import type { RingKey } from '#directory/keyring.ts'
import { isFault } from '#kernel/faults.ts'
import { createSealer, type Sealer } from '#kernel/seal.ts'
import { CliError } from '../seams.ts'
import type { Locked } from './file.ts'
import { type Counts, countItem, createSum, decodeLine, type End, type Header, type Item, noCounts } from './lines.ts'

/** What a sound backup says of itself. */
export interface Summary {
  readonly header: Header
  readonly keys: readonly RingKey[]
  readonly counts: Counts
  readonly sha256: string
}

/** The sealed value of an item, and where it belongs. */
const sealedIn = (item: Item): { bytes: Uint8Array; place: string } | undefined => {
  if ('kind' in item) return { bytes: item.record.doc, place: `${item.kind}:${item.record.id}` }
  if ('row' in item) return { bytes: item.row.body, place: placeOf(item.model, item.row.key) }
  return undefined
}

/** Opens the first value of each data key. */
const createTrial = (broken: () => CliError) => {
  const untried = new Set<number>()
  const keys: RingKey[] = []
  let sealer: Sealer | undefined
  return {
    keys,
    add(key: RingKey) {
      keys.push(key)
      untried.add(key.id)
      sealer = createSealer(keys)
    },
    try(item: Item) {
      const sealed = untried.size > 0 && sealedIn(item)
      if (!sealed || !sealer || sealed.bytes.length < 5) return
      // version(1) | data key id(4), as src/kernel/seal.ts writes it.
      const id = Buffer.from(sealed.bytes).readUInt32BE(1)
      if (!untried.delete(id)) return
      try {
        sealer.open(sealed.bytes, sealed.place)
      } catch (error) {
        throw isFault(error, 'seal.broken') ? broken() : error
      }
    },
  }
}

/** @throws CliError when the file is not what a backup wrote */
export const verify = async (file: Locked, path: string): Promise<Summary> => {
  const wrong = (why: string) => new CliError(`${path} is damaged: ${why}.`)
  const trial = createTrial(() => wrong('its keys do not open what it holds'))
  const counts = noCounts()
  const sum = createSum()
  let header: Header | undefined
  let end: End | undefined
  for await (const text of file.lines()) {
    const line = decodeLine(text)
    if (!line || end || 'header' in line !== !header) throw wrong('it holds lines that this Gatehouse does not know')
    if ('end' in line) {
      end = line.end
      continue
    }
    sum.add(text)
    if ('header' in line) header = line.header
    else {
      countItem(counts, line.item)
      if ('dataKey' in line.item) trial.add(line.item.dataKey)
      trial.try(line.item)
    }
  }
  if (!header || !end) throw wrong('its end is missing')
  if (end.sha256 !== sum.end() || !isDeepStrictEqual(end.counts, counts)) throw wrong('its checksum is wrong')
  return { header, keys: trial.keys, counts, sha256: end.sha256 }
}

/** The items of a backup that was verified. */
export async function* itemsIn(file: Locked): AsyncGenerator<Item> {
  for await (const text of file.lines()) {
    const line = decodeLine(text)
    if (line && 'item' in line) yield line.item
  }
}
