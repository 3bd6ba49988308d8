/** The pure parts of the artifacts room, and what reaches a store. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { createBox } from '#artifacts/box.ts'
import { sanitise, type Vocabulary } from '#artifacts/client-rows.ts'
import { mergeGrant, mergeSession, onlyExpiryMoved } from '#artifacts/merge.ts'
import { systemClock } from '#kernel/clock.ts'
import type { ArtifactRow } from '#kernel/ports.ts'
import { createSealer } from '#kernel/seal.ts'
import { redeem, Visitor } from './browser.ts'
import { client, openHouse } from './house.ts'

const base = {
  uid: 'u',
  accountId: 'alice',
  loginTs: 1,
  exp: 100,
  authorizations: { a: { sid: '1' }, b: { sid: '2' } },
}

describe('mergeSession', () => {
  test('each side keeps what it changed', () => {
    const ours = { ...base, exp: 120, authorizations: { ...base.authorizations, c: { sid: '3' } } }
    const theirs = { ...base, acr: 'strong', authorizations: { ...base.authorizations, d: { sid: '4' } } }
    assert.deepEqual(mergeSession(base, ours, theirs), {
      ...base,
      exp: 120,
      acr: 'strong',
      authorizations: { a: { sid: '1' }, b: { sid: '2' }, c: { sid: '3' }, d: { sid: '4' } },
    })
  })
  test('what either took away stays away', () => {
    const ours = { ...base, authorizations: { b: { sid: '2' } } }
    const theirs = { ...base, authorizations: { a: { sid: '1' } } }
    assert.deepEqual(mergeSession(base, ours, theirs)?.authorizations, {})
  })
  test('a session that became another person’s is left alone, unless we signed someone in', () => {
    const theirs = { ...base, accountId: 'bob', authorizations: {} }
    assert.equal(mergeSession(base, { ...base, exp: 120 }, theirs), undefined)
    const ours = { ...base, accountId: 'carol', authorizations: {} }
    assert.deepEqual(mergeSession(base, ours, theirs), ours)
  })
})

test('mergeGrant unites what was allowed; the newer word on a rejected scope counts', () => {
  const ours = { accountId: 'a', openid: { scope: 'openid email', claims: ['x'] } }
  const theirs = {
    accountId: 'a',
    openid: { scope: 'openid phone', claims: ['y'] },
    rejected: { openid: { scope: 'email phone' } },
  }
  assert.deepEqual(mergeGrant(ours as never, theirs as never), {
    accountId: 'a',
    openid: { scope: 'openid email phone', claims: ['x', 'y'] },
    rejected: { openid: { scope: 'phone' } },
  })
})

test('onlyExpiryMoved looks at everything but the expiry', () => {
  assert.equal(onlyExpiryMoved(base, { ...base, exp: 399 }, 300), true)
  assert.equal(onlyExpiryMoved(base, { ...base, exp: 400 }, 300), false)
  assert.equal(onlyExpiryMoved(base, { ...base, authorizations: { a: { sid: '1' } } }, 300), false)
})

test('sanitise drops what the configuration does not know and reports it', () => {
  const known: Vocabulary = {
    scopes: new Set(['openid', 'email']),
    acrs: new Set(['acme']),
    responseTypes: new Set(['code', 'code id_token']),
    grantTypes: new Set(['authorization_code']),
    subjectTypes: new Set(['public']),
    signingAlgs: new Set(['ES256']),
    clientAlgs: new Set(['ES256', 'HS256']),
    encryptionAlgs: new Set(['ECDH-ES']),
    encryptionEncs: new Set(['A128GCM']),
    responseModes: new Set(['query']),
    authMethods: new Set(['client_secret_basic']),
  }
  const { metadata, dropped } = sanitise(
    {
      client_id: 'web',
      scope: 'openid gone',
      default_acr_values: ['gone'],
      response_types: ['id_token code', 'token'],
      id_token_signed_response_alg: 'RS256',
      userinfo_signed_response_alg: 'HS256',
    },
    known,
  )
  assert.deepEqual(metadata, {
    client_id: 'web',
    scope: 'openid',
    response_types: ['id_token code'],
    userinfo_signed_response_alg: 'HS256',
  })
  assert.deepEqual(dropped, {
    scope: ['gone'],
    default_acr_values: ['gone'],
    response_types: ['token'],
    id_token_signed_response_alg: ['RS256'],
  })
})

test('no token, code, cookie or secret reaches the store in clear', async (t) => {
  const rows: ArtifactRow[] = []
  const house = await openHouse(t, {
    wrap: (store) =>
      new Proxy(store, {
        get(target, name) {
          const value = Reflect.get(target, name) as unknown
          if (name === 'put')
            return (model: string, row: ArtifactRow, options?: { ifRevision?: number }) => {
              rows.push(row)
              return target.put(model, row, options)
            }
          return typeof value === 'function' ? value.bind(target) : value
        },
      }),
    resources: { clients: [client('web')] },
  })
  const visitor = new Visitor(house)
  const code = await visitor.code('web', { scope: 'openid offline_access', prompt: 'consent' })
  const tokens = await redeem(house, 'web', code)
  const cookies = visitor.jar.header(new URL(house.issuer), { crossSite: false, method: 'GET' }) ?? ''
  const session = /session_\d+=([^;]+)/.exec(cookies)?.[1] ?? ''
  const secrets = [code, tokens.access_token, tokens.refresh_token, session, 'alice']
  assert.ok(secrets.every((secret) => typeof secret === 'string' && secret !== ''))
  assert.ok(rows.length > 5)
  for (const { key, body, uid, grant, tags = [] } of rows)
    for (const bytes of [key, body, uid, grant, ...tags])
      for (const secret of secrets) assert.ok(!Buffer.from(bytes ?? []).includes(String(secret)), `found in a row`)
})

describe('box', () => {
  test('take gives the value to exactly one of many; get and look still tell what it was', async (t) => {
    const house = await openHouse(t)
    const sealer = createSealer([{ id: 1, key: randomBytes(32) }])
    const box = createBox({ store: house.store, sealer, clock: systemClock })
    await box.put('Trip', 'state', { to: 'acme' }, { ttl: 60, tags: ['login'], uid: 'other name' })
    const taken = await Promise.all(Array.from({ length: 20 }, () => box.take('Trip', 'state')))
    assert.deepEqual(
      taken.filter((value) => value !== undefined),
      [{ to: 'acme' }],
    )
    const look = await box.look('Trip', 'state')
    assert.deepEqual(look?.value, { to: 'acme' })
    assert.equal(typeof look?.consumedAt, 'number')
    assert.deepEqual(await box.getByUid('Trip', 'other name'), { to: 'acme' })
    assert.deepEqual(await box.findTagged('Trip', 'login'), [{ to: 'acme' }])
    assert.equal(await box.put('Trip', 'state', { to: 'else' }, { ifRevision: 99 }), 'stale')
    assert.equal(await box.putOnce('Mark', 'x', 60), true)
    assert.equal(await box.putOnce('Mark', 'x', 60), false)
    await box.drop('Trip', 'state')
    assert.equal(await box.get('Trip', 'state'), undefined)
  })
})
