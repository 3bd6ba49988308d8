import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openGround } from './ground.ts'

const given = (scopes: string[], rejectedScopes: string[] = [], claims: string[] = []) => ({
  scopes,
  rejectedScopes,
  claims,
})

test('what is allowed adds up, and the latest word counts', async (t) => {
  const { records } = await (await openGround(t)).node()
  const { consents } = records
  assert.equal(await consents.get('alice', 'web'), undefined)
  await consents.remember('alice', 'web', given(['openid'], ['email'], ['name']))
  await consents.remember('alice', 'web', given(['profile', 'email'], [], ['picture']))
  const both = await consents.get('alice', 'web')
  assert.deepEqual(
    [both?.scopes, both?.rejectedScopes, both?.claims],
    [['openid', 'profile', 'email'], [], ['name', 'picture']],
  )
  await consents.remember('alice', 'web', given(['openid'], ['profile']))
  const less = await consents.get('alice', 'web')
  assert.deepEqual([less?.scopes, less?.rejectedScopes], [['openid', 'email'], ['profile']])
  assert.equal(await consents.get('bob', 'web'), undefined)
})

test('forgetting empties the record and moves its epoch', async (t) => {
  const { records } = await (await openGround(t)).node()
  const { consents } = records
  await consents.remember('alice', 'web', given(['openid'], ['email'], ['name']))
  assert.equal((await consents.get('alice', 'web'))?.epoch, 0)
  await consents.forget('alice', 'web')
  const gone = await consents.get('alice', 'web')
  assert.deepEqual([gone?.epoch, gone?.scopes, gone?.rejectedScopes, gone?.claims], [1, [], [], []])
  await consents.remember('alice', 'web', given(['openid']))
  assert.equal((await consents.get('alice', 'web'))?.epoch, 1)
  await consents.forget('bob', 'web')
  assert.equal((await consents.get('bob', 'web'))?.epoch, 1)
})

test('parallel consents of two tabs both count', async (t) => {
  const { records } = await (await openGround(t)).node()
  await Promise.all(['a', 'b', 'c', 'd'].map((scope) => records.consents.remember('alice', 'web', given([scope]))))
  assert.deepEqual((await records.consents.get('alice', 'web'))?.scopes.toSorted(), ['a', 'b', 'c', 'd'])
})
