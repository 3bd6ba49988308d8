/** Guessing passwords: limits per account and per network that cannot be walked around, and no answer that tells who exists. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { openBasic } from '#methods/basic.ts'
import { createPasswords } from '#methods/password.ts'
import { alice, authorizationUrl, client, type Gatehouse, startGatehouse } from '#test/flows/world.ts'
import type { Page } from '#test/world/browser.ts'
import { audits, browser } from './house.ts'

const bob = { username: 'bob', password: 'builder-1999', email: 'bob@example.org' }
const carol = { username: 'carol', password: 'christmas-1843', email: 'carol@example.org' }
const dave = { username: 'dave', password: 'copperfield-1850' }
const gone = { username: 'gone', password: 'not-here-1999', disabled: true }

describe('password guessing', () => {
  let op: Gatehouse
  // The begin of a window of 15 minutes: none ends while the test runs.
  const now = Math.floor(Date.now() / 900_000) * 900_000 + 1
  before(async () => {
    op = await startGatehouse(
      { clients: [client({ trusted: true })], accounts: [alice, bob, carol, dave, gone] },
      { clock: { now: () => now } },
    )
  })
  const open = () => {
    const someone = browser()
    return someone.open(authorizationUrl(op.issuer, { acr_values: 'basic' })).then((page) => ({
      guess: (username: string, password: string): Promise<Page> =>
        someone.submit(page, '#continue', { username, password }),
    }))
  }
  /** The page without what differs from page to page anyway. */
  const shape = ({ body, status, headers }: Page, username: string) => ({
    status,
    headers: Object.keys(headers).sort(),
    body: body
      .replaceAll(username, 'USER')
      .replace(/value="[\w-]+\.[\w-]{20,}"/g, 'csrf')
      .replace(/interaction\/[\w-]+/g, 'interaction'),
  })

  test('control: the right password gets in; a wrong one is in the audit, without the password', async () => {
    const { guess } = await open()
    assert.equal((await guess('alice', 'wrong-guess-1')).status, 401)
    assert.ok((await guess('alice', alice.password)).url.searchParams.get('code'))
    const failed = audits(op, 'login.failed')
    assert.equal(failed.length, 1)
    assert.deepEqual(failed[0]?.detail, { method: 'basic', fault: 'login.wrong' })
    assert.doesNotMatch(JSON.stringify(op.log), /wrong-guess-1|wonderland/)
  })

  test('a known name, an unknown one and a disabled account answer alike: status, headers and page', async () => {
    const { guess } = await open()
    const known = shape(await guess('alice', 'wrong'), 'alice')
    for (const name of ['nobody', 'gone', 'nobody@example.org', 'x'.repeat(255)])
      assert.deepEqual(shape(await guess(name, 'wrong'), name), known, name)
    assert.equal(known.status, 401)
  })

  test('the limits count unknown names as they count known ones', async () => {
    const { guess } = await open()
    const statuses = async (name: string) => {
      const seen: number[] = []
      for (let count = 0; count < 11; count++) seen.push((await guess(name, `guess ${count}`)).status)
      return seen
    }
    const known = await statuses('bob')
    assert.deepEqual(known, [...Array.from({ length: 10 }, () => 401), 429])
    assert.deepEqual(await statuses('nobody-else'), known)
    const locked = await guess('bob', bob.password)
    assert.equal(locked.status, 429, 'the right password does not help while the account is limited')
    assert.ok(Number(locked.headers['retry-after']) > 0)
    assert.match(locked.body, /id="page-login"/)
    assert.ok((await guess('alice', alice.password)).url.searchParams.get('code'), 'others still get in')
    assert.ok(audits(op, 'login.failed').some(({ detail }) => (detail as { fault: string }).fault === 'login.limited'))
  })

  test('another spelling of the name, another browser, or the address for the name share one limit', async () => {
    const spellings = ['carol', 'CAROL', 'ｃａｒｏｌ', 'carol@example.org', 'Carol@EXAMPLE.org', 'ＣＡＲＯＬ']
    const answers: number[] = []
    for (let count = 0; count < 14; count++) {
      const { guess } = await open()
      answers.push((await guess(spellings[count % spellings.length] ?? '', `guess ${count}`)).status)
    }
    assert.deepEqual(answers, [...Array.from({ length: 10 }, () => 401), 429, 429, 429, 429])
  })

  test('parallel guesses do not overtake the count', async () => {
    const { guess } = await open()
    const answers = await Promise.all(Array.from({ length: 30 }, (_, index) => guess('dave', `guess ${index}`)))
    const tried = answers.filter(({ status }) => status === 401).length
    assert.equal(tried, 10)
  })

  test('spraying one guess over many names is limited by address', async () => {
    const { guess } = await open()
    const answers = await Promise.all(
      Array.from({ length: 64 }, (_, index) => guess(`sprayed-${index}`, 'Spring2026!')),
    )
    assert.ok(answers.every(({ status }) => status === 401 || status === 429))
    for (let index = 64; index < 101; index++) await guess(`sprayed-${index}`, 'Spring2026!')
    assert.equal((await guess('alice', alice.password)).status, 429)
  })
})

test('work, not time: whoever is named, exactly one hash is computed', async () => {
  const computed: (string | undefined)[] = []
  const passwords = createPasswords()
  const accounts = new Map([
    ['alice', { id: 'a', username: 'alice', passwordHash: await passwords.hashPassword('right-1'), disabled: false }],
  ])
  const method = openBasic({
    accounts: { byLogin: async (login: string) => accounts.get(login) } as never,
    store: { increment: async () => 0 } as never,
    clock: { now: Date.now },
    passwords: {
      ...passwords,
      verifyPassword: (password, phc, turn) => {
        computed.push(phc)
        return passwords.verifyPassword(password, phc, turn)
      },
    },
  })
  for (const [username, password, ok] of [
    ['alice', 'right-1', true],
    ['alice', 'wrong', false],
    ['nobody', 'wrong', false],
    ['', '', false],
    ['alice', 'x'.repeat(5000), false],
  ] as const)
    assert.equal((await method.attempt({ username, password }, { address: '127.0.0.1' })).ok, ok, username)
  assert.equal(computed.length, 5)
  // Where there is no hash the same work is done against one of the same cost.
  const time = async (phc: string | undefined) => {
    const started = process.cpuUsage().user
    await passwords.verifyPassword('guess', phc)
    return process.cpuUsage().user - started
  }
  const [withHash, without] = [await time(accounts.get('alice')?.passwordHash), await time(undefined)]
  assert.ok(without > withHash / 4, `${without} µs of work for nobody, ${withHash} µs for somebody`)
})
