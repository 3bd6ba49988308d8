/** CONTRACT 7 on a real directory: who is known, who is made, who is joined to whom, and who is not. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { builtInMappings, defaultMappingName } from '#connectors/index.ts'
import type { Records } from '#directory/records.ts'
import { createProvisioning, type Newcomer, type Provisioned } from '#federation/provisioning.ts'
import { accountInput } from '#kernel/records/account.ts'
import { type IdentityProvider, providerBase } from '#kernel/records/provider.ts'
import { openRooms, type Rooms } from '#test/world/rooms.ts'

const provider = (id: string, more: Record<string, unknown> = {}): IdentityProvider => ({
  ...providerBase.parse({ id, ...more }),
  protocol: 'oidc',
})
const linking = { trusted: true, linkByEmail: true }

let rooms: Rooms
const openFor = (records: Records) =>
  createProvisioning({ records, builtIn: builtInMappings, defaultName: defaultMappingName })

before(async () => {
  rooms = await openRooms({
    identityProviders: [
      provider('acme'),
      provider('frozen', { updateOnLogin: false }),
      provider('asking', { requestForEmail: true }),
      provider('linking', linking),
      provider('joined', { ...linking, provisioning: 'linkOnly' }),
      provider('closed', { provisioning: 'none' }),
      provider('closed-linking', { ...linking, provisioning: 'none' }),
      provider('mapped', { mapping: 'own' }),
      provider('unmapped', { mapping: 'missing' }),
    ],
    mappings: [
      { name: 'own', attributes: { username: 'login', groups: { from: 'grp', split: ',', lowercase: false } } },
    ],
  })
})
after(() => rooms.close())

let number = 0
const fresh = (prefix = 'u') => `${prefix}${++number}`

const provision = (
  id: string,
  uid: string,
  claims: Record<string, unknown> = {},
  email?: Newcomer['email'],
): Promise<Provisioned> =>
  openFor(rooms.records).provision({ provider: id, identity: { uid, claims }, ...(email && { email }) })

const accountOf = async (outcome: Provisioned) => {
  assert.ok('accountId' in outcome, JSON.stringify(outcome))
  const account = await rooms.records.accounts.get(outcome.accountId)
  assert.ok(account)
  return account
}

const local = (more: Record<string, unknown>) => {
  const username = fresh('local')
  return rooms.records.accounts.create(accountInput.parse({ username, ...more }))
}

/** What became of the person; how the claims were named is told beside it. */
const decided = ({ draft: _, ...outcome }: Provisioned & { draft?: unknown }) => outcome

