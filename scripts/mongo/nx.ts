/**
 * nx-27017 (PyPI): MongoDB's wire protocol over SQLite files. A stand-in, not MongoDB: it keeps what was acknowledged
 * over a restart, but has no replica set, no change streams, no partial indexes and no dates that compare.
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { root } from '../tree.ts'
import { ServerProcess } from './process.ts'

export const NX = 'nx-27017 0.8.1'

const run = promisify(execFile)
const cache = join(root, 'test/.cache')
const home = join(cache, 'nx-27017-0.8.1')
const python = join(home, 'bin/python')
const START = 'import sys; from nx_27017.nx_27017 import main; sys.exit(main())'

/** A Python that can make a virtual environment. */
const findPython = async (): Promise<string | undefined> => {
  for (const name of ['python3', 'python3.13', 'python3.12', 'python3.11'])
    try {
      await run(name, ['-c', 'import sys, ensurepip, sqlite3; assert sys.version_info >= (3, 11)'])
      return name
    } catch {
      // The next one may do.
    }
  return undefined
}

/** Says what is missing, or undefined when it can run here. */
export const nxMissing = async (): Promise<string | undefined> =>
  existsSync(home) || (await findPython()) ? undefined : 'Python 3.11 or newer with venv (Debian: python3-venv)'

/** Into a draft; the rename makes an interrupted installation leave nothing behind. */
const install = async (): Promise<void> => {
  if (existsSync(home)) return
  const draft = join(cache, `nx-draft-${process.pid}`)
  mkdirSync(cache, { recursive: true })
  try {
    await run((await findPython()) ?? 'python3', ['-m', 'venv', draft])
    const requirements = join(import.meta.dirname, 'requirements.txt')
    await run(join(draft, 'bin/python'), ['-m', 'pip', 'install', '-q', '--require-hashes', '-r', requirements])
    if (!existsSync(home)) renameSync(draft, home)
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}

export const startNx = async (): Promise<{ server: ServerProcess; close(): Promise<void> }> => {
  await install()
  const data = mkdtempSync(join(tmpdir(), 'gatehouse-nx-'))
  const files = ['--data-dir', join(data, 'db'), '--log-file', join(data, 'log'), '--pid-file', join(data, 'pid')]
  mkdirSync(join(data, 'db'))
  const server = await ServerProcess.start((port) => ({
    program: python,
    arguments: ['-c', START, '-p', String(port), ...files],
  }))
  const close = async () => {
    await server.close()
    rmSync(data, { recursive: true, force: true })
  }
  return { server, close }
}
