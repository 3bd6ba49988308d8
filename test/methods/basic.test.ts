/** Username and password on real stores: who gets in, what the others learn, and how often one may guess. */
import assert from 'node:assert/strict'
import { argon2Sync } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { accountInput } from '#kernel/records/account.ts'
import { openBasic } from '#methods/basic.ts'
import { methodSettings, openMethods } from '#methods/index.ts'
import type { Attempt, Method } from '#methods/method.ts'
import { createPasswords } from '#methods/password.ts'
import { openRooms, type Rooms } from '#test/world/rooms.ts'

const salt = Buffer.alloc(16, 3)
/** A cheap hash: these tests are about who may try, not about the cost of trying. */
const cheap = (password: string): string => {
  const tag = argon2Sync('argon2id', {
    message: password,
    nonce: salt,
    memory: 8,
    passes: 1,
    parallelism: 1,
    tagLength: 32,
  })
  const plain = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '')
  return `$argon2id$v=19$m=8,t=1,p=1$${plain(salt)}$${plain(tag)}`
}

let rooms: Rooms
before(async () => {
  rooms = await openRooms()
})
after(() => rooms.close())

let number = 0
const account = (more: Record<string, unknown> = {}) => {
  number += 1
  return rooms.records.accounts.create(
    accountInput.parse({ username: `Person${number}`, passwordHash: cheap('right'), ...more }),
  )
}
/** An address of its own for each test, so that their counters do not meet. */
const address = () => `198.51.${++number >> 8}.${number & 255}`

const open = (limits?: { perPair?: number; perAccount?: number; perNetwork?: number }): Method =>
  openBasic({
    accounts: rooms.records.accounts,
    store: rooms.store,
    clock: rooms.clock,
    passwords: rooms.passwords,
    ...(limits && { limits }),
  })
const attempt = (
  method: Method,
  username: string,
  password: string,
  given: { address: string; accountId?: string },
): Promise<Attempt> => method.attempt({ username, password }, given)

const wrong = { ok: false, code: 'login.wrong' }

