/** Builds the directory room: every kind of record over one Directory port, one bus, one sealer. */

import type { Bus } from '#kernel/ports.ts'
import { createAccounts, drawAccount, seedAccounts } from './accounts.ts'
import { type Applying, openApply } from './apply.ts'
import { createClients } from './clients.ts'
import { type Collection, type Ground, type KindOf, openCollection } from './collection.ts'
import { createConsents } from './consents.ts'
import { createCredentials } from './credentials.ts'
import type { KeySettings } from './key-times.ts'
import { createKeys } from './keys.ts'
import {
  accountKind,
  acrKind,
  clientKind,
  consentKind,
  credentialKind,
  linkKind,
  mappingKind,
  providerKind,
  scopeKind,
  sectorKind,
  subjectKind,
} from './kinds.ts'
import { createLinks } from './links.ts'
import type { Resources } from './overlay.ts'
import type { Records } from './records.ts'
import { createShelf } from './shelf.ts'
import { createSubjects } from './subjects.ts'

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

/** One collection a kind. */
const openRows = (ground: Ground) => {
  const open = <T>(of: KindOf<T>): Collection<T> => openCollection(ground, of)
  return {
    accounts: open(accountKind),
    links: open(linkKind),
    consents: open(consentKind),
    credentials: open(credentialKind),
    clients: open(clientKind),
    providers: open(providerKind),
    mappings: open(mappingKind),
    acrs: open(acrKind),
    scopes: open(scopeKind),
    sectorIdentifiers: open(sectorKind),
    subjects: open(subjectKind),
  }
}

/** Clears the caches before it tells anybody that something changed. */
const relay = (bus: Bus, collections: readonly { readonly kind: string; forget(id?: string): void }[]) => {
  const byKind = new Map(collections.map((collection) => [collection.kind, collection]))
  const listeners = new Set<(kind: string, id?: string) => void>()
  const stop = bus.onChange((kind, id) => {
    byKind.get(kind)?.forget(id)
    for (const listener of listeners) listener(kind, id)
  })
  return { listeners, stop }
}

/**
 * Opens the records; creates the accounts that the served file declares and that are new.
 * The port, the bus and the sealer stay their owner's: `close` stops listening and nothing else.
 */
export const createRecords = async (given: RecordsGiven): Promise<Records & Applying> => {
  const { port, bus, clock, overlay } = given
  const rows = openRows(given)
  const { keys, collections } = createKeys(given, given.keys)

  const draw = drawAccount(clock, given.hashPassword)
  const links = createLinks(port, rows.links, rows.accounts, draw, clock)
  const consents = createConsents(rows.consents, clock)
  const credentials = createCredentials(rows.credentials)
  const subjects = createSubjects(rows.subjects, clock)
  const accounts = createAccounts(rows.accounts, draw, clock, async (accountId) => {
    for (const { provider, uid } of await links.ofAccount(accountId)) await links.unlink(provider, uid)
    for (const { value } of await rows.consents.find('account', accountId, MOST_CONSENTS))
      await rows.consents.remove(value.id)
    for (const { sector } of await subjects.ofAccount(accountId)) await subjects.forget(accountId, sector)
    for (const { accountId: owner, method } of await credentials.ofAccount(accountId))
      await credentials.remove(owner, method)
  })

  const { listeners, stop } = relay(bus, [...Object.values(rows), ...collections])

  const shelves = {
    accounts,
    clients: createClients(rows.clients, overlay.clients, async (clientId) => {
      for (const { value } of await rows.consents.find('client', clientId, MOST_CONSENTS))
        await rows.consents.remove(value.id)
    }),
    providers: createShelf(rows.providers, providerKind.id, overlay.identityProviders, providerKind.read),
    mappings: createShelf(rows.mappings, mappingKind.id, overlay.mappings, mappingKind.read),
    acrs: createShelf(rows.acrs, acrKind.id, overlay.acrs, acrKind.read),
    scopes: createShelf(rows.scopes, scopeKind.id, overlay.scopes, scopeKind.read),
    sectorIdentifiers: createShelf(rows.sectorIdentifiers, sectorKind.id, overlay.sectorIdentifiers, sectorKind.read),
  }
  const { apply } = await openApply(given, shelves, draw)
  await seedAccounts(accounts, overlay.accounts)

  return {
    ...shelves,
    apply,
    links,
    consents,
    subjects,
    credentials,
    keys,
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
