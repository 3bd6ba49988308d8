/**
 * Loaded before a server (`--import`): how long its event loop stood still, from three seconds after the start to the end,
 * written to the file of BENCH_LOOP_FILE when it ends. Twice, ms: by the clock, which on a busy machine counts the turns
 * of others too, and by the CPU time of the main thread between two looks, which is what the server itself did.
 */
import { writeFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import process, { env } from 'node:process'
import { isMainThread } from 'node:worker_threads'

const SETTLED_MS = 3000
const LOOK_MS = 1
const file = env.BENCH_LOOP_FILE

const cpu = (): number => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

if (isMainThread && file !== undefined) {
  // What it shows includes its own pause between two looks.
  const resolution = 2
  const delays = monitorEventLoopDelay({ resolution })
  delays.enable()
  let busiest = 0
  let before = cpu()
  setInterval(() => {
    const now = cpu()
    busiest = Math.max(busiest, now - before)
    before = now
  }, LOOK_MS).unref()
  setTimeout(() => {
    delays.reset()
    busiest = 0
  }, SETTLED_MS).unref()
  process.once('exit', () => {
    const ms = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - resolution)
    writeFileSync(file, JSON.stringify({ max: ms(delays.max), p99: ms(delays.percentile(99)), busiest }))
  })
}
