/**
 * Probes: `/healthz` says that the process turns; `/readyz` that it may be given requests (the stores answer, it is not
 * about to stop), and if not, which store is away.
 */
import type { Route } from './route.ts'

/** What a store is, and whether it answers. */
export interface StoreState {
  readonly kind: string
  readonly ready: boolean
}
export type StoreStates = Readonly<Record<string, StoreState>>

/** @param ask how the stores are; never rejects @param draining true once the server stops */
export const healthRoutes = (ask: () => Promise<StoreStates>, draining: () => boolean): Route[] => [
  {
    method: 'get',
    path: '/healthz',
    run: (ctx) => {
      ctx.body = { status: 'ok' }
    },
  },
  {
    method: 'get',
    path: '/readyz',
    run: async (ctx) => {
      const states = Object.entries(await ask())
      // The cause is logged where the store is used; a probe that fails every second must not fill the log.
      const away = states.filter(([, { ready }]) => !ready).map(([name]) => name)
      const status = away.length > 0 ? 'unavailable' : draining() ? 'stopping' : 'ready'
      if (status !== 'ready') {
        ctx.status = 503
        ctx.set('retry-after', '5')
      }
      const stores = states.map(([name, { kind, ready }]) => [name, { kind, status: ready ? 'ready' : 'unavailable' }])
      ctx.body = { status, ...(away.length > 0 && { away }), stores: Object.fromEntries(stores) }
    },
  },
]
