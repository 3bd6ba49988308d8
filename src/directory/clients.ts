/** Clients: a shelf that also forgets what people allowed to a client that is gone, and knows whose time is over. */
import type { Client } from '#kernel/records/client.ts'
import type { Collection } from './collection.ts'
import { clientKind, expiryDay } from './kinds.ts'
import type { Clients } from './records.ts'
import { createShelf } from './shelf.ts'

const MOST_OF_A_DAY = 1000

/** @param gone forgets what depends on a client */
export const createClients = (
  collection: Collection<Client>,
  declared: readonly Client[],
  gone: (clientId: string) => Promise<void>,
): Clients => {
  const shelf = createShelf(collection, clientKind.id, declared, clientKind.read)
  return {
    ...shelf,
    async remove(id) {
      const removed = await shelf.remove(id)
      await gone(id)
      return removed
    },
    async expiringOn(at) {
      const found = await collection.find('expires', expiryDay(at), MOST_OF_A_DAY)
      return found.map(({ value }) => value)
    },
  }
}
