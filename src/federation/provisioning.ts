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
  | { readonly outcome: 'known' | 'created' | 'linked'; readonly accountId: string }
  /** Ask the newcomer once, then call again with `email`. */
  | { readonly outcome: 'needs-email'; readonly draft: Draft }
  | { readonly outcome: 'refused'; readonly code: FaultCode }

export interface Newcomer {
  readonly provider: string
  readonly identity: Identity
  /** What the person answered to `needs-email`. */
  readonly email?: { readonly address: string; readonly verified: boolean }
}

export interface Provisioning {
  /** Any number of calls for one identity, in parallel too, end in one account. Throws Fault `upstream.misconfigured` when the provider or its mapping is gone. */
  provision(newcomer: Newcomer): Promise<Provisioned>
}

const refused = (code: FaultCode): Provisioned => ({ outcome: 'refused', code })

/** @param builtIn mappings that exist without being declared; @param defaultName mapping's name of a protocol */
export const createProvisioning = (given: {
  records: Pick<Records, 'accounts' | 'links' | 'providers' | 'mappings'>
  builtIn: ReadonlyMap<string, Mapping>
  defaultName: (protocol: string) => string | undefined
}): Provisioning => {
  const { accounts, links, providers, mappings } = given.records

  const mappingOf = async (provider: IdentityProvider): Promise<Mapping> => {
    const name = provider.mapping ?? given.defaultName(provider.protocol) ?? ''
    const declared = (await mappings.all()).find((each) => each.name === name)
    const mapping = declared ?? given.builtIn.get(name)
    if (!mapping)
      throw new Fault('upstream.misconfigured', { provider: provider.id, reason: 'no such mapping', mapping: name })
    return mapping
  }

  const welcomeBack = async (account: Account, provider: IdentityProvider, draft: Draft): Promise<Provisioned> => {
    if (account.disabled) return refused('login.disabled')
    // Most logins change nothing: then nothing is written.
    if (provider.updateOnLogin && !isDeepStrictEqual(refreshed(account, draft), account))
      await accounts.update(account.id, (now) => refreshed(now, draft))
    return { outcome: 'known', accountId: account.id }
  }

  /** An address counts as verified here only while no provider without `trusted` may have written it. */
  const mayLinkTo = async (account: Account, provider: IdentityProvider): Promise<boolean> => {
    if (!account.email_verified || account.disabled) return false
    const own = await links.ofAccount(account.id)
    // Another user of the same provider is another person, whatever the address says.
    if (own.some((link) => link.provider === provider.id)) return false
    const sources = await Promise.all(own.map((link) => providers.get(link.provider)))
    return sources.every((source) => source?.trusted === true)
  }

  const linkByEmail = async (provider: IdentityProvider, uid: string, draft: Draft): Promise<string | undefined> => {
    if (!provider.trusted || !provider.linkByEmail || !draft.email || !draft.email_verified) return undefined
    const [candidate, ...others] = await accounts.byEmail(draft.email)
    if (!candidate || others.length > 0 || !(await mayLinkTo(candidate, provider))) return undefined
    try {
      await links.link(provider.id, uid, candidate.id)
      return candidate.id
    } catch (error) {
      // A parallel login of the same person was first: theirs counts.
      if (!isFault(error, 'directory.conflict')) throw error
      return (await links.get(provider.id, uid))?.accountId
    }
  }

  const create = async (provider: IdentityProvider, uid: string, draft: Draft): Promise<Provisioned> => {
    const { accountId, created } = await links.claim(provider.id, uid, () => accountInputOf(draft))
    return { outcome: created ? 'created' : 'known', accountId }
  }

  const welcome = async (
    provider: IdentityProvider,
    { identity, email }: Newcomer,
    draft: Draft,
  ): Promise<Provisioned> => {
    if (provider.provisioning === 'none') return refused('provision.refused')
    const linked = await linkByEmail(provider, identity.uid, draft)
    if (linked !== undefined) return { outcome: 'linked', accountId: linked }
    if (provider.provisioning === 'linkOnly') return refused('provision.refused')
    if (draft.email || !provider.requestForEmail) return create(provider, identity.uid, draft)
    if (!email || !isEmail(email.address)) return { outcome: 'needs-email', draft }
    // What a newcomer types is a claim on somebody's address: one that is taken ends the login (CONTRACT 7).
    if ((await accounts.byEmail(email.address)).length > 0) return refused('provision.email-taken')
    return create(provider, identity.uid, { ...draft, email: email.address, email_verified: email.verified })
  }

  return {
    async provision(newcomer) {
      const { provider: id, identity } = newcomer
      const provider = await providers.get(id)
      if (!provider) throw new Fault('upstream.misconfigured', { provider: id, reason: 'no such provider' })
      const draft = draftOf(provider, await mappingOf(provider), identity)
      const link = await links.get(id, identity.uid)
      const account = link && (await accounts.get(link.accountId))
      if (account) return welcomeBack(account, provider, draft)
      return welcome(provider, newcomer, draft)
    },
  }
}
