/** The limit on requests per client address (CONTRACT 2), however it is written. */
import { z } from 'zod'

const DAY_MS = 86_400_000
const MOST_WINDOW_MS = 366 * DAY_MS
const MOST_REQUESTS = 1_000_000_000

const windowMs = z
  .number()
  .int()
  .min(1)
  .max(MOST_WINDOW_MS)
  .meta({ unit: 'milliseconds', help: 'The time within which requests are counted, ms.' })
const most = z
  .number()
  .int()
  .min(1)
  .max(MOST_REQUESTS)
  .meta({ help: 'Requests that one network may send within that time.' })

const MOST_BY_DEFAULT = 1000

export const rateLimit = z
  .union([
    z.literal(false),
    z.strictObject({ windowMs: windowMs.default(DAY_MS), max: most.default(MOST_BY_DEFAULT) }),
    z.strictObject({
      rateLimitWindowMs: windowMs.default(DAY_MS),
      rateLimitMaxRequestAllow: most.default(MOST_BY_DEFAULT),
    }),
  ])
  .optional()
  .meta({
    help: 'Requests of one network (an IPv4 address, an IPv6 /64) beyond this are answered 429. False, and when absent: not limited.',
  })

/** Synonyms at the top, as other servers' files have them. */
export const rateLimitWindowMs = windowMs.optional().meta({
  unit: 'milliseconds',
  help: 'Means `rateLimit.windowMs`.',
})
export const rateLimitMaxRequestAllow = most.optional().meta({ help: 'Means `rateLimit.max`.' })

interface Written {
  readonly rateLimit?: z.output<typeof rateLimit>
  readonly rateLimitWindowMs?: number | undefined
  readonly rateLimitMaxRequestAllow?: number | undefined
}

export interface RateLimit {
  readonly windowMs: number
  /** Requests within the window. */
  readonly max: number
}

/** The limit that the settings ask for; undefined: none. */
export const rateLimitOf = (settings: Written): RateLimit | undefined => {
  const { rateLimit: written } = settings
  if (written === false) return undefined
  if (written !== undefined && 'max' in written) return written
  const { rateLimitWindowMs: time, rateLimitMaxRequestAllow: max } = written ?? settings
  if (time === undefined && max === undefined) return undefined
  return { windowMs: time ?? DAY_MS, max: max ?? MOST_BY_DEFAULT }
}

const synonyms = ['rateLimitWindowMs', 'rateLimitMaxRequestAllow'] as const

/** Two limits written in one file: nobody could tell which counts. `false` turns a limit off however it is written. */
export const checkRateLimit = (settings: Written, report: (path: string, message: string) => void): void => {
  if (!settings.rateLimit) return
  for (const name of synonyms)
    if (settings[name] !== undefined) report(name, 'found beside rateLimit, must be written in one place only')
}
