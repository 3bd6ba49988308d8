/** Checks of an ID token that the library leaves to us, and the identity that comes of it. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { Fault } from '#kernel/faults.ts'
import type { Identity } from '#kernel/identity.ts'

const invalid = (reason: string, member: string) => new Fault('upstream.invalid', { leg: 'id token', reason, member })

/** Seconds that a provider's clock may differ for `iat`; wider than the tolerance of expiry, since nothing is lost by it. */
const CLOCK_APART = 300

/** OIDC Core 10.1: the key of a symmetric signature is the client secret's UTF-8 bytes. Throws Fault `upstream.invalid`. */
export const checkSymmetric = (idToken: string, alg: string, secret: string): void => {
  const [header = '', payload = '', signature = ''] = idToken.split('.')
  const expected = createHmac(`sha${alg.slice(2)}`, secret)
    .update(`${header}.${payload}`)
    .digest()
  const given = Buffer.from(signature, 'base64url')
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw invalid('signature', 'signature')
}

/** What the request was, as far as the answer must match it. All in epoch seconds or seconds. */
export interface Asked {
  readonly departedAt: number
  readonly maxAge?: number
  readonly requireAuthTime: boolean
}

/**
 * OIDC Core 3.1.3.7: issue time (10), authentication time (13), and a usable `sub` (Core 2: at most 255 characters).
 * Issuer, audience, azp, expiry and nonce were checked by the library. Throws Fault `upstream.invalid`.
 */
export const checkTimes = (claims: Readonly<Record<string, unknown>>, asked: Asked, now: number): void => {
  const { sub, iat, auth_time: authTime } = claims
  if (typeof sub !== 'string' || sub === '' || sub.length > 255) throw invalid('unusable', 'sub')
  if (typeof iat !== 'number' || iat > now + CLOCK_APART) throw invalid('issued in the future', 'iat')
  if (iat < asked.departedAt - CLOCK_APART) throw invalid('issued before it was asked for', 'iat')
  if (asked.maxAge === undefined && !asked.requireAuthTime) return
  if (typeof authTime !== 'number') throw invalid('missing', 'auth_time')
  // Measured from the moment of asking: what the person did at the provider since then must not count as age.
  if (asked.maxAge !== undefined && authTime < asked.departedAt - asked.maxAge - CLOCK_APART / 10)
    throw invalid('authentication too old', 'auth_time')
}

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)
const texts = (value: unknown): string[] | undefined =>
  Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string') : undefined

/** CONTRACT 6: userinfo adds, the ID token wins. */
export const identityOf = (
  idClaims: Readonly<Record<string, unknown>>,
  userinfo: Readonly<Record<string, unknown>>,
  idToken: string,
): Identity => {
  const { sub, iss, sid, acr, amr, auth_time: authTime } = idClaims
  return {
    uid: sub as string,
    claims: { ...userinfo, ...idClaims },
    idToken,
    ...(text(iss) && { issuer: text(iss) }),
    ...(text(sid) && { sid: text(sid) }),
    ...(text(acr) && { acr: text(acr) }),
    ...(texts(amr) && { amr: texts(amr) }),
    ...(typeof authTime === 'number' && { authTime }),
  }
}
