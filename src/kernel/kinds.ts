/** The scalar kinds that settings and records are made of; their `meta` feeds documentation, forms and redaction. */
import { z } from 'zod'

declare module 'zod' {
  interface GlobalMeta {
    /** One sentence for the reference page and the form. */
    help?: string
    /** Never shown, logged or exported; may be written `{ file: PATH }` in the file. */
    secret?: boolean
    unit?: 'seconds' | 'milliseconds' | 'bytes'
    /** `live`: in force at once; `restart`: at the next start. */
    reload?: 'live' | 'restart'
    /** For dynamic registration: only administrators may set it. */
    adminOnly?: boolean
  }
}

/** Ids of records (CONTRACT 3). */
export const recordId = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    'must be 1 to 64 letters, digits, ".", "_" or "-", beginning with a letter or digit',
  )

export const secret = z.string().min(1).meta({ secret: true })

const PATTERN = /^P(?!$)(?:(\d+)W)?(?:(\d+)D)?(?:T(?!$)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?$/

/** Reads an ISO 8601 duration of weeks to seconds ("P90D", "PT1H30M") as seconds; undefined when it is not one. */
export const parseDuration = (text: string): number | undefined => {
  const match = PATTERN.exec(text)
  if (!match) return undefined
  const [weeks = 0, days = 0, hours = 0, minutes = 0, seconds = 0] = match.slice(1).map((part) => Number(part ?? 0))
  return (((weeks * 7 + days) * 24 + hours) * 60 + minutes) * 60 + seconds
}

/** An ISO 8601 duration, read as seconds. `.default()` takes the text: `duration.default('PT1H')` needs `prefault`. */
export const duration = z
  .string()
  .transform((text, context) => {
    const seconds = parseDuration(text)
    if (seconds === undefined) {
      context.addIssue({
        code: 'custom',
        message: 'must be an ISO 8601 duration such as PT5M, PT1H or P90D',
        input: text,
      })
      return z.NEVER
    }
    return seconds
  })
  .meta({ unit: 'seconds' })

/** An absolute http or https URL without credentials. */
export const webUrl = z.string().refine((text) => {
  if (!URL.canParse(text)) return false
  const url = new URL(text)
  return (url.protocol === 'https:' || url.protocol === 'http:') && !url.username && !url.password
}, 'must be an absolute http or https URL')

export const claimName = z.string().min(1).max(256)
