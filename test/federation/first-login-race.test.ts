/** First logins of one person at the same moment, on two processes over the same files: one account, one link. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { builtInMappings, defaultMappingName } from '#connectors/index.ts'
import type { Records } from '#directory/records.ts'
import { createProvisioning } from '#federation/provisioning.ts'
import { accountInput } from '#kernel/records/account.ts'
import { providerBase } from '#kernel/records/provider.ts'
import { openRooms, type Rooms } from '#test/world/rooms.ts'

let rooms: Rooms
const openFor = (records: Records) =>
  createProvisioning({ records, builtIn: builtInMappings, defaultName: defaultMappingName })

before(async () => {
  rooms = await openRooms({
    identityProviders: [
      { ...providerBase.parse({ id: 'acme' }), protocol: 'oidc' },
      { ...providerBase.parse({ id: 'linking', trusted: true, linkByEmail: true }), protocol: 'oidc' },
    ],
  })
})
after(() => rooms.close())

let number = 0
const fresh = (prefix: string) => `${prefix}${++number}`

describe('races', () => {
  test('many first logins of one person, on two processes, end in one account', async () => {
    const other = openFor(await rooms.another())
    const one = openFor(rooms.records)
    for (let round = 0; round < 10; round += 1) {
      const identity = { uid: fresh('race'), claims: { preferred_username: 'runner', email: 'r@acme.example' } }
      const outcomes = await Promise.all(
        Array.from({ length: 8 }, (_, index) => (index % 2 ? one : other).provision({ provider: 'acme', identity })),
      )
      assert.equal(new Set(outcomes.map((each) => 'accountId' in each && each.accountId)).size, 1)
      assert.equal(outcomes.filter(({ outcome }) => outcome === 'created').length, 1)
    }
  })

  test('many first logins that link end in one link', async () => {
    const other = openFor(await rooms.another())
    const one = openFor(rooms.records)
    const email = `${fresh('lrace')}@acme.example`
    const owner = await rooms.records.accounts.create(
      accountInput.parse({ username: fresh('owner'), email, email_verified: true }),
    )
    const identity = { uid: fresh('lrace'), claims: { email, email_verified: true } }
    const outcomes = await Promise.all(
      Array.from({ length: 8 }, (_, index) => (index % 2 ? one : other).provision({ provider: 'linking', identity })),
    )
    for (const outcome of outcomes) assert.equal('accountId' in outcome && outcome.accountId, owner.id)
    assert.equal((await rooms.records.links.ofAccount(owner.id)).length, 1)
  })
})
