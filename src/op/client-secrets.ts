/**
 * Guessing client secrets is limited as guessing passwords is (CONTRACT 2, attempt limits). The shared counters are asked
 * only for clients that this process saw a wrong secret of, so that a client with the right one pays nothing.
 */
import Provider, { errors } from 'oidc-provider'
import type { Ctx } from '#http/context.ts'
import type { Clock } from '#kernel/clock.ts'
import type { ArtifactStore } from '#kernel/ports.ts'
import { createAttempts } from '#methods/attempts.ts'
import type { Engine } from './engine.ts'

const SUSPECTS = 10_000

class TooManyAttempts extends errors.OIDCProviderError {
  constructor() {
    super(429, 'temporarily_unavailable')
    this.name = 'TooManyAttempts'
    this.error_description = 'too many wrong client secrets; try again later'
    this.expose = true
  }
}

interface SecretHolder {
  clientId: string
  compareClientSecret(actual: string): boolean | Promise<boolean>
}

/** The clients that a wrong secret was seen of; shared by all engine instances of a process. */
export const createSecretGuard = (store: ArtifactStore, clock: Clock) => {
  const attempts = createAttempts(store, clock, 'client secret')
  const suspects = new Set<string>()
  return (engine: Engine): void => {
    const prototype = engine.Client.prototype as unknown as SecretHolder
    const compare = prototype.compareClientSecret
    prototype.compareClientSecret = async function (actual) {
      const ctx = Provider.ctx as unknown as Ctx | undefined
      const who = { account: this.clientId, address: ctx?.ip ?? '' }
      const wait = suspects.has(this.clientId) ? await attempts.limited(who) : undefined
      if (wait !== undefined) {
        ctx?.set('retry-after', String(wait))
        throw new TooManyAttempts()
      }
      if (await compare.call(this, actual)) return true
      if (suspects.size >= SUSPECTS) suspects.clear()
      suspects.add(this.clientId)
      await attempts.wrong(who)
      return false
    }
  }
}
