/**
 * `make bench`: what Gatehouse costs above a bare oidc-provider, on the same store and machine, in one run (CONTRACT
 * 13). Starts both and an upstream provider on loopback, measures operation after operation, prints a table and writes
 * bench/result.json. Exit 1 when an answer was wrong, or with --check when a limit is exceeded.
 */
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createFixtures, type Fixtures } from './fixtures.ts'
import { discover } from './flows.ts'
import { Wire } from './http.ts'
import { measure, type Result, type Side, type Sides, WORKERS } from './measure.ts'
import { HELP, type Options, readOptions } from './options.ts'
import { killAll, memoryOf, pin, type Started, twoCores } from './processes.ts'
import { exceeds, type Report, table, writeReport } from './report.ts'
import { bareServer, gatehouseServer, reserveIssuer, type Server, upstreamClient, workDirectory } from './servers.ts'

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
  readonly gatehouse: Running
  readonly bare: Running
  readonly upstream: Started
  readonly fixtures: Fixtures
  readonly pinned: boolean
}

/** Everything started and on its core. */
const open = async (directory: string, options: Options): Promise<World> => {
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
    ? await bareServer(directory, fixtures, { name: 'control', clients, ...profile })
    : gatehouseServer(directory, fixtures, { issuer, upstream: upstream.issuer, ...profile })
  const gatehouse = await bringUp(options.control ? 'control' : 'gatehouse', ours, restarts)
  const bare = await bringUp(
    'bare',
    await bareServer(directory, fixtures, { name: 'bare', clients, ...profile }),
    restarts,
  )
  const cores = twoCores()
  if (cores) {
    for (const { started } of [gatehouse, bare]) pin(started.pid, cores.server)
    for (const pid of [upstreamStarted.pid, process.pid]) pin(pid, cores.load)
  } else say('one core, or no taskset: server and load share what there is, figures are rougher')
  return { gatehouse, bare, upstream: upstreamStarted, fixtures, pinned: cores !== undefined }
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
    const result = await measure(operation, sides, world.fixtures, options.pace).catch((error: Error) => {
      throw new Error(`${operation.name}, ${error.message}`)
    })
    results.push(result)
    say(`${result.name}: ${result.gatehouse.cpuMs.toFixed(3)} ms, ratio ${result.ratio?.toFixed(2) ?? '-'}`)
  }
  return results
}

const reportOf = (world: World, options: Options, results: readonly Result[]): Report => {
  const { gatehouse, bare, pinned } = world
  const { rounds, round: roundMs } = options.pace
  return {
    startMs: gatehouse.startMs,
    firstStartMs: gatehouse.firstStartMs,
    rssMb: gatehouse.rssMb,
    rssLoadedMb: memoryOf(gatehouse.started.pid),
    bare: { startMs: bare.startMs, rssMb: bare.rssMb, rssLoadedMb: memoryOf(bare.started.pid) },
    run: { node: process.versions.node, pinned, rounds, roundMs, workers: WORKERS },
    operations: results,
  }
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
  const world = await open(directory.path, options)
  const results = await measureAll(world, options)
  const report = reportOf(world, options, results)
  await Promise.all([world.gatehouse.started, world.bare.started, world.upstream].map((started) => started.stop()))
  console.log(table(report))
  console.log(
    `start ${report.startMs.toFixed(0)} ms (the very first ${report.firstStartMs.toFixed(0)} ms), ` +
      `memory ${report.rssMb.toFixed(0)} MB idle, ${report.rssLoadedMb.toFixed(0)} MB after the run ` +
      `(bare ${report.bare.startMs.toFixed(0)} ms, ${report.bare.rssMb.toFixed(0)} MB, ${report.bare.rssLoadedMb.toFixed(0)} MB)`,
  )
  if (!options.control) console.log(`written to ${writeReport(report)}`)
  return !results.some(exceeds)
}

try {
  const options = readOptions(process.argv.slice(2))
  if (!options) console.log(HELP)
  else if (!(await run(options)) && options.check) process.exitCode = 1
} catch (error) {
  say(`bench: ${error instanceof Error ? error.message : String(error)}`)
  process.exit(1)
}
