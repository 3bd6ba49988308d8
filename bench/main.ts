/**
 * `make bench`: what Gatehouse costs above a bare oidc-provider, on the same store and machine, in one run (CONTRACT
 * 13), store after store. Starts both and an upstream provider on loopback, measures operation after operation, prints a table and writes
 * bench/result.json. Exit 1 when an answer was wrong, or with --check when a limit is exceeded.
 */
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { measureFilled } from './filled.ts'
import { createFixtures, type Fixtures } from './fixtures.ts'
import { discover } from './flows.ts'
import { Wire } from './http.ts'
import { measure, type Result, type Side, type Sides, WORKERS } from './measure.ts'
import { HELP, type Options, readOptions } from './options.ts'
import { killAll, memoryOf, pin, type Started, twoCores } from './processes.ts'
import { exceeds, type Report, table, writeReport } from './report.ts'
import { bareServer, gatehouseServer, reserveIssuer, type Server, upstreamClient, workDirectory } from './servers.ts'
import { openStore, type StoreName, type StorePlace, storeMissing } from './stores.ts'

/** ms after which a server that was just started is idle. */
const IDLE = 2000
/** Starts with an existing database; the quickest counts. */
const RESTARTS = 2

const say = (line: string) => process.stderr.write(`${line}\n`)

interface Running {
  readonly server: Server
  readonly started: Started
  readonly firstStartMs: number
  readonly startMs: number
  readonly rssMb: number
}

/** First start, some more with what it left behind, the last of which stays. */
const bringUp = async (name: string, server: Server, restarts: number): Promise<Running> => {
  let started = await server.start()
  const firstStartMs = started.startMs
  let startMs = restarts > 0 ? Number.POSITIVE_INFINITY : firstStartMs
  for (let n = 0; n < restarts; n++) {
    await started.stop()
    started = await server.start()
    startMs = Math.min(startMs, started.startMs)
  }
  await delay(IDLE)
  const rssMb = memoryOf(started.pid)
  say(`${name}: first start ${firstStartMs.toFixed(0)} ms, start ${startMs.toFixed(0)} ms, ${rssMb.toFixed(0)} MB idle`)
  return { server, started, firstStartMs, startMs, rssMb }
}

interface World {
  readonly place: StorePlace
  readonly gatehouse: Running
  readonly bare: Running
  readonly upstream: Started
  readonly fixtures: Fixtures
  readonly pinned: boolean
}

/** Everything started and on its core. @param directory for what this store's servers write */
const open = async (directory: string, place: StorePlace, options: Options): Promise<World> => {
  const fixtures = await createFixtures()
  const clients = [fixtures.service, fixtures.signing, fixtures.web]
  const profile = options.profile === undefined ? {} : { profile: resolve(options.profile) }
  const restarts = options.profile === undefined ? RESTARTS : 0
  const issuer = await reserveIssuer()
  const upstream = await bareServer(directory, fixtures, {
    name: 'upstream',
    clients: [upstreamClient(issuer)],
    autoLogin: true,
  })
  const upstreamStarted = await upstream.start()
  const ours = options.control
    ? await bareServer(directory, fixtures, { name: 'control', clients, place, ...profile })
    : gatehouseServer(directory, fixtures, { issuer, upstream: upstream.issuer, place, ...profile })
  const gatehouse = await bringUp(options.control ? 'control' : 'gatehouse', ours, restarts)
  const bare = await bringUp(
    'bare',
    await bareServer(directory, fixtures, { name: 'bare', clients, place, ...profile }),
    restarts,
  )
  const cores = twoCores()
  if (cores) {
    for (const { started } of [gatehouse, bare]) pin(started.pid, cores.server)
    for (const pid of [upstreamStarted.pid, process.pid]) pin(pid, cores.load)
  } else say('one core, or no taskset: server and load share what there is, figures are rougher')
  return { place, gatehouse, bare, upstream: upstreamStarted, fixtures, pinned: cores !== undefined }
}

const sideOf = async ({ server, started }: Running): Promise<Side> => {
  const wire = new Wire()
  const target = await discover(wire, server.issuer)
  wire.close()
  return { pid: started.pid, target, output: started.output }
}

