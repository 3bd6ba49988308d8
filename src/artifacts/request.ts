/** What is remembered for as long as a request of the engine is answered. */
import Provider from 'oidc-provider'

/**
 * A memory of each request of its own; outside of a request there is none. It lies in the request's `state`: a WeakMap
 * would cost each garbage collection more than all that is looked up in it.
 */
export const perRequest = <T>(make: () => T): (() => T | undefined) => {
  const name = Symbol('memory')
  return () => {
    const state: Record<symbol, T | undefined> | undefined = Provider.ctx?.state
    if (!state) return undefined
    const known = state[name] ?? make()
    state[name] = known
    return known
  }
}
