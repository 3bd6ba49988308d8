/**
 * The process in which hook files run: what they break, they break here. It loads the files, runs one handler after the
 * other for each call, and sends what they write to the log. See hooks.ts for the other side.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { pathToFileURL } from 'node:url'
import { format } from 'node:util'
import { serialize } from 'node:v8'
import { Worker } from 'node:worker_threads'
import type { HookName, HookTools } from '#kernel/hooks.ts'
import { type FromChild, isPoint, MOST_BYTES, type ToChild } from './messages.ts'

type Handler = (value: unknown, given: unknown, tools: HookTools) => unknown

class Refusal extends Error {}

/** Characters of what is told of a hook. */
const MOST_TEXT = 10_000

const post = process.send?.bind(process)
if (!post) throw new TypeError('this is no main program')
process.title = 'gatehouse hooks'
// Whoever stops the server tells its whole group; the server goes on answering for a while, and needs its hooks then.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
process.on('disconnect', () => process.exit())
new Worker(new URL('./lifeline.ts', import.meta.url), { resourceLimits: { maxOldGenerationSizeMb: 16 } }).unref()

const running = new AsyncLocalStorage<number>()
const handlers = new Map<HookName, Handler[]>()
const aborts = new Map<number, AbortController>()

const send = (message: FromChild) => {
  const bytes = serialize(message)
  if (bytes.length > MOST_BYTES) throw new RangeError(`more than ${MOST_BYTES} bytes`)
  // Whatever cannot be sent any more is told by the end of the channel.
  post(bytes, undefined, undefined, () => undefined)
}

const write = (line: string, facts?: unknown) => {
  const during = running.getStore()
  try {
    send({ line, facts, during })
  } catch {
    // What cannot be copied to another process can still be read.
    send({ line: format(line, facts).slice(0, MOST_TEXT), during })
  }
}
for (const level of ['debug', 'log', 'info', 'warn', 'error'] as const)
  console[level] = (...given: unknown[]) => write(format(...given))

const reasonOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).slice(0, MOST_TEXT)

const load = async (file: string): Promise<HookName[]> => {
  const { default: hooks } = (await import(pathToFileURL(file).href)) as { default?: unknown }
  if (typeof hooks !== 'object' || hooks === null) throw new TypeError('it has no default export with handlers')
  const entries = Object.entries(hooks)
  for (const [name, handler] of entries) {
    if (!isPoint(name)) throw new TypeError(`there is no hook ${JSON.stringify(name)}`)
    if (typeof handler !== 'function') throw new TypeError(`${name} is not a function`)
    handlers.set(name, [...(handlers.get(name) ?? []), handler as Handler])
  }
  return entries.map(([name]) => name as HookName)
}

const tools = (call: number): HookTools => {
  const abort = new AbortController()
  aborts.set(call, abort)
  return {
    log: write,
    refuse(reason) {
      throw new Refusal(reason)
    },
    signal: abort.signal,
  }
}

const run = async (call: number, point: HookName, first: unknown, given: unknown): Promise<void> => {
  const at = tools(call)
  try {
    let value = first
    for (const handler of handlers.get(point) ?? []) value = (await handler(value, given, at)) ?? value
    send({ call, value })
  } catch (error) {
    if (error instanceof Refusal) send({ call, refused: reasonOf(error) })
    else
      send({
        call,
        failed: reasonOf(error),
        stack: error instanceof Error ? error.stack?.slice(0, MOST_TEXT) : undefined,
      })
  } finally {
    aborts.delete(call)
  }
}

process.on('uncaughtExceptionMonitor', (error: unknown) => send({ dying: reasonOf(error) }))
process.on('message', (message: ToChild) => {
  if ('ping' in message) send({ pong: true })
  else if ('abort' in message) aborts.get(message.abort)?.abort(new Error('the time for this hook is over'))
  else void running.run(message.call, () => run(message.call, message.point, message.value, message.given))
})

const ready: { file: string; points: HookName[] }[] = []
let broken = false
for (const file of process.argv.slice(2)) {
  try {
    ready.push({ file, points: await load(file) })
  } catch (error) {
    broken = true
    send({ broken: file, reason: reasonOf(error) })
    break
  }
}
if (!broken) send({ ready })
