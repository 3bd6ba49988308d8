/** An empty directory on SQLite with a clock that tests move, and records over it as often as a test wants nodes. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { createLocalBus, openSqliteDirectory } from '#adapters/sqlite/index.ts'
import { createRecords, type KeySettings, noResources, type Resources } from '#directory/index.ts'
import { openKeyring } from '#directory/keyring.ts'
import { silentLog } from '#kernel/log.ts'
import type { Bus, Directory } from '#kernel/ports.ts'
import type { Sealer } from '#kernel/seal.ts'

const DAY = 24 * 3600

export const keySettings: KeySettings = {
  algorithms: ['ES256', 'EdDSA'],
  default: 'ES256',
  rotateEvery: 90 * DAY,
  publishBefore: 2 * DAY,
  keepAfter: 7 * DAY,
}

export const MASTER_KEY = Buffer.alloc(32, 7)

export class MovableClock {
  #now = Date.UTC(2026, 0, 1)
  now = () => this.#now
  skip(seconds: number) {
    this.#now += seconds * 1000
  }
}

export interface Node {
  readonly port: Directory
  readonly bus: Bus
  readonly sealer: Sealer
  readonly records: Awaited<ReturnType<typeof createRecords>>
}

export interface Ground {
  readonly clock: MovableClock
  readonly path: string
  /** Another process's view of the same file: connections, bus, caches of its own. */
  node(given?: { overlay?: Partial<Resources>; keys?: Partial<KeySettings>; pollMs?: number }): Promise<Node>
}

/** A recognisable stand-in for argon2id, which has tests of its own. */
export const hashPassword = async (password: string): Promise<string> =>
  `$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$${Buffer.from(password).toString('base64').replaceAll('=', '')}`
export const samePassword = async (password: string, hash: string): Promise<boolean> =>
  (await hashPassword(password)) === hash

export const openGround = async (t: TestContext): Promise<Ground> => {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-directory-'))
  const clock = new MovableClock()
  const path = join(folder, 'directory.db')
  const closing: (() => Promise<void>)[] = []
  t.after(async () => {
    for (const close of closing.reverse()) await close()
    await rm(folder, { recursive: true, force: true })
  })
  return {
    clock,
    path,
    async node({ overlay = {}, keys = {}, pollMs = 20 } = {}) {
      const port = await openSqliteDirectory(path, { clock, log: silentLog })
      closing.push(() => port.close())
      const bus = createLocalBus({ directory: port, pollMs })
      closing.push(() => bus.close())
      const { directory: sealer } = await openKeyring(port, [MASTER_KEY], clock)
      const records = await createRecords({
        port,
        bus,
        sealer,
        clock,
        overlay: { ...noResources, ...overlay },
        keys: { ...keySettings, ...keys },
        hashPassword,
      })
      closing.push(() => records.close())
      return { port, bus, sealer, records }
    },
  }
}

/** The next change of a kind that a node hears of. */
export const heard = ({ records }: Node, kind: string): Promise<void> =>
  new Promise((resolve) => {
    const stop = records.onChange((changed) => {
      if (changed !== kind) return
      stop()
      resolve()
    })
  })
