/**
 * The measure: CPU time of the server's processes per operation, in interleaved rounds of closed-loop workers; the
 * lowest round counts, since everything that disturbs a machine only ever adds.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { Fixtures } from './fixtures.ts'
import type { Target } from './flows.ts'
import { Wire } from './http.ts'
import type { Contest, Operation, ServerName } from './operations.ts'
import { cpuByThread, cpuOf, type Threads } from './processes.ts'
import type { StoreName } from './stores.ts'

export const WORKERS = 8
/** A hash leaves time for few operations, and code that ran only a few times is not compiled yet. */
const HASHED_WARM_UP = 10
/** ms; work that a server puts off until after its answer is still counted. */
const SETTLE = 150

export interface Pace {
  readonly rounds: number
  /** ms of one round, and of warming up before the first. */
  readonly round: number
  readonly warmUp: number
}

/** A running server as the measure sees it. */
export interface Side {
  readonly pid: number
  readonly target: Target
  /** What it printed last, for the message when it fails. */
  readonly output: () => string
}
export type Sides = Readonly<Partial<Record<ServerName, Side>>>

export interface Figures {
  readonly cpuMs: number
  /** Where the CPU time went, ms per operation. */
  readonly threads: Threads
  readonly perSecond: number
  /** ms. */
  readonly p50: number
  readonly p99: number
}

export interface Result {
  readonly name: string
  readonly store: StoreName
  readonly gatehouse: Figures
  readonly bare: Figures | null
  readonly ratio: number | null
  readonly limit: number | null
  /** The same without the password hash, whose cost nobody can change. */
  readonly apart?: Apart
}

/** CPU ms per operation. */
export interface Apart {
  /** What the hash cost each side in this very run, and was taken off. */
  readonly hashMs: { readonly gatehouse: number; readonly bare: number }
  readonly gatehouse: number
  readonly bare: number
  readonly ratio: number
}

const quantile = (sorted: Float64Array, share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN

/** One contestant: eight workers, each with a connection and a state of its own. */
class Team {
  readonly #side: Side
  readonly #wires = Array.from({ length: WORKERS }, () => new Wire())
  readonly #contest: Contest
  #steps: (() => Promise<void>)[] = []
  readonly figures: Figures[] = []

  constructor(contest: Contest, side: Side) {
    this.#contest = contest
    this.#side = side
  }

  async prepare(fixtures: Fixtures): Promise<void> {
    const { target } = this.#side
    this.#steps = await Promise.all(
      this.#wires.map((wire, index) => this.#contest.work({ target, wire, fixtures, index })),
    )
  }

  async #repeat(step: () => Promise<void>, until: number, latencies: number[]): Promise<void> {
    for (let now = performance.now(); now < until; ) {
      await step()
      const after = performance.now()
      latencies.push(after - now)
      now = after
    }
  }

  async run(ms: number): Promise<Figures> {
    for (const wire of this.#wires) wire.renew()
    const latencies: number[] = []
    const { pid } = this.#side
    const [before, threadsBefore] = [cpuOf(pid), cpuByThread(pid)]
    const began = performance.now()
    await Promise.all(this.#steps.map((step) => this.#repeat(step, began + ms, latencies)))
    const seconds = (performance.now() - began) / 1000
    await delay(SETTLE)
    const [cpu, threads] = [cpuOf(pid), cpuByThread(pid)]
    const sorted = Float64Array.from(latencies).sort()
    const count = latencies.length
    return {
      cpuMs: (cpu - before) / count,
      threads: {
        main: (threads.main - threadsBefore.main) / count,
        pool: (threads.pool - threadsBefore.pool) / count,
        other: (threads.other - threadsBefore.other) / count,
      },
      perSecond: count / seconds,
      p50: quantile(sorted, 0.5),
      p99: quantile(sorted, 0.99),
    }
  }

  async round(ms: number): Promise<void> {
    this.figures.push(await this.run(ms))
  }

  close(): void {
    for (const wire of this.#wires) wire.close()
  }

  /** What went wrong, with the server's last words. */
  explain(error: unknown): Error {
    const what = error instanceof Error ? error.message : String(error)
    return new Error(`${this.#contest.on}: ${what}\nThe server's last output:\n${this.#side.output()}`)
  }

  /** Everything from the round with the least CPU. */
  get best(): Figures {
    const [first, ...rest] = this.figures
    if (!first) throw new Error('no round was run')
    return rest.reduce((least, figures) => (figures.cpuMs < least.cpuMs ? figures : least), first)
  }
}

const guarded = async <T>(team: Team, work: () => Promise<T>): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    throw team.explain(error)
  }
}

