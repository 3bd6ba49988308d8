/** The scripts of the check-session page, as a browser would run them: SHA-256 and the answers to messages. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createContext, runInContext } from 'node:vm'

const script = (name: string) => readFileSync(join(import.meta.dirname, '../../public', name), 'utf8')
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

const sha256 = runInContext(`${script('sha256.js')};sha256`, createContext({})) as (bytes: Uint8Array) => Uint8Array

// FIPS 180-4 examples and NIST CAVP SHA256ShortMsg / SHA256LongMsg.
const vectors: [name: string, message: Uint8Array, digest: string][] = [
  ['empty', Buffer.alloc(0), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  ['one block', Buffer.from('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  [
    'two blocks',
    Buffer.from('abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq'),
    '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
  ],
  [
    'three blocks',
    Buffer.from(
      'abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu',
    ),
    'cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1',
  ],
  ['a million', Buffer.alloc(1_000_000, 'a'), 'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0'],
  ['CAVP, 8 bits', Buffer.from('d3', 'hex'), '28969cdfa74a12c82f3bad960b0b000aca2ac329deea5c2328ebc6f2ba9802c1'],
  [
    'CAVP, 512 bits',
    Buffer.from(
      '5a86b737eaea8ee976a0a24da63e7ed7eefad18a101c1211e2b3650c5187c2a8a650547208251f6d4237e661c7bf4c77f335390394c37fa1a9f9be836ac28509',
      'hex',
    ),
    '42e61e174fbb3897d6dd6cef3dd2802fe67b331953b06114a65c772859dfc1aa',
  ],
]
for (const [name, message, digest] of vectors)
  test(`SHA-256 of a published vector: ${name}`, () => assert.equal(hex(sha256(message)), digest))

test('SHA-256 agrees with the platform at every length around the block borders', () => {
  for (let length = 0; length < 200; length++) {
    const message = Buffer.alloc(length, length)
    assert.equal(hex(sha256(message)), createHash('sha256').update(message).digest('hex'), `${length} bytes`)
  }
})

const rp = 'https://rp.example'

/** The page in a browser. @returns what it answers to a message, undefined for silence */
const openPage = (over: { cookie?: string; subtle?: boolean; ancestors?: string[]; referrer?: string } = {}) => {
  let listener: ((event: object) => Promise<void>) | undefined
  const context = createContext({
    document: {
      querySelector: () => ({ content: 'op_bs' }),
      cookie: over.cookie ?? 'other=1; op_bs=STATE',
      referrer: over.referrer ?? '',
    },
    location: { ancestorOrigins: over.ancestors },
    addEventListener: (_type: string, added: typeof listener) => {
      listener = added
    },
    ...(over.subtle !== false && { crypto: { subtle: globalThis.crypto.subtle } }),
    TextEncoder,
    URL,
    Uint8Array,
    btoa,
    Date,
  })
  runInContext(script('sha256.js'), context)
  runInContext(script('check-session.js'), context)
  return async (data: unknown, origin = rp): Promise<{ said: unknown; to: unknown } | undefined> => {
    let answer: { said: unknown; to: unknown } | undefined
    const source = {
      postMessage: (said: unknown, to: unknown) => {
        answer = { said, to }
      },
    }
    await listener?.({ data, origin, source })
    return answer
  }
}

const stateFor = (state: string, origin = rp, clientId = 'web') =>
  `${createHash('sha256').update(`${clientId} ${origin} ${state} SALT`).digest('base64url')}.SALT`

for (const subtle of [true, false])
  test(`answers unchanged, changed and error ${subtle ? 'with WebCrypto' : 'by itself'}`, async () => {
    const ask = openPage({ subtle })
    assert.deepEqual(await ask(`web ${stateFor('STATE')}`), { said: 'unchanged', to: rp })
    assert.deepEqual(await ask(`web ${stateFor('ANOTHER')}`), { said: 'changed', to: rp })
    assert.deepEqual(await ask(`web ${stateFor('STATE', rp, 'web2')}`), { said: 'changed', to: rp })
    for (const nonsense of ['', 'web', 'web nodot', 'web a.b.c', `web ${stateFor('STATE')} more`, 7, null, {}])
      assert.deepEqual(await ask(nonsense), { said: 'error', to: rp }, JSON.stringify(nonsense))
  })

test('a browser that hides the cookie gets error, which is no reason to sign in again', async () => {
  assert.deepEqual(await openPage({ cookie: '' })(`web ${stateFor('STATE')}`), { said: 'error', to: rp })
})

test('signed out, and a session whose time is over, are a change', async () => {
  assert.deepEqual(await openPage({ cookie: 'op_bs=-' })(`web ${stateFor('STATE')}`), { said: 'changed', to: rp })
  const later = Math.floor(Date.now() / 1000) + 60
  const live = openPage({ cookie: `op_bs=STATE.${later}` })
  assert.deepEqual(await live(`web ${stateFor('STATE')}`), { said: 'unchanged', to: rp })
  const over = openPage({ cookie: `op_bs=STATE.${later - 61}` })
  assert.deepEqual(await over(`web ${stateFor('STATE')}`), { said: 'changed', to: rp })
})

test('answers nobody but the embedding page’s origin (Session Management 3.2)', async () => {
  const evil = 'https://evil.example'
  const message = `web ${stateFor('STATE', evil)}`
  assert.equal(await openPage({ ancestors: [rp] })(message, evil), undefined)
  assert.equal(await openPage({ referrer: `${rp}/page` })(message, evil), undefined)
  assert.equal(await openPage()(message, 'null'), undefined)
  assert.deepEqual(await openPage({ ancestors: [rp] })(`web ${stateFor('STATE')}`), { said: 'unchanged', to: rp })
})
