/** A person as the directory knows them (CONTRACT 3 and 7). E-mail is not unique; usernames are. */
import { z } from 'zod'
import { recordId } from '../kinds.ts'

/** Standard claims of OIDC Core 5.1 and any other; `address` is an object (5.1.1). */
export const claims = z.record(z.string(), z.json())

export const accountRecord = z.strictObject({
  /** Opaque, never an e-mail; the default `sub`. */
  id: z.string().min(1).max(255),
  username: z.string().min(1).max(255),
  email: z.string().max(320).optional(),
  email_verified: z.boolean().default(false),
  /** PHC string, argon2id. */
  passwordHash: z.string().meta({ secret: true }).optional(),
  claims: claims.default({}),
  roles: z.array(z.string()).default([]),
  disabled: z.boolean().default(false),
  /** Epoch ms. */
  createdAt: z.number().optional(),
  updatedAt: z.number().optional(),
})
export type Account = z.output<typeof accountRecord>

/** An account as a file or a request writes it: password in clear, id optional. */
export const accountInput = accountRecord
  .omit({ createdAt: true, updatedAt: true })
  .extend({ id: recordId.optional(), password: z.string().min(1).max(1024).meta({ secret: true }).optional() })
export type AccountInput = z.output<typeof accountInput>

/** An external identity and the account it belongs to. The record's id is `passport-<provider>:<uid>`, the uid exactly as given. */
export const linkRecord = z.strictObject({
  id: z.string(),
  provider: z.string(),
  uid: z.string(),
  accountId: z.string(),
  createdAt: z.number(),
  lastLoginAt: z.number().optional(),
})
export type Link = z.output<typeof linkRecord>

/** What a person allowed a client; outlives the session (CONTRACT 3 persist_authorizations). Id: accountId|clientId. */
export const consentRecord = z.strictObject({
  id: z.string(),
  accountId: z.string(),
  clientId: z.string(),
  scopes: z.array(z.string()),
  claims: z.array(z.string()),
  rejectedScopes: z.array(z.string()),
  resources: z.record(z.string(), z.array(z.string())).default({}),
  /** Moves on revocation, so that deterministic grant ids differ after it. */
  epoch: z.number().default(0),
  updatedAt: z.number(),
})
export type Consent = z.output<typeof consentRecord>
