/** Builds the directory room: every kind of record over one Directory port, one bus, one sealer. */
import { createAccounts, drawAccount, seedAccounts } from './accounts.ts'
import { type Collection, type Ground, type KindOf, openCollection } from './collection.ts'
import { createConsents } from './consents.ts'
import type { KeySettings } from './key-times.ts'
import { createKeys } from './keys.ts'
import { accountKind, acrKind, clientKind, consentKind, linkKind, mappingKind, providerKind } from './kinds.ts'
import { createLinks } from './links.ts'
import type { Resources } from './overlay.ts'
import type { Records } from './records.ts'
import { createShelf } from './shelf.ts'

export type { KeySettings } from './key-times.ts'
export { noResources, type Resources } from './overlay.ts'

const MOST_CONSENTS = 10_000

export interface RecordsGiven extends Ground {
  /** What the served file declares. */
  readonly overlay: Resources
  readonly keys: KeySettings
  /** Answers a PHC string. */
  readonly hashPassword: (password: string) => Promise<string>
}

/**
 * Opens the records; creates the accounts that the served file declares and that are new.
 * The port, the bus and the sealer stay their owner's: `close` stops listening and nothing else.
 */
export const createRecords = async (given: RecordsGiven): Promise<Records> => {
  const { port, bus, clock, overlay } = given
  const open = <T>(of: KindOf<T>): Collection<T> => openCollection(given, of)
  const [accountRows, linkRows, consentRows] = [open(accountKind), open(linkKind), open(consentKind)]
  const [clientRows, providerRows, mappingRows, acrRows] = [
    open(clientKind),
    open(providerKind),
    open(mappingKind),
    open(acrKind),
  ]
  const { keys, collections } = createKeys(given, given.keys)

  const draw = drawAccount(clock, given.hashPassword)
  const links = createLinks(port, linkRows, accountRows, draw, clock)
  const consents = createConsents(consentRows, clock)
  const accounts = createAccounts(accountRows, draw, clock, async (accountId) => {
    for (const { provider, uid } of await links.ofAccount(accountId)) await links.unlink(provider, uid)
    for (const { value } of await consentRows.find('account', accountId, MOST_CONSENTS))
      await consentRows.remove(value.id)
  })

  const all = [accountRows, linkRows, consentRows, clientRows, providerRows, mappingRows, acrRows, ...collections]
  const byKind = new Map(all.map((collection) => [collection.kind, collection]))
  const listeners = new Set<(kind: string, id?: string) => void>()
  const stop = bus.onChange((kind, id) => {
    byKind.get(kind)?.forget(id)
    for (const listener of listeners) listener(kind, id)
  })

  await seedAccounts(accounts, overlay.accounts)

  return {
    accounts,
    links,
    consents,
    keys,
    clients: createShelf(clientRows, clientKind.id, overlay.clients, clientKind.read),
    providers: createShelf(providerRows, providerKind.id, overlay.identityProviders, providerKind.read),
    mappings: createShelf(mappingRows, mappingKind.id, overlay.mappings, mappingKind.read),
    acrs: createShelf(acrRows, acrKind.id, overlay.acrs, acrKind.read),
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    async close() {
      stop()
      listeners.clear()
    },
  }
}
