/**
 * The account draft that a provider's claims make: what the mapping names `username`, `email` and `email_verified` are
 * the account's own fields, everything else its claims. Pure. Roles, ids and passwords never come from outside.
 */
import type { Identity } from '#kernel/identity.ts'
import type { Account, AccountInput } from '#kernel/records/account.ts'
import type { IdentityProvider, Mapping } from '#kernel/records/provider.ts'
import { applyMapping } from './mapping.ts'

export interface Draft {
  readonly username: string
  readonly email?: string
  readonly email_verified: boolean
  readonly claims: Account['claims']
}

/** Claims that only this issuer may make (OIDC Core 2), and fields that decide over an account. */
const reserved: ReadonlySet<string> = new Set([
  'username',
  'email',
  'email_verified',
  'sub',
  'iss',
  'aud',
  'azp',
  'exp',
  'iat',
  'nbf',
  'jti',
  'nonce',
  'acr',
  'amr',
  'auth_time',
  'at_hash',
  'c_hash',
  's_hash',
  'sid',
  'idp',
  '__proto__',
])

/** Exactly one "@", no spaces, no control or routing characters: a@evil.com@corp.com is nobody's address (HAZARDS 2). */
const ADDRESS = /^[^\s@<>"(),:;\\[\]\p{C}]{1,64}@[^\s@<>"(),:;\\[\]\p{C}]{1,255}$/u

export const isEmail = (text: unknown): text is string =>
  typeof text === 'string' && text.length <= 320 && ADDRESS.test(text)

/** Characters; leaves room for a suffix below the record's 255. */
const LONGEST_NAME = 200

const nameOf = (wanted: unknown, provider: string, uid: string): string => {
  const text = typeof wanted === 'string' || typeof wanted === 'number' ? String(wanted) : ''
  const clean = text.normalize('NFC').replace(/\p{C}/gu, '').trim().slice(0, LONGEST_NAME)
  return clean === '' ? `${provider}-${uid.replace(/\p{C}|\s/gu, '')}`.slice(0, LONGEST_NAME) : clean
}

/** @param provider whose answer it is; @param mapping how its claims are named */
export const draftOf = (provider: IdentityProvider, mapping: Mapping, identity: Identity): Draft => {
  const mapped = applyMapping(mapping, identity.claims)
  const email = typeof mapped.email === 'string' ? mapped.email.trim() : undefined
  const verified = mapped.email_verified === true || mapped.email_verified === 'true'
  return {
    username: nameOf(mapped.username, provider.id, identity.uid),
    ...(isEmail(email) && { email }),
    email_verified: isEmail(email) && verified,
    claims: Object.fromEntries(Object.entries(mapped).filter(([name]) => !reserved.has(name))) as Account['claims'],
  }
}

export const accountInputOf = (draft: Draft): AccountInput => ({
  username: draft.username,
  ...(draft.email && { email: draft.email }),
  email_verified: draft.email_verified,
  claims: draft.claims,
  roles: [],
  disabled: false,
})

/** The account as `updateOnLogin` leaves it: what the provider sends replaces, what it is silent about stays. */
export const refreshed = (now: Account, draft: Draft): Account => ({
  ...now,
  ...(draft.email && { email: draft.email, email_verified: draft.email_verified }),
  claims: { ...now.claims, ...draft.claims },
})
