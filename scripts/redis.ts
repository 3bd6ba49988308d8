/**
 * Real Redis servers for tests and the benchmark, on loopback and free ports: one alone, a Cluster of six, a Sentinel
 * group of three. `REDIS_URL` is used where it is set (standalone only), else redis-server on PATH (Debian: redis-server).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { leftOut } from './stores.ts'

const HOST = '127.0.0.1'
/** What a start may take on a busy machine, ms. */
const START_LIMIT = 20_000

export interface RedisProcess {
  readonly port: number
  /** Starts, or starts again on the same port and files. */
  start(): Promise<void>
  /** Ends it at once; answers when it is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>
  /** Stops it from running while its connections stay. */
  freeze(): void
  thaw(): void
  /** Sends one command, answers the raw reply. */
  ask(command: string): Promise<string>
}

export interface RedisService {
  /** As `stores.artifacts` takes it. */
  readonly url: string
  /** The data servers, masters first; none where `REDIS_URL` names one that is not ours. */
  readonly servers: readonly RedisProcess[]
  close(): Promise<void>
}

const program = (): string | undefined =>
  [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/bin']
    .map((folder) => join(folder, 'redis-server'))
    .find((path) => existsSync(path))

/** What is missing for servers of our own, or undefined. */
export const redisMissing = (): string | undefined =>
  leftOut('redis') ??
  (program() ? undefined : 'redis-server (Debian: redis-server), or REDIS_URL for the tests on one server')

/**
 * Arguments for a server that is killed and must have kept what it acknowledged. With `everysec` it answers before it
 * writes, for up to 2 s, while a flush to a busy disk is under way.
 */
export const flushedAlways = ['--appendfsync', 'always'] as const

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, HOST)
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** Where the reply that begins at `at` ends (RESP2), or -1 while it is incomplete. */
const replyEnd = (text: string, at = 0): number => {
  const line = text.indexOf('\r\n', at)
  if (line < 0) return -1
  const count = Number(text.slice(at + 1, line))
  let end = line + 2
  if (text[at] === '$' && count >= 0) end += count + 2
  if (text[at] === '*') for (let i = 0; i < count && end >= 0; i++) end = replyEnd(text, end)
  return end > text.length ? -1 : end
}

/** One command over a connection of its own; for replies in ASCII. */
const ask = (port: number, command: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = createConnection(port, HOST)
    let text = ''
    socket.setTimeout(1000, () => socket.destroy(new Error(`redis on port ${port} does not answer`)))
    socket.once('connect', () => socket.write(`${command}\r\n`))
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part
      if (replyEnd(text) > 0) socket.end(() => resolve(text))
    })
    socket.once('error', reject).once('close', () => reject(new Error(`redis on port ${port} closed the connection`)))
  })

/** Asks again and again until the answer fits. */
const until = async (what: string, fits: () => Promise<boolean>): Promise<void> => {
  const late = AbortSignal.timeout(START_LIMIT)
  while (!(await fits().catch(() => false))) {
    if (late.aborted) throw new Error(`redis: ${what}: not within ${START_LIMIT / 1000} s`)
    await delay(25)
  }
}

class OwnProcess implements RedisProcess {
  readonly port: number
  readonly #arguments: readonly string[]
  #child: ChildProcess | undefined

  constructor(port: number, given: readonly string[]) {
    this.port = port
    this.#arguments = given
  }

