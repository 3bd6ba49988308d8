/**
 * From an external identity to an account (CONTRACT 7). The key is the provider and its user id, never an address:
 * an address may be typed, changed or handed on by others (nOAuth, pre-hijacking; HAZARDS 2).
 */
import { isDeepStrictEqual } from 'node:util'
import type { Records } from '#directory/records.ts'
import { Fault, type FaultCode, isFault } from '#kernel/faults.ts'
import type { Identity } from '#kernel/identity.ts'
import type { Account } from '#kernel/records/account.ts'
import type { IdentityProvider, Mapping } from '#kernel/records/provider.ts'
import { accountInputOf, type Draft, draftOf, isEmail, refreshed } from './profile.ts'

export type Provisioned =
  | {
      readonly outcome: 'known' | 'created' | 'linked'
      readonly accountId: string
      /** What the mapping made of the provider's claims, for the trace. */
      readonly draft?: Draft
    }
  /** Ask the newcomer once, then call again with `email`. */
  | { readonly outcome: 'needs-email'; readonly draft: Draft }
  | { readonly outcome: 'refused'; readonly code: FaultCode }

export interface Newcomer {
  readonly provider: string
  readonly identity: Identity
  /** What the person answered to `needs-email`. */
  readonly email?: { readonly address: string; readonly verified: boolean }
  /** Who is signed in already, in a later step: the identity must be theirs, and nobody is made or linked. */
  readonly accountId?: string
}

export interface Provisioning {
  /** Any number of calls for one identity, in parallel too, end in one account. Throws Fault `upstream.misconfigured` when the provider or its mapping is gone. */
  provision(newcomer: Newcomer): Promise<Provisioned>
}

const refused = (code: FaultCode): Provisioned => ({ outcome: 'refused', code })

interface Ground {
  readonly records: Pick<Records, 'accounts' | 'links' | 'providers' | 'mappings'>
  /** Mappings that exist without being declared. */
  readonly builtIn: ReadonlyMap<string, Mapping>
  /** The mapping's name where a provider of the protocol names none. */
  readonly defaultName: (protocol: string) => string | undefined
}

const mappingOf = async ({ records, builtIn, defaultName }: Ground, provider: IdentityProvider): Promise<Mapping> => {
  const name = provider.mapping ?? defaultName(provider.protocol) ?? ''
  const declared = (await records.mappings.all()).find((each) => each.name === name)
  const mapping = declared ?? builtIn.get(name)
  if (!mapping)
    throw new Fault('upstream.misconfigured', { provider: provider.id, reason: 'no such mapping', mapping: name })
  return mapping
}

const welcomeBack = async (
  { records }: Ground,
  provider: IdentityProvider,
  account: Account,
  draft: Draft,
): Promise<Provisioned> => {
  if (account.disabled) return refused('login.disabled')
  // Most logins change nothing: then nothing is written.
  if (provider.updateOnLogin && !isDeepStrictEqual(refreshed(account, draft), account))
    await records.accounts.update(account.id, (now) => refreshed(now, draft))
  return { outcome: 'known', accountId: account.id }
}

/** An address counts as verified here only while no provider without `trusted` may have written it. */
const mayLinkTo = async ({ records }: Ground, provider: IdentityProvider, account: Account): Promise<boolean> => {
  if (!account.email_verified || account.disabled) return false
  const own = await records.links.ofAccount(account.id)
  // Another user of the same provider is another person, whatever the address says.
  if (own.some((link) => link.provider === provider.id)) return false
  const sources = await Promise.all(own.map((link) => records.providers.get(link.provider)))
  return sources.every((source) => source?.trusted === true)
}

/** @returns the account that the identity belongs to now; undefined when none may be linked */
const linkByEmail = async (
  ground: Ground,
  provider: IdentityProvider,
  uid: string,
  draft: Draft,
): Promise<string | undefined> => {
  const { accounts, links } = ground.records
  if (!provider.trusted || !provider.linkByEmail || !draft.email || !draft.email_verified) return undefined
  const [candidate, ...others] = await accounts.byEmail(draft.email)
  if (!candidate || others.length > 0 || !(await mayLinkTo(ground, provider, candidate))) return undefined
  try {
    await links.link(provider.id, uid, candidate.id)
    return candidate.id
  } catch (error) {
    // A parallel login of the same person was first: theirs counts.
    if (!isFault(error, 'directory.conflict')) throw error
    return (await links.get(provider.id, uid))?.accountId
  }
}

const create = async (
  { records }: Ground,
  provider: IdentityProvider,
  uid: string,
  draft: Draft,
): Promise<Provisioned> => {
  const { accountId, created } = await records.links.claim(provider.id, uid, () => accountInputOf(draft))
  return { outcome: created ? 'created' : 'known', accountId }
}

const welcome = async (
  ground: Ground,
  provider: IdentityProvider,
  { identity: { uid }, email }: Newcomer,
  draft: Draft,
): Promise<Provisioned> => {
  if (provider.provisioning === 'none') return refused('provision.refused')
  const linked = await linkByEmail(ground, provider, uid, draft)
  if (linked !== undefined) return { outcome: 'linked', accountId: linked }
  if (provider.provisioning === 'linkOnly') return refused('provision.refused')
  if (draft.email || !provider.requestForEmail) return create(ground, provider, uid, draft)
  if (!email || !isEmail(email.address)) return { outcome: 'needs-email', draft }
  // What a newcomer types is a claim on somebody's address: one that is taken ends the login (CONTRACT 7).
  const holders = await ground.records.accounts.byEmail(email.address)
  if (holders.length > 0) return refused('provision.email-taken')
  return create(ground, provider, uid, { ...draft, email: email.address, email_verified: email.verified })
}

/** @param ground the records, the built-in mappings and which of them a protocol uses */
export const createProvisioning = (ground: Ground): Provisioning => ({
  async provision(newcomer) {
    const { provider: id, identity } = newcomer
    const { providers, links, accounts } = ground.records
    const provider = await providers.get(id)
    if (!provider) throw new Fault('upstream.misconfigured', { provider: id, reason: 'no such provider' })
    const draft = draftOf(provider, await mappingOf(ground, provider), identity)
    const link = await links.get(id, identity.uid)
    const account = link && (await accounts.get(link.accountId))
    if (newcomer.accountId !== undefined && account?.id !== newcomer.accountId) return refused('login.other-person')
    const outcome = account
      ? await welcomeBack(ground, provider, account, draft)
      : await welcome(ground, provider, newcomer, draft)
    return outcome.outcome === 'refused' ? outcome : { ...outcome, draft }
  },
})
