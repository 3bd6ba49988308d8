/** The mapping's table: which source wins, what happens to lists, what is left out. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { builtInMappings } from '#connectors/index.ts'
import { applyMapping } from '#federation/mapping.ts'
import { draftOf, isEmail } from '#federation/profile.ts'
import { type IdentityProvider, mappingRecord } from '#kernel/records/provider.ts'

const rule = (attributes: Record<string, unknown>) => mappingRecord.parse({ name: 'm', attributes })

const cases: readonly (readonly [
  what: string,
  attributes: Record<string, unknown>,
  claims: Record<string, unknown>,
  drawn: Record<string, unknown>,
])[] = [
  ['one name', { a: 'x' }, { x: 'v', y: 'w' }, { a: 'v' }],
  ['the first present of several', { a: ['x', 'y', 'z'] }, { y: 'second', z: 'third' }, { a: 'second' }],
  [
    'null, empty text and empty list are absent',
    { a: ['n', 'e', 'l', 'y'] },
    { n: null, e: '', l: [], y: 'v' },
    { a: 'v' },
  ],
  ['false and zero are present', { a: ['x', 'y'], b: ['n', 'y'] }, { x: false, n: 0, y: 'v' }, { a: false, b: 0 }],
  ['nothing present: left out', { a: ['x', 'y'], b: 'z' }, { z: 1 }, { b: 1 }],
  ['objects as they are', { address: 'adr' }, { adr: { country: 'SE' } }, { address: { country: 'SE' } }],
  ['lists as they are', { groups: 'g' }, { g: ['a', 'b'] }, { groups: ['a', 'b'] }],
  [
    'a list for a single-valued standard claim: its first',
    { given_name: 'gn', email: 'm' },
    { gn: ['A', 'B'], m: ['a@b.c'] },
    { given_name: 'A', email: 'a@b.c' },
  ],
  [
    'split, trimmed, without empty pieces',
    { g: { from: 'x', split: ',' } },
    { x: ' a, b ,,c' },
    { g: ['a', 'b', 'c'] },
  ],
  ['split each of a list', { g: { from: 'x', split: ';' } }, { x: ['a;b', 'c'] }, { g: ['a', 'b', 'c'] }],
  ['split leaves numbers alone', { g: { from: 'x', split: ',' } }, { x: 5 }, { g: 5 }],
  ['split to nothing takes the default', { g: { from: 'x', split: ',', default: [] } }, { x: ' , ' }, { g: [] }],
  [
    'lowercase, text and list',
    { a: { from: 'x', lowercase: true }, b: { from: 'y', lowercase: true } },
    { x: 'ABC', y: ['D', 'e'] },
    { a: 'abc', b: ['d', 'e'] },
  ],
  ['split, then lowercase', { a: { from: 'x', split: ',', lowercase: true } }, { x: 'A,B' }, { a: ['a', 'b'] }],
  [
    'default only where nothing is present',
    { a: { from: 'x', default: 'd' }, b: { from: 'y', default: 'd' } },
    { y: 'v' },
    { a: 'd', b: 'v' },
  ],
  ['several sources with a transform', { a: { from: ['x', 'y'], lowercase: true } }, { y: 'V' }, { a: 'v' }],
  ['no source reaches a prototype', { a: 'constructor', b: ['toString', '__proto__', 'x'] }, { x: 'v' }, { b: 'v' }],
  ['dots are part of the name', { a: 'urn:x.y' }, { 'urn:x.y': 'v' }, { a: 'v' }],
]

describe('mapping', () => {
  for (const [what, attributes, claims, drawn] of cases)
    test(what, () => assert.deepEqual(applyMapping(rule(attributes), claims), drawn))
})

describe('the draft of an account', () => {
  const provider = { id: 'acme' } as IdentityProvider
  const draft = (claims: Record<string, unknown>, attributes?: Record<string, unknown>, uid = 'U-1') => {
    const mapping = attributes ? rule(attributes) : builtInMappings.get('openid-client')
    assert.ok(mapping)
    return draftOf(provider, mapping, { uid, claims })
  }

  test('the default mapping takes the standard claims', () => {
    const claims = {
      sub: 'U-1',
      iss: 'https://op.example',
      nonce: 'n',
      preferred_username: 'alice',
      email: 'alice@acme.example',
      email_verified: true,
      given_name: 'Alice',
      address: { country: 'SE' },
      phone_number: '+46 1',
      unknown: 'x',
    }
    assert.deepEqual(draft(claims), {
      username: 'alice',
      email: 'alice@acme.example',
      email_verified: true,
      claims: {
        given_name: 'Alice',
        preferred_username: 'alice',
        address: { country: 'SE' },
        phone_number: '+46 1',
      },
    })
  })

  test('a username is found, cleaned or made', () => {
    assert.equal(draft({ nickname: 'al', email: 'a@b.example' }).username, 'al')
    assert.equal(draft({ email: 'a@b.example' }).username, 'a@b.example')
    assert.equal(draft({}).username, 'acme-U-1')
    assert.equal(draft({ preferred_username: ' \u0000\u202e\n ' }).username, 'acme-U-1')
    assert.equal(draft({ preferred_username: 'a\u0000l\u200bice ' }).username, 'alice')
    assert.equal(draft({ preferred_username: 'x'.repeat(5000) }).username.length, 200)
  })

  test('roles, ids and protocol claims never come from outside', () => {
    const outcome = draft(
      { r: ['admin'], s: 'root', p: '$argon2id$…' },
      { roles: 'r', id: 's', sub: 's', passwordHash: 'p', disabled: 'r', acr: 's', idp: 's', username: 's' },
    )
    assert.deepEqual(Object.keys(outcome).sort(), ['claims', 'email_verified', 'username'])
    // Under these names they are claims like any other, not the account's own fields.
    assert.deepEqual(Object.keys(outcome.claims).sort(), ['disabled', 'id', 'passwordHash', 'roles'])
  })

  test('an address counts only when it is one', () => {
    for (const good of ['a@b.example', 'a+b@b.example', "o'neil@b.example", 'ä@bücher.example'])
      assert.ok(isEmail(good), good)
    for (const bad of [
      'a@evil.example@acme.example',
      'a b@acme.example',
      'a@acme.example\n',
      '@acme.example',
      'a@',
      'a',
      '',
      'a@[127.0.0.1]',
      '<a@b.example>',
      '"a b"@b.example',
      `${'x'.repeat(65)}@b.example`,
      'a\u0000@b.example',
      42,
    ])
      assert.equal(isEmail(bad), false, String(bad))
    assert.deepEqual(
      [draft({ email: 'a@b@c' }).email, draft({ email: 'a@b@c', email_verified: true }).email_verified],
      [undefined, false],
    )
  })

  test('verified means true, in either spelling, and only with an address', () => {
    assert.equal(draft({ email: 'a@b.example', email_verified: 'true' }).email_verified, true)
    for (const value of [false, 'false', 1, 'yes', undefined])
      assert.equal(draft({ email: 'a@b.example', email_verified: value }).email_verified, false)
    assert.equal(draft({ email_verified: true }).email_verified, false)
  })
})
