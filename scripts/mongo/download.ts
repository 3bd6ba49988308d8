/**
 * A real mongod from the internet, where somebody asked for it with `--download` and nowhere else: mongodb-memory-server
 * chooses the archive for this system and checks its MD5 sum. It is a tool of its own with a lock file of its own
 * (scripts/mongo/download), installed on first use, so that nobody else's node_modules holds it.
 */
import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { root } from '../tree.ts'

const run = promisify(execFile)
const cache = join(root, 'test/.cache')
const tool = join(cache, 'mongodb-memory-server-11.3.0')

/** Where downloaded servers lie; the tool's own variable may name another place. */
export const downloads = process.env.MONGOMS_DOWNLOAD_DIR ?? join(cache, 'mongodb-binaries')

/** npm reads the machine's settings beside the Node that runs it, so that must be the machine's own. */
const machine = {
  ...process.env,
  PATH: (process.env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => !folder.includes('node_modules'))
    .join(delimiter),
}

const install = async (): Promise<void> => {
  if (existsSync(tool)) return
  const draft = join(cache, `download-draft-${process.pid}`)
  mkdirSync(cache, { recursive: true })
  try {
    cpSync(join(import.meta.dirname, 'download'), draft, { recursive: true })
    const words = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
    await run('npm', words, { cwd: draft, env: machine })
    if (!existsSync(tool)) renameSync(draft, tool)
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}

const FETCH = `require('mongodb-memory-server-core').MongoBinary.getPath({ downloadDir: process.argv[1] })
  .then((path) => console.log(path), (error) => { console.error(error.message); process.exitCode = 1 })`

/**
 * Fetches a mongod, or finds the one that was fetched before. MONGOMS_VERSION, MONGOMS_DOWNLOAD_MIRROR and the tool's other
 * variables hold.
 * @returns its path
 * @throws Error with one line on why there is none
 */
export const downloadMongod = async (): Promise<string> => {
  try {
    await install()
    const { stdout } = await run(process.execPath, ['-e', FETCH, downloads], { cwd: tool })
    return stdout.trim().split('\n').at(-1) ?? ''
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim() || String(error)
    throw new Error(`mongod could not be downloaded: ${said.replaceAll(/\s+/g, ' ').slice(0, 300)}`)
  }
}
