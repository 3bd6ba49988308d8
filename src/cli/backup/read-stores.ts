/**
 * Everything that the stores hold, as the lines of a backup, also while servers write to them. What is redeemed or
 * revoked during the backup is in it as such: marks are read after the artifacts, and at last once more what was redeemed
 * since it began. Nothing is held in memory.
 */
import { dataKeys, keyringKind } from '#directory/keyring.ts'
import { restoringIn, restoringKind } from '#directory/restoring.ts'
import type { Clock } from '#kernel/clock.ts'
import { CliError, type Stores } from '../seams.ts'
import { countItem, createSum, type End, encodeItem, type Header, type Item, noCounts } from './lines.ts'

/**
 * Kinds that do not travel: the keyring goes as data keys; an `apply` under way counts on revisions, which start anew.
 */
const stays = new Set([keyringKind, restoringKind, 'intent'])

async function* itemsOf({ store, directory, masterKeys }: Stores, since: number): AsyncGenerator<Item> {
  for (const dataKey of await dataKeys(directory, masterKeys)) yield { dataKey }
  for await (const piece of directory.dump()) if (!('kind' in piece) || !stays.has(piece.kind)) yield piece
  yield* store.scan()
  yield* store.marks()
  for await (const { model, row } of store.scan())
    if (row.consumedAt !== undefined && row.consumedAt >= since)
      yield { redeemed: { model, key: row.key, at: row.consumedAt } }
}

/**
 * The lines of a backup.
 * @throws CliError when there is nothing to back up, or only half a restore
 */
export async function* readStores(stores: Stores, issuer: string, clock: Clock): AsyncGenerator<string> {
  if (await restoringIn(stores.directory))
    throw new CliError('A restore into these stores was begun and not finished: run `gatehouse restore` again first.')
  if ((await dataKeys(stores.directory, stores.masterKeys)).length === 0)
    throw new CliError('The stores are empty: is it the right configuration?')
  const header: Header = { format: 'gatehouse', version: 1, issuer, createdAt: clock.now() }
  const counts = noCounts()
  const sum = createSum()
  const first = JSON.stringify({ header })
  sum.add(first)
  yield first
  for await (const item of itemsOf(stores, header.createdAt)) {
    countItem(counts, item)
    const line = encodeItem(item)
    sum.add(line)
    yield line
  }
  const end: End = { counts, sha256: sum.end() }
  yield JSON.stringify({ end })
}