const measureAll = async (world: World, options: Options): Promise<Result[]> => {
  const sides: Sides = { gatehouse: await sideOf(world.gatehouse), bare: await sideOf(world.bare) }
  const results: Result[] = []
  for (const operation of options.chosen) {
    const { fixtures, place } = world
    const on = { fixtures, store: place.name }
    const result = await measure(operation, sides, on, options.pace).catch((error: Error) => {
      throw new Error(`${operation.name} on ${place.name}, ${error.message}`)
    })
    results.push(result)
    say(
      `${result.store} ${result.name}: ${result.gatehouse.cpuMs.toFixed(3)} ms, ratio ${result.ratio?.toFixed(2) ?? '-'}`,
    )
  }
  return results
}

/** What one store's servers were at the end. */
interface Measured {
  readonly world: World
  readonly results: readonly Result[]
  readonly rssLoadedMb: number
  readonly bareLoadedMb: number
}

/** The first store's servers stand for the figures that are not an operation's. */
const reportOf = (measured: readonly Measured[], options: Options): Report => {
  const [first] = measured
  if (!first) throw new Error('no store was measured')
  const { gatehouse, bare, pinned } = first.world
  const { rounds, round: roundMs } = options.pace
  return {
    startMs: gatehouse.startMs,
    firstStartMs: gatehouse.firstStartMs,
    rssMb: gatehouse.rssMb,
    rssLoadedMb: first.rssLoadedMb,
    bare: { startMs: bare.startMs, rssMb: bare.rssMb, rssLoadedMb: first.bareLoadedMb },
    run: { node: process.versions.node, pinned, rounds, roundMs, workers: WORKERS },
    stores: Object.fromEntries(measured.map(({ world: { place } }) => [place.name, place.said])),
    operations: measured.flatMap(({ results }) => results),
  }
}

/** One store after the other, so that no server waits beside the ones that are measured. */
const measureStore = async (directory: string, name: StoreName, options: Options): Promise<Measured> => {
  const place = await openStore(name)
  try {
    mkdirSync(join(directory, name))
    const world = await open(join(directory, name), place, options)
    const results = await measureAll(world, options)
    const [rssLoadedMb, bareLoadedMb] = [world.gatehouse, world.bare].map(({ started }) => memoryOf(started.pid))
    await Promise.all([world.gatehouse.started, world.bare.started, world.upstream].map((started) => started.stop()))
    return { world, results, rssLoadedMb: rssLoadedMb ?? 0, bareLoadedMb: bareLoadedMb ?? 0 }
  } finally {
    await place.close()
  }
}

/** The stores that were asked for; by default SQLite, and Redis where there is one. */
const storesOf = async ({ stores }: Options): Promise<readonly StoreName[]> => {
  for (const name of stores ?? []) {
    const missing = await storeMissing(name)
    if (missing) throw new Error(`--store ${name}: not here: ${missing}`)
  }
  if (stores) return stores
  const missing = await storeMissing('redis')
  if (missing) say(`without Redis: ${missing}`)
  return missing ? ['sqlite'] : ['sqlite', 'redis']
}

/** @returns whether every ratio is within its limit */
const run = async (options: Options): Promise<boolean> => {
  const directory = workDirectory()
  const abandon = () => {
    killAll()
    directory.remove()
  }
  process.once('exit', abandon)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
  const stores = options.control ? (['sqlite'] as const) : await storesOf(options)
  if (options.fill !== undefined) {
    for (const name of stores) console.log(await measureFilled(directory.path, name, options.fill, options.pace))
    return true
  }
  const measured: Measured[] = []
  for (const name of stores) measured.push(await measureStore(directory.path, name, options))
  const report = reportOf(measured, options)
  console.log(table(report))
  console.log(
    `start ${report.startMs.toFixed(0)} ms (the very first ${report.firstStartMs.toFixed(0)} ms), ` +
      `memory ${report.rssMb.toFixed(0)} MB idle, ${report.rssLoadedMb.toFixed(0)} MB after the run ` +
      `(bare ${report.bare.startMs.toFixed(0)} ms, ${report.bare.rssMb.toFixed(0)} MB, ${report.bare.rssLoadedMb.toFixed(0)} MB)`,
  )
  if (!options.control) console.log(`written to ${writeReport(report)}`)
  return !report.operations.some(exceeds)
}

try {
  const options = readOptions(process.argv.slice(2))
  if (!options) console.log(HELP)
  else if (!(await run(options)) && options.check) process.exitCode = 1
} catch (error) {
  say(`bench: ${error instanceof Error ? error.message : String(error)}`)
  process.exit(1)
}
