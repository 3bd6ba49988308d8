/** The journey's decisions as a table: what comes next for each state of a sign-in. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { beginning, type Journey, type Next, next, type Passed, type Plan, pass } from '#interaction/journey.ts'

const done = (by: string, authTime = 100, amr = ['pwd']): Passed => ({ by, amr, authTime })
const plan = (steps: string[][], more: Partial<Plan> = {}): Plan => ({
  steps,
  amr: [],
  providers: new Set(['acme', 'beta']),
  ...more,
})

const rows: [string, Journey, Plan, Next][] = [
  ['a lone method is taken at once', beginning, plan([['basic']]), { go: 'method', id: 'basic', others: false }],
  ['a lone provider is left for at once', beginning, plan([['acme']]), { go: 'leave', provider: 'acme' }],
  ['several ways are a choice', beginning, plan([['basic', 'acme']]), { go: 'choose', options: ['basic', 'acme'] }],
  [
    'a picked provider is left for',
    { passed: [], picked: 'acme' },
    plan([['basic', 'acme']]),
    { go: 'leave', provider: 'acme' },
  ],
  [
    'a picked method leaves the choice open',
    { passed: [], picked: 'basic' },
    plan([['basic', 'acme']]),
    { go: 'method', id: 'basic', others: true },
  ],
  [
    'a pick that is not offered is no pick',
    { passed: [], picked: 'evil' },
    plan([['basic', 'acme']]),
    { go: 'choose', options: ['basic', 'acme'] },
  ],
  [
    'back from a provider by the back button: decide anew',
    { passed: [], departed: 'acme' },
    plan([['acme']]),
    { go: 'choose', options: ['acme'], waiting: 'acme' },
  ],
  [
    'failed at the provider: say so instead of leaving again',
    { passed: [], fault: 'upstream.unavailable' },
    plan([['acme']]),
    { go: 'choose', options: ['acme'] },
  ],
  [
    'a newcomer is asked for an address before anything else',
    { passed: [done('acme')], newcomer: { provider: 'acme', pending: 'h' } },
    plan([['acme']]),
    { go: 'email' },
  ],
  ['an empty step cannot be met', beginning, plan([[]]), { go: 'unreachable' }],
  ['done without an account cannot finish', { passed: [done('acme')] }, plan([['acme']]), { go: 'unreachable' }],
  [
    'the requested acr is reported when it was satisfied',
    { passed: [done('acme', 100, ['fed'])], accountId: 'a1' },
    plan([['acme']], { acr: 'urn:loa2' }),
    { go: 'finish', accountId: 'a1', acr: 'urn:loa2', amr: ['fed'], authTime: 100 },
  ],
  [
    'nothing asked: the id of what was done is reported',
    { passed: [done('basic')], accountId: 'a1' },
    plan([['basic', 'acme']]),
    { go: 'finish', accountId: 'a1', acr: 'basic', amr: ['pwd'], authTime: 100 },
  ],
  [
    'the second step follows the first',
    { passed: [done('basic')], accountId: 'a1' },
    plan([['basic'], ['acme']]),
    { go: 'leave', provider: 'acme' },
  ],
  [
    'two steps: both amr, the acr adds its own, the earliest time',
    { passed: [done('basic', 90), done('acme', 120, ['fed'])], accountId: 'a1' },
    plan([['basic'], ['acme']], { acr: 'strong', amr: ['mfa'] }),
    { go: 'finish', accountId: 'a1', acr: 'strong', amr: ['pwd', 'fed', 'mfa'], authTime: 90 },
  ],
]

describe('journey', () => {
  for (const [name, journey, given, expected] of rows) {
    test(name, () => assert.deepEqual(next(journey, given), expected))
  }
  test('passing a way in forgets the departure and the fault, and replaces an earlier pass of the same way', () => {
    const before: Journey = { passed: [done('acme', 50)], picked: 'acme', departed: 'acme', fault: 'upstream.denied' }
    assert.deepEqual(pass(before, 'a1', done('acme', 70)), { passed: [done('acme', 70)], accountId: 'a1' })
  })
})
