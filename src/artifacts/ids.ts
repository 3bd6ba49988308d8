/** Under which key a row lies, and what its id says of its kind. */
import { sha256Text } from '#kernel/random.ts'
import { createRecent } from '#kernel/recent.ts'

/** Ids come in again and again: a token with each use, its grant and session with each token. */
const KEYS = 4000
/** As strings: a small Buffer that is kept keeps with it the 8 KiB that it was cut from. */
const keys = createRecent<string, string>(KEYS)

/** `keyOf` in a form that may be kept: one character a byte. */
export const keyTextOf = (id: string): string => {
  const known = keys.get(id)
  if (known !== undefined) return known
  const key = sha256Text(id)
  keys.set(id, key)
  return key
}

/** SHA-256 of an id or of the name of an index: no id is stored as it is (DESIGN 3.4). */
export const keyOf = (id: string): Buffer => Buffer.from(keyTextOf(id), 'latin1')

/**
 * Opaque token values differ in length by kind, so that a look-up of an unknown value (introspection, revocation) asks
 * the store for one kind instead of three. All carry at least 256 bits.
 */
const lengths: Readonly<Record<string, number>> = { AccessToken: 43, ClientCredentials: 44, RefreshToken: 45 }

const BITS_PER_CHARACTER = 6

/** For oidc-provider's `formats.bitsOfOpaqueRandomness`. */
export const bitsOfRandomness = (kind: string): number => (lengths[kind] ?? 43) * BITS_PER_CHARACTER

/** Whether a value can be of the kind at all. */
export const mayBe = (kind: string, value: string): boolean => (lengths[kind] ?? value.length) === value.length
