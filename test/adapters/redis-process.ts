/**
 * Another process on the same Redis, for redis-processes.test.ts. Started by fork with a task; says `ready` when its store
 * is open, works when told to, and answers with messages.
 */
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import process from 'node:process'
import { openRedisArtifacts } from '#adapters/redis/index.ts'
import { systemClock } from '#kernel/clock.ts'
import { silentLog } from '#kernel/log.ts'
import { randomToken, sha256 } from '#kernel/random.ts'
import { contend } from './contention.ts'

const [task, url = ''] = process.argv.slice(2)
const body = Buffer.from('body')
const tell = (message: unknown) => process.send?.(message)
/** Answers which of the processes this is: '0', '1' … */
const go = async (): Promise<string> => (await once(process, 'message'))[0]

/** `count` lanes that take the numbers from 0 on in turn, while there is more. */
const lanes = (count: number, more: (next: number) => boolean, work: (index: number) => Promise<unknown>) => {
  let next = 0
  const lane = async () => {
    while (more(next)) await work(next++)
  }
  return Promise.all(Array.from({ length: count }, lane))
}

const store = await openRedisArtifacts(url, { clock: systemClock, log: silentLog })

/** Until the last block (contention.ts). */
const contest = async (work: (kind: string, i: number) => Promise<boolean>) => {
  tell('ready')
  const upwards = (await go()) === '0'
  tell('here')
  await contend(upwards, work)
}

const tasks: Record<string, () => Promise<void>> = {
  /** Contends for rows `0`, `1` … of the models that it is told. */
  async redeem() {
    await contest(async (model, i) => (await store.redeem(model, sha256(`${i}`), randomToken(), 1)) === 'won')
  },

  /** Contends for being the first to mark. */
  async mark() {
    await contest((model, i) => store.putOnce(model, sha256(`${i}`), systemClock.now() + 60_000))
  },

  /**
   * For a second and a half: puts, drops and redeems few rows again and again, and puts new ones, under grants that last
   * 30 ms each. Every grant is dropped once, by one process, in the midst of that. Answers the names of the dropped ones.
   */
  async churn() {
    const dropped = new Set<string>()
    tell('ready')
    const own = await go()
    const began = systemClock.now()
    const age = () => systemClock.now() - began
    const pick = (count: number) => randomInt(count)
    const period = () => Math.floor(age() / 30)
    const grantNow = (who: number | string) => `grant ${who} ${period()}`
    const expiresAt = began + 600_000
    const grantOrNone = () => (pick(4) > 0 ? { grant: sha256(grantNow(pick(2))) } : {})
    const putKnown = () => {
      const i = pick(8)
      const found = { tags: [sha256(`tag ${pick(3)}`)], ...(pick(2) > 0 && { uid: sha256(`uid ${i}`) }) }
      return store.put('AccessToken', { key: sha256(`row ${i}`), body, expiresAt, ...found, ...grantOrNone() })
    }
    const putNew = () => store.put('AccessToken', { key: sha256(randomToken()), body, expiresAt, ...grantOrNone() })
    /** Every other grant stays, for the look-ups to find. */
    const dropOne = async () => {
      const name = grantNow(own)
      if (period() % 2 > 0 || dropped.has(name) || pick(3) > 0) return
      dropped.add(name)
      await store.dropGrant(sha256(name), expiresAt)
    }
    await lanes(
      12,
      () => age() < 1500,
      (nth) => {
        if (nth % 6 === 0) return dropOne()
        if (nth % 6 === 1) return store.drop('AccessToken', sha256(`row ${pick(8)}`))
        if (nth % 11 === 0) return store.redeem('AccessToken', sha256(`row ${pick(8)}`), randomToken(), 1)
        return nth % 2 === 0 ? putNew() : putKnown()
      },
    )
    tell([...dropped])
  },
}

await tasks[task ?? '']?.()
await store.close()
process.disconnect?.()
