/** Unguessable values and one-way names for them. */
import { createHmac, createSecretKey, hash, type KeyObject, randomFillSync, timingSafeEqual } from 'node:crypto'

/** Bytes asked of the operating system at once; a call for a few of them costs as much as enciphering a row. */
const POOL = 8192
const pool = Buffer.allocUnsafeSlow(POOL)
let used = POOL

/** Fresh random bytes in memory of their own, each handed out once. */
export const randomBytes = (count: number): Buffer => {
  if (count > POOL / 8) return randomFillSync(Buffer.allocUnsafeSlow(count))
  if (used + count > POOL) {
    randomFillSync(pool)
    used = 0
  }
  const bytes = Buffer.from(pool.subarray(used, used + count))
  pool.fill(0, used, used + count)
  used += count
  return bytes
}

/** A fresh base64url token; 32 bytes (256 bits) unless told. */
export const randomToken = (bytes = 32): string => randomBytes(bytes).toString('base64url')

/** An opaque record id, base64url, of 128 bits unless told; it begins with a letter or digit as every id does (CONTRACT 3). */
export const randomId = (bytes = 16): string => {
  for (;;) {
    const id = randomToken(bytes)
    if (id[0] !== '-' && id[0] !== '_') return id
  }
}

/** What a person reads aloud to support: 10 characters without look-alikes (about 50 bits). */
export const randomReference = (): string => {
  const alphabet = 'ABCDEFGHJKMNPQRSTVWXYZ23456789'
  let reference = ''
  for (const byte of randomBytes(10)) reference += alphabet[byte % alphabet.length]
  return reference
}

/** `sha256` as a string, one character a byte: to be kept and compared (bytes.ts). */
export const sha256Text = (value: string | Uint8Array): string => hash('sha256', value, 'binary')

/** SHA-256: enough to store ids that carry 128 bits or more of entropy. */
export const sha256 = (value: string | Uint8Array): Buffer =>
  // By way of a string, which is three times as fast as asking for the bytes.
  Buffer.from(sha256Text(value), 'latin1')

const keyObjects = new WeakMap<Uint8Array, KeyObject>()

/** Importing a key costs more than using it, so each is imported once. The bytes of a key never change. */
const keyObjectOf = (key: Uint8Array): KeyObject => {
  const known = keyObjects.get(key)
  if (known) return known
  const made = createSecretKey(key)
  keyObjects.set(key, made)
  return made
}

/** HMAC-SHA-256: for ids that could be guessed (user codes, mailed codes), and for deterministic ids. */
export const hmac = (key: Uint8Array, value: string | Uint8Array): Buffer =>
  createHmac('sha256', keyObjectOf(key)).update(value).digest()

/** Compares without telling by its duration where the two differ. */
export const sameSecret = (a: string, b: string): boolean => timingSafeEqual(sha256(a), sha256(b))
