/** Probes: `/healthz` says that the process turns, `/readyz` that it may be given requests (stores answer, not draining). */
import { Fault } from '#kernel/faults.ts'
import type { Route } from './route.ts'

/** @param ready rejects with a Fault while a part that is needed does not answer @param draining true once the server stops */
export const healthRoutes = (ready: () => Promise<void>, draining: () => boolean): Route[] => [
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
      try {
        if (draining()) throw new Fault('store.unavailable', { reason: 'draining' })
        await ready()
        ctx.body = { status: 'ready' }
      } catch {
        // The cause is logged where the store is used; a probe that fails every second must not fill the log.
        ctx.status = 503
        ctx.set('retry-after', '5')
        ctx.body = { status: 'unavailable' }
      }
    },
  },
]
