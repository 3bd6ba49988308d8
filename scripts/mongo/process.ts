/** A database server as a process of ours: started, killed, frozen and started again on the same port. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const HOST = '127.0.0.1'
/** What a start may take on a busy machine, ms. */
const START_MS = 60_000

/** What to run on a port. */
export type Command = (port: number) => { program: string; arguments: readonly string[] }

export const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, HOST)
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection(port, HOST)
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })

export class ServerProcess {
  readonly port: number
  readonly #command: Command
  #child: ChildProcess | undefined
  #said = ''

  private constructor(port: number, command: Command) {
    this.port = port
    this.#command = command
    process.once('exit', this.#atExit)
  }

  static async start(command: Command): Promise<ServerProcess> {
    const server = new ServerProcess(await freePort(), command)
    await server.start()
    return server
  }

  get url(): string {
    return `mongodb://${HOST}:${this.port}`
  }

  /** Starts, or starts again on the same port and files. */
  async start(): Promise<void> {
    const { program, arguments: given } = this.#command(this.port)
    const child = spawn(program, given, { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    this.#said = ''
    const hear = (text: string) => {
      this.#said = (this.#said + text).slice(-2000)
    }
    child.stdout.setEncoding('utf8').on('data', hear)
    child.stderr.setEncoding('utf8').on('data', hear)
    child.once('error', (error) => hear(error.message))
    const late = Date.now() + START_MS
    while (!(await listens(this.port))) {
      if (child.exitCode !== null || child.pid === undefined || Date.now() > late)
        throw new Error(`${program} did not start: ${this.#said}`)
      await delay(20)
    }
  }

  /** Ends it at once; answers when it is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill(signal)
    // A frozen process hears nothing but SIGKILL before it is thawed.
    child.kill('SIGCONT')
    await gone
  }

  /** Stops it from running while its connections stay; answers when every thread of it stands still. */
  async freeze(): Promise<void> {
    const child = this.#child
    if (!child?.kill('SIGSTOP')) return
    const threads = `/proc/${child.pid}/task`
    const stands = (thread: string) => /\) [Tt] /.test(readFileSync(join(threads, thread, 'stat'), 'utf8'))
    while (existsSync(threads) && !readdirSync(threads).every(stands)) await delay(1)
  }

  thaw(): void {
    this.#child?.kill('SIGCONT')
  }

  async close(): Promise<void> {
    process.off('exit', this.#atExit)
    await this.kill()
  }

  readonly #atExit = () => this.#child?.kill('SIGKILL')
}
