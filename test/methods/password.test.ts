/** Password hashes: the format, foreign parameters, the bound on what runs and waits. */
import assert from 'node:assert/strict'
import { argon2Sync } from 'node:crypto'
import { describe, test } from 'node:test'
import { createPasswords, decodePhc, encodePhc } from '#methods/password.ts'

const passwords = createPasswords()

/** A PHC string made by hand with other parameters, so that verification is not checked against itself alone. */
const foreign = (
  password: string,
  more: {
    algorithm?: 'argon2id' | 'argon2i' | 'argon2d'
    memory?: number
    passes?: number
    parallelism?: number
    length?: number
  } = {},
) => {
  const { algorithm = 'argon2id', memory = 64, passes = 1, parallelism = 1, length = 32 } = more
  const salt = Buffer.from('a salt of sixteen')
  const tag = argon2Sync(algorithm, { message: password, nonce: salt, memory, passes, parallelism, tagLength: length })
  const plain = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '')
  return `$${algorithm}$v=19$m=${memory},t=${passes},p=${parallelism}$${plain(salt)}$${plain(tag)}`
}

describe('hashes', () => {
  test('argon2id m=19456 t=2 p=1, a fresh salt each, and only the right password fits', async () => {
    const [one, two] = await Promise.all([passwords.hashPassword('päss wörd'), passwords.hashPassword('päss wörd')])
    assert.match(one ?? '', /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
    assert.notEqual(one, two)
    assert.deepEqual(await passwords.verifyPassword('päss wörd', one), { matches: true, needsRehash: false })
    for (const wrong of ['päss wörd ', 'Päss wörd', 'pa\u0308ss wörd', ''])
      assert.equal((await passwords.verifyPassword(wrong, one)).matches, false, wrong)
  })

  test('the string comes apart and together', () => {
    const phc = foreign('x', { memory: 128, passes: 3, parallelism: 2 })
    const parts = decodePhc(phc)
    assert.ok(parts)
    assert.deepEqual([parts.memory, parts.passes, parts.parallelism], [128, 3, 2])
    assert.equal(encodePhc(parts), phc)
  })

  for (const more of [
    {},
    { algorithm: 'argon2i' },
    { algorithm: 'argon2d' },
    { memory: 32, passes: 4, parallelism: 2 },
    { length: 64 },
    { length: 16 },
  ] as const)
    test(`other parameters are verified and wanted anew: ${JSON.stringify(more)}`, async () => {
      const phc = foreign('secret', more)
      assert.deepEqual(await passwords.verifyPassword('secret', phc), { matches: true, needsRehash: true })
      assert.equal((await passwords.verifyPassword('Secret', phc)).matches, false)
    })

  const salted = 'c29tZXNhbHRzb21lc2FsdA'
  const tagged = 'A'.repeat(43)
  for (const [what, phc] of [
    ['nothing', undefined],
    ['plain text', 'secret'],
    ['another scheme', '$2b$10$abcdefghijklmnopqrstuv'],
    ['another version', `$argon2id$v=16$m=64,t=1,p=1$${salted}$${tagged}`],
    ['too much memory', `$argon2id$v=19$m=4194304,t=1,p=1$${salted}$${tagged}`],
    ['too many passes', `$argon2id$v=19$m=64,t=999,p=1$${salted}$${tagged}`],
    ['no passes', `$argon2id$v=19$m=64,t=0,p=1$${salted}$${tagged}`],
    ['less memory than lanes', `$argon2id$v=19$m=8,t=1,p=4$${salted}$${tagged}`],
    ['no tag', `$argon2id$v=19$m=64,t=1,p=1$${salted}$`],
    ['a tail', `${foreign('secret')}\n`],
  ] as const)
    test(`never fits: ${what}`, async () => {
      assert.deepEqual(await passwords.verifyPassword('secret', phc), { matches: false, needsRehash: false })
      assert.equal((await passwords.verifyPassword('secret', foreign('secret'))).matches, true, 'control')
    })

  test('an endless password does not fit even its own hash', async () => {
    const endless = 'x'.repeat(5000)
    assert.equal((await passwords.verifyPassword(endless, foreign(endless))).matches, false)
    assert.equal((await passwords.verifyPassword('', foreign(endless))).matches, false)
    const long = 'x'.repeat(4096)
    assert.equal((await passwords.verifyPassword(long, foreign(long))).matches, true, 'control')
  })
})

describe('the queue', () => {
  test('runs off the event loop', async () => {
    let ticks = 0
    const timer = setInterval(() => {
      ticks += 1
    }, 1)
    await passwords.hashPassword('x')
    clearInterval(timer)
    assert.ok(ticks > 2, `${ticks} ticks`)
  })

  test('refuses when too many wait, and serves everyone it accepted in turn', async () => {
    const small = createPasswords({ running: 1, waiting: 2 })
    const phc = foreign('x')
    const order: number[] = []
    const ask = async (index: number) => {
      const { matches } = await small.verifyPassword('x', phc)
      order.push(index)
      return matches
    }
    const outcomes = await Promise.allSettled([0, 1, 2, 3, 4].map(ask))
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected'],
    )
    const refused = outcomes[3]
    assert.equal(refused?.status === 'rejected' && refused.reason.code, 'login.limited')
    assert.deepEqual(order, [0, 1, 2])
    assert.equal(await ask(5), true, 'and is free again')
  })

  test('a failure gives the turn back', async () => {
    const small = createPasswords({ running: 1, waiting: 5 })
    const failing = small.verifyPassword('x', foreign('x'), {
      of: 'somebody',
      skip: () => Promise.reject(new Error('store away')),
      failed: async () => undefined,
    })
    const next = small.verifyPassword('x', foreign('x'))
    await assert.rejects(failing, /store away/)
    assert.equal((await next).matches, true)
  })

  test('skip spares the work and never fits; failed is told of wrong passwords only', async () => {
    let told = 0
    const turn = (skip: boolean) => ({
      of: 'somebody',
      skip: async () => skip,
      failed: async () => {
        told += 1
      },
    })
    const skipped = await passwords.verifyPassword('x', foreign('x'), turn(true))
    assert.deepEqual([skipped, told], [{ matches: false, needsRehash: false }, 0])
    assert.equal((await passwords.verifyPassword('x', foreign('x'), turn(false))).matches, true)
    assert.equal(told, 0)
    await passwords.verifyPassword('y', foreign('x'), turn(false))
    assert.equal(told, 1)
  })

  test('guesses at one name come one after the other, those at others beside them', async () => {
    const many = createPasswords({ running: 3, waiting: 8 })
    const order: string[] = []
    const guess = async (of: string, password: string) => {
      await many.verifyPassword(password, foreign('x'), {
        of,
        skip: async () => {
          order.push(`${of} begins`)
          return false
        },
        failed: async () => void order.push(`${of} counted`),
      })
    }
    await Promise.all([guess('anna', '1'), guess('anna', '2'), guess('berta', '1'), guess('anna', '3')])
    assert.deepEqual(
      order.filter((line) => line.startsWith('anna')),
      ['anna begins', 'anna counted', 'anna begins', 'anna counted', 'anna begins', 'anna counted'],
    )
    assert.ok(order.indexOf('berta begins') < order.indexOf('anna counted'))
    assert.equal((await many.verifyPassword('x', foreign('x'))).matches, true, 'and is free again')
  })
})
