/** How a sign-in ends: with a result or an honest error for the relying party. Nothing here shows a page. */
import { confirmedAcr } from '#federation/discovery.ts'
import type { Ctx } from '#http/context.ts'
import { seeOther } from '#http/route.ts'
import { type Fault, type FaultCode, faults, isFault } from '#kernel/faults.ts'
import type { InteractionResult } from '#kernel/ports.ts'
import type { Next } from './journey.ts'
import type { InteractionWorld, Login } from './login.ts'

/** Ends the interaction and sends the browser back into the engine. */
export const finish = async (
  world: InteractionWorld,
  ctx: Ctx,
  login: Login,
  result: InteractionResult,
): Promise<void> => {
  world.trace.add(login.reference, 'finished', { ...result })
  seeOther(ctx, await login.interaction.finish(result))
}

/** Hands a failure to the relying party with an honest code (OIDC Core 3.1.2.6). */
export const refuse = async (
  world: InteractionWorld,
  ctx: Ctx,
  login: Login,
  code: FaultCode,
  reason?: unknown,
): Promise<void> => {
  const { oauth, say } = faults[code]
  world.audit({
    type: 'login.refused',
    client: login.interaction.clientId,
    reference: login.reference,
    detail: { fault: code, reason },
  })
  await finish(world, ctx, login, { error: oauth, error_description: code === 'hook.refused' ? String(reason) : say })
}

/** One of a provider's own values counts only when the provider confirmed it, or is trusted to mean it (CONTRACT 3, trustAcr). */
const acrOf = async (world: InteractionWorld, { journey, plan }: Login, reached: string): Promise<string> => {
  const provider = journey.upstream && (await world.records.providers.get(journey.upstream.provider))
  if (!provider) return reached
  const said = journey.passed.find(({ by }) => by === provider.id)?.acr
  return confirmedAcr(provider, plan.acr ?? reached, said) ?? provider.id
}

/** The deployment's own word on a sign-in. @returns why it must not be finished */
const askHook = async (
  { hooks, records }: InteractionWorld,
  ctx: Ctx,
  { client, journey, reference }: Login,
  { accountId, acr, amr }: { accountId: string; acr: string; amr: readonly string[] },
): Promise<Fault | undefined> => {
  const account = hooks.has('login') ? await records.accounts.get(accountId) : undefined
  if (!account) return undefined
  const { client_secret: _, ...metadata } = client
  const { id, username, email, email_verified, claims, roles } = account
  const given = {
    acr,
    amr,
    provider: journey.upstream?.provider,
    address: ctx.ip,
    client: metadata,
    account: { id, username, email, email_verified, claims, roles },
  }
  try {
    await hooks.run('login', {}, given, reference)
    return undefined
  } catch (error) {
    if (isFault(error)) return error
    throw error
  }
}

/** The person is through: the result goes to the engine, unless a hook says no. */
export const complete = async (
  world: InteractionWorld,
  ctx: Ctx,
  login: Login,
  step: Extract<Next, { go: 'finish' }>,
) => {
  const { upstream, passed } = login.journey
  const { accountId, amr, authTime } = step
  const ways = passed.map(({ by, amr, authTime }) => ({ by, amr, authTime }))
  const acr = await acrOf(world, login, step.acr)
  const fault = await askHook(world, ctx, login, { accountId, acr, amr })
  if (fault) return refuse(world, ctx, login, fault.code, fault.detail.reason)
  await finish(world, ctx, login, { login: { accountId, acr, amr, ts: authTime }, ways, ...(upstream && { upstream }) })
  world.audit({
    type: 'login.succeeded',
    account: accountId,
    client: login.interaction.clientId,
    reference: login.reference,
    ...(upstream && { provider: upstream.provider }),
    detail: { acr, amr },
  })
}
