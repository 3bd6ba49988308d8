/**
 * The deployment's hooks (DESIGN 3.14). Read this first. The files run in a process of their own, with a time limit
 * for each call, so that one that hangs, exits or eats memory is ended without the server; whoever calls then fails closed.
 */
import { globSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Clock } from '#kernel/clock.ts'
import { Fault } from '#kernel/faults.ts'
import { type HookName, type HookRunner, noHooks } from '#kernel/hooks.ts'
import type { Log } from '#kernel/log.ts'
import { answers } from './answers.ts'
import { type Call, type HookFile, HookProcess } from './handle.ts'

export interface HookHealth {
  readonly point: HookName
  readonly calls: number
  readonly failures: number
  /** Epoch ms, and what went wrong. */
  readonly lastFailure?: { readonly at: number; readonly reason: string }
}

export interface OpenHooks extends HookRunner {
  readonly files: readonly HookFile[]
  health(): readonly HookHealth[]
  close(): Promise<void>
}

export interface HooksOptions {
  /** Paths and patterns, from the working directory. */
  readonly patterns: readonly string[]
  readonly clock: Clock
  readonly log: Log
  /** The server's environment, of which the files see what harms nobody. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** For the login's trace. */
  readonly trace: (reference: string, detail: Readonly<Record<string, unknown>>) => void
  /** Milliseconds for one call, all handlers of the point together. */
  readonly limitMs?: number
}

const LIMIT_MS = 3000
/** Between the end of a broken thread and the next one. */
const RESTART_MS = 1000
/** A point that ran out of time so often in a row is not called for a while: nobody waits for it in vain. */
const TIMEOUTS = 5
const PAUSE_MS = 5000

interface State {
  calls: number
  failures: number
  timeouts: number
  pausedUntil: number
  lastFailure?: { at: number; reason: string }
}

/** The files that the patterns name, each once, in the order of the patterns and of their names. */
export const hookFiles = (patterns: readonly string[]): string[] => [
  ...new Set(
    patterns.flatMap((pattern) =>
      globSync(pattern)
        .sort()
        .map((file) => resolve(file)),
    ),
  ),
]

/** Counts what each point does, and gives one that keeps running out of time a pause. */
const createStates = (clock: Clock) => {
  const states = new Map<HookName, State>()
  const of = (point: HookName): State => {
    const state = states.get(point) ?? { calls: 0, failures: 0, timeouts: 0, pausedUntil: 0 }
    states.set(point, state)
    return state
  }
  return {
    called(point: HookName) {
      const state = of(point)
      state.calls += 1
      return clock.now() >= state.pausedUntil
    },
    answered(point: HookName) {
      of(point).timeouts = 0
    },
    failed(point: HookName, reason: string, late: boolean) {
      const state = of(point)
      state.failures += 1
      state.lastFailure = { at: clock.now(), reason }
      state.timeouts = late ? state.timeouts + 1 : 0
      if (state.timeouts < TIMEOUTS) return
      state.timeouts = TIMEOUTS - 1
      state.pausedUntil = clock.now() + PAUSE_MS
    },
    all: (): HookHealth[] =>
      [...states].map(([point, { calls, failures, lastFailure }]) => ({
        point,
        calls,
        failures,
        ...(lastFailure && { lastFailure }),
      })),
  }
}

const TOO_LATE = 'it took too long'

type Outcome = { readonly value: unknown } | Fault

/** Of the environment, what Node itself may need and what is meant for hooks; nothing that the server keeps secret. */
const SHOWN =
  /^(PATH|HOME|TMPDIR|TZ|LANG|LC_ALL|NODE_ENV|NODE_EXTRA_CA_CERTS|NODE_COMPILE_CACHE|SSL_CERT_FILE|SSL_CERT_DIR|HOOK_.+)$/

const shownOf = (env: HooksOptions['env'] = {}): Record<string, string> =>
  Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => SHOWN.test(entry[0]) && entry[1] !== undefined),
  )

