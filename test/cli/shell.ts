/** The command line over a folder of its own: the same commands in this process, or as the executable. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Actions, run } from '#cli/cli.ts'
import { silentLog } from '#kernel/log.ts'
import { openHouse, openStores } from '#src/house.ts'

export interface Answer {
  readonly code: number
  readonly out: string
  readonly err: string
}

export interface Shell {
  readonly folder: string
  /** Writes a file of the folder, answers its path. */
  file(name: string, content: unknown): Promise<string>
  /** Runs a command here, with `--config gatehouse.yaml` of the folder. */
  run(args: readonly string[], given?: { input?: string; env?: Record<string, string> }): Promise<Answer>
  /** Runs the executable as it is, in the folder. */
  spawn(args: readonly string[], given?: { input?: string; env?: Record<string, string> }): Promise<Answer>
}

export const executable = fileURLToPath(new URL('../../gatehouse', import.meta.url))

/** @param settings beside the stores, which lie in the folder */
export const openShell = async (t: TestContext, settings: Record<string, unknown> = {}): Promise<Shell> => {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-cli-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const file = async (name: string, content: unknown) => {
    const path = join(folder, name)
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
    return path
  }
  const config = await file('gatehouse.yaml', {
    stores: { artifacts: `sqlite:${folder}/artifacts.db`, directory: `sqlite:${folder}/directory.db` },
    keys: { algorithms: ['ES256'], encryption: [], default: 'ES256' },
    ...settings,
  })
  const actions: Actions = {
    open: (loaded) => openHouse(loaded, { log: silentLog }),
    stores: (loaded) => openStores(loaded, { log: silentLog }),
    serve: async () => assert.fail('no server in this test'),
  }
  return {
    folder,
    file,
    async run(args, { input = '', env = {} } = {}) {
      const answer = { out: '', err: '' }
      const io = {
        out: (line: string) => {
          answer.out += line
        },
        err: (line: string) => {
          answer.err += line
        },
        read: async () => input,
      }
      const code = await run([...args, '--config', config], env, io, actions)
      return { code, ...answer }
    },
    async spawn(args, { input = '', env = {} } = {}) {
      const child = spawn(executable, args, { cwd: folder, env: { PATH: process.env.PATH, ...env } })
      child.stdin.end(input)
      const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
      return { code: child.exitCode ?? -1, out, err }
    },
  }
}

export interface Server {
  readonly issuer: string
  readonly pid: number
  /** Standard output so far. */
  log(): string
  /** SIGTERM; answers the exit code. */
  stop(): Promise<number | null>
  /** SIGKILL; answers when it is gone. */
  kill(): Promise<void>
}

/** `serve` as the executable, on a free port; killed with the test. */
export const serve = async (
  t: TestContext,
  shell: Shell,
  port: number,
  env: Readonly<Record<string, string>> = {},
): Promise<Server> => {
  const child = spawn(executable, ['serve'], {
    cwd: shell.folder,
    env: { PATH: process.env.PATH, GATEHOUSE__LISTEN__PORT: String(port), ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => void child.kill('SIGKILL'))
  let log = ''
  const ready = new Promise<string>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}: ${log}`)))
    child.stdout.on('data', (chunk: Buffer) => {
      log += chunk.toString()
      const line = log.split('\n').find((one) => one.includes('"event":"ready"'))
      if (line) resolve((JSON.parse(line) as { issuer: string }).issuer)
    })
  })
  return {
    issuer: await ready,
    pid: child.pid ?? 0,
    log: () => log,
    async stop() {
      if (child.signalCode !== null) return child.exitCode
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
      return child.exitCode
    },
    async kill() {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    },
  }
}