describe('newcomers and those who come back', () => {
  test('the first visit makes an account, the second finds it', async () => {
    const uid = fresh()
    const claims = { preferred_username: fresh('anna'), email: 'anna@acme.example', given_name: 'Anna' }
    const first = await provision('acme', uid, claims)
    assert.equal(first.outcome, 'created')
    const account = await accountOf(first)
    assert.equal(account.username, claims.preferred_username)
    assert.equal(account.email, 'anna@acme.example')
    assert.equal(account.claims.given_name, 'Anna')
    assert.deepEqual(account.roles, [])
    const second = await provision('acme', uid, claims)
    assert.deepEqual(decided(second), { outcome: 'known', accountId: account.id })
  })

  test('the user id counts exactly, and per provider', async () => {
    const uid = fresh('MrBrown')
    const ids = new Set<string>()
    for (const [id, exact] of [
      ['acme', uid],
      ['acme', uid.toLowerCase()],
      ['acme', `${uid} `],
      ['frozen', uid],
    ] as const)
      ids.add((await accountOf(await provision(id, exact))).id)
    assert.equal(ids.size, 4)
  })

  test('a taken username gets a suffix', async () => {
    const username = fresh('Karl')
    const one = await accountOf(await provision('acme', fresh(), { preferred_username: username }))
    const two = await accountOf(await provision('acme', fresh(), { preferred_username: username.toUpperCase() }))
    assert.notEqual(one.id, two.id)
    assert.equal(one.username, username)
    assert.ok(two.username.toLowerCase().startsWith(username.toLowerCase()) && two.username.length > username.length)
  })

  test('an address that somebody has makes another account all the same, and joins nobody', async () => {
    const email = `${fresh('shared')}@acme.example`
    const owner = await local({ email, email_verified: true })
    const newcomer = await accountOf(await provision('acme', fresh(), { email, email_verified: true }))
    assert.notEqual(newcomer.id, owner.id)
    assert.equal(newcomer.email, email)
  })

  test('a login brings changes with it, keeps what it is silent about, and writes nothing when nothing changed', async () => {
    const uid = fresh()
    const before = await accountOf(
      await provision('acme', uid, { email: 'old@acme.example', given_name: 'Old', locale: 'sv' }),
    )
    await provision('acme', uid, { email: 'new@acme.example', email_verified: true, given_name: 'New' })
    const changed = await rooms.records.accounts.versioned(before.id)
    assert.equal(changed?.value.email, 'new@acme.example')
    assert.equal(changed?.value.email_verified, true)
    assert.deepEqual([changed?.value.claims.given_name, changed?.value.claims.locale], ['New', 'sv'])
    assert.equal(changed?.value.username, before.username)
    await provision('acme', uid, { email: 'new@acme.example', email_verified: true, given_name: 'New' })
    assert.equal((await rooms.records.accounts.versioned(before.id))?.revision, changed?.revision)
  })

  test('updateOnLogin: false leaves the account as it was', async () => {
    const uid = fresh()
    const { id } = await accountOf(await provision('frozen', uid, { given_name: 'Old' }))
    await provision('frozen', uid, { given_name: 'New' })
    assert.equal((await rooms.records.accounts.get(id))?.claims.given_name, 'Old')
  })

  test('a disabled account stays out', async () => {
    const uid = fresh()
    const { id } = await accountOf(await provision('acme', uid))
    await rooms.records.accounts.update(id, (now) => ({ ...now, disabled: true }))
    assert.deepEqual(await provision('acme', uid), { outcome: 'refused', code: 'login.disabled' })
  })

  test('a removed account makes its owner a newcomer', async () => {
    const uid = fresh()
    const { id } = await accountOf(await provision('acme', uid))
    await rooms.records.accounts.remove(id)
    const again = await provision('acme', uid)
    assert.equal(again.outcome, 'created')
    assert.notEqual((await accountOf(again)).id, id)
  })

  test('a declared mapping names the claims; a missing one is a configuration to mend', async () => {
    const login = fresh('mapped')
    const account = await accountOf(await provision('mapped', fresh(), { login, grp: 'a,b', email: 'x@y.example' }))
    assert.equal(account.username, login)
    assert.deepEqual(account.claims, { groups: ['a', 'b'] })
    assert.equal(account.email, undefined)
    await assert.rejects(provision('unmapped', fresh()), { code: 'upstream.misconfigured' })
    await assert.rejects(provision('nobody', fresh()), { code: 'upstream.misconfigured' })
  })
})

describe('what provisioning allows', () => {
  test('none and linkOnly make nobody', async () => {
    for (const id of ['closed', 'joined'])
      assert.deepEqual(await provision(id, fresh()), { outcome: 'refused', code: 'provision.refused' }, id)
  })

  test('a link made by hand lets the person in everywhere', async () => {
    for (const id of ['closed', 'joined']) {
      const [uid, account] = [fresh(), await local({})]
      await rooms.records.links.link(id, uid, account.id)
      assert.deepEqual(decided(await provision(id, uid)), { outcome: 'known', accountId: account.id })
    }
  })
})

