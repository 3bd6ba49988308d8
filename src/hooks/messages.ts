/** What the server and the hooks' thread say to each other, and what a handler may answer at each point. */
import { z } from 'zod'
import type { HookName } from '#kernel/hooks.ts'

/** Given to the thread when it starts. */
export interface ThreadData {
  /** Absolute paths, in the order in which their handlers run. */
  readonly files: readonly string[]
}

export type ToThread =
  | { readonly call: number; readonly point: HookName; readonly value: unknown; readonly given: unknown }
  | { readonly abort: number }
  | { readonly ping: true }

export type FromThread =
  | { readonly ready: readonly { readonly file: string; readonly points: readonly HookName[] }[] }
  | { readonly broken: string; readonly reason: string }
  | { readonly call: number; readonly value: unknown }
  | { readonly call: number; readonly refused: string }
  | { readonly call: number; readonly failed: string; readonly stack?: string | undefined }
  | { readonly line: string; readonly facts?: unknown; readonly during?: number | undefined }
  | { readonly pong: true }

const members = z.record(z.string(), z.json())

/** The closed list of points, with what an answer must be. */
export const answers: Readonly<Record<HookName, z.ZodType>> = {
  registration: members,
  dynamicScopes: members,
  spontaneousScopes: z.array(z.string()),
  claims: members,
  accessToken: members,
  introspection: members,
  consent: z.strictObject({ decision: z.enum(['ask', 'allow']) }),
  login: z.strictObject({}),
}

export const isPoint = (name: string): name is HookName => Object.hasOwn(answers, name)
