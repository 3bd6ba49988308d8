/** A local way of signing in, one file each: a page with a plain form, and a check of what the form sent. */
import type { z } from 'zod'
import type { FaultCode } from '#kernel/faults.ts'

export type Attempt =
  | { readonly ok: true; readonly accountId: string; readonly amr: readonly string[] }
  | { readonly ok: false; readonly code: FaultCode; readonly retryAfter?: number }

export interface Method {
  /** As acr_values name it (CONTRACT 5). */
  readonly id: string
  /** The page of views/ that asks for it. */
  readonly page: 'login'
  /** @param fields the posted form; @param given who is being asked (in a later step) and the client's address for attempt limits */
  attempt(fields: Readonly<Record<string, string>>, given: { accountId?: string; address: string }): Promise<Attempt>
}

export interface MethodType<S extends z.ZodType = z.ZodType> {
  readonly id: string
  readonly settings: S
}
