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
