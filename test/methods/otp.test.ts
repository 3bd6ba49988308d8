/** One-time codes: the published vectors, one use each on any node, skew, guessing, set-up and recovery codes. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Secret, TOTP } from 'otpauth'
import type { Account } from '#kernel/records/account.ts'
import type { Method } from '#methods/method.ts'
import { openOtp } from '#methods/otp.ts'
import { openRooms, type Rooms } from '#test/world/rooms.ts'

let rooms: Rooms
let method: Method
before(async () => {
  rooms = await openRooms()
  method = open()
})
after(() => rooms.close())

const open = (records = rooms.records, more: { enrolment?: boolean } = {}): Method =>
  openOtp(
    {
      accounts: records.accounts,
      credentials: records.credentials,
      store: rooms.store,
      clock: rooms.clock,
      recoveryKey: Buffer.alloc(32, 5),
      issuer: 'id.example.org',
    },
    { enrolment: true, ...more },
  )

let number = 0
const account = (): Promise<Account> =>
  rooms.records.accounts.create({
    username: `person-${++number}`,
    password: 'right',
    email_verified: false,
    claims: {},
    roles: [],
    disabled: false,
  })
const address = () => `198.51.${Math.floor(++number / 250)}.${number % 250}`

/** What the app of a person shows, `steps` of 30 s from now. */
const codeOf = (secret: string, steps = 0, at = rooms.clock.at): string =>
  new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: at + steps * 30_000 })
const wrongCode = (secret: string): string => {
  const right = [-2, -1, 0, 1, 2].map((steps) => codeOf(secret, steps))
  return ['000000', '111111', '222222', '333333', '444444', '555555'].find((code) => !right.includes(code)) ?? ''
}
const passMinute = () => {
  rooms.clock.at += 60_000
}

/** Somebody whose app is set up, at a moment when no code of it was used yet. */
const enrolled = async () => {
  const person = await account()
  const { enrolment } = method
  assert.ok(enrolment)
  const { secret } = await enrolment.begin(person)
  const outcome = await enrolment.confirm({ accountId: person.id, secret, code: codeOf(secret), address: address() })
  assert.ok(outcome.ok)
  passMinute()
  return { person, secret, recoveryCodes: outcome.recoveryCodes }
}
const attempt = (accountId: string, code: string, from = address(), by = method) =>
  by.attempt({ code }, { accountId, address: from })
const right = (accountId: string) => ({ ok: true, accountId, amr: ['otp'] })
const wrong = { ok: false, code: 'otp.wrong' }
const used = { ok: false, code: 'otp.used' }

describe('codes', () => {
  test('RFC 6238, appendix B: the vectors for SHA-1, shortened to six digits', async () => {
    const secret = Secret.fromLatin1('12345678901234567890').base32
    const before = rooms.clock.at
    for (const [time, code] of [
      [59, '287082'],
      [1111111109, '081804'],
      [1111111111, '050471'],
      [1234567890, '005924'],
      [2000000000, '279037'],
      [20000000000, '353130'],
    ] as const) {
      rooms.clock.at = time * 1000
      const { id } = await account()
      await rooms.records.credentials.create({
        id: `${id}|otp`,
        accountId: id,
        method: 'otp',
        secret,
        step: 0,
        recoveryCodes: [],
        createdAt: 0,
      })
      assert.deepEqual(await attempt(id, code), right(id), String(time))
    }
    rooms.clock.at = before
  })

  test('one step before or after is right, two are not; spaces and other digits of the same value do not matter', async () => {
    for (const [steps, expected] of [
      [-2, false],
      [-1, true],
      [0, true],
      [1, true],
      [2, false],
    ] as const) {
      const { person, secret } = await enrolled()
      assert.equal((await attempt(person.id, codeOf(secret, steps))).ok, expected, String(steps))
    }
    const { person, secret } = await enrolled()
    const code = codeOf(secret)
    assert.deepEqual(await attempt(person.id, `${code.slice(0, 3)} ${code.slice(3)} `), right(person.id))
    passMinute()
    const wide = codeOf(secret).replace(/\d/g, (digit) => String.fromCodePoint(0xff10 + Number(digit)))
    assert.deepEqual(await attempt(person.id, wide), right(person.id))
  })

  test('a code works once, and none that is older than the last one', async () => {
    const { person, secret } = await enrolled()
    assert.deepEqual(await attempt(person.id, codeOf(secret)), right(person.id))
    assert.deepEqual(await attempt(person.id, codeOf(secret)), used)
    assert.deepEqual(await attempt(person.id, codeOf(secret, -1)), used)
    assert.deepEqual(await attempt(person.id, codeOf(secret, 1)), right(person.id))
    assert.deepEqual(await attempt(person.id, codeOf(secret)), used)
  })

  test('the code that confirmed the set-up is spent', async () => {
    const person = await account()
    const { secret } = (await method.enrolment?.begin(person)) ?? assert.fail()
    const code = codeOf(secret)
    await method.enrolment?.confirm({ accountId: person.id, secret, code, address: address() })
    assert.deepEqual(await attempt(person.id, code), used)
  })

  test('of many at the same moment, on two nodes, one gets in', async () => {
    const another = open(await rooms.another())
    for (let round = 0; round < 5; round += 1) {
      const { person, secret } = await enrolled()
      const code = codeOf(secret)
      const outcomes = await Promise.all(
        Array.from({ length: 5 }, (_, index) => attempt(person.id, code, address(), index % 2 ? another : method)),
      )
      assert.equal(outcomes.filter(({ ok }) => ok).length, 1)
    }
  })

  test('what is no code at all is wrong: empty, text, five digits, huge', async () => {
    const { person, secret } = await enrolled()
    const from = address()
    for (const code of ['', 'abcdef', codeOf(secret).slice(1), `${codeOf(secret)}0`, '9'.repeat(100_000)]) {
      assert.deepEqual(await attempt(person.id, code, address()), wrong, code.slice(0, 10))
    }
    assert.deepEqual(await method.attempt({}, { accountId: person.id, address: from }), wrong)
  })

  test('of a disabled account nothing gets in', async () => {
    const { person, secret } = await enrolled()
    await rooms.records.accounts.update(person.id, (now) => ({ ...now, disabled: true }))
    assert.deepEqual(await attempt(person.id, codeOf(secret)), { ok: false, code: 'login.disabled' })
  })
})

