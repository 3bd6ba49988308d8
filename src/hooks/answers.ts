/** The closed list of points, with what a handler may answer at each. */
import { z } from 'zod'
import type { HookName } from '#kernel/hooks.ts'

const members = z.record(z.string(), z.json())

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
