/** What scripts/services.ts says of a MongoDB server: its grade, what it can do, and what `--download` fetches. */
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { MongoClient } from 'mongodb'
import { type Capability, gradeOf } from '../../scripts/mongo/capabilities.ts'
import { NX, nxMissing, startNx } from '../../scripts/mongo/nx.ts'
import { leftOut } from '../../scripts/stores.ts'

const every: Capability[] = [
  'ttl',
  'partialUnique',
  'multikeyUnique',
  'transactions',
  'retryableWrites',
  'changeStreams',
]
const mongod = { version: '8.0.4', gitVersion: 'bc35ab4305d9920d9d0491c1c9ef9b72383d31f9', versionArray: [8, 0, 4, 0] }

/** Runs the command as a person does; nothing of ours in its environment but what is given. */
const services = async (words: readonly string[], env: Readonly<Record<string, string>>) => {
  const { MONGODB_URL: _, MONGOD: __, MONGOMS_SYSTEM_BINARY: ___, STORES: ____, ...rest } = process.env
  return new Promise<{ code: number; said: string }>((resolve) => {
    const child = execFile(
      process.execPath,
      ['scripts/services.ts', ...words],
      { cwd: join(import.meta.dirname, '../..'), env: { ...rest, ...env } },
      (_error, stdout, stderr) => resolve({ code: child.exitCode ?? -1, said: stdout + stderr }),
    )
  })
}

describe('the grade of a server', () => {
  const table: readonly [string, Record<string, unknown>, Capability[], string][] = [
    ['a replica set of MongoDB', mongod, every, 'real'],
    ['a single MongoDB', mongod, ['ttl', 'partialUnique', 'multikeyUnique'], 'real'],
    ['FerretDB, which says so', { ...mongod, ferretdb: { version: 'v2.7.0' } }, every, 'stand-in'],
    ['one that names no commit it was built from', { ...mongod, gitVersion: 'unknown' }, every, 'stand-in'],
    ['one that names nothing', { version: '4.4.0' }, every, 'stand-in'],
    ...(['ttl', 'partialUnique', 'multikeyUnique'] as const).map(
      (gone): [string, Record<string, unknown>, Capability[], string] => [
        `one that says it is MongoDB and breaks its promise: ${gone}`,
        mongod,
        every.filter((one) => one !== gone),
        'stand-in',
      ],
    ),
  ]
  for (const [title, buildInfo, capabilities, grade] of table)
    test(`${title}: ${grade}`, () => assert.equal(gradeOf(buildInfo, new Set(capabilities)), grade))
})

describe('MONGODB_URL', { skip: leftOut('mongo') ?? (await nxMissing()) ?? false }, () => {
  test('is graded by what answers there, its capabilities are told, and nothing stays on it', async (t) => {
    const { server, close } = await startNx()
    t.after(close)
    const { code, said } = await services(['mongodb'], { MONGODB_URL: `${server.url}/mine` })
    assert.equal(code, 0, said)
    const [first = '', line = ''] = said.trimEnd().split('\n').slice(-2)
    assert.match(first, /^mongodb: MONGODB_URL, which says \S+ \(stand-in\)$/, `${NX} is not MongoDB`)
    assert.match(line, /^ {2}MONGODB_URL.* has TTL index, .*; lacks .*partial unique index.*, change streams$/)
    const client = await new MongoClient(server.url).connect()
    t.after(() => client.close())
    const { databases } = await client.db('admin').admin().listDatabases()
    assert.deepEqual(
      databases.filter(({ name }) => name.startsWith('gatehouse_')),
      [],
    )
  })

  test('where nobody answers is a missing service, and no stand-in takes its place', async () => {
    const { code, said } = await services(['mongodb'], { MONGODB_URL: 'mongodb://127.0.0.1:1/x' })
    assert.equal(code, 1)
    assert.match(said, /^mongodb: not here: .*127\.0\.0\.1:1/m)
    assert.doesNotMatch(said, /stand-in/)
  })
})

/** The tool's lock file is of npm 7 or newer; an older one is enough for everything else. */
const npm = Number.parseInt(spawnSync('npm', ['--version'], { encoding: 'utf8' }).stdout ?? '', 10)
const tooOld = npm >= 7 ? undefined : `npm ${npm} is too old for --download`