  async start(): Promise<void> {
    const path = program()
    if (!path) throw new Error(redisMissing())
    const child = spawn(path, this.#arguments, { stdio: ['ignore', 'ignore', 'inherit'] })
    this.#child = child
    await until('start', async () => {
      if (child.exitCode !== null) throw new Error(`redis-server ended with ${child.exitCode}`)
      return /^(\+PONG|-NOAUTH)/.test(await this.ask('PING'))
    })
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGCONT')
    child.kill(signal)
    await gone
  }

  freeze(): void {
    this.#child?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child?.kill('SIGCONT')
  }

  ask(command: string): Promise<string> {
    return ask(this.port, command)
  }
}

/** A folder and the processes in it; whatever happens to this process, they go with it. */
class Group {
  readonly folder = mkdtempSync(join(tmpdir(), 'gatehouse-redis-'))
  readonly #all: OwnProcess[] = []
  readonly #leave = () => {
    for (const one of this.#all) void one.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }

  constructor() {
    process.once('exit', this.#leave)
  }

  add(port: number, given: readonly string[]): OwnProcess {
    const added = new OwnProcess(port, given)
    this.#all.push(added)
    return added
  }

  /** A data server with an append-only file, flushed every second. */
  async server(...more: string[]): Promise<OwnProcess> {
    const port = await freePort()
    const folder = mkdtempSync(join(this.folder, 'server-'))
    const files = ['--dir', folder, '--appendonly', 'yes', '--appendfsync', 'everysec', '--save', '']
    const replication = ['--repl-diskless-sync-delay', '0', '--repl-diskless-load', 'on-empty-db']
    const network = ['--port', String(port), '--bind', HOST, '--protected-mode', 'no']
    return this.add(port, [...network, ...files, ...replication, '--maxmemory-policy', 'noeviction', ...more])
  }

  async close(): Promise<void> {
    process.off('exit', this.#leave)
    await Promise.all(this.#all.map((one) => one.kill()))
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 })
  }
}

/** Builds a group; one that cannot be built leaves nothing behind. */
const build = async (
  make: (group: Group) => Promise<{ url: string; servers: readonly RedisProcess[] }>,
): Promise<RedisService> => {
  const group = new Group()
  try {
    return { ...(await make(group)), close: () => group.close() }
  } catch (error) {
    await group.close()
    throw error
  }
}

/** One server of our own; `more` are redis-server's arguments. */
export const startRedis = (...more: string[]): Promise<RedisService> =>
  build(async (group) => {
    const server = await group.server(...more)
    await server.start()
    return { url: `redis://${HOST}:${server.port}`, servers: [server] }
  })

/** The server that `REDIS_URL` names, else one of our own. */
export const openRedis = async (): Promise<RedisService> =>
  process.env.REDIS_URL ? { url: process.env.REDIS_URL, servers: [], async close() {} } : startRedis()

const says = (text: string, ...facts: string[]): boolean => facts.every((fact) => text.includes(fact))

/** Three masters with one replica each (servers 3 to 5); a master that is silent for a second is replaced. */
export const startRedisCluster = (): Promise<RedisService> =>
  build(async (group) => {
    const servers = await Promise.all(
      Array.from({ length: 6 }, async () => {
        const bus = String(await freePort())
        return group.server('--cluster-enabled', 'yes', '--cluster-node-timeout', '1000', '--cluster-port', bus)
      }),
    )
    await Promise.all(servers.map((server) => server.start()))
    const [first] = servers
    if (!first) throw new Error('no server')
    const buses = new Map<OwnProcess, string>()
    const ids = new Map<OwnProcess, string>()
    for (const [index, server] of servers.entries()) {
      buses.set(server, /cluster-port\r\n\$\d+\r\n(\d+)/.exec(await server.ask('CONFIG GET cluster-port'))?.[1] ?? '')
      ids.set(server, /[0-9a-f]{40}/.exec(await server.ask('CLUSTER MYID'))?.[0] ?? '')
      await server.ask(`CLUSTER SET-CONFIG-EPOCH ${index + 1}`)
      if (index < 3) {
        const from = Math.floor((16384 * index) / 3)
        await server.ask(`CLUSTER ADDSLOTSRANGE ${from} ${Math.floor((16384 * (index + 1)) / 3) - 1}`)
      }
    }
    for (const server of servers.slice(1)) await first.ask(`CLUSTER MEET ${HOST} ${server.port} ${buses.get(server)}`)
    const all = (fits: (server: OwnProcess) => Promise<boolean>) => async () =>
      (await Promise.all(servers.map(fits))).every(Boolean)
    const met = async (server: OwnProcess) => says(await server.ask('CLUSTER INFO'), 'cluster_known_nodes:6')
    await until('the nodes meet', all(met))
    for (const [index, server] of servers.entries()) {
      const master = servers[index - 3]
      if (master) {
        const follow = async () => (await server.ask(`CLUSTER REPLICATE ${ids.get(master)}`)).startsWith('+OK')
        await until('a replica follows', follow)
      }
    }
    await until(
      'the cluster works',
      all(async (server) => {
        const nodes = (await server.ask('CLUSTER NODES')).split('\n').filter((line) => /\bslave\b/.test(line))
        const linked =
          servers.indexOf(server) < 3 || says(await server.ask('INFO replication'), 'master_link_status:up')
        return nodes.length === 3 && linked && says(await server.ask('CLUSTER INFO'), 'cluster_state:ok')
      }),
    )
    const hosts = servers.slice(0, 3).map(({ port }) => `${HOST}:${port}`)
    return { url: `redis+cluster://${hosts.join(',')}`, servers }
  })

/** A master, two replicas, and three sentinels that replace a master which is silent for a second. */
export const startRedisSentinel = (): Promise<RedisService> =>
  build(async (group) => {
    const master = await group.server()
    const replicas = [
      await group.server('--replicaof', HOST, String(master.port)),
      await group.server('--replicaof', HOST, String(master.port)),
    ]
    const servers = [master, ...replicas]
    await Promise.all(servers.map((server) => server.start()))
    const sentinels = await Promise.all(
      Array.from({ length: 3 }, async () => {
        const port = await freePort()
        const file = join(group.folder, `sentinel-${port}.conf`)
        const settings = ['down-after-milliseconds gatehouse 1000', 'failover-timeout gatehouse 3000']
        const monitor = [`monitor gatehouse ${HOST} ${master.port} 2`, ...settings].map((line) => `sentinel ${line}`)
        const lines = [`port ${port}`, `bind ${HOST}`, 'protected-mode no', `dir ${group.folder}`, ...monitor]
        writeFileSync(file, `${lines.join('\n')}\n`)
        return group.add(port, [file, '--sentinel'])
      }),
    )
    await Promise.all(sentinels.map((sentinel) => sentinel.start()))
    await until('the sentinels agree', async () => {
      const views = await Promise.all(sentinels.map((sentinel) => sentinel.ask('SENTINEL MASTERS')))
      const complete = (text: string) =>
        /num-slaves\r\n\$\d+\r\n2\r\n/.test(text) && /num-other-sentinels\r\n\$\d+\r\n2\r\n/.test(text)
      return views.every(complete)
    })
    const hosts = sentinels.map(({ port }) => `${HOST}:${port}`)
    return { url: `redis+sentinel://${hosts.join(',')}/gatehouse`, servers }
  })
