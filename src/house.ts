/**
 * What every command stands on: the stores of a configuration, and over them keyring, records, traces and sessions.
 * Nothing here answers requests.
 */
import { type Box, createBox } from '#artifacts/box.ts'
import type { Graph } from '#artifacts/graph.ts'
import { keyringOf } from '#config/keys.ts'
import type { Loaded } from '#config/load.ts'
import { masterKeys } from '#config/master-key.ts'
import type { Applying } from '#directory/apply.ts'
import { createRecords } from '#directory/index.ts'
import { type Keyring, openKeyring } from '#directory/keyring.ts'
import type { Records } from '#directory/records.ts'
import { refuseHalfRestored } from '#directory/restoring.ts'
import { type Clock, systemClock } from '#kernel/clock.ts'
import { opening } from '#kernel/closing.ts'
import type { Log } from '#kernel/log.ts'
import type { ArtifactStore, Bus, Directory } from '#kernel/ports.ts'
import type { Sealer } from '#kernel/seal.ts'
import { hashPassword } from '#methods/password.ts'
import { grantLifetime } from '#op/settings.ts'
import type { Deliveries } from '#sessions/deliveries.ts'
import type { Sessions } from '#sessions/ending.ts'
import { openSessions } from '#sessions/index.ts'
import { type Audit, createAudit } from '#trace/audit.ts'
import { createTrace, type Trace } from '#trace/trace.ts'
import { openBus, openPair } from './stores.ts'

export interface HouseWorld {
  readonly log: Log
  readonly clock?: Clock
}

/** The stores alone, as `backup` and `restore` need them: nothing is made in them, nothing is opened of what they hold. */
export interface Stores {
  readonly store: ArtifactStore
  readonly directory: Directory
  /** 32 bytes each, newest first. */
  readonly masterKeys: readonly Uint8Array[]
  close(): Promise<void>
}

export interface House {
  readonly store: ArtifactStore
  readonly directory: Directory
  readonly bus: Bus
  readonly sealer: Sealer
  readonly keyring: Keyring
  readonly box: Box
  readonly records: Records & Applying
  readonly trace: Trace
  readonly audit: Audit
  readonly sessions: Sessions
  readonly deliveries: Deliveries
  readonly graph: Graph
  close(): Promise<void>
}

/** Throws Fault `store.*` with the setting and the reason in its detail. */
export const openStores = async ({ settings }: Loaded, { log, clock = systemClock }: HouseWorld): Promise<Stores> => {
  // Before the stores make their files: a key is made for new ones only.
  const keys = await masterKeys(settings)
  return opening(async (parts) => {
    const { store, directory } = await openPair(settings.stores, { clock, log })
    parts.add(() => store.close())
    parts.add(() => directory.close())
    return { store, directory, masterKeys: keys, close: parts.close }
  })
}

/** Opens stores, keyring, records and trace. Throws Fault `store.*` or `seal.broken` with the reason in its detail. */
export const openHouse = (loaded: Loaded, world: HouseWorld): Promise<House> =>
  opening(async (parts) => {
    const { settings, resources } = loaded
    const { log, clock = systemClock } = world
    const stores = await openStores(loaded, world)
    const { store, directory } = stores
    parts.add(stores.close)
    await refuseHalfRestored(directory)
    const bus = await openBus(settings.stores, directory, { clock, log })
    parts.add(() => bus.close())
    const keyring = await openKeyring(directory, stores.masterKeys, clock, bus)
    parts.add(keyring.close)
    const sealer = keyring.artifacts
    const records = await createRecords({
      port: directory,
      bus,
      sealer: keyring.directory,
      clock,
      overlay: resources,
      keys: keyringOf(settings),
      hashPassword,
    })
    parts.add(() => records.close())
    const { audit, settled } = createAudit(directory, log, clock)
    parts.add(settled)
    const trace = createTrace(store, sealer, clock, undefined, (cause) => log.error('trace.lost', { cause }))
    parts.add(() => trace.close())
    const box = createBox({ store, sealer, clock })
    const common = { store, sealer, box, records, audit, settings }
    const { close, ...room } = openSessions({ ...common, clock, log, tombstone: grantLifetime(settings) })
    parts.add(close)
    return { ...common, ...room, directory, bus, keyring, trace, close: parts.close }
  })
