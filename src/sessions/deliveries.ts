/**
 * The queue of logout tokens (Back-Channel Logout 1.0): what has to be told to whom, kept in the artifact store until it
 * was told, and the receipts afterwards. A delivery is written before the session ends, so that nothing is lost when a
 * process dies; whoever has leased it tells it, one node at a time.
 */
import type { Box, Boxed } from '#artifacts/box.ts'
import type { Clock } from '#kernel/clock.ts'
import { randomId } from '#kernel/random.ts'

/** Why a session ended. */
export type Cause = 'logout' | 'admin' | 'disabled' | 'removed' | 'expired' | 'upstream'

/** One attempt, with what came of it. */
export interface Attempt {
  /** Epoch ms. */
  readonly at: number
  /** Names the token that was sent; each attempt has its own (Back-Channel Logout 2.4). */
  readonly token?: string
  /** What the relying party answered. */
  readonly status?: number
  readonly problem?: string
}

export interface Delivery {
  readonly id: string
  readonly clientId: string
  readonly accountId: string
  readonly sid: string
  readonly cause: Cause
  /** Of the logout's trace. */
  readonly reference?: string
  /** Epoch ms. */
  readonly createdAt: number
  readonly state: 'waiting' | 'delivered' | 'failed'
  /** Epoch ms; while waiting: when it is due, or due again should the node that leased it be gone. */
  readonly dueAt: number
  readonly attempts: readonly Attempt[]
}

export type Notice = Pick<Delivery, 'clientId' | 'accountId' | 'sid' | 'cause' | 'reference'>

export interface Deliveries {
  /**
   * Writes down that a client must be told. @param once names what happens only once (the end of a session by time), so
   * that several nodes may say it.
   */
  enqueue(notice: Notice, once?: string): Promise<void>
  /** Those that are due, the oldest first. */
  due(): Promise<Delivery[]>
  /** Makes a due delivery this caller's alone until its lease is over; undefined when another was faster. */
  take(id: string): Promise<Leased | undefined>
  /** Notes an attempt. @param next epoch ms of the next one; absent when it is settled */
  note(leased: Leased, attempt: Attempt, next?: number): Promise<Delivery>
  /** The newest first. */
  receipts(of: { clientId?: string; accountId?: string }): Promise<Delivery[]>
  /** Called in this process with each delivery that it wrote; answers whether it takes it at once. */
  onNew(listener: (leased: Leased) => boolean): void
}

export type Leased = Pick<Boxed<Delivery>, 'value' | 'revision'>

const MODEL = 'LogoutDelivery'
const MINUTE = 60_000
/** Milliseconds that one attempt may take before another node may try; longer than an attempt's own limit. */
export const LEASE_MS = 15_000
/** Seconds that a delivery is kept: it is tried for a day, the receipt stays for a week. */
const KEEP = 7 * 86_400

const tags = {
  waiting: 'logout waiting',
  due: (at: number) => `logout due ${Math.floor(at / MINUTE)}`,
  all: 'logout deliveries',
  client: (id: string) => `logout client ${id}`,
  account: (id: string) => `logout account ${id}`,
}

const tagsOf = ({ state, dueAt, clientId, accountId }: Delivery): string[] => [
  tags.all,
  tags.client(clientId),
  tags.account(accountId),
  ...(state === 'waiting' ? [tags.waiting, tags.due(dueAt)] : []),
]

/** Every so often all that waits is looked at, whatever was missed. */
const WHOLE_EVERY = 5 * MINUTE
const MOST_RECEIPTS = 10_000

export const createDeliveries = ({ box, clock }: { box: Box; clock: Clock }): Deliveries => {
  let listener: (leased: Leased) => boolean = () => false
  let wholeAt = 0

  const write = (delivery: Delivery, ifRevision: number) =>
    box.put(MODEL, delivery.id, delivery, { ttl: KEEP, tags: tagsOf(delivery), ifRevision })

  const take = async (id: string): Promise<Leased | undefined> => {
    const seen = await box.look<Delivery>(MODEL, id)
    const now = clock.now()
    if (seen?.value.state !== 'waiting' || seen.value.dueAt > now) return undefined
    const value = { ...seen.value, dueAt: now + LEASE_MS }
    return (await write(value, seen.revision)) === 'stored' ? { value, revision: seen.revision + 1 } : undefined
  }

  const waiting = async (): Promise<Delivery[]> => {
    const now = clock.now()
    if (now < wholeAt) {
      // A delivery may be written into the minute before, and due times do not wait for the minute.
      const minutes = await Promise.all([now - MINUTE, now].map((at) => box.findTagged<Delivery>(MODEL, tags.due(at))))
      return minutes.flat()
    }
    const all = await box.findTagged<Delivery>(MODEL, tags.waiting, MOST_RECEIPTS)
    wholeAt = now + WHOLE_EVERY
    return all
  }

  return {
    async enqueue(notice, once) {
      const now = clock.now()
      const id = once ?? randomId()
      // Leased to this process from the beginning; should it die now, another one finds it when the lease is over.
      const value: Delivery = { ...notice, id, createdAt: now, state: 'waiting', dueAt: now + LEASE_MS, attempts: [] }
      if ((await write(value, 0)) !== 'stored') return
      const leased = { value, revision: 1 }
      if (!listener(leased)) await write({ ...value, dueAt: now }, 1)
    },
    take,
    due: async () => (await waiting()).filter(({ dueAt }) => dueAt <= clock.now()),
    async note({ value, revision }, attempt, next) {
      const state = next !== undefined ? 'waiting' : attempt.problem === undefined ? 'delivered' : 'failed'
      const after: Delivery = { ...value, state, attempts: [...value.attempts, attempt], dueAt: next ?? value.dueAt }
      await write(after, revision)
      return after
    },
    async receipts({ clientId, accountId }) {
      const tag = clientId !== undefined ? tags.client(clientId) : accountId !== undefined && tags.account(accountId)
      const found = await box.findTagged<Delivery>(MODEL, tag || tags.all, MOST_RECEIPTS)
      return found
        .filter((delivery) => accountId === undefined || delivery.accountId === accountId)
        .sort((a, b) => b.createdAt - a.createdAt)
    },
    onNew(added) {
      listener = added
    },
  }
}
