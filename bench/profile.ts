/**
 * Sums up a CPU profile that `--profile DIR` made: `node bench/profile.ts FILE.cpuprofile [LINES]` prints the share of
 * each package or room, then the functions that took most time themselves.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

interface CallFrame {
  readonly functionName: string
  readonly url: string
  readonly lineNumber: number
}
interface Profile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: CallFrame
    readonly children?: readonly number[]
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

const root = join(import.meta.dirname, '..')

const placeOf = ({ url }: CallFrame): string => {
  const path = url.replace(/^file:\/\//, '').replace(`${root}/`, '')
  return path === '' ? '(program)' : path
}

/** `src/op`, `node_modules/koa`, `node:internal`, `(garbage collector)`. */
const groupOf = (frame: CallFrame): string => {
  const place = placeOf(frame)
  if (place === '(program)') return frame.functionName.startsWith('(') ? frame.functionName : '(native)'
  if (place.startsWith('node:')) return place.split('/').slice(0, 2).join('/')
  const parts = place.split('/')
  const scoped = parts[1]?.startsWith('@')
  return parts.slice(0, scoped ? 3 : 2).join('/')
}

/** Idle time is no cost; the start is, a little. */
const busy = (frame: CallFrame) => frame.functionName !== '(idle)'

const print = (title: string, sums: ReadonlyMap<string, number>, total: number, lines: number): void => {
  console.log(`\n${title}`)
  const sorted = Array.from(sums).sort(([, a], [, b]) => b - a)
  for (const [name, time] of sorted.slice(0, lines))
    console.log(
      `${((time / total) * 100).toFixed(1).padStart(5)} %  ${(time / 1000).toFixed(0).padStart(6)} ms  ${name}`,
    )
}

const summarise = (profile: Profile, lines: number): void => {
  const self = new Map<number, number>()
  for (const [index, id] of profile.samples.entries())
    self.set(id, (self.get(id) ?? 0) + (profile.timeDeltas[index] ?? 0))
  const groups = new Map<string, number>()
  const functions = new Map<string, number>()
  let total = 0
  for (const { id, callFrame } of profile.nodes) {
    const time = self.get(id) ?? 0
    if (time === 0 || !busy(callFrame)) continue
    total += time
    const group = groupOf(callFrame)
    groups.set(group, (groups.get(group) ?? 0) + time)
    const name = `${callFrame.functionName || '(anonymous)'} ${placeOf(callFrame)}:${callFrame.lineNumber + 1}`
    functions.set(name, (functions.get(name) ?? 0) + time)
  }
  print('by package or room, self time', groups, total, lines)
  print('by function, self time', functions, total, lines)
}

const [file, lines = '40'] = process.argv.slice(2)
if (file === undefined) {
  console.error('usage: node bench/profile.ts FILE.cpuprofile [LINES]')
  process.exitCode = 1
} else summarise(JSON.parse(readFileSync(file, 'utf8')) as Profile, Number(lines))
