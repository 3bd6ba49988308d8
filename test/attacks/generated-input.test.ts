/** Inputs that nobody thought of (generated.ts), where software asks: no 5xx, no markup, the right OAuth error. */
import { before, describe, test } from 'node:test'
import { attackAddress, openVictim, type Victim } from './generated.ts'

describe('generated input for software', () => {
  let victim: Victim
  before(async () => {
    victim = await openVictim()
  })

  for (const path of ['/token', '/userinfo', '/introspect', '/revoke', '/par', '/register', '/.well-known/webfinger'])
    test(path, () => attackAddress(victim, path))
})
