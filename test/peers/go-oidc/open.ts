/** coreos/go-oidc in a program of its own, built once into test/.cache (ignored by git), spoken to line by line. */
import { execFile, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { root } from '../../../scripts/tree.ts'

const run = promisify(execFile)
const program = join(root, 'test/.cache/go-oidc-peer')

/** For `{ skip }` of node:test: the reason, or false when Go is here. In CI it must be. */
export const noGo: string | false = await run('go', ['version']).then(
  () => false as const,
  () => (process.env.CI ? false : 'Go is not here (Debian: golang-go)'),
)

export interface GoOidc {
  /** Runs a command of main.go. Throws what it told. */
  ask<T>(command: string, given?: Record<string, unknown>): Promise<T>
  close(): void
}

export const openGoOidc = async (): Promise<GoOidc> => {
  // Go keeps what it built, so that a second build takes no time.
  await run('go', ['build', '-o', program, '.'], { cwd: import.meta.dirname })
  const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    async ask<T>(command: string, given: Record<string, unknown> = {}) {
      child.stdin.write(`${JSON.stringify({ Do: command, ...given })}\n`)
      const { value, done } = await lines.next()
      if (done) throw new Error('the program ended')
      const answer = JSON.parse(value) as { failed?: string; value: T }
      if (answer.failed !== undefined) throw new Error(answer.failed)
      return answer.value
    },
    close: () => void child.kill(),
  }
}
