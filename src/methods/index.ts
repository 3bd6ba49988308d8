/** The registry of local sign-in methods: one word a method (STYLE 1). */
import type { z } from 'zod'
import type { Accounts } from '#directory/records.ts'
import type { Clock } from '#kernel/clock.ts'
import type { ArtifactStore } from '#kernel/ports.ts'
import { basic, openBasic } from './basic.ts'
import type { Method } from './method.ts'
import { hashPassword, type Passwords, verifyPassword } from './password.ts'

/** One word a method. */
const types = [{ ...basic, open: openBasic }] as const

/** Method id → schema of `methods.<id>`; the settings schema is made of these. */
export const methodSettings: Readonly<Record<string, z.ZodType>> = Object.fromEntries(
  types.map((type) => [type.id, type.settings]),
)

export interface MethodWorld {
  readonly accounts: Accounts
  readonly store: ArtifactStore
  readonly clock: Clock
  readonly passwords?: Passwords
}

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
    types
      .filter(({ id }) => settings[id]?.enabled !== false)
      .map(({ id, open }): [string, Method] => [id, open({ ...world, passwords })]),
  )
}
