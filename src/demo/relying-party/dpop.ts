/** Proofs of possession (RFC 9449): one key for as long as the test relying party runs, nonces as the provider gives them. */
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { randomToken, sha256 } from '#kernel/random.ts'

const ALG = 'ES256'
let keys: ReturnType<typeof generateKeyPair> | undefined
const nonces = new Map<string, string>()

/** The nonce to use with a server from now on (RFC 9449 8.2). */
export const rememberNonce = (url: string, nonce: string): void => void nonces.set(new URL(url).origin, nonce)

/** @param token the access token that is presented, if one is (RFC 9449 4.2, `ath`) */
export const dpopProof = async (method: string, url: string, token?: string): Promise<string> => {
  keys ??= generateKeyPair(ALG, { extractable: true })
  const { privateKey, publicKey } = await keys
  const nonce = nonces.get(new URL(url).origin)
  const claims = {
    jti: randomToken(16),
    htm: method,
    htu: url.split(/[?#]/, 1)[0],
    ...(nonce !== undefined && { nonce }),
    ...(token !== undefined && { ath: sha256(token).toString('base64url') }),
  }
  return new SignJWT(claims)
    .setProtectedHeader({ alg: ALG, typ: 'dpop+jwt', jwk: await exportJWK(publicKey) })
    .setIssuedAt()
    .sign(privateKey)
}
