/** The rooms below the server on real SQLite files: store, box and records, for tests of what is built on them. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLocalBus, openSqliteArtifacts, openSqliteDirectory } from '#adapters/sqlite/index.ts'
import { type Box, createBox } from '#artifacts/box.ts'
import { createRecords, noResources, type Resources } from '#directory/index.ts'
import { openKeyring } from '#directory/keyring.ts'
import type { Records } from '#directory/records.ts'
import type { Clock } from '#kernel/clock.ts'
import { silentLog } from '#kernel/log.ts'
import type { ArtifactStore } from '#kernel/ports.ts'
import { createPasswords, type Passwords } from '#methods/password.ts'

/** A clock that stands still until it is moved. */
export interface TestClock extends Clock {
  at: number
}

export interface Rooms {
  readonly clock: TestClock
  readonly store: ArtifactStore
  readonly box: Box
  readonly records: Records
  readonly passwords: Passwords
  /** The records as another process on the same files sees them. */
  another(): Promise<Records>
  close(): Promise<void>
}

const keySettings = {
  algorithms: ['ES256'],
  default: 'ES256',
  rotateEvery: 7_776_000,
  publishBefore: 172_800,
  keepAfter: 604_800,
} as const

export const openRooms = async (declared: Partial<Resources> = {}): Promise<Rooms> => {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-rooms-'))
  const clock: TestClock = { at: Date.now(), now: () => clock.at }
  const world = { clock, log: silentLog }
  const masterKey = Buffer.alloc(32, 7)
  const passwords = createPasswords()
  const closing: (() => Promise<unknown>)[] = []

  const openDirectory = async () => {
    const directory = await openSqliteDirectory(join(folder, 'directory.db'), world)
    const bus = createLocalBus({ directory, pollMs: 50 })
    const keyring = await openKeyring(directory, [masterKey], clock)
    const records = await createRecords({
      port: directory,
      bus,
      sealer: keyring.directory,
      clock,
      overlay: { ...noResources, ...declared },
      keys: keySettings,
      hashPassword: passwords.hashPassword,
    })
    closing.unshift(
      () => records.close(),
      () => bus.close(),
      () => directory.close(),
    )
    return { records, keyring }
  }

  const store = await openSqliteArtifacts(join(folder, 'artifacts.db'), world)
  closing.unshift(() => store.close())
  const { records, keyring } = await openDirectory()
  return {
    clock,
    store,
    records,
    passwords,
    box: createBox({ store, sealer: keyring.artifacts, clock }),
    another: async () => (await openDirectory()).records,
    async close() {
      for (const close of closing) await close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
