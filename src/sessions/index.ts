/**
 * Who is signed in where, and how that ends. Read this first, then `ending.ts`.
 * `ending` ends sessions for every reason there is; `deliveries` is the durable queue of what relying parties must be
 * told; `courier` carries it; `expiry` finds sessions whose time is over; `watch` follows disabled accounts and clients.
 */
import type { Box } from '#artifacts/box.ts'
import { createGraph, type Graph } from '#artifacts/graph.ts'
import type { Settings } from '#config/settings.ts'
import type { Records } from '#directory/records.ts'
import type { Clock } from '#kernel/clock.ts'
import type { Log } from '#kernel/log.ts'
import type { ArtifactStore } from '#kernel/ports.ts'
import type { Sealer } from '#kernel/seal.ts'
import type { Audit } from '#trace/audit.ts'
import { createDeliveries, type Deliveries } from './deliveries.ts'
import { createSessions, type Sessions } from './ending.ts'
import { watchRecords } from './watch.ts'

export interface SessionRoom {
  readonly graph: Graph
  readonly sessions: Sessions
  readonly deliveries: Deliveries
  /** Waits for what a change of records has begun. */
  close(): Promise<void>
}

/** @param given.tombstone seconds for which a dropped grant stays refused */
export const openSessions = (given: {
  readonly store: ArtifactStore
  readonly sealer: Sealer
  readonly box: Box
  readonly records: Records
  readonly clock: Clock
  readonly log: Log
  readonly audit: Audit
  readonly settings: Pick<Settings, 'features'>
  readonly tombstone: number
  readonly forgetUpstream?: (id: string) => Promise<void>
}): SessionRoom => {
  const { records, settings } = given
  const graph = createGraph(given)
  const deliveries = createDeliveries(given)
  const backchannel = settings.features.backchannelLogout
  const sessions = createSessions({ ...given, graph, deliveries, clients: records.clients, backchannel })
  const watch = watchRecords({ ...given, sessions })
  return { graph, sessions, deliveries, close: watch.close }
}
