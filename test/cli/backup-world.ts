/** What the tests of backups share: a house over a shell's folder, and what a backup holds in comparable form. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Lock, openLocked } from '#cli/backup/file.ts'
import { load } from '#cli/configuration.ts'
import { systemClock } from '#kernel/clock.ts'
import { silentLog } from '#kernel/log.ts'
import { sha256 } from '#kernel/random.ts'
import { type House, openHouse, openStores, type Stores } from '#src/house.ts'
import { type Answer, openShell, type Shell } from './shell.ts'

export const PASSPHRASE = 'correct horse battery staple'
export const MASTER = Buffer.alloc(32, 1).toString('base64url')
export const OTHER_MASTER = Buffer.alloc(32, 2).toString('base64url')

const loadedOf = (shell: Shell) => load(join(shell.folder, 'gatehouse.yaml'), {})

/** Works with the stores as a server has them. */
export const inHouse = async <T>(shell: Shell, work: (house: House) => Promise<T>): Promise<T> => {
  const house = await openHouse(loadedOf(shell), { log: silentLog })
  try {
    return await work(house)
  } finally {
    await house.close()
  }
}

/** Works with the stores alone. */
export const inStores = async <T>(shell: Shell, work: (stores: Stores) => Promise<T>): Promise<T> => {
  const stores = await openStores(loadedOf(shell), { log: silentLog })
  try {
    return await work(stores)
  } finally {
    await stores.close()
  }
}

export const openTwo = async (t: TestContext): Promise<[Shell, Shell]> => [
  await openShell(t, { masterKey: MASTER }),
  await openShell(t, { masterKey: OTHER_MASTER }),
]

/** Members by name, look-ups by value: stores keep neither order. */
const ordered = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(ordered)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([name, item]): [string, unknown] => [name, ordered(item)])
  const members = Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
  return Array.isArray(members.tags) ? { ...members, tags: members.tags.toSorted() } : members
}

/** Every line but the header and the end, in an order that does not depend on the store's. */
export const contentOf = async (
  path: string,
  lock: Lock = { passphrase: PASSPHRASE, masterKeys: [] },
): Promise<string[]> => {
  const file = await openLocked(path, lock)
  const lines: string[] = []
  for await (const line of file.lines())
    if (!/^\{"(header|end)"/.test(line)) lines.push(JSON.stringify(ordered(JSON.parse(line))))
  await file.close()
  return lines.sort()
}

/** Arguments that give the passphrase on standard input, and the input. */
export const withPassphrase = (shell: Shell, args: readonly string[], passphrase = PASSPHRASE) =>
  shell.run([...args, '--passphrase-stdin'], { input: `${passphrase}\n` })

export const resources = {
  clients: [{ client_id: 'web', client_secret: 'secret of web', redirect_uris: ['https://web.example/cb'] }],
  accounts: [
    { username: 'alice', password: 'open sesame', email: 'alice@example.org', claims: { motto: '$${5} — ünï' } },
    { username: 'bob', password: 'open sesame' },
  ],
  identityProviders: [
    { id: 'acme', protocol: 'oidc', oidc: { issuer: 'https://acme.example', client_id: 'me', client_secret: 'up' } },
  ],
  mappings: [{ name: 'acme', attributes: { username: 'sub' } }],
  acrs: [{ name: 'urn:example:strong', steps: [['basic', 'acme']], level: 2 }],
}
/** Seconds. */
export const HOUR = 3600

/** Records of every kind, artifacts of every shape, marks of every kind. */
export const fill = async (shell: Shell): Promise<void> => {
  const applied = await shell.run(['apply', '-'], { input: JSON.stringify(resources) })
  assert.equal(applied.code, 0, applied.err)
  await shell.run(['keys', 'rotate'])
  await inHouse(shell, async ({ box, store, records, audit, trace }) => {
    const draft = () => ({ username: 'carol', email_verified: false, claims: {}, roles: [], disabled: false })
    await records.links.claim('acme', 'uid/1', draft)
    await records.consents.remember('a', 'web', { scopes: ['openid'], claims: [], rejectedScopes: [] })
    await box.put('Session', 's1', { who: 'alice' }, { ttl: HOUR, uid: 'uid 1', tags: ['alice', 'web'] })
    await box.put('Session', 'for ever', { who: 'bob' })
    await box.put('Code', 'used', { n: 1 }, { ttl: HOUR })
    await box.put('Code', 'unused', { n: 2 }, { ttl: HOUR })
    await box.take('Code', 'used')
    const grant = sha256('grant')
    await store.put('Grant', { key: sha256('g'), body: Buffer.from('opaque'), grant, userCode: sha256('user code') })
    await store.dropGrant(sha256('revoked grant'), systemClock.now() + HOUR * 1000)
    await box.putOnce('Replay', 'jti', HOUR)
    await store.increment(sha256('attempts'), 3, systemClock.now() + HOUR * 1000)
    audit({ type: 'login', account: 'a', detail: { ip: '::1' } })
    trace.add('ABCDEFGHJK', 'request', { client: 'web' })
  })
}

/** One line on standard error, code 1. */
export const oneLine = ({ code, out, err }: Answer, message: RegExp) => {
  assert.deepEqual([code, out], [1, ''], err)
  assert.match(err, message)
  assert.equal(err.split('\n').length, 2, err)
}
export const isUntouched = (shell: Shell) =>
  inStores(shell, async ({ store, directory }) => {
    for await (const piece of directory.dump()) assert.fail(JSON.stringify(piece))
    for await (const { model } of store.scan()) assert.fail(model)
    for await (const mark of store.marks()) assert.fail(JSON.stringify(mark))
  })
