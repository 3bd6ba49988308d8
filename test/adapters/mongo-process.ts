/**
 * Another process on the same MongoDB database, for mongo-processes.test.ts and mongo-races.test.ts. Started by fork with
 * a task; says `ready` when its store is open, works when told to, and answers with messages.
 */
import { once } from 'node:events'
import process from 'node:process'
import { openMongoArtifacts, openMongoDirectory } from '#adapters/mongo/index.ts'
import { systemClock } from '#kernel/clock.ts'
import { isFault } from '#kernel/faults.ts'
import { silentLog } from '#kernel/log.ts'
import { randomToken, sha256 } from '#kernel/random.ts'
import { marked } from '#test/contracts/single-use.ts'

const [task, url = '', count = '0'] = process.argv.slice(2)
const world = { clock: systemClock, log: silentLog, waitMs: 60_000 }
const tell = (message: unknown) => process.send?.(message)
/** What the test says next. */
const told = async (): Promise<unknown> => (await once(process, 'message'))[0]

/** `wide` lanes that take the numbers from `from` to `to` - 1 in turn. */
const lanes = (wide: number, from: number, to: number, work: (index: number) => Promise<void>) => {
  let next = from
  const lane = async () => {
    while (next < to) await work(next++)
  }
  return Promise.all(Array.from({ length: wide }, lane))
}

/** What is begun at one time in another order, so that the quicker process does not win everything. */
const WIDE = 8
const mirrored = (n: number, from: number, to: number): number => {
  const first = n - ((n - from) % WIDE)
  return first + Math.min(WIDE, to - first) - 1 - (n - first)
}

/** Races `contenders` calls for each number, batch after batch; answers for each how often this process won. */
const races = async (enter: (index: number) => Promise<boolean>): Promise<void> => {
  const contenders = Number(count)
  tell('ready')
  for (;;) {
    const batch = await told()
    if (!Array.isArray(batch)) return
    const [from, to, backwards] = batch as [number, number, boolean]
    const won: number[] = []
    await lanes(WIDE, from, to, async (n) => {
      const i = backwards ? mirrored(n, from, to) : n
      const results = await Promise.all(Array.from({ length: contenders }, () => enter(i)))
      won[i - from] = results.filter(Boolean).length
    })
    tell(won)
  }
}

/** False for a refusal that a directory may give to whoever comes second. */
const unlessRefused = (work: Promise<unknown>): Promise<boolean> =>
  work.then(
    () => true,
    (error) => {
      if (isFault(error, 'directory.conflict') || isFault(error, 'directory.stale')) return false
      throw error
    },
  )

const tasks: Record<string, () => Promise<void>> = {
  /** Opens when told, writes one row. */
  async open() {
    tell('ready')
    await told()
    const store = await openMongoArtifacts(url, world)
    const directory = await openMongoDirectory(url, world)
    tell(await store.put('Session', { key: sha256(randomToken()), body: Buffer.from('x') }))
    await store.close()
    await directory.close()
  },

  async redeem() {
    const store = await openMongoArtifacts(url, world)
    const redeem = async (model: string, i: number) =>
      (await store.redeem(model, sha256(`${model} ${i}`), randomToken(), systemClock.now())) === 'won'
    const models = process.argv.slice(5)
    await races((i) => redeem(models[i % models.length] ?? '', i))
    await store.close()
  },

  async mark() {
    const store = await openMongoArtifacts(url, world)
    await races((i) =>
      store.putOnce(marked[i % marked.length] ?? '', sha256(`proof ${i}`), systemClock.now() + 3_600_000),
    )
    await store.close()
  },

  /** Usernames: each contender creates an account of its own. */
  async name() {
    const directory = await openMongoDirectory(url, world)
    const create = (i: number) =>
      directory.create('account', { id: randomToken(), doc: Buffer.from('a'), unique: { username: `user ${i}` } })
    await races((i) => unlessRefused(create(i)))
    await directory.close()
  },

  /** Compare-and-swap: each contender replaces revision 1. */
  async replace() {
    const directory = await openMongoDirectory(url, world)
    await races((i) => unlessRefused(directory.replace('client', { id: `${i}`, doc: Buffer.from('b') }, 1)))
    await directory.close()
  },

  /** Claims external identities; answers the owner of each. */
  async claim() {
    const directory = await openMongoDirectory(url, world)
    const owners: string[] = []
    tell('ready')
    await told()
    await lanes(6, 0, Number(count), async (i) => {
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
