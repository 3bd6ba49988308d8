/**
 * Loaded before a server (`--import`): how long its event loop stood still, from three seconds after the start to the end,
 * written to the file of BENCH_LOOP_FILE when it ends. ms.
 */
import { writeFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { env } from 'node:process'
import { isMainThread } from 'node:worker_threads'

const SETTLED_MS = 3000
const file = env.BENCH_LOOP_FILE

if (isMainThread && file !== undefined) {
  // What it shows includes its own pause between two looks.
  const resolution = 2
  const delays = monitorEventLoopDelay({ resolution })
  delays.enable()
  setTimeout(() => delays.reset(), SETTLED_MS).unref()
  process.once('exit', () => {
    const ms = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - resolution)
    writeFileSync(file, JSON.stringify({ max: ms(delays.max), p99: ms(delays.percentile(99)) }))
  })
}
