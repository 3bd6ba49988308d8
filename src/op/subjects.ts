/** Pairwise subject identifiers (OIDC Core 8.1), by the formula of CONTRACT 2: reproducible, never stored. */
import { hmac } from '#kernel/random.ts'

const CACHED = 10_000

/** @param key HMAC key; @param salt text appended to sector and account; both must never change */
export const createPairwise = (key: Uint8Array, salt: string): ((sector: string, accountId: string) => string) => {
  const cache = new Map<string, string>()
  return (sector, accountId) => {
    const input = sector + accountId + salt
    const known = cache.get(input)
    if (known !== undefined) return known
    const subject = hmac(key, input).toString('base64url')
    if (cache.size >= CACHED) cache.clear()
    cache.set(input, subject)
    return subject
  }
}
