/** What may be used once is used once, however many ask at the same moment; whoever asks twice ends the grant (DESIGN 3.3). */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, test } from 'node:test'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import type { ArtifactStore } from '#kernel/ports.ts'
import { isActive, post, redeem, refresh, type Tokens, userinfo, Visitor } from './browser.ts'
import { client, openHouse, overriding, suiteHouse } from './house.ts'

const ROUNDS = 40
const AT_ONCE = 8

/** Counts who won in the store itself. */
const counting = (store: ArtifactStore, won: string[]): ArtifactStore =>
  overriding(store, {
    redeem: async (model, key, nonce, at) => {
      const outcome = await store.redeem(model, key, nonce, at)
      if (outcome === 'won') won.push(`${model}:${Buffer.from(key).toString('hex')}`)
      return outcome
    },
    putOnce: async (model, key, expiresAt) => {
      const first = await store.putOnce(model, key, expiresAt)
      if (first) won.push(`${model}:${Buffer.from(key).toString('hex')}`)
      return first
    },
  })

const succeeded = (answers: readonly Tokens[]) => answers.filter(({ status }) => status === 200)
const parallel = <T>(ask: () => Promise<T>) => Promise.all(Array.from({ length: AT_ONCE }, ask))

describe('redemption', () => {
  const won: string[] = []
  const keys = generateKeyPair('ES256', { extractable: true })
  const open = suiteHouse(async () => ({
    wrap: (store) => counting(store, won),
    resources: {
      clients: [
        client('web'),
        client('robot', {
          client_secret: undefined,
          token_endpoint_auth_method: 'private_key_jwt',
          jwks: { keys: [{ ...(await exportJWK((await keys).publicKey)), alg: 'ES256' }] },
          redirect_uris: [],
          response_types: [],
          grant_types: ['client_credentials'],
        }),
      ],
    },
  }))

  test(`of ${AT_ONCE} parallel redemptions of a code at most one succeeds, and the grant is dead afterwards`, async () => {
    const house = open()
    const visitor = new Visitor(house)
    for (let round = 0; round < ROUNDS; round++) {
      const code = await visitor.code('web')
      won.length = 0
      const answers = await parallel(() => redeem(house, 'web', code))
      assert.equal(won.length, 1, `winners in the store: ${won.join()}`)
      const good = succeeded(answers)
      assert.ok(good.length <= 1, `${good.length} successes outside`)
      for (const answer of answers)
        if (answer.status !== 200) assert.deepEqual([answer.status, answer.error], [400, 'invalid_grant'])
      for (const { access_token: token = '' } of good) assert.equal(await isActive(house, 'web', token), false)
    }
  })

  test(`of ${AT_ONCE} parallel uses of a refresh token at most one succeeds, and nothing of the grant survives`, async () => {
    const house = open()
    const visitor = new Visitor(house)
    for (let round = 0; round < ROUNDS; round++) {
      const code = await visitor.code('web', { scope: 'openid offline_access', prompt: 'consent' })
      const { refresh_token: token = '' } = await redeem(house, 'web', code)
      won.length = 0
      const answers = await parallel(() => refresh(house, 'web', token))
      assert.equal(won.length, 1)
      const good = succeeded(answers)
      assert.ok(good.length <= 1)
      for (const { access_token: access = '', refresh_token: next = '' } of good) {
        assert.equal((await userinfo(house, access)).status, 401)
        assert.equal((await refresh(house, 'web', next)).error, 'invalid_grant')
      }
    }
  })

  test(`of ${AT_ONCE} parallel uses of a client assertion exactly one is accepted`, async () => {
    const house = open()
    for (let round = 0; round < ROUNDS; round++) {
      const assertion = await new SignJWT({ jti: randomUUID() })
        .setProtectedHeader({ alg: 'ES256' })
        .setIssuer('robot')
        .setSubject('robot')
        .setAudience(house.issuer)
        .setIssuedAt()
        .setExpirationTime('1m')
        .sign((await keys).privateKey)
      won.length = 0
      const answers = await parallel(() =>
        post(house, '/token', {
          grant_type: 'client_credentials',
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: assertion,
        }),
      )
      assert.equal(won.length, 1)
      assert.equal(succeeded(answers).length, 1)
      for (const answer of answers)
        if (answer.status !== 200) assert.deepEqual([answer.status, answer.error], [401, 'invalid_client'])
    }
  })

  test('a code that is presented again later kills the tokens that it gave, and says so in the audit trail', async () => {
    const house = open()
    const visitor = new Visitor(house)
    const code = await visitor.code('web', { scope: 'openid offline_access', prompt: 'consent' })
    const tokens = await redeem(house, 'web', code)
    assert.equal((await userinfo(house, tokens.access_token ?? '')).status, 200)
    house.audits.length = 0
    assert.equal((await redeem(house, 'web', code)).error, 'invalid_grant')
    assert.equal((await userinfo(house, tokens.access_token ?? '')).status, 401)
    assert.equal((await refresh(house, 'web', tokens.refresh_token ?? '')).error, 'invalid_grant')
    assert.deepEqual(
      house.audits.map(({ type, client }) => [type, client]),
      [['token.replayed', 'web']],
    )
    const next = await redeem(house, 'web', await visitor.code('web'))
    assert.equal(next.status, 200, 'the person can go on with a fresh grant')
  })

  test('a used refresh token kills its successor', async () => {
    const house = open()
    const visitor = new Visitor(house)
    const code = await visitor.code('web', { scope: 'openid offline_access', prompt: 'consent' })
    const first = await redeem(house, 'web', code)
    const second = await refresh(house, 'web', first.refresh_token ?? '')
    assert.equal(second.status, 200)
    assert.notEqual(second.refresh_token, first.refresh_token)
    assert.equal((await refresh(house, 'web', first.refresh_token ?? '')).error, 'invalid_grant')
    assert.equal((await refresh(house, 'web', second.refresh_token ?? '')).error, 'invalid_grant')
    assert.equal((await userinfo(house, second.access_token ?? '')).status, 401)
  })

  test('revoking one access token ends that one; revoking the refresh token ends all', async () => {
    const house = open()
    const visitor = new Visitor(house)
    const code = await visitor.code('web', { scope: 'openid offline_access', prompt: 'consent' })
    const first = await redeem(house, 'web', code)
    const second = await refresh(house, 'web', first.refresh_token ?? '')
    assert.equal((await post(house, '/revoke', { token: first.access_token ?? '' }, 'web')).status, 200)
    assert.equal((await userinfo(house, first.access_token ?? '')).status, 401)
    assert.equal((await userinfo(house, second.access_token ?? '')).status, 200)
    assert.equal((await post(house, '/revoke', { token: second.refresh_token ?? '' }, 'web')).status, 200)
    assert.equal((await userinfo(house, second.access_token ?? '')).status, 401)
  })

  test('a pushed request gives one code', async () => {
    const house = open()
    const visitor = new Visitor(house)
    await visitor.code('web')
    const fields = { response_type: 'code', scope: 'openid', redirect_uri: 'https://rp.example/cb', client_id: 'web' }
    const pushed = await post(house, '/par', fields, 'web')
    assert.equal(pushed.status, 201)
    const ask = () =>
      visitor.go(`/authorize?${new URLSearchParams({ client_id: 'web', request_uri: String(pushed.request_uri) })}`)
    const answers = await Promise.all([ask(), ask(), ask()])
    assert.equal(answers.filter(({ url }) => url.searchParams.has('code')).length, 1)
  })
})

test('within refreshReuseGrace a repeated refresh gets the same answer again, one after the other and at once', async (t) => {
  const house = await openHouse(t, {
    settings: { refreshReuseGrace: 'PT30S' },
    resources: { clients: [client('web'), client('other')] },
  })
  const visitor = new Visitor(house)
  const fresh = async () => {
    const code = await visitor.code('web', { scope: 'openid offline_access', prompt: 'consent' })
    return (await redeem(house, 'web', code)).refresh_token ?? ''
  }
  const token = await fresh()
  const first = await refresh(house, 'web', token)
  assert.deepEqual(await refresh(house, 'web', token), first)
  assert.equal((await userinfo(house, first.access_token ?? '')).status, 200)

  const raced = await fresh()
  const answers = await parallel(() => refresh(house, 'web', raced))
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
  assert.equal(new Set(answers.map(({ access_token }) => access_token)).size, 1)
  assert.equal((await refresh(house, 'other', raced)).error, 'invalid_grant', 'another client gets nothing')
})