describe('linkByEmail', () => {
  const verified = (email: string) => ({ email, email_verified: true })

  test('joins a verified address that exactly one verified account has', async () => {
    for (const id of ['linking', 'joined']) {
      const email = `${fresh('join')}@acme.example`
      const owner = await local(verified(email))
      const uid = fresh()
      assert.deepEqual(decided(await provision(id, uid, verified(email.toUpperCase()))), {
        outcome: 'linked',
        accountId: owner.id,
      })
      assert.deepEqual(decided(await provision(id, uid, verified(email))), { outcome: 'known', accountId: owner.id })
    }
  })

  /** Each row spoils one condition of the test above: what local accounts hold, what the provider says, which provider. */
  const yes = { email_verified: true }
  for (const [what, held, said, id] of [
    ['the provider did not verify it', [yes], {}, 'linking'],
    ['we did not verify it', [{}], yes, 'linking'],
    ['two accounts have it', [yes, {}], yes, 'linking'],
    ['the provider may not link', [yes], yes, 'acme'],
  ] as const)
    test(`joins nobody: ${what}`, async () => {
      const email = `${fresh('stay')}@acme.example`
      const owners = await Promise.all(held.map((more) => local({ email, ...more })))
      const outcome = await provision(id, fresh(), { email, ...said })
      assert.equal(outcome.outcome, 'created')
      const newcomer = await accountOf(outcome)
      assert.ok(owners.every((owner) => owner.id !== newcomer.id))
    })

  test('joins nobody: the account is disabled', async () => {
    const email = `${fresh('dis')}@acme.example`
    await local({ ...verified(email), disabled: true })
    assert.equal((await provision('linking', fresh(), verified(email))).outcome, 'created')
    assert.deepEqual(await provision('joined', fresh(), verified(email)), {
      outcome: 'refused',
      code: 'provision.refused',
    })
  })

  test('joins nobody: another user of the same provider is joined already', async () => {
    const email = `${fresh('one')}@acme.example`
    const owner = await local(verified(email))
    assert.equal((await provision('linking', fresh(), verified(email))).outcome, 'linked')
    const second = await provision('linking', fresh(), verified(email))
    assert.equal(second.outcome, 'created')
    assert.notEqual((await accountOf(second)).id, owner.id)
  })

  test('pre-hijacking: an address that an untrusted provider wrote is nobody’s proof', async () => {
    const email = `${fresh('victim')}@acme.example`
    const attacker = await accountOf(await provision('acme', fresh('attacker'), verified(email)))
    assert.equal(attacker.email_verified, true)
    const victim = await provision('linking', fresh('victim'), verified(email))
    assert.equal(victim.outcome, 'created')
    assert.notEqual((await accountOf(victim)).id, attacker.id)
  })

  test('provisioning none does not link either', async () => {
    const email = `${fresh('none')}@acme.example`
    await local(verified(email))
    const outcome = await provision('closed-linking', fresh(), verified(email))
    assert.deepEqual(outcome, { outcome: 'refused', code: 'provision.refused' })
  })
})

describe('requestForEmail', () => {
  test('a newcomer without an address is asked once; the answer is stored as told', async () => {
    const uid = fresh()
    const asked = await provision('asking', uid, { preferred_username: fresh('ask') })
    assert.equal(asked.outcome, 'needs-email')
    assert.equal(await rooms.records.links.get('asking', uid), undefined, 'nobody was made yet')
    const address = `${fresh('typed')}@acme.example`
    const account = await accountOf(await provision('asking', uid, {}, { address, verified: false }))
    assert.deepEqual([account.email, account.email_verified], [address, false])
    assert.equal((await provision('asking', uid)).outcome, 'known')
  })

  test('who brings an address is not asked', async () => {
    assert.equal((await provision('asking', fresh(), { email: 'a@b.example' })).outcome, 'created')
  })

  test('a typed address that an account has ends the login, in any spelling', async () => {
    const email = `${fresh('taken')}@acme.example`
    await local({ email })
    for (const address of [email, email.toUpperCase()]) {
      const uid = fresh()
      const outcome = await provision('asking', uid, {}, { address, verified: true })
      assert.deepEqual(outcome, { outcome: 'refused', code: 'provision.email-taken' })
      assert.equal(await rooms.records.links.get('asking', uid), undefined)
    }
  })

  test('no address: asked again; a typed one never replaces the provider’s; elsewhere it is ignored', async () => {
    const nonsense = { address: 'a@b@c', verified: true }
    assert.equal((await provision('asking', fresh(), {}, nonsense)).outcome, 'needs-email')
    const typed = { address: 'typed@acme.example', verified: true }
    const own = await accountOf(await provision('asking', fresh(), { email: 'own@acme.example' }, typed))
    assert.deepEqual([own.email, own.email_verified], ['own@acme.example', false])
    assert.equal((await accountOf(await provision('acme', fresh(), {}, typed))).email, undefined)
  })
})
