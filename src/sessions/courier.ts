/**
 * Carries logout tokens to the relying parties: many at once, but bounded, in all and for each client, so that one that
 * hangs holds up nobody else. What fails is tried again with a fresh token, later and later, for a day.
 */
import type { Clock } from '#kernel/clock.ts'
import { isFault } from '#kernel/faults.ts'
import type { Log } from '#kernel/log.ts'
import type { Engine } from '#kernel/ports.ts'
import type { Audit } from '#trace/audit.ts'
import type { Trace } from '#trace/trace.ts'
import type { Attempt, Deliveries, Delivery, Leased } from './deliveries.ts'

export interface CourierOptions {
  readonly deliveries: Deliveries
  readonly clock: Clock
  readonly log: Log
  readonly audit: Audit
  readonly trace: Pick<Trace, 'add'>
  readonly logoutToken: Engine['logoutToken']
  /** The guarded outbound client. */
  readonly fetch: typeof globalThis.fetch
  /** Milliseconds between looks at what others left. */
  readonly pollMs?: number
}

export interface Courier {
  /** Stops taking; finishes what is under way. */
  close(): Promise<void>
}

const POLL_MS = 2000
/** Attempts under way, in all and to one client. */
const MOST = 32
const MOST_FOR_ONE = 4
/** Milliseconds that a relying party has to answer. */
const ANSWER_MS = 5000
const TRY_FOR_MS = 24 * 3_600_000
const FIRST_PAUSE_MS = 5000
const LONGEST_PAUSE_MS = 3_600_000

/** Pauses of 5 s, 15 s, 45 s … up to an hour. @returns ms */
export const pauseAfter = (attempts: number): number =>
  Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 3 ** Math.max(0, attempts - 1))

const problemOf = (error: unknown): string => {
  if (isFault(error)) return `${error.code}: ${String(error.detail.reason ?? '')}`
  return error instanceof Error ? `${error.name}: ${error.message}`.slice(0, 200) : 'unknown'
}

/** One attempt. @returns `gone` when the client no longer wants to be told */
const tell = async ({ logoutToken, fetch, clock }: CourierOptions, delivery: Delivery): Promise<Attempt | 'gone'> => {
  const at = clock.now()
  let token: string | undefined
  try {
    const made = await logoutToken(delivery)
    if (!made) return 'gone'
    token = made.jti
    const { status } = await fetch(made.uri, {
      method: 'POST',
      redirect: 'manual',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ logout_token: made.token }).toString(),
      signal: AbortSignal.timeout(ANSWER_MS),
    })
    // Back-Channel Logout 2.8: 200; frameworks that answer nothing say 204.
    const heard = status === 200 || status === 204
    return { at, token, status, ...(!heard && { problem: `answered ${status}` }) }
  } catch (error) {
    return { at, ...(token !== undefined && { token }), problem: problemOf(error) }
  }
}

/** Writes what came of an attempt where people look. */
const witness = ({ audit, trace, log }: CourierOptions, delivery: Delivery, attempt: Attempt | undefined): void => {
  const { clientId, accountId, reference, cause, state, attempts } = delivery
  const facts = { cause, attempts: attempts.length, status: attempt?.status, problem: attempt?.problem }
  if (reference !== undefined)
    trace.add(reference, state === 'delivered' ? 'notified' : 'not-notified', { client: clientId, ...facts })
  if (state === 'waiting') {
    log.info('logout.retried', { client: clientId, ...facts })
    return
  }
  audit({
    type: state === 'delivered' ? 'logout.notified' : 'logout.undelivered',
    account: accountId,
    client: clientId,
    ...(reference !== undefined && { reference }),
    detail: facts,
  })
}

const carry = async (given: CourierOptions, leased: Leased): Promise<void> => {
  const { deliveries, clock } = given
  const { value } = leased
  const outcome = await tell(given, value)
  const attempt: Attempt = outcome === 'gone' ? { at: clock.now(), problem: 'no longer registered' } : outcome
  const next = clock.now() + pauseAfter(value.attempts.length + 1)
  const again = attempt.problem !== undefined && outcome !== 'gone' && next < value.createdAt + TRY_FOR_MS
  witness(given, await deliveries.note(leased, attempt, again ? next : undefined), attempt)
}

/** Counts what is under way, in all and for each client. */
const createSlots = () => {
  const perClient = new Map<string, number>()
  let all = 0
  const change = (clientId: string, by: number) => {
    all += by
    const count = (perClient.get(clientId) ?? 0) + by
    if (count > 0) perClient.set(clientId, count)
    else perClient.delete(clientId)
  }
  return {
    take(clientId: string): boolean {
      if (all >= MOST || (perClient.get(clientId) ?? 0) >= MOST_FOR_ONE) return false
      change(clientId, 1)
      return true
    },
    free: (clientId: string) => change(clientId, -1),
  }
}

/** Starts carrying: what this process enqueues at once, what others left behind at the next look. */
export const startCourier = (given: CourierOptions): Courier => {
  const { deliveries, log, pollMs = POLL_MS } = given
  const slots = createSlots()
  const running = new Set<Promise<void>>()
  /** Something due found no slot. */
  let left = false
  let closed = false
  let looking = false
  let timer: NodeJS.Timeout | undefined

  /** @returns whether there was a slot: nothing is leased that cannot begin, a lease must not run out in a queue */
  const begin = (clientId: string, lease: () => Promise<Leased | undefined> | Leased): boolean => {
    if (closed || !slots.take(clientId)) {
      left = true
      return false
    }
    const work = (async () => {
      try {
        const leased = await lease()
        if (leased) await carry(given, leased)
      } catch (cause) {
        log.error('logout.delivery-failed', { client: clientId, cause })
      }
    })().finally(() => {
      running.delete(work)
      slots.free(clientId)
      if (left) look()
    })
    running.add(work)
    return true
  }
  const lookOnce = async () => {
    left = false
    for (const { id, clientId } of await deliveries.due()) begin(clientId, () => deliveries.take(id))
  }
  const look = () => {
    if (closed || looking) return
    looking = true
    clearTimeout(timer)
    lookOnce()
      // The store says so to everybody; the next look finds what was left.
      .catch((cause: unknown) => log.warn('logout.look-failed', { cause }))
      .finally(() => {
        looking = false
        if (!closed) timer = setTimeout(look, pollMs).unref()
      })
  }

  deliveries.onNew((leased) => begin(leased.value.clientId, () => leased))
  look()
  return {
    async close() {
      closed = true
      clearTimeout(timer)
      await Promise.allSettled(running)
    },
  }
}