describe('alone', () => {
  test('by name and code; nobody learns who exists, who has codes, or that a code was right before', async () => {
    const { person, secret } = await enrolled()
    const bare = await account()
    const ask = (username: string, code: string) => method.attempt({ username, code }, { address: address() })
    assert.deepEqual(await ask(person.username, codeOf(secret)), right(person.id))
    for (const [username, code] of [
      [person.username, codeOf(secret)],
      [person.username, wrongCode(secret)],
      [bare.username, codeOf(secret)],
      ['nobody', codeOf(secret)],
      ['', codeOf(secret)],
    ] as const)
      assert.deepEqual(await ask(username, code), wrong, username)
  })
})

describe('guessing', () => {
  test('five tries from one network, twenty for an account, then one waits; others are free', async () => {
    const { person, secret } = await enrolled()
    const from = address()
    for (let tries = 0; tries < 5; tries += 1)
      assert.deepEqual(await attempt(person.id, wrongCode(secret), from), wrong)
    const limited = await attempt(person.id, codeOf(secret), from)
    assert.ok(!limited.ok && limited.code === 'login.limited' && (limited.retryAfter ?? 0) > 0)
    for (let tries = 5; tries < 20; tries += 1) assert.deepEqual(await attempt(person.id, wrongCode(secret)), wrong)
    const whole = await attempt(person.id, codeOf(secret))
    assert.ok(!whole.ok && whole.code === 'login.limited')
    const other = await enrolled()
    assert.equal((await attempt(other.person.id, codeOf(other.secret))).ok, true)
  })

  test('parallel guesses do not overtake the count', async () => {
    const { person, secret } = await enrolled()
    const from = address()
    const outcomes = await Promise.all(Array.from({ length: 40 }, () => attempt(person.id, wrongCode(secret), from)))
    assert.ok(outcomes.filter((each) => !each.ok && each.code === 'otp.wrong').length <= 5)
  })

  test('a day stands only fifty, whatever the windows; a right code takes back its own try only', async () => {
    const { person, secret } = await enrolled()
    // The begin of a day, so that none ends on the way.
    rooms.clock.at = (Math.floor(rooms.clock.at / 86_400_000) + 1) * 86_400_000
    let judged = 0
    for (let window = 0; window < 8; window += 1) {
      assert.equal((await attempt(person.id, codeOf(secret))).ok, window < 5, `window ${window}`)
      for (let tries = 0; tries < 10; tries += 1) {
        const outcome = await attempt(person.id, wrongCode(secret))
        if (!outcome.ok && outcome.code === 'otp.wrong') judged += 1
      }
      rooms.clock.at += 900_000
    }
    assert.equal(judged, 50)
    const limited = await attempt(person.id, codeOf(secret))
    assert.ok(!limited.ok && (limited.retryAfter ?? 0) > 900)
  })
})

