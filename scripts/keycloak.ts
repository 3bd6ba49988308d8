/**
 * A real Keycloak for the peer tests: fetched from Maven Central once, built once, kept in test/.cache (ignored by git),
 * started on a free loopback port with an in-memory database. Tests make their own realms through its REST API.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { root } from './tree.ts'

const VERSION = '26.7.3'
const ADMIN = { user: 'admin', password: 'loopback-only' }
const START_MS = 300_000

const cache = join(root, 'test/.cache')
const home = join(cache, `keycloak-${VERSION}`)
const run = promisify(execFile)
const environment = { ...process.env, JAVA_OPTS_APPEND: '-Xmx512m' }

export interface Keycloak {
  /** Base URL, without a slash at its end. */
  readonly url: string
  readonly admin: typeof ADMIN
  close(): Promise<void>
}

const javaVersion = async (): Promise<number> => {
  const { stderr } = await run('java', ['-version'])
  return Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0)
}

/** Says what is missing, or undefined when Keycloak can run here. */
export const keycloakMissing = async (): Promise<string | undefined> => {
  const java = await javaVersion().catch(() => 0)
  if (java < 17) return 'a Java runtime, 17 or newer (Debian: openjdk-17-jre-headless)'
  if (existsSync(home)) return undefined
  const maven = await run('mvn', ['--version']).catch(() => undefined)
  return maven ? undefined : 'Maven, to fetch Keycloak (Debian: maven)'
}

/** Maven unpacks into a draft; the rename makes an interrupted download leave nothing behind. */
const fetchAndBuild = async (): Promise<void> => {
  if (existsSync(home)) return
  const draft = join(cache, `draft-${process.pid}`)
  mkdirSync(draft, { recursive: true })
  try {
    const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:unpack'
    const artifact = `org.keycloak:keycloak-quarkus-dist:${VERSION}:zip`
    // Without a project the plugin leaves its markers where it runs.
    await run('mvn', ['-q', '-B', goal, `-Dartifact=${artifact}`, `-DoutputDirectory=${draft}`], { cwd: draft })
    const unpacked = join(draft, `keycloak-${VERSION}`)
    await run('bash', [join(unpacked, 'bin/kc.sh'), 'build', '--db=dev-mem'], { env: environment })
    if (!existsSync(home)) renameSync(unpacked, home)
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })

const exited = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => (child.exitCode === null ? child.once('exit', () => resolve()) : resolve()))

const untilReady = async (url: string, child: ChildProcess, logFile: string): Promise<void> => {
  const deadline = Date.now() + START_MS
  for (;;) {
    const answer = await fetch(`${url}/realms/master/.well-known/openid-configuration`).catch(() => undefined)
    if (answer?.ok) return
    if (child.exitCode !== null || Date.now() > deadline)
      throw new Error(`Keycloak did not start:\n${readFileSync(logFile, 'utf8').slice(-2000)}`)
    await sleep(250)
  }
}

/** Starts Keycloak; the first time takes a minute more. Throws with the end of its log when it does not come up. */
export const openKeycloak = async (): Promise<Keycloak> => {
  await fetchAndBuild()
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const logFile = join(cache, 'keycloak.log')
  writeFileSync(logFile, '')
  const log = openSync(logFile, 'a')
  const options = [
    '--optimized',
    '--cache=local',
    '--http-enabled=true',
    '--hostname-strict=false',
    '--http-host=127.0.0.1',
    `--http-port=${port}`,
  ]
  const child = spawn('bash', [join(home, 'bin/kc.sh'), 'start', ...options], {
    // Its own process group: the script is the parent of Java.
    detached: true,
    stdio: ['ignore', log, log],
    env: { ...environment, KC_BOOTSTRAP_ADMIN_USERNAME: ADMIN.user, KC_BOOTSTRAP_ADMIN_PASSWORD: ADMIN.password },
  })
  const kill = () => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL')
  }
  process.once('exit', kill)
  try {
    await untilReady(url, child, logFile)
  } catch (error) {
    kill()
    throw error
  }
  return {
    url,
    admin: ADMIN,
    async close() {
      process.off('exit', kill)
      kill()
      await exited(child)
    },
  }
}
