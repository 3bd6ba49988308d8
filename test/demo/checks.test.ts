/** Signatures of every algorithm that Gatehouse signs with, HMAC besides, and the hashes of OIDC Core's own example. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { checkIdToken, checkUserinfo, type IdTokenExpectation } from '#demo/relying-party/checks.ts'
import { halfHash } from '#demo/relying-party/jwt.ts'

const now = 1_800_000_000
const metadata = { issuer: 'https://op.example' }
const claims = { iss: metadata.issuer, sub: 'alice', aud: 'rp', iat: now, exp: now + 60 }
const secret = 'a-client-secret-of-more-than-32-bytes'

const signed = async (alg: string, payload: Record<string, unknown> = claims) => {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  const token = await new SignJWT(payload).setProtectedHeader({ alg, kid: 'k' }).sign(privateKey)
  return { token, jwks: { keys: [{ ...(await exportJWK(publicKey)), kid: 'k' }] } }
}
const expectation = (alg: string, more: Partial<IdTokenExpectation> = {}): IdTokenExpectation => ({
  group: 'it',
  metadata,
  client: { client_id: 'rp', client_secret: secret, id_token_signed_response_alg: alg },
  now,
  ...more,
})
const failed = (checks: readonly { id: string; outcome: string }[]) =>
  checks.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)

describe('checks of an ID token', () => {
  for (const alg of ['RS256', 'PS256', 'ES256', 'EdDSA'])
    test(`${alg}: right, and refused where another algorithm is registered`, async () => {
      const { token, jwks } = await signed(alg)
      assert.deepEqual(failed(await checkIdToken(token, expectation(alg, { jwks }))), [])
      const other = alg === 'RS256' ? 'PS256' : 'RS256'
      assert.deepEqual(failed(await checkIdToken(token, expectation(other, { jwks }))), ['it-signature'])
      const foreign = (await signed(alg)).jwks
      assert.deepEqual(failed(await checkIdToken(token, expectation(alg, { jwks: foreign }))), ['it-signature'])
    })

  test('HS256 with the client secret, never with a public key', async () => {
    const token = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(secret))
    assert.deepEqual(failed(await checkIdToken(token, expectation('HS256'))), [])
    const { jwks } = await signed('RS256')
    assert.deepEqual(failed(await checkIdToken(token, expectation('RS256', { jwks }))), ['it-signature'])
  })

  const wrong: [string, Record<string, unknown>, string[]][] = [
    ['issued in the future', { iat: now + 60 }, ['it-iat']],
    ['expired', { exp: now - 60 }, ['it-exp']],
    ['without expiry', { exp: undefined }, ['it-claims', 'it-exp']],
    ['without subject', { sub: undefined }, ['it-claims']],
    ['for others too, without azp', { aud: ['rp', 'other'] }, ['it-azp']],
    ['for another authorized party', { azp: 'other' }, ['it-azp']],
    ['for another audience', { aud: ['other'] }, ['it-aud']],
  ]
  for (const [name, change, failing] of wrong)
    test(name, async () => {
      const { token, jwks } = await signed('ES256', { ...claims, ...change })
      assert.deepEqual(failed(await checkIdToken(token, expectation('ES256', { jwks }))).sort(), failing)
    })

  test('a list of audiences with the right azp', async () => {
    const { token, jwks } = await signed('ES256', { ...claims, aud: ['rp', 'other'], azp: 'rp' })
    assert.deepEqual(failed(await checkIdToken(token, expectation('ES256', { jwks }))), [])
  })

  test('the hashes of OIDC Core A.4 and A.6', () => {
    assert.equal(
      halfHash('Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk', 'RS256'),
      'LDktKdoQak3Pk0cnXxCltA',
    )
    assert.equal(halfHash('jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y', 'RS256'), '77QmUPtjPfzWtF2AnpK9RQ')
  })
})

test('signed userinfo for another client or from another issuer', async () => {
  const client = { client_id: 'rp', userinfo_signed_response_alg: 'ES256' }
  for (const [change, failing] of [
    [{}, []],
    [{ aud: 'other' }, ['u-aud']],
    [{ iss: 'https://evil.example' }, ['u-iss']],
    [{ sub: 'mallory' }, ['u-sub']],
  ] as const) {
    const { token, jwks } = await signed('ES256', { ...claims, ...change })
    const { checks } = await checkUserinfo(token, true, { group: 'u', metadata, client, now, jwks, subject: 'alice' })
    assert.deepEqual(failed(checks), failing)
  }
})
