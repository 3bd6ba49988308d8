/**
 * What many artifacts cost (PERFORMANCE 7 and 9): the code flow on an empty store, then with N live rows in it, then while
 * a share of as many more is swept; and how long the event loop stood still.
 */
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Redis } from 'ioredis'
import { openMongoArtifacts } from '../adapters/mongo/index.ts'
import { openRedisArtifacts } from '../adapters/redis/index.ts'
import { openSqliteArtifacts } from '../adapters/sqlite/index.ts'
import { systemClock } from '../src/kernel/clock.ts'
import { silentLog } from '../src/kernel/log.ts'
import type { ArtifactStore } from '../src/kernel/ports.ts'
import { createFixtures } from './fixtures.ts'
import { discover } from './flows.ts'
import { Wire } from './http.ts'
import { type Figures, measure, type Pace } from './measure.ts'
import { operations } from './operations.ts'
import { memoryOf, pin, twoCores } from './processes.ts'
import { bareServer, gatehouseServer, reserveIssuer } from './servers.ts'
import { openStore, type StoreName } from './stores.ts'

const HOUR = 3_600_000
/** Rows under way to the store at once. */
const ABREAST = 500
/** A share of so many more expires and is swept while the flow runs once more. */
const SWEPT = 0.165
/** A sealed payload of middle length, bytes (PERSISTENCE 3.7). */
const BODY = 480
/** Models of what a signed-in person leaves: session, grant, access token. */
const models = ['Session', 'Grant', 'AccessToken'] as const

const openArtifacts = (address: string): Promise<ArtifactStore> => {
  const world = { clock: systemClock, log: silentLog }
  if (address.startsWith('sqlite:')) return openSqliteArtifacts(address.slice('sqlite:'.length), world)
  return address.startsWith('redis') ? openRedisArtifacts(address, world) : openMongoArtifacts(address, world)
}

/** Puts rows as a running server would. @param expiryOf the nth row, epoch ms @returns how long it took, ms */
const fill = async (address: string, rows: number, expiryOf: (n: number) => number): Promise<number> => {
  const began = performance.now()
  const store = await openArtifacts(address)
  const body = randomBytes(BODY)
  let next = 0
  const worker = async () => {
    for (let n = next++; n < rows; n = next++) {
      const model = models[n % 3] ?? 'Session'
      const key = randomBytes(32)
      const uid = model === 'Session' ? { uid: randomBytes(32), tags: [randomBytes(32)] } : { grant: randomBytes(32) }
      await store.put(model, { key, body, expiresAt: expiryOf(n), ...uid })
    }
  }
  await Promise.all(Array.from({ length: ABREAST }, worker))
  await store.close()
  return performance.now() - began
}

/** Bytes that a store's artifacts take: the file, or the server's memory; unknown for MongoDB. */
const sizeOf = async (address: string): Promise<number | undefined> => {
  if (address.startsWith('sqlite:')) return statSync(address.slice('sqlite:'.length)).size
  if (!address.startsWith('redis:')) return undefined
  const redis = new Redis(address)
  const used = /used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]
  await redis.quit()
  return Number(used)
}

const flow = operations.find(({ name }) => name === 'code_flow_sso')

/** @returns lines for people */
export const measureFilled = async (directory: string, name: StoreName, rows: number, pace: Pace): Promise<string> => {
  if (!flow) throw new Error('the code flow is not among the operations')
  const place = await openStore(name)
  const folder = join(directory, `${name}-filled`)
  mkdirSync(folder)
  const fixtures = await createFixtures()
  const issuer = await reserveIssuer()
  const upstream = await bareServer(folder, fixtures, { name: 'nobody', clients: [], autoLogin: true })
  const loopFile = join(folder, 'loop.json')
  process.env.BENCH_LOOP_FILE = loopFile
  const preload = pathToFileURL(join(import.meta.dirname, 'loop-delay.ts')).href
  const server = gatehouseServer(folder, fixtures, { issuer, upstream: upstream.issuer, place, preload })
  const cores = twoCores()

  const round = async (): Promise<{
    figures: Figures
    loop: { max: number; p99: number; busiest: number }
    rssMb: number
  }> => {
    const started = await server.start()
    if (cores) {
      pin(started.pid, cores.server)
      pin(process.pid, cores.load)
    }
    const wire = new Wire()
    const side = { pid: started.pid, target: await discover(wire, issuer), output: started.output }
    wire.close()
    const alone = { name: flow.name, gatehouse: flow.gatehouse }
    const { gatehouse } = await measure(alone, { gatehouse: side }, { fixtures, store: name }, pace)
    const rssMb = memoryOf(started.pid)
    await started.stop()
    return { figures: gatehouse, loop: JSON.parse(readFileSync(loopFile, 'utf8')), rssMb }
  }

  try {
    const empty = await round()
    const { artifacts } = place.settings(folder)
    const before = await sizeOf(artifacts)
    const filledMs = await fill(artifacts, rows, (n) => systemClock.now() + HOUR + (n % (13 * HOUR)))
    const after = await sizeOf(artifacts)
    const bytes = after === undefined ? undefined : after - (before ?? 0)
    const full = await round()
    const expiring = Math.round(rows * SWEPT)
    // All at one moment, when the last one is in.
    const soon = systemClock.now() + 1.5 * filledMs * SWEPT + 5000
    await fill(artifacts, expiring, () => soon)
    const swept = await round()
    const line = (what: string, { figures, loop, rssMb }: typeof empty) =>
      `  ${what}: ${figures.cpuMs.toFixed(3)} ms CPU, p50 ${figures.p50.toFixed(1)} ms, p99 ${figures.p99.toFixed(1)} ms, ` +
      `event loop stood still for at most ${loop.max.toFixed(1)} ms (p99 ${loop.p99.toFixed(1)} ms; ` +
      `by the main thread's CPU at most ${loop.busiest.toFixed(1)} ms), ${rssMb.toFixed(0)} MB`
    return [
      `${place.said}: code_flow_sso`,
      line('empty', empty),
      line(`${rows} rows`, full),
      line(`and while ${expiring} more are swept`, swept),
      `  ratio ${(full.figures.cpuMs / empty.figures.cpuMs).toFixed(2)} of CPU, ${(full.figures.p50 / empty.figures.p50).toFixed(2)} of p50; ` +
        `filled in ${(filledMs / 1000).toFixed(0)} s${bytes === undefined ? '' : `, ${((bytes / rows) * 3).toFixed(0)} bytes a session of three rows`}`,
    ].join('\n')
  } finally {
    await place.close()
  }
}
