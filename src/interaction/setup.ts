/**
 * Setting up a second factor in the middle of a sign-in: who may, and its pages. Only behind a first factor that was
 * given a moment ago, never in place of one that is there (except right after a recovery code): otherwise a stolen
 * password, or a browser left open, would be enough to bring a factor of one's own.
 */
import type { Ctx } from '#http/context.ts'
import { epochSeconds } from '#kernel/clock.ts'
import { Fault, type FaultCode, faults } from '#kernel/faults.ts'
import type { Setup } from '#methods/method.ts'
import { secondaryOf } from '#methods/method.ts'
import { basePath, type InteractionWorld, type Login, remember } from './login.ts'

/** Seconds for which a first factor of the session is as good as one in this sign-in. */
const RECENT = 600

/** `first factor`: give that again. `closed`: people cannot set it up here. */
export const setupNeeded = async (
  world: InteractionWorld,
  { journey }: Login,
  id: string,
): Promise<'no' | 'yes' | 'closed' | 'first factor'> => {
  const enrolment = world.methods.get(id)?.enrolment
  const { accountId, passed } = journey
  if (!enrolment || accountId === undefined || (await enrolment.has(accountId))) return 'no'
  if (!enrolment.open) return 'closed'
  const secondary = secondaryOf(world.methods)
  const since = epochSeconds(world.clock) - RECENT
  const first = passed.filter(({ by }) => !secondary.has(by))
  if (first.some(({ before, authTime }) => !before || authTime >= since)) return 'yes'
  return first.length > 0 ? 'first factor' : 'closed'
}

/** The same person once more from the start: what the session had does not count. */
export const withoutSession = (world: InteractionWorld, login: Login): Promise<Login> =>
  remember(world, login, { ...login.journey, passed: login.journey.passed.filter(({ before }) => !before) })

/** What waits between showing a secret and its first code. */
export interface PendingSetup {
  readonly method: string
  readonly accountId: string
  readonly secret: string
}

/** The page with the secret; the same one when it is looked at again. */
export const showSetup = async (
  world: InteractionWorld,
  ctx: Ctx,
  login: Login,
  id: string,
  { anew = false, fault }: { anew?: boolean; fault?: FaultCode } = {},
): Promise<void> => {
  const { uid } = login.interaction
  const { accountId } = login.journey
  const enrolment = world.methods.get(id)?.enrolment
  const account = accountId === undefined ? undefined : await world.records.accounts.get(accountId)
  if (!enrolment || !account) throw new Fault('journey.unknown', { reason: 'nothing to set up' })
  const pending = await world.box.get<PendingSetup>('Setup', uid)
  const former = pending?.accountId === account.id && pending.method === id ? pending.secret : undefined
  const setup: Setup = await enrolment.begin(account, former)
  if (former === undefined) {
    const kept: PendingSetup = { method: id, accountId: account.id, secret: setup.secret }
    await world.box.put('Setup', uid, kept, { ttl: world.lifetime })
  }
  const base = basePath(login)
  world.view(
    ctx,
    'otp-setup',
    {
      client: login.card,
      account: account.username,
      action: `${base}/${id}/setup`,
      cancel: `${base}/cancel`,
      setup,
      ...(anew && { keep: `${base}/${id}/keep` }),
      ...(fault && { fault }),
    },
    fault ? faults[fault].status : 200,
  )
}

export interface PendingCodes {
  readonly method: string
  readonly uid: string
  readonly codes: readonly string[]
}

/** Recovery codes, until the person says that they are written down. */
export const showRecoveryCodes = async (world: InteractionWorld, ctx: Ctx, login: Login): Promise<void> => {
  const { codes: handle = '' } = login.journey
  const pending = await world.box.get<PendingCodes>('RecoveryCodes', handle)
  const base = basePath(login)
  world.view(ctx, 'otp-codes', {
    client: login.card,
    action: `${base}/${pending?.method ?? 'otp'}/codes`,
    codes: pending?.codes ?? [],
  })
}
