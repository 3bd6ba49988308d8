/**
 * Servers as processes: started, pinned to a core, their CPU time and memory read from /proc, stopped. Linux only, as
 * the measure itself is (proc(5)).
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { pid as self } from 'node:process'

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
const START_LIMIT = 60_000
const STOP_LIMIT = 35_000
/** Characters of output kept for an error message. */
const KEPT = 8_000

/** Field `n` (from 1, as in proc(5)) of a stat line; the second one, the command, may hold anything. */
const fieldsOf = (stat: string): string[] => {
  const close = stat.lastIndexOf(')')
  return [
    '',
    stat.slice(0, stat.indexOf(' ')),
    stat.slice(stat.indexOf('(') + 1, close),
    ...stat.slice(close + 2).split(' '),
  ]
}

const readProc = (path: string): string | undefined => {
  try {
    return readFileSync(`/proc/${path}`, 'utf8')
  } catch {
    // The process ended between the listing and the reading.
    return undefined
  }
}

/** The process and all its descendants. */
const treeOf = (root: number): number[] => {
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? readProc(`${name}/stat`) : undefined
    if (stat === undefined) continue
    const parent = Number(fieldsOf(stat)[4])
    children.set(parent, [...(children.get(parent) ?? []), Number(name)])
  }
  const tree = [root]
  for (const pid of tree) tree.push(...(children.get(pid) ?? []))
  return tree
}

/** User and system time in ms of a process tree: all threads, and children that have ended (fields 14 to 17). */
export const cpuOf = (root: number): number => {
  const ticks = treeOf(root).map((pid) => {
    const fields = fieldsOf(readProc(`${pid}/stat`) ?? '')
    return [14, 15, 16, 17].reduce((sum, n) => sum + Number(fields[n] ?? 0), 0)
  })
  return (ticks.reduce((sum, value) => sum + value, 0) * 1000) / TICKS_PER_SECOND
}

/** CPU ms. `pool`: libuv's threads, where Node signs and hashes; `other`: workers, compilation, garbage collection. */
export interface Threads {
  readonly main: number
  readonly pool: number
  readonly other: number
}

const POOL = 'libuv-worker'

/** CPU time of a process by what its threads are for. */
export const cpuByThread = (pid: number): Threads => {
  const sums = { main: 0, pool: 0, other: 0 }
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const name = readProc(`${pid}/task/${task}/comm`)?.trim()
    const kind = task === String(pid) ? 'main' : name === POOL ? 'pool' : 'other'
    sums[kind] += Number(readProc(`${pid}/task/${task}/schedstat`)?.split(' ')[0] ?? 0) / 1e6
  }
  return sums
}

/** Resident memory of a process tree in MB. */
export const memoryOf = (root: number): number => {
  const sizes = treeOf(root).map((pid) => Number(/VmRSS:\s*(\d+)/.exec(readProc(`${pid}/status`) ?? '')?.[1] ?? 0))
  return sizes.reduce((sum, size) => sum + size, 0) / 1024
}

interface Cores {
  readonly server: number
  readonly load: number
}

const readCores = (): Cores | undefined => {
  const run = spawnSync('taskset', ['-c', '-p', String(self)], { encoding: 'utf8' })
  const list = run.status === 0 ? run.stdout.slice(run.stdout.lastIndexOf(':') + 1).trim() : ''
  const cores = list.split(',').flatMap((part) => {
    const [from = NaN, to = from] = part.split('-').map(Number)
    return Array.from({ length: to - from + 1 }, (_, index) => from + index)
  })
  const [server, load] = cores
  return server === undefined || load === undefined ? undefined : { server, load }
}

const cores = readCores()

/** The cores of server and load, or undefined where they cannot be kept apart. As they were before anything was moved. */
export const twoCores = (): Cores | undefined => cores

/** Moves a process with all its threads; those that it starts later follow. */
export const pin = (pid: number, core: number): void => {
  execFileSync('taskset', ['-a', '-c', '-p', String(core), String(pid)], { stdio: 'ignore' })
}

export interface Started {
  readonly pid: number
  /** From the start of the process to its ready line. */
  readonly startMs: number
  /** What it printed last. */
  output(): string
  stop(): Promise<void>
}

const running = new Set<ChildProcess>()

/** Nothing of ours outlives a run that was broken off. */
export const killAll = (): void => {
  for (const child of running) child.kill('SIGKILL')
}

const stop = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT)
  await gone
  clearTimeout(timer)
}

/**
 * Starts a server and waits for its line with `"event":"ready"` (CONTRACT 1).
 * Throws with what the process printed when it ends first or takes longer than a minute.
 */
export const startServer = async (
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<Started> => {
  const began = performance.now()
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  child.once('exit', () => running.delete(child))
  let kept = ''
  const keep = (chunk: Buffer) => {
    kept = (kept + chunk.toString()).slice(-KEPT)
  }
  child.stderr.on('data', keep)
  const ready = new Promise<number>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`not ready after ${START_LIMIT} ms: ${kept}`)), START_LIMIT)
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`${command} ${args.join(' ')} ended with ${code}: ${kept}`)))
    child.stdout.on('data', (chunk: Buffer) => {
      keep(chunk)
      if (!kept.includes('"event":"ready"')) return
      clearTimeout(late)
      resolve(performance.now() - began)
    })
  })
  const startMs = await ready.catch(async (error: unknown) => {
    await stop(child)
    throw error
  })
  // Later output is taken off the pipe, so that the server never waits for us; only the last of it is kept.
  child.stdout.removeAllListeners('data')
  let last = ''
  child.stdout.on('data', (chunk: Buffer) => {
    last = chunk.toString('latin1')
  })
  const { pid } = child
  if (pid === undefined) throw new Error(`${command} has no process id`)
  return { pid, startMs, output: () => `${kept}\n${last}`.slice(-KEPT), stop: () => stop(child) }
}
