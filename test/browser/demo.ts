/** The demo as a person starts it: the executable with --demo, in a process and a folder of its own, on free ports. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before } from 'node:test'
import { createSeed } from '#demo/seed.ts'

const executable = join(import.meta.dirname, '../../gatehouse')
const START_MS = 30_000
/** Fixed, so that pictures with passwords in them look the same each time. */
const SEED = 'gatehouse-browser-tests-0123456789'

export interface Demo {
  /** Gatehouse. */
  readonly issuer: string
  /** The demo's identity provider. */
  readonly upstream: string
  /** The test relying party. */
  readonly party: string
  readonly passwords: { readonly alice: string; readonly nora: string; readonly bob: string }
  close(): Promise<number | null>
}

type Written = Readonly<Record<string, unknown>>

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })

/** The demo takes three ports in a row. */
const threePorts = async (): Promise<number> => {
  for (let tries = 0; tries < 50; tries++) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    const free = await Promise.all([port, port + 1, port + 2].map(listens))
    if (free.every(Boolean)) return port
  }
  throw new Error('no three free ports in a row')
}

/** The demo's identity provider, registered as the demo itself does, with more settings. */
export const demoProvider = (upstream: string, more: Written): Written => ({
  id: 'demo-idp',
  protocol: 'oidc',
  displayName: 'Northwind ID',
  emailDomains: ['northwind.example'],
  oidc: {
    issuer: upstream,
    client_id: 'gatehouse',
    client_secret: createSeed(SEED).secret('upstream client'),
    scope: 'openid profile email address phone',
  },
  ...more,
})

/**
 * Starts it and waits until it is ready; throws with its log when it ends before.
 * @param written what the configuration file says beside addresses and stores
 */
export const startDemo = async (
  written: (addresses: { upstream: string }) => Written = () => ({}),
  given: { port?: number } = {},
): Promise<Demo> => {
  const port = given.port ?? (await threePorts())
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-browser-'))
  const [issuer, upstream, party] = [0, 1, 2].map((n) => `http://localhost:${port + n}`) as [string, string, string]
  writeFileSync(join(folder, 'demo.seed'), `${SEED}\n`)
  const configuration = {
    listen: { port },
    stores: { artifacts: `sqlite:${folder}/artifacts.db`, directory: `sqlite:${folder}/directory.db` },
    ...written({ upstream }),
  }
  const file = join(folder, 'gatehouse.yaml')
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(configuration))
  const child = spawn(executable, ['serve', '--demo', '--config', file], { cwd: folder, stdio: 'pipe' })
  const exit = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const kill = () => void child.kill('SIGKILL')
  // Nothing is left behind when this process ends before it closes the demo.
  process.once('exit', kill)
  const said: string[] = []
  child.stderr.setEncoding('utf8').on('data', (text: string) => said.push(text))
  await new Promise<void>((resolve, reject) => {
    const fail = (why: string) => {
      clearTimeout(timer)
      kill()
      reject(new Error(`${why}\n${said.join('\n')}`))
    }
    const timer = setTimeout(fail, START_MS, 'the demo is not ready')
    createInterface({ input: child.stdout }).on('line', (line) => {
      said.push(line)
      if ((JSON.parse(line) as { event?: string }).event !== 'ready') return
      clearTimeout(timer)
      resolve()
    })
    child.once('exit', (code) => fail(`the demo ended with ${code}`))
  })
  const seed = createSeed(SEED)
  return {
    issuer,
    upstream,
    party,
    passwords: { alice: seed.password('alice'), nora: seed.password('nora'), bob: seed.password('bob') },
    async close() {
      child.kill('SIGTERM')
      const code = await exit
      process.off('exit', kill)
      rmSync(folder, { recursive: true, force: true })
      return code
    },
  }
}

/** One demo for a test file. Call at its top; the answer is there once tests run. */
export const openDemo = (skip: string | false, written?: Parameters<typeof startDemo>[0]): (() => Demo) => {
  let demo: Demo | undefined
  before(async () => {
    if (!skip) demo = await startDemo(written)
  })
  after(() => demo?.close())
  return () => {
    if (!demo) throw new Error('the demo is open only while tests run')
    return demo
  }
}
