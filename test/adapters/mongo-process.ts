/**
 * Another process on the same MongoDB database, for mongo-processes.test.ts. Started by fork with a task; says `ready`
 * when its store is open, works when told to, and answers with messages.
 */
import { once } from 'node:events'
import process from 'node:process'
import { openMongoArtifacts, openMongoDirectory } from '#adapters/mongo/index.ts'
import { systemClock } from '#kernel/clock.ts'
import { silentLog } from '#kernel/log.ts'
import { randomToken, sha256 } from '#kernel/random.ts'

const [task, url = '', count = '0', contenders = '1'] = process.argv.slice(2)
const world = { clock: systemClock, log: silentLog, waitMs: 20_000 }
const tell = (message: unknown) => process.send?.(message)
/** Answers which of the processes this is: '0', '1' … */
const go = async (): Promise<string> => (await once(process, 'message'))[0]

/** `count` lanes that take the numbers from 0 to `total` - 1 in turn. */
const lanes = (wide: number, total: number, work: (index: number) => Promise<void>) => {
  let next = 0
  const lane = async () => {
    while (next < total) await work(next++)
  }
  return Promise.all(Array.from({ length: wide }, lane))
}

/** Races `contenders` calls for each number; answers for each how often this process won. */
const race = async (enter: (index: number) => Promise<boolean>): Promise<number[]> => {
  const won = Array.from({ length: Number(count) }, () => 0)
  await lanes(4, Number(count), async (i) => {
    const results = await Promise.all(Array.from({ length: Number(contenders) }, () => enter(i)))
    won[i] = results.filter(Boolean).length
  })
  return won
}

const tasks: Record<string, () => Promise<void>> = {
  /** Opens when told, writes one row. */
  async open() {
    tell('ready')
    await go()
    const store = await openMongoArtifacts(url, world)
    const directory = await openMongoDirectory(url, world)
    tell(await store.put('Session', { key: sha256(randomToken()), body: Buffer.from('x') }))
    await store.close()
    await directory.close()
  },

  async redeem() {
    const store = await openMongoArtifacts(url, world)
    tell('ready')
    await go()
    tell(
      await race(
        async (i) =>
          (await store.redeem('AuthorizationCode', sha256(`code ${i}`), randomToken(), systemClock.now())) === 'won',
      ),
    )
    await store.close()
  },

  async mark() {
    const store = await openMongoArtifacts(url, world)
    tell('ready')
    await go()
    tell(await race((i) => store.putOnce('Replay', sha256(`proof ${i}`), systemClock.now() + 3_600_000)))
    await store.close()
  },

  /** Claims external identities; answers the owner of each. */
  async claim() {
    const directory = await openMongoDirectory(url, world)
    const owners: string[] = []
    tell('ready')
    await go()
    await lanes(6, Number(count), async (i) => {
      const account = randomToken()
      const { owner } = await directory.claim('link', `google:${i}`, () => ({
        owner: account,
        link: { id: `google:${i}`, doc: Buffer.from('l') },
        accountKind: 'account',
        account: { id: account, doc: Buffer.from('a'), unique: { username: `user ${i}` } },
      }))
      owners[i] = owner
    })
    tell(owners)
    await directory.close()
  },
}

await tasks[task ?? '']?.()
if (process.connected) process.disconnect?.()
