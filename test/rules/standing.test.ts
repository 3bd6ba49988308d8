/** What of a session counts for a request that wants more, as a table. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Plan } from '#interaction/journey.ts'
import { next } from '#interaction/journey.ts'
import { standing } from '#interaction/standing.ts'
import type { Interaction, WayTaken } from '#kernel/ports.ts'

const NOW = 10_000
const way = (by: string, authTime = NOW - 100): WayTaken => ({ by, amr: [by], authTime })
const asked = (
  ways: readonly WayTaken[] | undefined,
  { reasons = ['acr'], name = 'login', params = {}, upstream = undefined as string | undefined } = {},
): Interaction =>
  ({
    prompt: { name, reasons, details: {} },
    params,
    session: {
      uid: 's',
      accountId: 'a1',
      ...(ways && { ways }),
      ...(upstream && { upstream: { provider: upstream, id: 'u' } }),
    },
  }) as unknown as Interaction
const plan = (...steps: string[][]): Plan => ({ steps, amr: [], acr: 'gold', providers: new Set(['acme']) })
const given = { secondary: new Set(['otp']), now: NOW }

const rows: readonly (readonly [what: string, Interaction, Plan, opens: string | string[]])[] = [
  ['only the missing step', asked([way('basic')]), plan(['basic', 'acme'], ['otp']), 'otp'],
  ['only the missing step, whichever it is', asked([way('otp')]), plan(['basic', 'acme'], ['otp']), ['basic', 'acme']],
  ['a provider that is missing', asked([way('basic')]), plan(['basic'], ['acme']), 'acme'],
  [
    'prompt=login: everything',
    asked([way('basic')], { reasons: ['login_prompt', 'acr'] }),
    plan(['basic'], ['otp']),
    'basic',
  ],
  ['another prompt: everything', asked([way('basic')], { name: 'select_account' }), plan(['basic'], ['otp']), 'basic'],
  [
    'another person is wanted: everything',
    asked([way('basic')], { reasons: ['id_token_hint', 'acr'] }),
    plan(['basic'], ['otp']),
    'basic',
  ],
  [
    'too old for max_age: everything',
    asked([way('basic')], { params: { max_age: 60 } }),
    plan(['basic'], ['otp']),
    'basic',
  ],
  ['young enough for max_age', asked([way('basic')], { params: { max_age: 200 } }), plan(['basic'], ['otp']), 'otp'],
  [
    'one too old, one not',
    asked([way('basic'), way('otp', NOW - 10)], { reasons: ['max_age'], params: { max_age: 60 } }),
    plan(['basic'], ['otp']),
    'basic',
  ],
  ['a session that does not say: everything', asked(undefined), plan(['basic'], ['otp']), 'basic'],
]

describe('step-up asks', () => {
  for (const [what, interaction, wanted, opens] of rows)
    test(what, () => {
      const step = next(standing(interaction, wanted, given), wanted)
      const shown =
        step.go === 'method'
          ? step.id
          : step.go === 'leave'
            ? step.provider
            : step.go === 'choose'
              ? step.options
              : step.go
      assert.deepEqual(shown, opens)
    })

  test('the session’s person, when the step is for somebody who is known, else anybody', () => {
    const session = asked([way('basic')])
    assert.equal(standing(session, plan(['otp']), given).accountId, 'a1')
    assert.equal(standing(session, plan(['acme']), given).accountId, undefined)
    assert.equal(standing(session, plan([]), given).accountId, undefined)
  })

  test('what was done before keeps its time and its upstream session; all of it is told', () => {
    const wanted = plan(['acme'], ['otp'])
    const journey = standing(asked([way('acme', 50)], { upstream: 'acme' }), wanted, given)
    assert.deepEqual(journey.upstream, { provider: 'acme', id: 'u' })
    const after = { ...journey, passed: [...journey.passed, way('otp', NOW)] }
    assert.deepEqual(next(after, wanted), {
      go: 'finish',
      accountId: 'a1',
      acr: 'gold',
      amr: ['acme', 'otp'],
      authTime: 50,
    })
    assert.equal(
      standing(asked([way('basic')], { upstream: 'acme' }), plan(['basic'], ['otp']), given).upstream,
      undefined,
    )
  })
})
