/**
 * Sums up a CPU profile that `--profile DIR` made: `node bench/profile.ts FILE.cpuprofile [--lines N] [--skip SECONDS]`
 * prints the share of each package or room, the functions that took most time themselves, and our own functions with
 * all that they call. `--skip` leaves out the start of the process.
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

interface CallFrame {
  readonly functionName: string
  readonly url: string
  readonly lineNumber: number
}
interface Node {
  readonly id: number
  readonly callFrame: CallFrame
  readonly children?: readonly number[]
}
interface Profile {
  readonly nodes: readonly Node[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

const OURS = /\/(?:src|adapters|bench)\//

/** Path below the repository, below node_modules, or of Node itself. */
const placeOf = ({ url }: CallFrame): string => {
  const path = url.replace(/^file:\/\//, '')
  const modules = path.lastIndexOf('/node_modules/')
  if (modules !== -1) return path.slice(modules + 1)
  const own = path.search(OURS)
  return own === -1 ? path || '(program)' : path.slice(own + 1)
}

/** `src/op`, `node_modules/koa`, `node:internal/crypto`, `(garbage collector)`. */
const groupOf = (frame: CallFrame): string => {
  const place = placeOf(frame)
  if (place === '(program)') return frame.functionName.startsWith('(') ? frame.functionName : '(native)'
  const parts = place.split('/')
  return parts.slice(0, parts[1]?.startsWith('@') ? 3 : 2).join('/')
}

const nameOf = (frame: CallFrame) => `${frame.functionName || '(anonymous)'} ${placeOf(frame)}:${frame.lineNumber + 1}`

class Sums extends Map<string, number> {
  add(name: string, time: number): void {
    this.set(name, (this.get(name) ?? 0) + time)
  }
}

const print = (title: string, sums: Sums, total: number, lines: number): void => {
  console.log(`\n${title}`)
  const sorted = Array.from(sums).sort(([, a], [, b]) => b - a)
  for (const [name, time] of sorted.slice(0, lines))
    console.log(
      `${((time / total) * 100).toFixed(1).padStart(5)} %  ${(time / 1000).toFixed(0).padStart(6)} ms  ${name}`,
    )
}

/** Microseconds that each node was seen at, after `skip` of them. */
const timesOf = ({ samples, timeDeltas }: Profile, skip: number): Map<number, number> => {
  const times = new Map<number, number>()
  let clock = 0
  for (const [index, id] of samples.entries()) {
    const delta = timeDeltas[index] ?? 0
    clock += delta
    if (clock > skip) times.set(id, (times.get(id) ?? 0) + delta)
  }
  return times
}

const summarise = (profile: Profile, lines: number, skip: number): void => {
  const times = timesOf(profile, skip)
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]))
  const [groups, functions, ours] = [new Sums(), new Sums(), new Sums()]
  let total = 0
  /** @param above our functions that are being called, so that recursion counts once */
  const visit = (node: Node, above: ReadonlySet<string>): void => {
    const { callFrame: frame } = node
    const time = frame.functionName === '(idle)' ? 0 : (times.get(node.id) ?? 0)
    const name = nameOf(frame)
    const inside = OURS.test(frame.url) ? new Set(above).add(name) : above
    total += time
    if (time > 0) {
      groups.add(groupOf(frame), time)
      functions.add(name, time)
      for (const caller of inside) ours.add(caller, time)
    }
    for (const id of node.children ?? []) {
      const child = nodes.get(id)
      if (child) visit(child, inside)
    }
  }
  const [root] = profile.nodes
  if (root) visit(root, new Set())
  print('by package or room, time of its own', groups, total, lines)
  print('by function, time of its own', functions, total, lines)
  print('our functions, with all that they call before they wait', ours, total, lines)
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { lines: { type: 'string', default: '40' }, skip: { type: 'string', default: '0' } },
})
const [file] = positionals
if (file === undefined) {
  console.error('usage: node bench/profile.ts FILE.cpuprofile [--lines N] [--skip SECONDS]')
  process.exitCode = 1
} else summarise(JSON.parse(readFileSync(file, 'utf8')) as Profile, Number(values.lines), Number(values.skip) * 1e6)
