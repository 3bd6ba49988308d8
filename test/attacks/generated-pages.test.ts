/** Inputs that nobody thought of (generated.ts), where browsers come: no 5xx, no markup, an error that is the right one. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { attack, attackAddress, attackPaths, openVictim, type Victim } from './generated.ts'

describe('generated input for browsers', () => {
  let victim: Victim
  before(async () => {
    victim = await openVictim()
  })

  for (const path of [
    '/authorize',
    '/session/end',
    '/session/end/confirm',
    '/session/end/success',
    '/session/check',
    '/federation/acme/callback',
  ])
    test(path, () => attackAddress(victim, path))

  // Passwords cost work by design: they are not among them.
  for (const step of ['choose', 'identify', 'email', 'consent'])
    test(`the step ${step}`, () =>
      attack(
        victim,
        victim.targets.find(({ path, method }) => method === 'POST' && path.endsWith(`/${step}`)) ?? assert.fail(step),
      ))

  test('the way back into a sign-in', () =>
    attack(
      victim,
      victim.targets.find(({ path, method }) => method === 'GET' && path.endsWith('/continue')) ?? assert.fail(),
    ))

  test('any path at all', () => attackPaths(victim))
})