/** CPU ms of one RS256 signature, made as the servers make it. */
const signCost = async (count = 200): Promise<number> => {
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
  const size = { modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) }
  const { privateKey } = await crypto.subtle.generateKey({ ...algorithm, ...size }, false, ['sign', 'verify'])
  const text = Buffer.alloc(600, 'a')
  const before = process.cpuUsage()
  for (let n = 0; n < count; n++) await crypto.subtle.sign(algorithm, privateKey, text)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000 / count
}

/**
 * The hash is by far the greatest part of a login and varies from round to round by more than all the rest. So it is
 * not subtracted as a constant: what the pool did in the same round is, less the signature of the ID token.
 */
const apart = async (
  operation: Operation,
  gatehouse: Figures,
  bare: Figures,
): Promise<{ apart: Apart } | undefined> => {
  if (!operation.bare || !(operation.bare.hashed || operation.gatehouse.hashed)) return undefined
  const signature = await signCost()
  const hashOf = ({ hashed }: Contest, { threads }: Figures) => (hashed ? Math.max(0, threads.pool - signature) : 0)
  const hashMs = { gatehouse: hashOf(operation.gatehouse, gatehouse), bare: hashOf(operation.bare, bare) }
  const rest = { gatehouse: gatehouse.cpuMs - hashMs.gatehouse, bare: bare.cpuMs - hashMs.bare }
  return { apart: { hashMs, ...rest, ratio: rest.gatehouse / rest.bare } }
}

const summary = async (
  operation: Operation,
  store: StoreName,
  gatehouse: Figures,
  bare: Figures | undefined,
): Promise<Result> => ({
  name: operation.name,
  store,
  gatehouse,
  bare: bare ?? null,
  ratio: bare ? gatehouse.cpuMs / bare.cpuMs : null,
  limit: operation.limit ?? null,
  ...(bare && (await apart(operation, gatehouse, bare))),
})

/** Measures one operation on every side that takes part in it. Throws at the first wrong answer. */
export const measure = async (
  operation: Operation,
  sides: Sides,
  { fixtures, store }: { readonly fixtures: Fixtures; readonly store: StoreName },
  pace: Pace,
): Promise<Result> => {
  const teamOf = (contest: Contest) => {
    const side = sides[contest.on]
    if (!side) throw new Error(`${contest.on} is not running`)
    return new Team(contest, side)
  }
  const ours = teamOf(operation.gatehouse)
  const theirs = operation.bare && teamOf(operation.bare)
  const teams = theirs ? [ours, theirs] : [ours]
  const slow = operation.gatehouse.hashed || operation.bare?.hashed
  try {
    for (const team of teams)
      await guarded(team, async () => {
        await team.prepare(fixtures)
        await team.run(pace.warmUp * (slow ? HASHED_WARM_UP : 1))
      })
    for (let round = 0; round < pace.rounds; round++) {
      // Whoever comes second finds the machine warmer: take turns.
      const order = round % 2 === 0 ? teams : teams.toReversed()
      for (const team of order) await guarded(team, () => team.round(pace.round))
    }
    return await summary(operation, store, ours.best, theirs?.best)
  } finally {
    for (const team of teams) team.close()
  }
}
