/** The registry of local sign-in methods: one word a method (STYLE 1). */
import type { z } from 'zod'
import type { Accounts, Credentials } from '#directory/records.ts'
import type { Clock } from '#kernel/clock.ts'
import type { ArtifactStore } from '#kernel/ports.ts'
import { basic, openBasic } from './basic.ts'
import type { Method, MethodType } from './method.ts'
import { type OtpSettings, openOtp, otp } from './otp.ts'
import { hashPassword, type Passwords, verifyPassword } from './password.ts'

export interface MethodWorld {
  readonly accounts: Accounts
  readonly credentials: Credentials
  readonly store: ArtifactStore
  readonly clock: Clock
  readonly passwords?: Passwords
  /** HMAC key of recovery codes, 32 bytes that all nodes share. */
  readonly recoveryKey: Uint8Array
  /** How this provider is called in the apps of people, where the settings do not say. */
  readonly issuer: string
}

interface Registered extends MethodType {
  /** @param block the validated `methods.<id>` */
  open(world: MethodWorld & { passwords: Passwords }, block: never): Method
}

/** One word a method. */
const types: readonly Registered[] = [
  { ...basic, open: openBasic },
  {
    ...otp,
    open: (world, { issuer = world.issuer, ...block }: OtpSettings) => openOtp({ ...world, issuer }, block),
  },
]

/** Method id → schema of `methods.<id>`; the settings schema is made of these. */
export const methodSettings: Readonly<Record<string, z.ZodType>> = Object.fromEntries(
  types.map((type) => [type.id, type.settings]),
)

/**
 * The enabled methods by their ids.
 * @param settings `methods` of the validated settings: id → its block
 */
export const openMethods = (
  settings: Readonly<Record<string, { readonly enabled?: boolean } | undefined>>,
  world: MethodWorld,
): ReadonlyMap<string, Method> => {
  const passwords = world.passwords ?? { hashPassword, verifyPassword }
  return new Map(
    types.flatMap(({ id, open, settings: schema }): [string, Method][] => {
      // A block that is left out means what its schema says.
      const block = settings[id] ?? (schema.parse(undefined) as { readonly enabled?: boolean })
      return block.enabled === false ? [] : [[id, open({ ...world, passwords }, block as never)]]
    }),
  )
}
