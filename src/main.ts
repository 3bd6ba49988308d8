/** The process edge: argv, environment, signals, standard streams and the exit code. The only file that reads process.*. */
import { text } from 'node:stream/consumers'
import { type Actions, run } from '#cli/cli.ts'
import type { Loaded } from '#config/load.ts'
import { createLog, silentLog } from '#kernel/log.ts'
import { sparseStacks } from '#kernel/stacks.ts'
import { startWithDemo } from './demo.ts'
import { openHouse, openStores } from './house.ts'
import { type Running, start } from './wire.ts'

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
const told = (): Promise<void> =>
  new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.on(signal, () => {
        process.once(signal, () => process.exit(1))
        resolve()
      })
  })

const serve: Actions['serve'] = async (loaded, { demo, under }) => {
  const { level } = loaded.settings.logging
  const log = createLog(level, undefined, level === 'debug' ? undefined : sparseStacks())
  const stop = told()
  const running: Running = demo
    ? await startWithDemo(under, { log, env: process.env, print: (line) => process.stderr.write(`${line}\n`) })
    : await start(loaded, { log, env: process.env })
  log.info('ready', { issuer: running.issuer, listeners: running.listeners, startMs: Math.round(performance.now()) })
  log.flush()
  await stop
  log.info('stopping')
  await running.close()
  log.info('stopped')
  log.flush()
}

const open = (loaded: Loaded) => openHouse(loaded, { log: silentLog })
const stores = (loaded: Loaded) => openStores(loaded, { log: silentLog })

const io = {
  out: (line: string) => void process.stdout.write(line),
  err: (line: string) => void process.stderr.write(line),
  read: () => text(process.stdin),
}

process.exitCode = await run(process.argv.slice(2), process.env, io, { serve, open, stores })
