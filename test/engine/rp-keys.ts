/** A relying party's keys, of every kind that metadata may ask for, and what it does with them (jose). */
import { createHash } from 'node:crypto'
import {
  CompactEncrypt,
  type CryptoKey,
  compactDecrypt,
  decodeProtectedHeader,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JSONWebKeySet,
  type JWK,
  SignJWT,
} from 'jose'

const signing = ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519']
const encrypting = ['RSA-OAEP', 'RSA-OAEP-256', 'ECDH-ES']

export interface RpKeys {
  readonly jwks: JSONWebKeySet
  /** A JWT, signed with one of the keys, or with the secret where the algorithm is symmetric. */
  sign(alg: string, claims: Record<string, unknown>, secret?: string): Promise<string>
  /** What a JWE that was made for this relying party holds. */
  open(jwe: string, secret: string): Promise<{ text: string; alg: string; enc: string }>
}

/** OIDC Core 10.2: a hash of the secret, as long as the algorithm needs it. */
const fromSecret = (secret: string, bits: number): Uint8Array => {
  const hash = bits <= 256 ? 'sha256' : bits <= 384 ? 'sha384' : 'sha512'
  return createHash(hash)
    .update(secret)
    .digest()
    .subarray(0, bits / 8)
}

const symmetric = (alg: string, enc: string, secret: string): Uint8Array => {
  const bits =
    alg === 'dir' ? Number(/HS(\d+)/.exec(enc)?.[1] ?? /A(\d+)/.exec(enc)?.[1]) : Number(/\d+/.exec(alg)?.[0])
  return fromSecret(secret, bits)
}

export const createRpKeys = async (): Promise<RpKeys> => {
  const pairs = new Map<string, { privateKey: CryptoKey; publicKey: CryptoKey }>()
  const keys: JWK[] = []
  await Promise.all(
    [...signing, ...encrypting].map(async (alg) => {
      const pair = await generateKeyPair(alg, { extractable: true })
      pairs.set(alg, pair)
      const use = signing.includes(alg) ? 'sig' : 'enc'
      keys.push({ ...(await exportJWK(pair.publicKey)), alg, use, kid: `rp-${alg}` })
    }),
  )
  return {
    jwks: { keys },
    async sign(alg, claims, secret = '') {
      const key = pairs.get(alg)?.privateKey ?? Buffer.from(secret)
      const header = { alg, ...(pairs.has(alg) && { kid: `rp-${alg}` }) }
      return new SignJWT(claims).setProtectedHeader(header).setIssuedAt().setExpirationTime('2m').sign(key)
    },
    async open(jwe, secret) {
      const { alg = '', enc = '' } = decodeProtectedHeader(jwe) as { alg?: string; enc?: string }
      const key = pairs.get(alg)?.privateKey ?? symmetric(alg, enc, secret)
      const { plaintext } = await compactDecrypt(jwe, key)
      return { text: Buffer.from(plaintext).toString(), alg, enc }
    },
  }
}

/** Encrypts to the provider: with one of its published keys, or with the secret. */
export const encryptTo = async (
  jwks: JSONWebKeySet,
  text: string,
  { alg, enc, secret }: { alg: string; enc: string; secret: string },
): Promise<string> => {
  const jwk = jwks.keys.find((each) => each.alg === alg && each.use === 'enc')
  const key = jwk ? await importJWK(jwk, alg) : symmetric(alg, enc, secret)
  return new CompactEncrypt(Buffer.from(text))
    .setProtectedHeader({ alg, enc, cty: 'JWT', ...(jwk?.kid !== undefined && { kid: jwk.kid }) })
    .encrypt(key)
}
