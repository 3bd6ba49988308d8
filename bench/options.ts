/** The command line of the benchmark. */
import { parseArgs } from 'node:util'
import type { Pace } from './measure.ts'
import { type Operation, operations } from './operations.ts'
import { type StoreName, storeNames } from './stores.ts'

export const HELP = `make bench ARGS="…", or node bench/main.ts …

  --short          2 rounds of 1.5 s instead of 5 of 3 s
  --only NAMES     these operations, separated by commas: ${operations.map(({ name }) => name).join(', ')}
  --store NAMES    these stores, separated by commas: sqlite, redis, mongo; else SQLite, and Redis where there is one
  --fill N         instead: the code flow with N live artifacts in the store, and while as many are swept
  --rounds N       rounds of each operation and side
  --seconds S      length of a round
  --check          exit 1 when a ratio is above its limit
  --control        a second bare server in Gatehouse's place: shows what the machine makes of a ratio of 1
  --profile DIR    CPU profiles of the servers (node bench/profile.ts FILE sums one up); slows them down
  --help           this text
`

export interface Options {
  readonly pace: Pace
  readonly chosen: readonly Operation[]
  /** Absent: what there is by default. */
  readonly stores?: readonly StoreName[]
  /** Live artifacts. */
  readonly fill?: number
  readonly check: boolean
  readonly control: boolean
  readonly profile?: string
}

const SHORT: Pace = { rounds: 2, round: 1500, warmUp: 1000 }
const FULL: Pace = { rounds: 5, round: 3000, warmUp: 3000 }

const positive = (name: string, text: string | undefined): number | undefined => {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!(value > 0)) throw new Error(`--${name}: ${text} found, must be a number above 0`)
  return value
}

const choose = (only: string | undefined, control: boolean): readonly Operation[] => {
  const names = only?.split(',').map((name) => name.trim())
  const unknown = names?.filter((name) => !operations.some((operation) => operation.name === name)) ?? []
  if (unknown.length > 0)
    throw new Error(`--only: ${unknown.join(', ')} found, known are ${operations.map(({ name }) => name).join(', ')}`)
  const chosen = operations.filter(({ name }) => !names || names.includes(name))
  // What only Gatehouse can do has no place where a bare server stands in.
  return control ? chosen.filter(({ bare }) => bare?.on === 'bare') : chosen
}

const chooseStores = (text: string | undefined): readonly StoreName[] | undefined =>
  text?.split(',').map((word) => {
    const name = storeNames.find((one) => one === word.trim().replace(/^mongodb$/, 'mongo'))
    if (!name) throw new Error(`--store: ${word} found, known are ${storeNames.join(', ')}`)
    return name
  })

/** @returns undefined when help is wanted; throws with a sentence when the arguments make no sense */
export const readOptions = (args: string[]): Options | undefined => {
  const { values } = parseArgs({
    args,
    options: {
      short: { type: 'boolean', default: false },
      only: { type: 'string' },
      store: { type: 'string' },
      fill: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      check: { type: 'boolean', default: false },
      control: { type: 'boolean', default: false },
      profile: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  const base = values.short ? SHORT : FULL
  const seconds = positive('seconds', values.seconds)
  const stores = chooseStores(values.store)
  const fill = positive('fill', values.fill)
  const rounds = Math.ceil(positive('rounds', values.rounds) ?? base.rounds)
  return {
    pace: { ...base, rounds, round: seconds === undefined ? base.round : seconds * 1000 },
    chosen: choose(values.only, values.control),
    check: values.check,
    ...(stores && { stores }),
    ...(fill !== undefined && { fill: Math.ceil(fill) }),
    control: values.control,
    ...(values.profile !== undefined && { profile: values.profile }),
  }
}
