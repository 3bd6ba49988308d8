/**
 * Where a store lives, as `stores` says it (CONTRACT 2), and which stores go together. An address may carry a password, so
 * that no more than its scheme is ever repeated. What stands behind the scheme is judged by the adapter that it names.
 */
import { z } from 'zod'

export type StoreKind = 'sqlite' | 'redis' | 'mongodb'

const SQLITE = /^sqlite:[^?#]+$/
const SCHEMES: Readonly<Record<Exclude<StoreKind, 'sqlite'>, RegExp>> = {
  redis: /^rediss?(?:\+(?:cluster|sentinel))?:\/\/./,
  mongodb: /^mongodb(?:\+srv)?:\/\/./,
}
const FORMS: Readonly<Record<StoreKind, readonly string[]>> = {
  sqlite: ['sqlite:PATH'],
  redis: ['redis://…', 'rediss://…', 'redis+cluster://…', 'redis+sentinel://…'],
  mongodb: ['mongodb://…', 'mongodb+srv://…'],
}

const kindOf = (text: string): StoreKind | undefined => {
  if (SQLITE.test(text)) return 'sqlite'
  return (['redis', 'mongodb'] as const).find((kind) => SCHEMES[kind].test(text))
}

/** What a checked address names. */
export const storeKind = (address: string): StoreKind => kindOf(address) ?? 'sqlite'

/** The file of a checked address of SQLite. */
export const storePath = (address: string): string => address.slice('sqlite:'.length)

const NOT_REDIS = 'which cannot hold the directory (no unique values across keys, no durable write of several keys)'

/** @param kinds what may hold this store */
export const storeAddress = (kinds: readonly StoreKind[], standard: string, help: string) => {
  const forms = kinds.flatMap((kind) => FORMS[kind])
  const allowed = `${forms.slice(0, -1).join(', ')} or ${forms.at(-1)}`
  return z
    .string()
    .superRefine((text, context) => {
      const kind = kindOf(text)
      if (kind !== undefined && kinds.includes(kind)) return
      const found = kind === 'redis' ? `found ${text.split(':', 1)[0]}:…, ${NOT_REDIS}` : 'found another address'
      context.addIssue({ code: 'custom', message: `${found}, must be ${allowed}` })
    })
    .prefault(standard)
    .meta({ help, allowed, secret: true })
}

/** What holds the artifacts → what may hold the directory beside it, and why no other. */
const together: Readonly<Record<StoreKind, { readonly directory: readonly StoreKind[]; readonly otherwise: string }>> =
  {
    sqlite: {
      directory: ['sqlite'],
      otherwise: 'sqlite:PATH beside artifacts in SQLite: other nodes could not see their sessions and tokens',
    },
    redis: { directory: ['sqlite', 'mongodb'], otherwise: 'sqlite:PATH or mongodb://' },
    mongodb: {
      directory: ['mongodb'],
      otherwise: 'mongodb:// beside artifacts in MongoDB: other nodes could not see a file of this host',
    },
  }

/** Why these two do not go together, as it goes on after "found …, must be"; undefined when they do. */
export const combinationMistake = (artifacts: StoreKind, directory: StoreKind): string | undefined =>
  together[artifacts].directory.includes(directory) ? undefined : together[artifacts].otherwise