/** The process in force: another one begins when it ends. */
const keepProcess = (files: readonly string[], { env, log, trace }: HooksOptions) => {
  let closed = false
  let timer: NodeJS.Timeout | undefined
  const told = (line: string, facts: unknown, call: Call | undefined) => {
    const { point, reference } = call ?? {}
    log.info('hook.log', { point, reference, line, facts })
    if (point && reference) trace(reference, { point, line, facts })
  }
  const ended = (reason: string) => {
    if (closed) return
    log.error('hook.ended', { reason })
    timer = setTimeout(again, RESTART_MS).unref()
  }
  const begin = () => new HookProcess({ files, env: shownOf(env), told, ended })
  const again = () => {
    try {
      current = begin()
    } catch (error) {
      ended((error as Error).message)
    }
  }
  let current = begin()
  return {
    current: () => current,
    async close() {
      closed = true
      clearTimeout(timer)
      await current.end()
    },
  }
}

/** One call, at most as long as the limit. Answers a Fault instead of throwing it. */
const callIn = async (
  child: HookProcess,
  call: Omit<Call, 'done'> & { readonly value: unknown; readonly given: unknown },
  limitMs: number,
): Promise<Outcome> => {
  const { point, reference, value, given } = call
  const { promise, resolve: done } = Promise.withResolvers<Outcome>()
  let number: number | undefined
  const limit = setTimeout(() => {
    if (number !== undefined) child.abandon(number)
    done(new Fault('hook.failed', { point, reason: TOO_LATE }))
  }, limitMs)
  try {
    child.ready
      .then(
        () => {
          number = child.start({ point, reference, done }, value, given)
        },
        ({ detail }: Fault) => done(new Fault('hook.failed', { point, ...detail })),
      )
      .catch((error: unknown) => done(new Fault('hook.failed', { point, reason: (error as Error).message })))
    return await promise
  } finally {
    clearTimeout(limit)
  }
}

/**
 * Loads the files.
 * @throws Fault `hook.broken` with the file and the reason
 */
export const openHooks = async (options: HooksOptions): Promise<OpenHooks> => {
  const { clock, log, trace, limitMs = LIMIT_MS } = options
  const paths = hookFiles(options.patterns)
  for (const pattern of options.patterns) if (globSync(pattern).length === 0) log.warn('hook.none', { pattern })
  if (paths.length === 0) return { ...noHooks, files: [], health: () => [], close: async () => undefined }
  const states = createStates(clock)
  const { current, close } = keepProcess(paths, options)
  const files = await current().ready.catch(async (error: unknown) => {
    await close()
    throw error
  })
  const points = new Set(files.flatMap((file) => file.points))
  log.info('hook.loaded', { files })

  /** Counts and tells what went wrong. */
  const note = (point: HookName, reference: string | undefined, fault: Fault): Fault => {
    const { reason, stack } = fault.detail
    const refused = fault.code === 'hook.refused'
    if (refused) states.answered(point)
    else states.failed(point, String(reason), reason === TOO_LATE)
    if (refused) log.info('hook.refused', { point, reference, reason })
    else log.error('hook.failed', { point, reference, reason, stack })
    if (reference) trace(reference, { point, [refused ? 'refused' : 'failed']: reason })
    return fault
  }

  return {
    files,
    close,
    has: (point) => points.has(point),
    health: states.all,
    async run(point, value, given, reference) {
      if (!points.has(point)) return value
      // Told when the pause began.
      if (!states.called(point)) throw new Fault('hook.failed', { point, reason: 'it is left alone for a while' })
      const outcome = await callIn(current(), { point, reference, value, given }, limitMs)
      if (outcome instanceof Fault) throw note(point, reference, outcome)
      const answer = answers[point].safeParse(outcome.value)
      if (!answer.success)
        throw note(point, reference, new Fault('hook.failed', { point, reason: 'it answered what it may not' }))
      states.answered(point)
      return answer.data as typeof value
    },
  }
}
