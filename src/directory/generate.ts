/** Fresh keys, made on the thread pool so that the event loop stays free. */
import { generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { sha256 } from '#kernel/random.ts'

const generate = promisify(generateKeyPair)

const RSA_BITS = 2048

/** All there is to know of an algorithm here: how its key is made. A key serves one algorithm only (RFC 8725 3.1). */
const makers = {
  RS256: () => generate('rsa', { modulusLength: RSA_BITS }),
  PS256: () => generate('rsa', { modulusLength: RSA_BITS }),
  ES256: () => generate('ec', { namedCurve: 'P-256' }),
  EdDSA: () => generate('ed25519'),
  'RSA-OAEP-256': () => generate('rsa', { modulusLength: RSA_BITS }),
  'ECDH-ES': () => generate('ec', { namedCurve: 'P-256' }),
} as const satisfies Record<string, () => Promise<{ privateKey: KeyObject }>>

export type KeyAlgorithm = keyof typeof makers
export const keyAlgorithms = Object.keys(makers) as KeyAlgorithm[]

/** RFC 7638: the members that define the key, in the order of their names. */
const thumbprint = (jwk: Readonly<Record<string, unknown>>): string => {
  const members = ['crv', 'e', 'kty', 'n', 'x', 'y'].filter((name) => name in jwk).map((name) => [name, jwk[name]])
  return sha256(JSON.stringify(Object.fromEntries(members))).toString('base64url')
}

/** Those that others encrypt with, to us (RFC 7518 4); all others sign. */
const encrypting: ReadonlySet<string> = new Set(['RSA-OAEP-256', 'ECDH-ES'])

/** A private JWK with `kid` (its thumbprint), `alg` and `use`. */
export const generateKeyOf = async (
  alg: KeyAlgorithm,
): Promise<Record<string, unknown> & { kid: string; alg: string }> => {
  const { privateKey } = await makers[alg]()
  const jwk = privateKey.export({ format: 'jwk' }) as Record<string, unknown>
  return { ...jwk, kid: thumbprint(jwk), alg, use: encrypting.has(alg) ? 'enc' : 'sig' }
}
