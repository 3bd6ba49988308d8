/** What people answer on the pages of setup.ts. Each looks again whether it may: a form may be sent at any time. */
import type { Ctx } from '#http/context.ts'
import type { Fields } from '#http/form.ts'
import { epochSeconds } from '#kernel/clock.ts'
import { randomToken } from '#kernel/random.ts'
import type { Enrolled } from '#methods/method.ts'
import { advance } from './advance.ts'
import { pass } from './journey.ts'
import { type InteractionWorld, type Login, openOptions, remember } from './login.ts'
import { type PendingCodes, type PendingSetup, setupNeeded, showSetup } from './setup.ts'

const mayConfirm = async (world: InteractionWorld, login: Login, id: string): Promise<boolean> =>
  login.journey.renew === id || (openOptions(login).includes(id) && (await setupNeeded(world, login, id)) === 'yes')

/** The person has it: the step is passed, and the recovery codes are shown. */
const enrolled = async (
  world: InteractionWorld,
  ctx: Ctx,
  login: Login,
  id: string,
  outcome: Extract<Enrolled, { ok: true }>,
) => {
  const { interaction, journey, reference } = login
  const { accountId = '' } = journey
  const handle = randomToken()
  const codes: PendingCodes = { method: id, uid: interaction.uid, codes: outcome.recoveryCodes }
  await world.box.put('RecoveryCodes', handle, codes, { ttl: world.lifetime })
  await world.box.drop('Setup', interaction.uid)
  world.trace.add(reference, 'enrolled', { method: id, account: accountId })
  world.audit({
    type: 'credential.enrolled',
    account: accountId,
    client: interaction.clientId,
    reference,
    detail: { method: id },
  })
  const passed = { by: id, amr: outcome.amr, authTime: epochSeconds(world.clock) }
  await advance(world, ctx, await remember(world, login, { ...pass(journey, accountId, passed), codes: handle }))
}

/** @param fields `code`: the first code of the new secret */
export const confirmSetup = async (
  world: InteractionWorld,
  ctx: Ctx,
  login: Login,
  id: string,
  fields: Fields,
): Promise<void> => {
  const { interaction, journey, reference } = login
  const pending = await world.box.get<PendingSetup>('Setup', interaction.uid)
  const enrolment = world.methods.get(id)?.enrolment
  const { accountId } = journey
  if (!enrolment || !pending || pending.method !== id || pending.accountId !== accountId)
    return advance(world, ctx, login)
  if (!(await mayConfirm(world, login, id))) return advance(world, ctx, login)
  const anew = journey.renew === id
  const given = { accountId, secret: pending.secret, code: fields.get('code') ?? '', address: ctx.ip }
  const outcome = await enrolment.confirm(given, { anew })
  if (outcome.ok) return enrolled(world, ctx, login, id, outcome)
  world.trace.add(reference, 'refused', { method: id, fault: outcome.code })
  if (outcome.retryAfter !== undefined) ctx.set('retry-after', String(outcome.retryAfter))
  // Another sign-in of the same person was faster: its secret counts.
  if (outcome.code === 'otp.taken') return advance(world, ctx, login)
  return showSetup(world, ctx, login, id, { anew, fault: outcome.code })
}

/** After a recovery code: the app is still there, or comes back. */
export const keepAsItIs = async (world: InteractionWorld, ctx: Ctx, login: Login): Promise<void> => {
  const { renew: _, ...journey } = login.journey
  await world.box.drop('Setup', login.interaction.uid)
  await advance(world, ctx, await remember(world, login, journey))
}

/** The codes are written down; they are shown to nobody again. */
export const acknowledgeCodes = async (world: InteractionWorld, ctx: Ctx, login: Login): Promise<void> => {
  const { codes, ...journey } = login.journey
  if (codes === undefined) return advance(world, ctx, login)
  await world.box.drop('RecoveryCodes', codes)
  await advance(world, ctx, await remember(world, login, journey))
}