describe('who gets in', () => {
  test('by username in any spelling, and by an address that exactly one account has', async () => {
    const [method, at] = [open(), { address: address() }]
    const email = `p${number}@acme.example`
    const { id, username } = await account({ email })
    const passed = { ok: true, accountId: id, amr: ['pwd'] }
    for (const login of [username, username.toUpperCase(), email, email.toUpperCase()])
      assert.deepEqual(await attempt(method, login, 'right', at), passed, login)
    await account({ email })
    assert.deepEqual(await attempt(method, email, 'right', at), wrong, 'now two have it')
    assert.deepEqual(await attempt(method, username, 'right', at), passed)
  })

  test('nobody learns whether a name exists, has a password, or is disabled', async () => {
    const [method, at] = [open(), { address: address() }]
    const { username } = await account()
    const bare = await account({ passwordHash: undefined })
    const disabled = await account({ disabled: true })
    for (const [login, password] of [
      [username, 'wrong'],
      [username, ''],
      ['nobody-here', 'right'],
      ['', ''],
      ['\u0000', 'right'],
      ['x'.repeat(100_000), 'right'],
      [bare.username, 'right'],
      [disabled.username, 'wrong'],
    ] as const)
      assert.deepEqual(await attempt(method, login, password, at), wrong, login.slice(0, 20))
    assert.deepEqual(await attempt(method, disabled.username, 'right', at), { ok: false, code: 'login.disabled' })
    assert.deepEqual(await method.attempt({}, at), wrong)
    assert.equal((await attempt(method, username, 'right', at)).ok, true, 'control')
  })

  test('as much work for a name that nobody has', async () => {
    const hashed = await account({ passwordHash: await rooms.passwords.hashPassword('right') })
    const method = open({ perAccount: 1000 })
    const at = { address: address() }
    const timed = async (login: string) => {
      const begun = performance.now()
      await attempt(method, login, 'wrong', at)
      return performance.now() - begun
    }
    const fastest = async (login: string) => Math.min(await timed(login), await timed(login), await timed(login))
    const [known, unknown] = [await fastest(hashed.username), await fastest('nobody-at-all')]
    assert.ok(unknown > known / 3 && unknown < known * 3, `known ${known} ms, unknown ${unknown} ms`)
  })

  test('in a later step only the person who is being asked', async () => {
    const [method, at] = [open(), { address: address() }]
    const [one, two] = [await account(), await account()]
    assert.deepEqual(await attempt(method, two.username, 'right', { ...at, accountId: one.id }), wrong)
    assert.equal((await attempt(method, one.username, 'right', { ...at, accountId: one.id })).ok, true)
  })

  test('a hash of other parameters is made anew at login, once', async () => {
    const [method, at] = [open(), { address: address() }]
    const { id, username } = await account()
    assert.equal((await attempt(method, username, 'right', at)).ok, true)
    const after = await rooms.records.accounts.get(id)
    assert.match(after?.passwordHash ?? '', /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    assert.equal((await attempt(method, username, 'right', at)).ok, true)
    assert.equal((await rooms.records.accounts.get(id))?.passwordHash, after?.passwordHash)
  })

  test('too many at once: asked to wait, not counted as wrong', async () => {
    const method = openBasic({
      accounts: rooms.records.accounts,
      store: rooms.store,
      clock: rooms.clock,
      passwords: createPasswords({ running: 1, waiting: 1 }),
    })
    const { username } = await account()
    const at = { address: address() }
    const outcomes = await Promise.all(Array.from({ length: 6 }, () => attempt(method, username, 'right', at)))
    const limited = outcomes.filter((each) => !each.ok && each.code === 'login.limited')
    assert.equal(limited.length, 4)
    assert.ok(limited.every((each) => !each.ok && (each.retryAfter ?? 0) > 0))
    assert.equal((await attempt(method, username, 'right', at)).ok, true)
  })
})

describe('guessing', () => {
  const limits = { perAccount: 3, perNetwork: 6 }

  test('an account stands only so many wrong passwords, from wherever, under whatever spelling', async () => {
    const method = open(limits)
    const email = `g${++number}@acme.example`
    const { username } = await account({ email })
    for (const login of [username, email, username.toUpperCase()])
      assert.deepEqual(await attempt(method, login, 'wrong', { address: address() }), wrong)
    const limited = await attempt(method, username, 'right', { address: address() })
    assert.ok(!limited.ok && limited.code === 'login.limited')
    assert.ok((limited.retryAfter ?? 0) > 0 && (limited.retryAfter ?? 0) <= 900)
    const other = await account()
    assert.equal(
      (await attempt(method, other.username, 'right', { address: address() })).ok,
      true,
      'control: others are free',
    )
  })

  test('a name that nobody has is limited alike', async () => {
    const method = open(limits)
    for (const login of ['ghost', 'GHOST', ' ghost '])
      assert.deepEqual(await attempt(method, login, 'wrong', { address: address() }), wrong)
    const limited = await attempt(method, 'ghost', 'wrong', { address: address() })
    assert.equal(!limited.ok && limited.code, 'login.limited')
  })

  test('a network stands only so many, over all names; an IPv6 network is a /64', async () => {
    const method = open({ perAccount: 1000, perNetwork: 3 })
    for (const [guesses, same, other] of [
      [['2001:db8:1:2::1', '2001:db8:1:2:ffff::2', '2001:DB8:1:2:0:0:0:3'], '2001:db8:1:2::4', '2001:db8:1:3::1'],
      [['203.0.113.5', '::ffff:203.0.113.5', '::ffff:cb00:7105'], '203.0.113.5', '203.0.113.6'],
    ] as const) {
      const { username } = await account()
      for (const from of guesses)
        assert.deepEqual(await attempt(method, `spray-${++number}`, 'wrong', { address: from }), wrong, from)
      const limited = await attempt(method, username, 'right', { address: same })
      assert.equal(!limited.ok && limited.code, 'login.limited')
      assert.equal((await attempt(method, username, 'right', { address: other })).ok, true, 'control')
    }
  })

  test('right passwords cost nothing, and the window ends', async () => {
    const method = open(limits)
    const { username } = await account()
    const at = { address: address() }
    for (let round = 0; round < 8; round += 1) assert.equal((await attempt(method, username, 'right', at)).ok, true)
    for (let round = 0; round < 3; round += 1) assert.deepEqual(await attempt(method, username, 'wrong', at), wrong)
    const limited = await attempt(method, username, 'right', at)
    assert.ok(!limited.ok && limited.retryAfter)
    rooms.clock.at += limited.retryAfter * 1000
    assert.equal((await attempt(method, username, 'right', at)).ok, true)
  })

  test('a right password forgives the typing errors of its own network, not those of others', async () => {
    const method = open({ perAccount: 8, perNetwork: 100, perPair: 3 })
    const [mine, foreign] = [await account(), await account()]
    const at = { address: address() }
    for (let round = 0; round < 3; round += 1) {
      for (let slip = 0; slip < 2; slip += 1) assert.deepEqual(await attempt(method, mine.username, 'wrong', at), wrong)
      assert.deepEqual(await attempt(method, foreign.username, 'wrong', at), wrong)
      assert.equal((await attempt(method, mine.username, 'right', at)).ok, true, `round ${round}`)
    }
    const other = await attempt(method, foreign.username, 'right', at)
    assert.equal(!other.ok && other.code, 'login.limited', 'signing in to an own account wins no tries at another')
    for (let more = 0; more < 2; more += 1)
      assert.deepEqual(await attempt(method, mine.username, 'wrong', { address: address() }), wrong)
    const whole = await attempt(method, mine.username, 'right', at)
    assert.equal(!whole.ok && whole.code, 'login.limited', 'the limit over all networks forgives nothing')
  })

  test('right passwords at the same moment forgive once', async () => {
    const method = open({ perAccount: 100, perNetwork: 100, perPair: 3 })
    const { username } = await account()
    const at = { address: address() }
    for (let slip = 0; slip < 2; slip += 1) await attempt(method, username, 'wrong', at)
    await Promise.all(Array.from({ length: 4 }, () => attempt(method, username, 'right', at)))
    for (let slip = 0; slip < 3; slip += 1) assert.deepEqual(await attempt(method, username, 'wrong', at), wrong)
    const limited = await attempt(method, username, 'right', at)
    assert.equal(!limited.ok && limited.code, 'login.limited')
  })

  test('many guesses at the same moment do not slip through', async () => {
    const method = open(limits)
    const { username } = await account()
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, index) => attempt(method, username, `guess ${index}`, { address: address() })),
    )
    const judged = outcomes.filter((each) => !each.ok && each.code === 'login.wrong').length
    // Two run at once: the one beside the last may have looked before it was counted.
    assert.ok(judged >= 3 && judged <= 4, `${judged} guesses were judged`)
  })
})

describe('the registry', () => {
  test('offers what is enabled; the block may be left out', () => {
    const { records, store, clock } = rooms
    const world = { ...records, store, clock, recoveryKey: Buffer.alloc(32), issuer: 'id.example.org' }
    const read = (block: unknown) => methodSettings.basic?.parse(block) as { enabled: boolean }
    assert.deepEqual(read(undefined), { enabled: true })
    assert.deepEqual([...openMethods({ basic: read({}) }, world).keys()], ['basic'])
    assert.deepEqual([...openMethods({ basic: read({ enabled: false }) }, world).keys()], [])
    assert.deepEqual(
      [...openMethods({ otp: methodSettings.otp?.parse({}) as { enabled: boolean } }, world).keys()],
      ['basic', 'otp'],
    )
    assert.deepEqual(methodSettings.otp?.parse(undefined), { enabled: false, enrolment: true })
    assert.equal(methodSettings.basic?.safeParse({ enabled: true, minLength: 8 }).success, false)
  })
})
