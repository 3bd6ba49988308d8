/** Second factors of people. Read from the store, never from a cache: what may be used once must be seen as it is. */
import { Fault, isFault } from '#kernel/faults.ts'
import type { Credential } from '#kernel/records/credential.ts'
import type { Collection } from './collection.ts'
import { credentialId } from './kinds.ts'
import type { Credentials } from './records.ts'

const MOST_PER_ACCOUNT = 100

/** Ends a compare-and-swap without a write. */
class Unchanged extends Error {}

export const createCredentials = (collection: Collection<Credential>): Credentials => ({
  get: async (accountId, method) => (await collection.fresh(credentialId(accountId, method)))?.value,
  ofAccount: async (accountId) =>
    (await collection.find('account', accountId, MOST_PER_ACCOUNT)).map(({ value }) => value),
  async create(credential) {
    await collection.create(credential)
  },
  async replace(credential) {
    await collection.put(credential)
  },
  async change(accountId, method, next) {
    const id = credentialId(accountId, method)
    try {
      const changed = await collection.update(id, (now) => {
        const after = next(now)
        if (!after) throw new Unchanged()
        if (after.id !== id) throw new Fault('internal', { reason: 'a credential cannot change its owner' })
        return after
      })
      return changed !== undefined
    } catch (error) {
      // Removed between the look and the write: as good as never there.
      if (error instanceof Unchanged || isFault(error, 'directory.absent')) return false
      throw error
    }
  },
  remove: (accountId, method) => collection.remove(credentialId(accountId, method)),
})
