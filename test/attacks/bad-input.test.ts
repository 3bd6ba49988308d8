/** Every address × everything that can be wrong with one field, with the body, or with the request around it. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { type Gatehouse, startGatehouse } from '#test/flows/world.ts'
import { asker, judge } from './raw.ts'
import { askedOf, comeAlive, everything, goodText, type Target, targetsOf } from './routes.ts'
import { type Case, wrongBodies, wrongFields, wrongHeaders, wrongMembers, wrongMethods } from './spoiled.ts'

/** Requests under way at once: many share one commit of the store, few enough that nobody waits long. */
const AT_ONCE = 24

describe('bad input', () => {
  let op: Gatehouse
  let targets: Target[]
  before(async () => {
    op = await startGatehouse(everything)
    targets = targetsOf(await comeAlive(op))
  })

  const run = async (target: Target, cases: Iterable<Case>) => {
    const ask = asker(op.issuer)
    const before = op.log.length
    const left = cases[Symbol.iterator]()
    const worker = async () => {
      for (let next = left.next(); !next.done; next = left.next()) {
        const { what, asked, check } = next.value
        const answer = await ask(asked)
        judge(answer, `${target.name}: ${what}`, target)
        try {
          check?.(answer)
        } catch (cause) {
          throw new Error(`${target.name}: ${what.slice(0, 300)}: ${answer.status} ${answer.body.slice(0, 300)}`, {
            cause,
          })
        }
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
    // A trace that a busy disk kept waiting says nothing of the input.
    const errors = op.log.slice(before).filter(({ level, event }) => level === 'error' && event !== 'trace.lost')
    assert.deepEqual(errors, [], 'bad input is no error of ours')
  }
  const forAll = (name: string, cases: (target: Target) => Iterable<Case>, of = (_: Target) => true) =>
    test(name, async (t) => {
      const chosen = targets.filter(of)
      assert.ok(chosen.length > 0)
      for (const target of chosen) await t.test(target.name, () => run(target, cases(target)))
    })

  test('control: what the targets send unspoiled is understood', async () => {
    const ask = asker(op.issuer)
    const expected: Record<string, number> = {
      'GET /authorize': 303,
      'POST /authorize': 303,
      'POST /par': 201,
      'POST /register': 201,
      'POST /introspect': 200,
      'POST /revoke': 200,
      'POST /token authorization_code': 400,
      'GET /': 200,
      'GET /healthz': 200,
      'GET /readyz': 200,
      'GET /interaction/:uid': 200,
      'GET /interaction/:uid/basic': 200,
      'POST /interaction/:uid/basic': 401,
      'GET /session/end': 400,
      'GET /no/such/page': 404,
      'GET /sector/family': 200,
      'GET /sector/nobody-knows': 404,
      'GET /interaction/:uid/otp/setup': 200,
      'GET /federation/nobody/callback': 400,
    }
    const statuses: Record<string, number> = {}
    for (const target of targets) {
      const answer = await ask(askedOf(target, goodText(target)))
      judge(answer, target.name, target)
      if (target.name in expected) statuses[target.name] = answer.status
    }
    assert.deepEqual(statuses, expected)
  })

  forAll('one field wrong', wrongFields, ({ json }) => !json)
  forAll('one member wrong', wrongMembers, ({ json }) => json === true)
  forAll('hostile headers', (target) => wrongHeaders(target, new URL(op.issuer).host))
  forAll('another method', wrongMethods)
  forAll('another body', wrongBodies)

  test('no prototype was polluted on the way', () => {
    assert.deepEqual(Object.keys(Object.prototype), [])
    assert.equal(({} as { polluted?: boolean }).polluted, undefined)
  })
})
