/** Authlib in a Python of its own, installed once into test/.cache (ignored by git), spoken to line by line. */
import { execFile, spawn } from 'node:child_process'
import { existsSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { root } from '../../../scripts/tree.ts'

const packages = ['authlib==1.9.6', 'joserfc==1.8.0', 'requests==2.32.5']
const home = join(root, `test/.cache/${packages[0]?.replace('==', '-')}`)
const run = promisify(execFile)

/** For `{ skip }` of node:test: the reason, or false when there is a Python to install it with. In CI it must be there. */
export const noPython: string | false = await run('python3', ['-m', 'venv', '--help']).then(
  () => false as const,
  () => (process.env.CI ? false : 'Python with venv is not here (Debian: python3-venv)'),
)

const install = async (): Promise<void> => {
  if (existsSync(home)) return
  // The rename makes an interrupted installation leave nothing behind; what is inside finds itself by its own place.
  const draft = `${home}.${process.pid}`
  try {
    await run('python3', ['-m', 'venv', draft])
    await run(join(draft, 'bin/python'), [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      ...packages,
    ])
    if (!existsSync(home)) renameSync(draft, home)
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}

export interface Authlib {
  /** Runs a function of client.py. Throws what it threw. */
  ask<T = Record<string, unknown>>(command: string, given?: Record<string, unknown>): Promise<T>
  close(): void
}

export const openAuthlib = async (): Promise<Authlib> => {
  await install()
  const child = spawn(join(home, 'bin/python'), [join(import.meta.dirname, 'client.py')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    async ask<T>(command: string, given: Record<string, unknown> = {}) {
      child.stdin.write(`${JSON.stringify({ do: command, ...given })}\n`)
      const { value, done } = await lines.next()
      if (done) throw new Error('Authlib ended')
      const answer = JSON.parse(value) as { failed?: string }
      if (answer.failed !== undefined) throw new Error(answer.failed)
      return answer as T
    },
    close: () => void child.kill(),
  }
}
