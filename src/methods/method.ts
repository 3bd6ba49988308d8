/** A local way of signing in, one file each: a page with a plain form, and a check of what the form sent. */
import type { z } from 'zod'
import type { FaultCode } from '#kernel/faults.ts'
import type { Account } from '#kernel/records/account.ts'

export type Attempt =
  | {
      readonly ok: true
      readonly accountId: string
      readonly amr: readonly string[]
      /** The person came in by a recovery code: they may have lost what the method asks for. */
      readonly recovered?: true
    }
  | { readonly ok: false; readonly code: FaultCode; readonly retryAfter?: number }

/** What a person needs to set a method up, shown to them alone. */
export interface Setup {
  readonly secret: string
  /** An address that the person's device understands, and its picture. */
  readonly uri: string
  readonly picture: string
}

export type Enrolled =
  | { readonly ok: true; readonly amr: readonly string[]; readonly recoveryCodes: readonly string[] }
  | { readonly ok: false; readonly code: FaultCode; readonly retryAfter?: number }

/** Setting up a method in the middle of a sign-in. */
export interface Enrolment {
  /** Whether people may do so by themselves. */
  readonly open: boolean
  has(accountId: string): Promise<boolean>
  /** @param secret the one that was shown before, when the page is shown again */
  begin(account: Account, secret?: string): Promise<Setup>
  /** Keeps the secret once a code proves that the person has it. With `anew` in place of an earlier one, else only where there is none. */
  confirm(
    given: { accountId: string; secret: string; code: string; address: string },
    options?: { anew?: boolean },
  ): Promise<Enrolled>
}

export interface Method {
  /** As acr_values name it (CONTRACT 5). */
  readonly id: string
  /** The page of views/ that asks for it. */
  readonly page: 'login' | 'otp'
  /** It answers for somebody who is known already; by itself it is enough only where an `acrs` record says so. */
  readonly secondary?: true
  /** Methods that a person has to set up first. */
  readonly enrolment?: Enrolment
  /** @param fields the posted form; @param given who is being asked (in a later step) and the client's address for attempt limits */
  attempt(fields: Readonly<Record<string, string>>, given: { accountId?: string; address: string }): Promise<Attempt>
}

export interface MethodType<S extends z.ZodType = z.ZodType> {
  readonly id: string
  readonly settings: S
}

/** Ids of the secondary ones. */
export const secondaryOf = (methods: ReadonlyMap<string, Pick<Method, 'secondary'>>): ReadonlySet<string> =>
  new Set([...methods].filter(([, { secondary }]) => secondary).map(([id]) => id))
