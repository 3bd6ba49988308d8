/**
 * `make test`: every test file in a process of its own, tier by tier; the last line is `N passed, N failed, N skipped`.
 * Arguments select tiers, folders of test/ or single files; `--download` fetches a real mongod where none is (scripts/mongo.ts).
 * A file that hangs is killed with all that it started.
 */
import { spawn } from 'node:child_process'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Service, services } from './services.ts'
import { chosenPair, houses, jobsElsewhere, type PairName } from './stores.ts'
import { root } from './tree.ts'

interface Tier {
  /** Folders of test/; every folder that no tier names belongs to the first tier. */
  readonly folders: readonly string[]
  readonly parallel: number
  readonly limitMs: number
}

const tiers: Readonly<Record<string, Tier>> = {
  rules: { folders: ['rules'], parallel: 2, limitMs: 60_000 },
  contracts: {
    folders: ['contracts', 'adapters', 'directory', 'connectors', 'methods', 'http', 'hooks'],
    parallel: 2,
    limitMs: 120_000,
  },
  // The adapters for Redis and MongoDB.
  stores: { folders: [], parallel: 1, limitMs: 300_000 },
  commands: { folders: ['cli'], parallel: 2, limitMs: 240_000 },
  engine: { folders: ['engine'], parallel: 2, limitMs: 180_000 },
  flows: { folders: ['flows'], parallel: 2, limitMs: 180_000 },
  attacks: { folders: ['attacks', 'faults'], parallel: 2, limitMs: 300_000 },
  // Servers in several processes, on every kind of stores; what they do when these fail.
  nodes: { folders: ['nodes'], parallel: 1, limitMs: 600_000 },
  // Files of the tiers above on other stores than SQLite (scripts/stores.ts).
  pairs: { folders: [], parallel: 2, limitMs: 180_000 },
  // The image, the compose file and the chart of deploy/.
  deploy: { folders: ['deploy'], parallel: 1, limitMs: 240_000 },
  peers: { folders: ['peers'], parallel: 1, limitMs: 240_000 },
  browser: { folders: ['browser'], parallel: 2, limitMs: 300_000 },
}

interface Result {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

const inCi = Boolean(process.env.CI)
/** Long runs that somebody asked for by number; nobody waits for them without knowing. */
const isLong = ['RACES', 'LOGINS', 'KILLS', 'ROUNDS'].some((name) => process.env[`GATEHOUSE_TEST_${name}`])
const LONG_MS = 2 * 3_600_000
/** Most of a test file's time is loading the server. */
const compileCache = process.env.NODE_COMPILE_CACHE ?? join(root, 'node_modules/.cache/gatehouse')
const total = { passed: 0, failed: 0, skipped: 0 }
const scratch = mkdtempSync(join(tmpdir(), 'gatehouse-test-'))
const running = new Set<() => void>()
const opened: { close(): Promise<void> }[] = []
/** Which services the run had, for the summary. */
const used = new Map<string, string>()
/** What the servers among them can do. */
const notes = new Set<string>()
const variables: Record<string, string> = {}

const tierOf = (file: string): string => {
  if (/^test\/adapters\/(redis|mongo)/.test(file)) return 'stores'
  const folder = file.endsWith('/browser.test.ts') ? 'browser' : (file.split('/')[1] ?? '')
  return Object.entries(tiers).find(([, tier]) => tier.folders.includes(folder))?.[0] ?? 'rules'
}

/**
 * Reads what scripts/counts.ts wrote. A file that ended before its summary, or that holds no test, counts as one failure;
 * one whose suites are skipped as a whole as one skipped test.
 */
const readCounts = (path: string, ended: boolean): Result => {
  try {
    const { tests, suites, passed, failed, cancelled, skipped, todo } = JSON.parse(readFileSync(path, 'utf8').trim())
    if (tests === 0 && suites > 0 && ended) return { passed: 0, failed: 0, skipped: 1 }
    const broken = failed + cancelled === 0 && !ended ? 1 : 0
    return { passed, failed: failed + cancelled + broken, skipped: skipped + todo }
  } catch {
    return { passed: 0, failed: 1, skipped: 0 }
  }
}

/** A test file, on these stores if it is about whole servers and not on the run's. */
interface Job {
  readonly file: string
  readonly pair?: PairName
}

const runFile = ({ file, pair }: Job, given: number): Promise<void> =>
  new Promise((resolve) => {
    const limitMs = isLong ? LONG_MS : given
    const startedAt = Date.now()
    const title = pair ? `${file} on ${pair}` : file
    const countsFile = join(scratch, `${title.replaceAll(/[/ ]/g, '-')}.json`)
    const reporters = ['spec', join(root, 'scripts/counts.ts')]
    const destinations = ['stdout', countsFile]
    const child = spawn(
      process.execPath,
      [
        ...reporters.map((reporter) => `--test-reporter=${reporter}`),
        ...destinations.map((destination) => `--test-reporter-destination=${destination}`),
        join(root, file),
      ],
      // Its own process group, so that what it started is killed with it.
      {
        cwd: root,
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, ...variables, ...(pair && { ON_STORES: pair }), NODE_COMPILE_CACHE: compileCache },
      },
    )
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text))
    const kill = () => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
      } catch {
        // The group is gone already.
      }
    }
    running.add(kill)
    let hung = false
    const timer = setTimeout(() => {
      hung = true
      kill()
    }, limitMs)
    child.once('exit', kill)
    child.once('close', (code) => {
      clearTimeout(timer)
      running.delete(kill)
      const result = readCounts(countsFile, code === 0)
      total.passed += result.passed
      total.failed += result.failed
      total.skipped += result.skipped
      if (hung) output += `\n${title} did not end within ${limitMs / 1000} s and was killed.\n`
      const good = result.failed === 0
      const seconds = ((Date.now() - startedAt) / 1000).toFixed(1)
      const skipped = result.skipped > 0 ? `, ${result.skipped} skipped` : ''
      console.log(`${good ? 'ok  ' : 'FAIL'} ${title}  ${result.passed} passed${skipped}  ${seconds} s`)
      if (!good) console.log(output)
      resolve()
    })
  })

