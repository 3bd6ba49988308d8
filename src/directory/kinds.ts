/** The kinds of records: their words in the store, their ids, and the index values that a store may see in clear. */
import type { z } from 'zod'
import { Fault } from '#kernel/faults.ts'
import { sha256 } from '#kernel/random.ts'
import {
  type Account,
  accountRecord,
  type Consent,
  consentRecord,
  type Link,
  linkRecord,
} from '#kernel/records/account.ts'
import { type Client, clientRecord } from '#kernel/records/client.ts'
import { type Credential, credentialRecord } from '#kernel/records/credential.ts'
import {
  type Acr,
  acrRecord,
  type IdentityProvider,
  type Mapping,
  mappingRecord,
  providerBase,
} from '#kernel/records/provider.ts'
import { type Scope, type SectorIdentifier, scopeRecord, sectorRecord } from '#kernel/records/scope.ts'
import { type PairwiseSubject, subjectRecord } from '#kernel/records/subject.ts'
import type { KindOf } from './collection.ts'
import { normaliseEmail, normaliseUsername } from './normalise.ts'

/** Longer ids are stored by their hash; the record keeps what it stands for (PERSISTENCE 5, layouts). */
const MOST_ID_BYTES = 255
const bounded = (id: string): string =>
  Buffer.byteLength(id) <= MOST_ID_BYTES ? id : `sha256:${sha256(id).toString('base64url')}`

/** `passport-<provider>:<uid>`, the uid exactly as given (CONTRACT 7). */
export const linkId = (provider: string, uid: string): string => bounded(`passport-${provider}:${uid}`)
export const credentialId = (accountId: string, method: string): string => bounded(`${accountId}|${method}`)
export const consentId = (accountId: string, clientId: string): string => bounded(`${accountId}|${clientId}`)

/** Checks a value against its schema. Throws Fault `request.invalid` with the paths, never with the values. */
export const checked =
  <T>(schema: z.ZodType<T>) =>
  (value: unknown): T => {
    const result = schema.safeParse(value)
    if (result.success) return result.data
    const issues = result.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }))
    throw new Fault('request.invalid', { issues })
  }

export const accountKind: KindOf<Account> = {
  kind: 'account',
  id: ({ id }) => id,
  read: checked(accountRecord),
  unique: ({ username }) => ({ username: normaliseUsername(username) }),
  index: ({ email }): Record<string, readonly string[]> => (email ? { email: [normaliseEmail(email)] } : {}),
}

export const linkKind: KindOf<Link> = {
  kind: 'link',
  id: ({ provider, uid }) => linkId(provider, uid),
  read: checked(linkRecord),
  index: ({ accountId }) => ({ account: [accountId] }),
}

export const consentKind: KindOf<Consent> = {
  kind: 'consent',
  id: ({ accountId, clientId }) => consentId(accountId, clientId),
  read: checked(consentRecord),
  index: ({ accountId, clientId }) => ({ account: [accountId], client: [clientId] }),
}

export const credentialKind: KindOf<Credential> = {
  kind: 'credential',
  id: ({ accountId, method }) => credentialId(accountId, method),
  read: checked(credentialRecord),
  index: ({ accountId }) => ({ account: [accountId] }),
}

/** Clients that expire on the same day are found together. @param at epoch seconds */
export const expiryDay = (at: number): string => String(Math.floor(at / 86_400))

export const clientKind: KindOf<Client> = {
  kind: 'client',
  id: ({ client_id }) => client_id,
  read: checked(clientRecord),
  index: ({ expires_at }): Record<string, readonly string[]> =>
    typeof expires_at === 'number' ? { expires: [expiryDay(expires_at)] } : {},
}

// The protocol's block was checked against the connector's schema by whoever wrote the record; here only what is common.
const anyProvider = providerBase.loose()
export const providerKind: KindOf<IdentityProvider> = {
  kind: 'identityProvider',
  id: ({ id }) => id,
  read: (value) => checked(anyProvider)(value) as IdentityProvider,
}

export const subjectId = (accountId: string, sector: string): string => bounded(`${accountId}|${sector}`)

export const subjectKind: KindOf<PairwiseSubject> = {
  kind: 'pairwiseSubject',
  id: ({ accountId, sector }) => subjectId(accountId, sector),
  read: checked(subjectRecord),
  index: ({ accountId }) => ({ account: [accountId] }),
}

export const scopeKind: KindOf<Scope> = { kind: 'scope', id: ({ name }) => bounded(name), read: checked(scopeRecord) }

export const sectorKind: KindOf<SectorIdentifier> = {
  kind: 'sectorIdentifier',
  id: ({ id }) => id,
  read: checked(sectorRecord),
}

export const mappingKind: KindOf<Mapping> = { kind: 'mapping', id: ({ name }) => name, read: checked(mappingRecord) }

export const acrKind: KindOf<Acr> = { kind: 'acr', id: ({ name }) => name, read: checked(acrRecord) }
