/** What the server and the hooks' process say to each other. Read by both, so it loads nothing. */
import type { HookName } from '#kernel/hooks.ts'

export type ToChild =
  | { readonly call: number; readonly point: HookName; readonly value: unknown; readonly given: unknown }
  | { readonly abort: number }
  | { readonly ping: true }

/** Sent as the bytes of `v8.serialize`, so that the sender knows how long a message is. */
export type FromChild =
  | { readonly ready: readonly { readonly file: string; readonly points: readonly HookName[] }[] }
  | { readonly broken: string; readonly reason: string }
  | { readonly call: number; readonly value: unknown }
  | { readonly call: number; readonly refused: string }
  | { readonly call: number; readonly failed: string; readonly stack?: string | undefined }
  | { readonly line: string; readonly facts?: unknown; readonly during?: number | undefined }
  | { readonly dying: string }
  | { readonly pong: true }

/** The longest message of the hooks' process, in bytes. */
export const MOST_BYTES = 1_048_576

/** The descriptor whose other end the server holds: it closes when the server is gone, however that went. */
export const LIFELINE = 3

const points: Readonly<Record<HookName, true>> = {
  registration: true,
  dynamicScopes: true,
  spontaneousScopes: true,
  claims: true,
  accessToken: true,
  introspection: true,
  consent: true,
  login: true,
}

export const isPoint = (name: string): name is HookName => Object.hasOwn(points, name)
