/**
 * Helm, for the chart's tests: HELM, one on PATH, else built from the Go module proxy in a pinned version, once, into
 * test/.cache (some minutes). Nothing else of it is used than linting and rendering.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { root } from './tree.ts'

const VERSION = 'v3.19.0'
const BUILD_LIMIT_MS = 30 * 60_000

const onPath = (name: string): string | undefined =>
  [...(process.env.PATH ?? '').split(delimiter), '/usr/local/go/bin']
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path))

const cached = join(root, `test/.cache/helm-${VERSION}`)

/** What is missing for it, or undefined. */
export const helmMissing = (): string | undefined =>
  process.env.HELM || onPath('helm') || existsSync(join(cached, 'helm')) || onPath('go')
    ? undefined
    : 'helm on PATH (or HELM), or go to build it'

const build = (go: string): Promise<string> =>
  new Promise((resolve, reject) => {
    mkdirSync(cached, { recursive: true })
    const child = spawn(go, ['install', `helm.sh/helm/v3/cmd/helm@${VERSION}`], {
      env: { ...process.env, GOBIN: cached, GOFLAGS: '-trimpath', CGO_ENABLED: '0' },
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: BUILD_LIMIT_MS,
    })
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-2000)
    })
    child.once('error', reject)
    child.once('exit', (code) => {
      if (code === 0) resolve(join(cached, 'helm'))
      else reject(new Error(`helm could not be built: ${said}`))
    })
  })

/** The program. Throws Error with what is missing. */
export const findHelm = async (): Promise<string> => {
  const found = process.env.HELM || onPath('helm')
  if (found) return found
  if (existsSync(join(cached, 'helm'))) return join(cached, 'helm')
  const go = onPath('go')
  if (!go) throw new Error(helmMissing())
  return build(go)
}
