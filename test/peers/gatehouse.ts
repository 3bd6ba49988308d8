/** The server as an operator runs it: the executable, a configuration file, nothing shared with the test's process. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Realm } from './keycloak.ts'

const executable = join(import.meta.dirname, '../../gatehouse')
const START_MS = 30_000

export interface Gatehouse {
  readonly issuer: string
  /** Runs another command of the executable beside the server; answers what it printed. */
  command(...words: string[]): Promise<string>
  /** Log lines so far, parsed. */
  readonly lines: readonly Readonly<Record<string, unknown>>[]
  close(): Promise<number | null>
}

export const callbackOf = (issuer: string, provider: string): string => `${issuer}/federation/${provider}/callback`

/** Keycloak as an identity provider of the configuration file. */
export const keycloakProvider = (realm: Realm, more: Readonly<Record<string, unknown>> = {}) => ({
  id: 'keycloak',
  protocol: 'oidc',
  displayName: 'Keycloak',
  ...more,
  oidc: {
    issuer: realm.issuer,
    client_id: realm.clientId,
    client_secret: realm.clientSecret,
    scope: 'openid profile email',
  },
})

/**
 * Starts `./gatehouse serve` and waits for its `ready` line. Throws with its log when it ends before.
 * @param configuration settings and resources as a configuration file has them; stores are put in a folder of their own
 */
export const openGatehouse = async (
  port: number,
  configuration: Readonly<Record<string, unknown>>,
): Promise<Gatehouse> => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-peers-'))
  const issuer = `http://localhost:${port}`
  const file = join(folder, 'gatehouse.yaml')
  const whole = {
    issuer,
    listen: { host: '127.0.0.1', port },
    stores: {
      artifacts: `sqlite:${join(folder, 'artifacts.db')}`,
      directory: `sqlite:${join(folder, 'directory.db')}`,
    },
    egress: { allowPrivate: ['127.0.0.0/8'] },
    ...configuration,
  }
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(whole, null, 2))
  const child = spawn(executable, ['serve', '--config', file], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  const exit = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  const lines: Record<string, unknown>[] = []
  let complaints = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints += text
  })
  await new Promise<void>((resolve, reject) => {
    const fail = (why: string) =>
      reject(new Error(`${why}\n${complaints}\n${lines.map((line) => JSON.stringify(line)).join('\n')}`))
    const timer = setTimeout(() => fail('Gatehouse is not ready'), START_MS)
    createInterface({ input: child.stdout }).on('line', (text) => {
      const line = JSON.parse(text) as Record<string, unknown>
      lines.push(line)
      if (line.event !== 'ready') return
      clearTimeout(timer)
      resolve()
    })
    child.once('exit', (code) => fail(`Gatehouse ended with ${code}`))
  })
  return {
    issuer,
    lines,
    command: (...words) =>
      new Promise((resolve, reject) => {
        const command = spawn(executable, [...words, '--config', file], {
          cwd: folder,
          stdio: ['ignore', 'pipe', 'pipe'],
        })
        let output = ''
        for (const stream of [command.stdout, command.stderr])
          stream.setEncoding('utf8').on('data', (text: string) => {
            output += text
          })
        command.once('close', (code) =>
          code === 0 ? resolve(output) : reject(new Error(`${words.join(' ')} ended with ${code}: ${output}`)),
        )
      }),
    async close() {
      child.kill('SIGTERM')
      const code = await exit
      rmSync(folder, { recursive: true, force: true })
      return code
    },
  }
}
