/** A real mongod where there is one: a replica set of one member on a free loopback port, its files in a temporary folder. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { MongoClient } from 'mongodb'
import { downloads } from './download.ts'
import { ServerProcess } from './process.ts'

/** What mongodb-memory-server fetched for us (`--download`) or for other projects of this machine: the newest. */
const fetched = (folder: string): string | undefined => {
  if (!existsSync(folder)) return undefined
  const name = readdirSync(folder)
    .filter((one) => /^mongod-[\w.-]*\d$/.test(one) && !one.endsWith('.md5'))
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
    .at(-1)
  return name && join(folder, name)
}

export const findMongod = (): string | undefined =>
  process.env.MONGOD ??
  (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'mongod'))
    .find((path) => existsSync(path)) ??
  process.env.MONGOMS_SYSTEM_BINARY ??
  fetched(downloads) ??
  fetched(join(homedir(), '.cache/mongodb-binaries'))

/** Until the one member has elected itself. */
const initiate = async (url: string, host: string): Promise<void> => {
  const client = await new MongoClient(url, { directConnection: true }).connect()
  try {
    const admin = client.db('admin')
    await admin.command({ replSetInitiate: { _id: 'gatehouse', members: [{ _id: 0, host }] } })
    while (!(await admin.command({ hello: 1 })).isWritablePrimary) await delay(50)
  } finally {
    await client.close()
  }
}

export const startMongod = async (program: string): Promise<{ server: ServerProcess; close(): Promise<void> }> => {
  const data = mkdtempSync(join(tmpdir(), 'gatehouse-mongod-'))
  const server = await ServerProcess.start((port) => ({
    program,
    arguments: ['--dbpath', data, '--port', String(port), '--bind_ip', '127.0.0.1', '--replSet', 'gatehouse'],
  }))
  await initiate(server.url, `127.0.0.1:${server.port}`)
  const close = async () => {
    await server.close()
    rmSync(data, { recursive: true, force: true })
  }
  return { server, close }
}
