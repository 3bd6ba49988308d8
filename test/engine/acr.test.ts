/** Which sign-in satisfies which request, as a table (CONTRACT 5). */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createAcrTable, type Done } from '#op/acr.ts'
import { acr, provider } from './house.ts'

const table = createAcrTable({
  methods: ['basic', 'otp'],
  providers: [
    provider('acme', { acrs: ['urn:loa2'] }),
    provider('trusted', { acrs: ['urn:loa3'], trustAcr: true }),
    provider('idp', { protocol: 'saml' }),
  ],
  acrs: [
    acr({ name: 'gold', steps: [['basic', 'acme'], ['otp']], level: 2 }),
    acr({ name: 'silver', steps: [['basic', 'acme']], level: 1 }),
    acr({ name: 'bronze', steps: [['otp']], level: 1 }),
    acr({ name: 'lost', steps: [['gone']] }),
  ],
})

test('every way in is a value, groups only when they have members', () => {
  assert.deepEqual(table.values, [
    'basic',
    'otp',
    'acme',
    'trusted',
    'idp',
    'urn:loa2',
    'urn:loa3',
    'passport_social',
    'passport_saml',
    'gold',
    'silver',
    'bronze',
    'lost',
  ])
})

const cases: readonly (readonly [what: string, done: Done, wanted: string, met: boolean])[] = [
  ['the method itself', { acr: 'basic' }, 'basic', true],
  ['another method', { acr: 'basic' }, 'otp', false],
  ['the provider used', { acr: 'acme', provider: 'acme' }, 'acme', true],
  ['the provider used, when another value was reported', { acr: 'urn:loa2', provider: 'acme' }, 'acme', true],
  ['another provider', { acr: 'acme', provider: 'acme' }, 'idp', false],
  ['a provider’s value that it did not confirm', { acr: 'acme', provider: 'acme' }, 'urn:loa2', false],
  ['a provider’s value that it confirmed', { acr: 'urn:loa2', provider: 'acme' }, 'urn:loa2', true],
  ['a trusted provider’s value', { acr: 'trusted', provider: 'trusted' }, 'urn:loa3', true],
  ['the group of the provider', { acr: 'acme', provider: 'acme' }, 'passport_social', true],
  ['the other group', { acr: 'acme', provider: 'acme' }, 'passport_saml', false],
  ['a group, for a local sign-in', { acr: 'basic' }, 'passport_social', false],
  ['a record whose only step was done', { acr: 'basic' }, 'silver', true],
  ['a record with one step of two', { acr: 'basic' }, 'gold', false],
  ['the record itself', { acr: 'gold', provider: 'acme' }, 'gold', true],
  ['a lower level', { acr: 'gold' }, 'silver', true],
  ['the same level of another record', { acr: 'silver' }, 'bronze', false],
  ['a step that the record surely had', { acr: 'gold' }, 'otp', true],
  ['a step that it may have had otherwise', { acr: 'gold' }, 'basic', false],
  ['an unknown value', { acr: 'basic' }, 'unknown', false],
  ['nobody signed in', {}, 'basic', false],
]
describe('met', () => {
  for (const [what, done, wanted, met] of cases)
    test(`${what}: ${met ? 'yes' : 'no'}`, () => assert.equal(table.met([wanted], done), met ? wanted : undefined))
  test('the first satisfied value is the one to report', () => {
    assert.equal(table.met(['otp', 'acme', 'passport_social'], { acr: 'acme', provider: 'acme' }), 'acme')
  })
})

describe('met, where the session says what was done', () => {
  const strict = createAcrTable({
    methods: ['basic', 'otp'],
    secondary: new Set(['otp']),
    providers: [provider('acme')],
    acrs: [
      acr({ name: 'gold', steps: [['basic', 'acme'], ['otp']], level: 2 }),
      acr({ name: 'code', steps: [['otp']], level: 1 }),
      acr({ name: 'silver', steps: [['acme']], level: 1 }),
      acr({ name: 'zero', steps: [['acme']], level: 0 }),
    ],
  })
  const rows: readonly (readonly [what: string, done: Done, wanted: string, met: boolean])[] = [
    ['a record whose steps were done one by one', { acr: 'otp', ways: ['basic', 'otp'] }, 'gold', true],
    ['a record with a step missing', { acr: 'basic', ways: ['basic'] }, 'gold', false],
    ['a way that was taken on the way', { acr: 'gold', ways: ['basic', 'otp'] }, 'basic', true],
    ['a way that a record leaves open and that was not taken', { acr: 'gold', ways: ['acme', 'otp'] }, 'basic', false],
    ['a lower level', { acr: 'gold', ways: ['basic', 'otp'] }, 'silver', true],
    ['a lower level, reached without its name', { acr: 'otp', ways: ['basic', 'otp'] }, 'silver', true],
    ['no level by a way that no record knows', { acr: 'basic', ways: ['basic'] }, 'zero', false],
    ['the second factor after a first', { acr: 'gold', ways: ['basic', 'otp'] }, 'otp', true],
    ['the second factor alone, by its own name', { acr: 'code', ways: ['otp'] }, 'otp', false],
    ['the second factor alone, by a record that allows it', { acr: 'code', ways: ['otp'] }, 'code', true],
    ['the second factor of a session that does not say', { acr: 'gold' }, 'otp', true],
    ['the second factor alone of a session that does not say', { acr: 'code' }, 'otp', false],
  ]
  for (const [what, done, wanted, met] of rows)
    test(`${what}: ${met ? 'yes' : 'no'}`, () => assert.equal(strict.met([wanted], done), met ? wanted : undefined))
})

test('reachable leaves out what is unknown, disabled, or not for the client', () => {
  const all = ['basic', 'acme', 'urn:loa2', 'gold', 'lost', 'passport_social', 'passport_saml', 'unknown']
  assert.deepEqual(table.reachable(all), ['basic', 'acme', 'urn:loa2', 'gold', 'passport_social', 'passport_saml'])
  assert.deepEqual(table.reachable(all, ['idp']), ['basic', 'gold', 'passport_saml'])
  assert.deepEqual(table.reachable(['acme', 'passport_social'], []), [])
})
