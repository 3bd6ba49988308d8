/** What people allowed to clients; outlives sessions and grants (ENGINE 11). */
import type { Clock } from '#kernel/clock.ts'
import { isFault } from '#kernel/faults.ts'
import type { Consent } from '#kernel/records/account.ts'
import type { Collection } from './collection.ts'
import { consentId } from './kinds.ts'
import type { Consents } from './records.ts'

const union = (a: readonly string[], b: readonly string[]): string[] => [...new Set([...a, ...b])]
const without = (a: readonly string[], b: readonly string[]): string[] => a.filter((item) => !b.includes(item))

/** As many as one list holds. */
const MOST = 10_000

interface Given {
  readonly scopes: string[]
  readonly claims: string[]
  readonly rejectedScopes: string[]
  readonly resources?: Readonly<Record<string, readonly string[]>>
}

const withResources = (now: Consent['resources'], given: Given['resources'] = {}): Consent['resources'] => ({
  ...now,
  ...Object.fromEntries(Object.entries(given).map(([name, scopes]) => [name, union(now[name] ?? [], scopes)])),
})

/** The latest word counts: allowed now is no longer rejected, rejected now is no longer allowed. */
const add = (now: Consent, given: Given, at: number): Consent => ({
  ...now,
  scopes: without(union(now.scopes, given.scopes), without(given.rejectedScopes, given.scopes)),
  claims: union(now.claims, given.claims),
  rejectedScopes: without(union(now.rejectedScopes, given.rejectedScopes), given.scopes),
  resources: withResources(now.resources, given.resources),
  updatedAt: at,
})

export const createConsents = (collection: Collection<Consent>, clock: Clock): Consents => {
  const blank = (accountId: string, clientId: string): Consent => ({
    id: consentId(accountId, clientId),
    accountId,
    clientId,
    scopes: [],
    claims: [],
    rejectedScopes: [],
    resources: {},
    epoch: 0,
    updatedAt: clock.now(),
  })
  const change = async (accountId: string, clientId: string, next: (now: Consent) => Consent) => {
    const id = consentId(accountId, clientId)
    if (await collection.update(id, next)) return
    try {
      await collection.create(next(blank(accountId, clientId)))
    } catch (error) {
      if (!isFault(error, 'directory.conflict')) throw error
      await collection.update(id, next)
    }
  }

  return {
    ofAccount: async (accountId) => (await collection.find('account', accountId, MOST)).map(({ value }) => value),
    ofClient: async (clientId) => (await collection.find('client', clientId, MOST)).map(({ value }) => value),
    get: async (accountId, clientId) => (await collection.get(consentId(accountId, clientId)))?.value,
    remember: (accountId, clientId, given) => change(accountId, clientId, (now) => add(now, given, clock.now())),
    async forget(accountId, clientId) {
      // The record stays as the bearer of the epoch: grants made after this moment get other ids.
      await change(accountId, clientId, (now) => ({
        ...blank(accountId, clientId),
        epoch: now.epoch + 1,
      }))
    },
  }
}