describe('--download', { skip: leftOut('mongo') ?? tooOld ?? false }, () => {
  /** A mirror that has one archive, whatever it is asked for, and its MD5 sum; none at all without one. */
  const mirror = async (t: TestContext, archive?: Buffer, md5?: string) => {
    const asked: string[] = []
    const server = createServer(({ url = '' }, response) => {
      asked.push(url)
      if (!archive) response.writeHead(404).end()
      else if (url.endsWith('.md5')) response.end(md5)
      else response.writeHead(200, { 'content-length': archive.length }).end(archive)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
  }
  const scratch = (t: TestContext): string => {
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-download-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    return folder
  }
  const settings = (folder: string, url: string) => ({
    HOME: folder,
    // Which registry npm asks, and whom it trusts, stays the machine's choice.
    npm_config_userconfig: process.env.npm_config_userconfig ?? join(homedir(), '.npmrc'),
    MONGOMS_DOWNLOAD_DIR: join(folder, 'fetched'),
    MONGOMS_DOWNLOAD_MIRROR: url,
    MONGOMS_USE_HTTP: 'true',
    MONGOMS_MAX_RETRIES: '1',
    NO_PROXY: '127.0.0.1',
  })
  /** A server that says on its way out that it was started; the archive as MongoDB packs it. */
  const archiveIn = (folder: string): { archive: Buffer; md5: string } => {
    const bin = join(folder, 'mongodb-linux-x86_64-debian12-8.2.6/bin')
    mkdirSync(bin, { recursive: true })
    const padding = randomBytes(1024 * 1024).toString('hex')
    writeFileSync(join(bin, 'mongod'), `#!/bin/sh\necho "I am what was fetched" >&2\nexit 3\n# ${padding}\n`, {
      mode: 0o755,
    })
    const packed = join(folder, 'mongodb.tgz')
    assert.equal(spawnSync('tar', ['czf', packed, '-C', folder, 'mongodb-linux-x86_64-debian12-8.2.6']).status, 0)
    const [md5 = ''] = spawnSync('md5sum', [packed], { encoding: 'utf8' }).stdout.split(' ')
    return { archive: readFileSync(packed), md5: `${md5}  mongodb.tgz` }
  }

  test('fetches a mongod, which is then the one that is started', async (t) => {
    const folder = scratch(t)
    const { archive, md5 } = archiveIn(folder)
    const { asked, url } = await mirror(t, archive, md5)
    const first = await services(['--download', 'mongodb'], settings(folder, url))
    assert.match(first.said, /^mongodb: not here: .*fetched\/mongod-\S+ did not start: I am what was fetched/m)
    assert.ok(asked.some((path) => path.endsWith('.tgz')))
    const requests = asked.length
    const second = await services(['mongodb'], settings(folder, url))
    assert.match(second.said, /I am what was fetched/, 'found again without being asked for')
    assert.equal(asked.length, requests, 'and nothing was fetched for it')
  })

  test('refuses an archive that is not what its sum says', async (t) => {
    const folder = scratch(t)
    const { url } = await mirror(t, archiveIn(folder).archive, `${'0'.repeat(32)}  mongodb.tgz`)
    const { code, said } = await services(['--download', 'mongodb'], settings(folder, url))
    assert.equal(code, 1)
    assert.match(said, /^mongodb: not here: mongod could not be downloaded: .*(md5|checksum)/im)
    assert.doesNotMatch(said, /I am what was fetched/)
  })

  test('where there is nothing to fetch says so in one line, and no stand-in takes its place', async (t) => {
    const folder = scratch(t)
    const { url } = await mirror(t)
    const { code, said } = await services(['--download', 'mongodb'], settings(folder, url))
    assert.equal(code, 1)
    assert.match(said, /^mongodb: not here: mongod could not be downloaded: [^\n]+\n$/)
  })

  test('without it nothing is fetched', async (t) => {
    const folder = scratch(t)
    const { asked, url } = await mirror(t)
    const { said } = await services(['mongodb'], settings(folder, url))
    assert.match(said, /stand-in|not here/)
    assert.deepEqual(asked, [])
    assert.deepEqual(readdirSync(folder), [])
  })
})
