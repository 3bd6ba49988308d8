/** Failures of ours as OAuth errors, so that the engine answers them honestly instead of "oops" (CONTRACT 12, DESIGN 23). */
import { errors } from 'oidc-provider'
import { isFault } from '#kernel/faults.ts'

/** A store is away: 503, and the relying party hears `temporarily_unavailable` (RFC 6749 4.1.2.1). */
class StoreAway extends errors.OIDCProviderError {
  constructor(cause: unknown) {
    super(503, 'temporarily_unavailable', { cause })
    this.name = 'StoreAway'
    this.error_description = 'the service is not available at the moment'
    // 5xx errors are hidden by default; this one says nothing that is secret.
    this.expose = true
  }
}

/** Passes everything on but a Fault `store.unavailable`. */
export const translated = <A extends unknown[], R>(
  call: (...given: A) => Promise<R>,
): ((...given: A) => Promise<R>) => {
  return async (...given) => {
    try {
      return await call(...given)
    } catch (error) {
      throw isFault(error, 'store.unavailable') ? new StoreAway(error) : error
    }
  }
}
