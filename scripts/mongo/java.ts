/**
 * mongo-java-server (Maven Central): MongoDB's commands in the memory of a Java process. A stand-in, not MongoDB: one
 * lock, nothing survives a restart, no sessions, change streams only when asked, indexes that only partly mean something.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { root } from '../tree.ts'
import { ServerProcess } from './process.ts'

export const JAVA = 'mongo-java-server 1.47.0'

/** What MongoDB 4.4 reports, the oldest that the driver takes. */
const WIRE_VERSION = 9

const run = promisify(execFile)
const here = import.meta.dirname
const cache = join(root, 'test/.cache')
/** Ends with a number that follows StandIn.java: what was compiled before is left alone. */
const home = join(cache, 'mongo-java-server-1.47.0-2')

const javaVersion = async (): Promise<number> => {
  const { stdout, stderr } = await run('javac', ['-version'])
  return Number(/javac (\d+)/.exec(stdout + stderr)?.[1] ?? 0)
}

/** Says what is missing, or undefined when it can run here. */
export const javaMissing = async (): Promise<string | undefined> => {
  if (existsSync(home)) return undefined
  if ((await javaVersion().catch(() => 0)) < 17)
    return 'a Java development kit, 17 or newer (Debian: default-jdk-headless)'
  const maven = await run('mvn', ['--version']).catch(() => undefined)
  return maven ? undefined : 'Maven, to fetch mongo-java-server (Debian: maven)'
}

const verify = (folder: string): void => {
  for (const line of readFileSync(join(here, 'jars.sha256'), 'utf8').trim().split('\n')) {
    const [sum, name = ''] = line.split(/\s+/)
    const found = createHash('sha256')
      .update(readFileSync(join(folder, name)))
      .digest('hex')
    if (found !== sum) throw new Error(`${name} is not the file that was meant (SHA-256 ${found})`)
  }
}

const install = async (): Promise<void> => {
  if (existsSync(home)) return
  const draft = join(cache, `java-draft-${process.pid}`)
  mkdirSync(draft, { recursive: true })
  try {
    await run('mvn', [
      '-q',
      '-B',
      '-f',
      join(here, 'pom.xml'),
      'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies',
      '-DincludeScope=runtime',
      `-DoutputDirectory=${draft}`,
    ])
    verify(draft)
    await run('javac', ['-cp', join(draft, '*'), '-d', draft, join(here, 'StandIn.java')])
    if (!existsSync(home)) renameSync(draft, home)
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}

/** `wireVersion`: what it says that it speaks. `oplog`: with change streams. */
export const startJava = async (
  wireVersion = WIRE_VERSION,
  { oplog = false } = {},
): Promise<{ server: ServerProcess; close(): Promise<void> }> => {
  await install()
  const memory = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']
  const classes = ['-cp', `${join(home, '*')}:${home}`, 'StandIn']
  const server = await ServerProcess.start((port) => ({
    program: 'java',
    arguments: [...memory, ...classes, String(port), String(wireVersion), ...(oplog ? ['oplog'] : [])],
  }))
  return { server, close: () => server.close() }
}
