/** Metadata and keys between logins, and signatures other than by published keys. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Fault } from '#kernel/faults.ts'
import { openHouse } from '#test/world/oidc-house.ts'

describe('keys and metadata', () => {
  test('both are fetched once for many logins, whatever Cache-Control says', async (t) => {
    const house = await openHouse({ upstream: { cacheControl: 'no-store' } })
    t.after(house.close)
    for (let round = 0; round < 3; round += 1) await house.login()
    assert.equal(house.upstream.count('discovery'), 1)
    assert.equal(house.upstream.count('jwks'), 1)
  })

  test('a new signing key is found at once, twice in a row', async (t) => {
    const house = await openHouse({ upstream: { cacheControl: 'public, max-age=86400' } })
    t.after(house.close)
    await house.login()
    for (const round of [2, 3]) {
      await house.upstream.rotate()
      assert.equal((await house.login()).uid, 'Alice.01')
      assert.equal(house.upstream.count('jwks'), round)
    }
  })

  test('a provider that is away at first is asked again; one that goes away later still serves logins', async (t) => {
    let now = Date.now()
    const house = await openHouse({ now: () => now })
    t.after(house.close)
    for (const tamper of ['discovery 503', 'discovery hangs'] as const)
      assert.equal((await house.refused(tamper)).code, 'upstream.unavailable')
    assert.equal((await house.login()).uid, 'Alice.01')
    now += 2 * 3_600_000
    const before = house.upstream.count('discovery')
    house.upstream.tamper = 'discovery 503'
    assert.ok(await house.depart(), 'the metadata of an hour ago still serves')
    assert.equal(house.upstream.count('discovery'), before + 1, 'and was asked for')
  })

  test('keys that cannot be had: a clear fault before the code is spent', async (t) => {
    const house = await openHouse()
    t.after(house.close)
    assert.equal((await house.refused('jwks 500')).code, 'upstream.unavailable')
    assert.equal((await house.refused('jwks not JSON')).code, 'upstream.invalid')
    assert.equal((await house.refused('jwks huge')).code, 'upstream.invalid')
    assert.equal(house.upstream.count('token'), 0)
    assert.equal((await house.login()).uid, 'Alice.01')
  })

  test('a discovery document of another issuer is a configuration to mend, and is not kept', async (t) => {
    const house = await openHouse()
    t.after(house.close)
    assert.equal((await house.refused('discovery issuer')).code, 'upstream.misconfigured')
    assert.equal((await house.refused('discovery not JSON')).code, 'upstream.misconfigured')
    assert.equal((await house.login()).uid, 'Alice.01')
  })

  test('stated metadata and keys need no discovery and no jwks_uri', async (t) => {
    const house = await openHouse({
      oidc: (upstream) => ({
        issuer: undefined,
        metadata: { ...upstream.discovery, jwks_uri: undefined },
        jwks: upstream.publicKeys,
      }),
    })
    t.after(house.close)
    assert.equal((await house.login()).uid, 'Alice.01')
    assert.equal(house.upstream.count('discovery') + house.upstream.count('jwks'), 0)
    assert.equal((await house.refused('unknown kid')).code, 'upstream.invalid')
    assert.equal((await house.refused('signature')).code, 'upstream.invalid')
  })

  test('a clock that was moved moves with it what is expired', async (t) => {
    let now = Date.now()
    const house = await openHouse({ now: () => now })
    t.after(house.close)
    assert.equal((await house.login()).uid, 'Alice.01')
    now += 3_600_000
    const error = await house.login().catch((caught: unknown) => caught)
    assert.ok(error instanceof Fault && error.code === 'upstream.invalid')
  })
})

describe('signatures by agreement', () => {
  const agreed = (alg: 'none' | 'HS256', registered = alg) =>
    openHouse({ upstream: { alg }, oidc: () => ({ id_token_signed_response_alg: registered }) })

  test('none: the signature is not looked at, everything else is', async (t) => {
    const house = await agreed('none')
    const signing = await openHouse({ oidc: () => ({ id_token_signed_response_alg: 'none' }) })
    t.after(() => Promise.all([house.close(), signing.close()]))
    assert.equal((await house.login()).uid, 'Alice.01')
    for (const lie of ['issuer', 'audience', 'nonce', 'expired'] as const)
      assert.equal((await house.refused(lie)).code, 'upstream.invalid', lie)
    signing.upstream.tamper = 'foreign key'
    assert.equal((await signing.login()).uid, 'Alice.01')
  })

  test('HS256 is verified with the client secret', async (t) => {
    const house = await agreed('HS256')
    t.after(house.close)
    assert.equal((await house.login()).uid, 'Alice.01')
    for (const lie of ['signature', 'alg none', 'alg HS256 with the public key'] as const)
      assert.equal((await house.refused(lie)).code, 'upstream.invalid', lie)
  })

  test('another algorithm than the registered one is refused', async (t) => {
    const house = await openHouse({ oidc: () => ({ id_token_signed_response_alg: 'PS256' }) })
    t.after(house.close)
    await assert.rejects(house.login(), { code: 'upstream.invalid' })
  })

  test('ES256 as announced', async (t) => {
    const house = await openHouse({ upstream: { alg: 'ES256' } })
    t.after(house.close)
    assert.equal((await house.login()).uid, 'Alice.01')
    assert.equal((await house.refused('signature')).code, 'upstream.invalid')
  })
})