const openService = async (service: Service): Promise<void> => {
  const startedAt = Date.now()
  const answer = await service.open().catch((error: Error) => ({ missing: error.message }))
  if ('leftOut' in answer) {
    used.set(service.name, `${service.name} ${answer.leftOut}`)
    console.log(`skip service ${service.name}: ${answer.leftOut}`)
    return
  }
  if ('missing' in answer) {
    used.set(service.name, `${service.name} NOT HERE`)
    if (inCi) total.failed += 1
    console.log(`${inCi ? 'FAIL' : 'skip'} service ${service.name}: not here: ${answer.missing}`)
    return
  }
  Object.assign(variables, answer.variables)
  const { close, said } = answer
  for (const note of answer.notes ?? []) notes.add(note)
  if (close) opened.push({ close })
  used.set(service.name, said ?? service.name)
  console.log(`ok   service ${said ?? service.name}  ${((Date.now() - startedAt) / 1000).toFixed(1)} s`)
}

/** Which service a pair of stores lacks, if any. */
const lackOf = (pair: PairName): string | undefined => {
  if (pair.includes('redis') && !variables.GATEHOUSE_TEST_REDIS) return 'Redis'
  return pair.includes('mongo') && !variables.GATEHOUSE_TEST_MONGO ? 'MongoDB' : undefined
}

const runTier = async (name: string, tier: Tier, jobs: readonly Job[]): Promise<void> => {
  console.log(`\n# ${name}`)
  for (const service of services) if (service.tiers.includes(name)) await openService(service)
  const queue = [...jobs]
  const worker = async () => {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) {
      const lack = job.pair && lackOf(job.pair)
      if (!lack) await runFile(job, tier.limitMs)
      else {
        total.skipped += 1
        console.log(`skip ${job.file} on ${job.pair}: ${lack} is not here`)
      }
    }
  }
  await Promise.all(Array.from({ length: tier.parallel }, worker))
  for (const service of opened.splice(0)) await service.close()
  // A later tier must not be told of what was closed.
  for (const variable of Object.keys(variables)) delete variables[variable]
}

const stop = () => {
  for (const kill of running) kill()
  process.exit(130)
}
process.once('SIGINT', stop).once('SIGTERM', stop)

/** A path as a shell completes it. */
const isWithin = (file: string, path: string): boolean => {
  const plain = path.replace(/^\.\//, '').replace(/\/$/, '')
  return file === plain || file.startsWith(`${plain}/`)
}
const wanted = process.argv.slice(2).filter((word) => word !== '--download')
const isWanted = (file: string) =>
  wanted.length === 0 ||
  wanted.some((word) => word === tierOf(file) || word === file.split('/')[1] || isWithin(file, word))
const files = globSync('test/**/*.test.ts', { cwd: root })
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => !file.startsWith('test/.cache/') && isWanted(file))
  .sort()

/** Where a run is about other stores anyway, its houses need no second round. */
const elsewhere: readonly Job[] =
  chosenPair === 'sqlite' && (wanted.length === 0 || wanted.includes('pairs'))
    ? jobsElsewhere(
        globSync(houses, { cwd: root })
          .map((file) => file.replaceAll('\\', '/'))
          .sort(),
      )
    : []

for (const [name, tier] of Object.entries(tiers)) {
  const jobs = name === 'pairs' ? elsewhere : files.filter((file) => tierOf(file) === name).map((file) => ({ file }))
  if (jobs.length > 0) await runTier(name, tier, jobs)
}
rmSync(scratch, { recursive: true, force: true })
if (files.length + elsewhere.length === 0) console.log(`No test file matches ${wanted.join(' ')}.`)
if (chosenPair !== 'sqlite') console.log(`\nWhole servers ran on ${chosenPair} (ON_STORES).`)
if (used.size > 0) console.log(`\nServices: ${[...used.values()].join('; ')}`)
for (const note of notes) console.log(`- ${note}`)
console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
process.exitCode = total.failed > 0 || files.length + elsewhere.length === 0 ? 1 : 0
