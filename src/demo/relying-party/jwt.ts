/** Reads and verifies the compact JWS of ID tokens, signed responses and signed userinfo. Decoding proves nothing. */

import { createHash } from 'node:crypto'
import { type CompactVerifyResult, compactVerify, createLocalJWKSet, type JSONWebKeySet } from 'jose'

export interface Decoded {
  readonly raw: string
  /** Header, payload and signature as they stand in the token. */
  readonly parts: readonly [string, string, string]
  readonly header: Readonly<Record<string, unknown>>
  readonly payload: Readonly<Record<string, unknown>>
}

const asJson = (part: string): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** The content of a token without any proof; undefined when it is not a JWS in compact form. */
export const decode = (raw: string): Decoded | undefined => {
  const parts = raw.split('.')
  const [head, body, signature] = parts
  if (parts.length !== 3 || head === undefined || body === undefined || signature === undefined) return undefined
  const header = asJson(head)
  const payload = asJson(body)
  return header && payload && { raw, parts: [head, body, signature], header, payload }
}

/** How a signature was judged; `reason` for a person. */
export interface Verdict {
  readonly ok: boolean
  readonly reason: string
}

/**
 * Verifies the signature alone.
 * @param alg the algorithm that this client is registered for; any other is refused, whatever the header says
 * @param given the provider's keys, or the client secret for HMAC algorithms (OIDC Core 10.1)
 */
export const verifySignature = async (
  token: Decoded,
  alg: string,
  given: { jwks?: JSONWebKeySet; secret?: string },
): Promise<Verdict> => {
  if (token.header.alg !== alg) return { ok: false, reason: `signed with ${String(token.header.alg)}, expected ${alg}` }
  if (alg === 'none')
    return token.parts[2] === '' ? { ok: true, reason: 'unsigned, as registered' } : { ok: false, reason: 'not empty' }
  try {
    let done: CompactVerifyResult
    if (alg.startsWith('HS')) {
      if (!given.secret) return { ok: false, reason: 'this client has no secret to verify with' }
      done = await compactVerify(token.raw, Buffer.from(given.secret), { algorithms: [alg] })
    } else {
      if (!given.jwks) return { ok: false, reason: 'the keys of the provider could not be read' }
      done = await compactVerify(token.raw, createLocalJWKSet(given.jwks), { algorithms: [alg] })
    }
    return { ok: true, reason: `${alg}, ${done.protectedHeader.kid ? `key ${done.protectedHeader.kid}` : 'no key id'}` }
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error) }
  }
}

/** OIDC Core 3.1.3.6, 3.3.2.11: the left half of the hash that belongs to the ID token's algorithm. */
export const halfHash = (value: string, alg: string): string => {
  const bits = /(256|384|512)$/.exec(alg)?.[1] ?? (alg === 'EdDSA' || alg.startsWith('Ed') ? '512' : '256')
  const hash = createHash(`sha${bits}`).update(value, 'ascii').digest()
  return hash.subarray(0, hash.length / 2).toString('base64url')
}
