/**
 * Another process on the same SQLite files, for sqlite.test.ts. Started by fork with a task; says `ready` when its
 * store is open, works when told to, and answers with messages.
 */
import { once } from 'node:events'
import { writeSync } from 'node:fs'
import process from 'node:process'
import { openSqliteArtifacts, openSqliteDirectory } from '#adapters/sqlite/index.ts'
import { systemClock } from '#kernel/clock.ts'
import { isFault } from '#kernel/faults.ts'
import { silentLog } from '#kernel/log.ts'
import { randomToken, sha256 } from '#kernel/random.ts'
import { contend } from './contention.ts'

const [task, path = ''] = process.argv.slice(2)
const world = { clock: systemClock, log: silentLog }
const tell = (message: unknown) => process.send?.(message)
/** Answers which of the processes this is: '0', '1' … */
const go = async (): Promise<string> => (await once(process, 'message'))[0]

/** `count` lanes that take the numbers from 0 to `total` - 1 in turn. */
const lanes = (count: number, total: number, work: (index: number) => Promise<void>) => {
  let next = 0
  const lane = async () => {
    while (next < total) await work(next++)
  }
  return Promise.all(Array.from({ length: count }, lane))
}

const tasks: Record<string, () => Promise<void>> = {
  /** Opens each file that it is told, writes one row, until its parent goes. */
  async open() {
    process.on('message', async (file: string) => {
      const store = await openSqliteArtifacts(file, world)
      tell(await store.put('Session', { key: sha256(randomToken()), body: Buffer.from('x') }))
      await store.close()
    })
    tell('ready')
    await once(process, 'disconnect')
  },

  /** Contends for rows `0`, `1` … of the models that it is told (contention.ts). */
  async redeem() {
    const store = await openSqliteArtifacts(path, world)
    tell('ready')
    const upwards = (await go()) === '0'
    tell('here')
    const redeem = (model: string, i: number) => store.redeem(model, sha256(`${i}`), randomToken(), systemClock.now())
    await contend(upwards, async (model, i) => (await redeem(model, i)) === 'won')
    await store.close()
  },

  /** Contends for being the first to mark. */
  async mark() {
    const store = await openSqliteArtifacts(path, world)
    tell('ready')
    const upwards = (await go()) === '0'
    tell('here')
    await contend(upwards, (model, i) => store.putOnce(model, sha256(`${i}`), systemClock.now() + 600_000))
    await store.close()
  },

  /** Claims 100 external identities; answers the owner of each. */
  async claim() {
    const directory = await openSqliteDirectory(path, world)
    const owners: string[] = []
    tell('ready')
    await go()
    await lanes(6, 100, async (i) => {
      const account = randomToken()
      const { owner } = await directory.claim('link', `google:${i}`, () => ({
        owner: account,
        link: { id: `google:${i}`, doc: Buffer.from('l') },
        accountKind: 'account',
        account: { id: account, doc: Buffer.from('a') },
      }))
      owners[i] = owner
    })
    tell(owners)
    await directory.close()
  },

  /** Writes rows until killed; the number of each acknowledged row goes to standard output, a line each. */
  async write() {
    const store = await openSqliteArtifacts(path, world)
    await lanes(16, Number.POSITIVE_INFINITY, async (i) => {
      await store.put('Session', {
        key: sha256(`row ${i}`),
        body: Buffer.alloc(400, i),
        grant: sha256(`grant ${i % 7}`),
      })
      writeSync(1, `${i}\n`)
    })
  },

  /** Writes until the limit on file size stops it; answers the fault's code and whether the rest still works. */
  async fill() {
    // Without a listener the signal would end the process instead of failing the write.
    process.on('SIGXFSZ', () => {})
    const store = await openSqliteArtifacts(path, world)
    let failed: unknown
    for (let i = 0; failed === undefined && i < 500; i++)
      await store.put('Session', { key: sha256(`row ${i}`), body: Buffer.alloc(50_000, 1) }).catch((error) => {
        failed = isFault(error) ? { code: error.code, reason: error.detail.reason } : String(error)
      })
    const read = await store.get('Session', 'key', sha256('row 0'))
    tell({ failed, readable: read?.body.length === 50_000 })
    await store.close()
  },

  /** Opens the file as nobody; answers the fault's code and reason. */
  async nobody() {
    process.setgid?.(65534)
    process.setuid?.(65534)
    await openSqliteArtifacts(path, world).then(
      () => tell('opened'),
      (error) => tell(isFault(error) ? { code: error.code, reason: error.detail.reason } : String(error)),
    )
  },
}

await tasks[task ?? '']?.()
if (process.connected) process.disconnect?.()