describe('set-up', () => {
  test('an address that apps understand, the same secret when looked at again, another for everybody', async () => {
    const person = await account()
    const first = (await method.enrolment?.begin(person)) ?? assert.fail()
    const again = (await method.enrolment?.begin(person, first.secret)) ?? assert.fail()
    assert.deepEqual(again, first)
    assert.match(first.secret, /^[A-Z2-7]{32}$/)
    const uri = new URL(first.uri)
    assert.equal(uri.protocol, 'otpauth:')
    assert.deepEqual(
      [uri.searchParams.get('secret'), uri.searchParams.get('issuer'), uri.searchParams.get('digits')],
      [first.secret, 'id.example.org', '6'],
    )
    assert.match(decodeURIComponent(uri.pathname), new RegExp(`id.example.org:${person.username}$`))
    assert.match(first.picture, /^data:image\/svg\+xml;base64,/)
    const svg = Buffer.from(first.picture.split(',')[1] ?? '', 'base64').toString()
    assert.match(svg, /^<svg [^>]*>.*<\/svg>$/s)
    assert.doesNotMatch(svg, /script|href|style/)
    const other = (await method.enrolment?.begin(await account())) ?? assert.fail()
    assert.notEqual(other.secret, first.secret)
  })

  test('a wrong code keeps nothing; a second set-up does not replace the first, however they race', async () => {
    const person = await account()
    const enrolment = method.enrolment ?? assert.fail()
    const { secret } = await enrolment.begin(person)
    const given = { accountId: person.id, secret, address: address() }
    assert.deepEqual(await enrolment.confirm({ ...given, code: wrongCode(secret) }), wrong)
    assert.equal(await enrolment.has(person.id), false)
    const outcomes = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const own = await enrolment.begin(person)
        return enrolment.confirm({ ...given, secret: own.secret, code: codeOf(own.secret), address: address() })
      }),
    )
    assert.equal(outcomes.filter(({ ok }) => ok).length, 1)
    assert.ok(outcomes.every((each) => each.ok || each.code === 'otp.taken'))
    assert.equal(await enrolment.has(person.id), true)
  })

  test('anew, in place of the one before, whose codes and recovery codes are dead', async () => {
    const { person, secret, recoveryCodes } = await enrolled()
    const enrolment = method.enrolment ?? assert.fail()
    const next = await enrolment.begin(person)
    const given = { accountId: person.id, secret: next.secret, code: codeOf(next.secret), address: address() }
    assert.ok((await enrolment.confirm(given, { anew: true })).ok)
    passMinute()
    assert.deepEqual(await attempt(person.id, codeOf(secret)), wrong)
    assert.deepEqual(await attempt(person.id, recoveryCodes[0] ?? ''), wrong)
    assert.deepEqual(await attempt(person.id, codeOf(next.secret)), right(person.id))
  })

  test('an account that is removed takes its codes along', async () => {
    const { person } = await enrolled()
    await rooms.records.accounts.remove(person.id)
    assert.equal(await rooms.records.credentials.get(person.id, 'otp'), undefined)
  })
})

describe('recovery codes', () => {
  test('ten different ones, each for its account and once, and none of them is stored', async () => {
    const { person, recoveryCodes } = await enrolled()
    const other = await enrolled()
    assert.equal(new Set(recoveryCodes).size, 10)
    const [code = '', next = ''] = recoveryCodes
    assert.match(code, /^\d{4}-\d{4}-\d{4}$/)
    assert.deepEqual(await attempt(other.person.id, code), wrong)
    assert.deepEqual(await attempt(person.id, code.replaceAll('-', ' ')), { ...right(person.id), recovered: true })
    assert.deepEqual(await attempt(person.id, code), wrong)
    const kept = await rooms.records.credentials.get(person.id, 'otp')
    assert.equal(kept?.recoveryCodes.length, 9)
    assert.ok(!JSON.stringify(kept).includes(next.replaceAll('-', '')) && !JSON.stringify(kept).includes(next))
  })

  test('of many at the same moment, on two nodes, one gets in', async () => {
    const another = open(await rooms.another())
    const { person, recoveryCodes } = await enrolled()
    const outcomes = await Promise.all(
      Array.from({ length: 5 }, (_, index) =>
        attempt(person.id, recoveryCodes[3] ?? '', address(), index % 2 ? another : method),
      ),
    )
    assert.equal(outcomes.filter(({ ok }) => ok).length, 1)
  })
})
