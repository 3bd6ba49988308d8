/**
 * Helm, for the chart's tests: HELM, one on PATH, else built from the Go module proxy in a pinned version, once, into
 * test/.cache (some minutes). Nothing else of it is used than linting and rendering.
 */
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, globSync, mkdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { root } from './tree.ts'

const VERSION = 'v3.19.0'
const TOOLCHAIN = 'go1.24.9'
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

const run = (program: string, args: string[], env: Readonly<Record<string, string>>): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: { ...process.env, ...env }, timeout: BUILD_LIMIT_MS })
    let [told, said] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      told += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-2000)
    })
    child.once('error', reject)
    child.once('exit', (code) => (code === 0 ? resolve(told) : reject(new Error(`helm could not be built: ${said}`))))
  })

/** A Go that can build it. From 1.21 on Go fetches the one that is needed itself; Debian's may be older. */
const recentGo = async (go: string): Promise<string> => {
  const [, minor] = /go1\.(\d+)/.exec(await run(go, ['version'], {})) ?? []
  if (Number(minor) >= 21) return go
  const platform = `${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`
  const module = `golang.org/toolchain@v0.0.1-${TOOLCHAIN}.${platform}`
  const { Dir: folder } = JSON.parse(await run(go, ['mod', 'download', '-json', module], {})) as { Dir: string }
  // A module's archive knows no executable files.
  for (const file of globSync(['bin/*', 'pkg/tool/*/*'], { cwd: folder })) chmodSync(join(folder, file), 0o555)
  return join(folder, 'bin/go')
}

const build = async (go: string): Promise<string> => {
  mkdirSync(cached, { recursive: true })
  const env = { GOBIN: cached, GOFLAGS: '-trimpath', CGO_ENABLED: '0', GOROOT: '' }
  await run(await recentGo(go), ['install', `helm.sh/helm/v3/cmd/helm@${VERSION}`], env)
  return join(cached, 'helm')
}

/** The program. Throws Error with what is missing. */
export const findHelm = async (): Promise<string> => {
  const found = process.env.HELM || onPath('helm')
  if (found) return found
  if (existsSync(join(cached, 'helm'))) return join(cached, 'helm')
  const go = onPath('go')
  if (!go) throw new Error(helmMissing())
  return build(go)
}
