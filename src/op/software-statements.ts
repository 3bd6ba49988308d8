/**
 * Software statements (RFC 7591 2.3): metadata that somebody vouches for. Only issuers that the configuration names are
 * believed, by the keys that it gives for each; what they say goes before what the client says itself.
 */
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  decodeJwt,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose'
import { errors } from 'oidc-provider'
import type { OpSettings } from './settings.ts'

type Claims = Record<string, unknown>
type Keys = JWTVerifyGetKey

/** Asymmetric ones only: who verifies must not be able to sign. */
const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA', 'Ed25519']
const TOLERANCE_SECONDS = 30
const LONGEST = 16_384

/** About the statement itself, not about the client (RFC 7519 4.1). */
const aboutItself = new Set(['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti'])

/** What cannot be stated: it belongs to the registration at hand. */
const unstated = new Set([
  'client_id',
  'client_id_issued_at',
  'client_secret',
  'client_secret_expires_at',
  'registration_access_token',
  'registration_client_uri',
  'software_statement',
])

export interface SoftwareStatement {
  readonly claims: Claims
  /** The registration metadata among them. */
  readonly metadata: Claims
}

/** The registration metadata among a statement's claims. */
export const statedMetadata = (claims: Claims): Claims =>
  Object.fromEntries(Object.entries(claims).filter(([name]) => !aboutItself.has(name) && !unstated.has(name)))

export type ReadStatement = (written: unknown) => Promise<SoftwareStatement | undefined>

const keysOf = (
  { jwks, jwksUri }: OpSettings['registration']['softwareStatements']['trusted'][number],
  fetch: typeof globalThis.fetch,
): Keys =>
  jwksUri === undefined
    ? createLocalJWKSet((jwks ?? { keys: [] }) as JSONWebKeySet)
    : createRemoteJWKSet(new URL(jwksUri), {
        // Anew, whatever may be kept: jose asks only when its own copy is old, or lacks the key of a rotation.
        [customFetch]: (url, options) => fetch(url, { ...options, cache: 'reload' } as RequestInit),
      })

const issuerOf = (statement: string): string | undefined => {
  try {
    const { iss } = decodeJwt(statement)
    return iss
  } catch {
    throw new errors.InvalidSoftwareStatement('the software statement is not a JWT')
  }
}

/**
 * @param fetch the guarded outbound client
 * @returns reads the member of a registration; undefined where there is none. Throws `invalid_software_statement`,
 * `unapproved_software_statement` (RFC 7591 3.2.2)
 */
export const createReadStatement = (
  { registration: { softwareStatements } }: Pick<OpSettings, 'registration'>,
  fetch: typeof globalThis.fetch,
): ReadStatement => {
  const trusted = new Map(softwareStatements.trusted.map((one) => [one.issuer, keysOf(one, fetch)]))
  return async (written) => {
    if (written === undefined) {
      if (softwareStatements.required)
        throw new errors.InvalidSoftwareStatement('a software statement is needed to register')
      return undefined
    }
    if (typeof written !== 'string' || written.length > LONGEST)
      throw new errors.InvalidSoftwareStatement(`the software statement is no text of at most ${LONGEST} characters`)
    const issuer = issuerOf(written)
    const keys = issuer === undefined ? undefined : trusted.get(issuer)
    if (issuer === undefined || !keys)
      throw new errors.UnapprovedSoftwareStatement('the issuer of the software statement is not trusted here')
    let claims: Claims
    try {
      const options = { issuer, algorithms: ALGORITHMS, clockTolerance: TOLERANCE_SECONDS }
      claims = (await jwtVerify(written, keys, options)).payload
    } catch (cause) {
      throw new errors.InvalidSoftwareStatement('the software statement could not be verified', { cause })
    }
    return { claims, metadata: statedMetadata(claims) }
  }
}
