/** Under which key a row lies, what its id says of its kind, and what this node remembers of an id. */
import type { AdapterPayload } from 'oidc-provider'
import type { Model } from '#kernel/ports.ts'
import { sha256Text } from '#kernel/random.ts'
import { createRecent } from '#kernel/recent.ts'
import type { Sealer } from '#kernel/seal.ts'

/** A row as it was sealed or opened last (rows.ts). */
export interface Opened {
  readonly sealer: Sealer
  readonly model: Model
  /** The row's key and sealed bytes, by `latin1Of`. */
  readonly key: string
  readonly body: string
  readonly json: string
  /** Made when it is asked for a second time: most tokens are redeemed once and never read again. */
  value?: AdapterPayload
  given?: boolean
}

/** A row that is going to be asked for (ahead.ts). */
export interface Read {
  readonly model: Model
  readonly by: 'key' | 'uid'
  /** As `text` of Known. */
  readonly value: string
}

/** What is remembered of an id: ids come in again and again, a token with each use, its grant and session with each token. */
export interface Known {
  /** SHA-256 of the id, one character a byte: a small Buffer that is kept keeps with it the 8 KiB that it was cut from. */
  readonly text: string
  opened: Opened | undefined
  /** What is read after it, for whom. */
  following: { readonly reads: readonly Read[]; readonly of: string | undefined } | undefined
}

/** Ids that are remembered at most, with at most some kilobytes each. */
const KNOWN = 8000
/** Characters of the longest id that is remembered: ours are shorter, and anybody may ask for one of any length. */
const LONGEST = 128
const ids = createRecent<string, Known>(KNOWN)

/** An id that need not be remembered. */
export const unremembered = (id: string): Known => ({ text: sha256Text(id), opened: undefined, following: undefined })

export const knownOf = (id: string): Known => {
  const known = ids.get(id)
  if (known !== undefined) return known
  const made = unremembered(id)
  if (id.length <= LONGEST) ids.set(id, made)
  return made
}

/** The key of a known id's row. */
export const keyOfKnown = ({ text }: Known): Buffer => Buffer.from(text, 'latin1')

/** SHA-256 of an id or of the name of an index: no id is stored as it is (DESIGN 3.4). */
export const keyOf = (id: string): Buffer => keyOfKnown(knownOf(id))

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
