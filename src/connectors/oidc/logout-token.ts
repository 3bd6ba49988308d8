/** A provider's logout token, verified as Back-Channel Logout 1.0, 2.6 says; `jose` checks signature, issuer, audience and times. */
import { createLocalJWKSet, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose'
import { type Clock, epochSeconds } from '#kernel/clock.ts'
import { Fault } from '#kernel/faults.ts'
import type { Ended } from '../connector.ts'
import { issuerOf, type OidcSettings, signingAlgorithms } from './settings.ts'
import { type Keys, type Standing, TOLERANCE } from './standing.ts'

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'
/** Seconds: how old a token may be that has no expiry. */
const OLDEST = 300
const LONGEST = 16_384

const invalid = (member: string, reason: string, cause?: unknown) =>
  new Fault('upstream.invalid', { leg: 'logout token', member, reason }, cause)

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)

/** Unsigned tokens are believed from nobody, whatever is said of ID tokens. */
const algorithmsOf = ({ id_token_signed_response_alg: alg }: OidcSettings): string[] =>
  alg && alg !== 'none' ? [alg] : signingAlgorithms.filter((each) => !each.startsWith('HS'))

const verify = async (token: string, settings: OidcSettings, standing: Standing, clock: Clock): Promise<JWTPayload> => {
  const options = {
    issuer: issuerOf(settings),
    audience: settings.client_id,
    algorithms: algorithmsOf(settings),
    clockTolerance: TOLERANCE,
    maxTokenAge: OLDEST,
    currentDate: new Date(clock.now()),
    requiredClaims: ['iat', 'jti', 'events'],
  }
  if (settings.id_token_signed_response_alg?.startsWith('HS'))
    return (await jwtVerify(token, Buffer.from(settings.client_secret ?? ''), options)).payload
  const verifyWith = async ({ keys }: Keys) =>
    (await jwtVerify(token, createLocalJWKSet({ keys } as unknown as JSONWebKeySet), options)).payload
  try {
    return await verifyWith(await standing.keys(false))
  } catch (error) {
    // The provider may have rotated (OIDC Core 10.1.1).
    if ((error as { code?: string }).code !== 'ERR_JWKS_NO_MATCHING_KEY') throw error
    return verifyWith(await standing.newerKeys())
  }
}

/** @returns whom the provider signed out. Throws Fault `upstream.*`. */
export const readLogoutToken = async (
  token: string,
  settings: OidcSettings,
  standing: Standing,
  clock: Clock,
): Promise<Ended> => {
  if (token.length > LONGEST) throw invalid('logout_token', 'too long')
  let payload: JWTPayload
  try {
    payload = await verify(token, settings, standing, clock)
  } catch (error) {
    if (error instanceof Fault) throw error
    throw invalid('logout_token', String((error as { code?: unknown }).code ?? 'unreadable'))
  }
  const { events, jti, sub, sid, nonce, iat = 0 } = payload
  const happened = (events as Record<string, unknown> | undefined)?.[EVENT]
  if (typeof happened !== 'object' || happened === null) throw invalid('events', 'no logout event')
  // An ID token must not pass for one.
  if (nonce !== undefined) throw invalid('nonce', 'present')
  if (iat > epochSeconds(clock) + TOLERANCE) throw invalid('iat', 'issued in the future')
  const [uid, session] = [text(sub), text(sid)]
  if (uid === undefined && session === undefined) throw invalid('sub', 'neither sub nor sid')
  if (!text(jti)) throw invalid('jti', 'missing')
  return { token: String(jti), ...(uid !== undefined && { uid }), ...(session !== undefined && { sid: session }) }
}
