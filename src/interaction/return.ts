/**
 * Coming back from a provider. The callback carries no cookie of the interaction (its path is another, and cross-site
 * posts come without): it verifies, stores the outcome under a one-time handle and sends the browser to the interaction,
 * where the cookie proves that it is the same browser (ENGINE 12; against login CSRF, RFC 9700 4.7).
 */
import type { Provisioned } from '#federation/provisioning.ts'
import type { Ctx } from '#http/context.ts'
import type { Fields } from '#http/form.ts'
import { type Route, seeOther } from '#http/route.ts'
import { epochSeconds } from '#kernel/clock.ts'
import { Fault, type FaultCode, isFault } from '#kernel/faults.ts'
import type { Identity } from '#kernel/identity.ts'
import { randomToken } from '#kernel/random.ts'
import { advance, stumble } from './advance.ts'
import { next, pass } from './journey.ts'
import { type InteractionWorld, type Login, remember } from './login.ts'
import { welcomeNewcomer } from './newcomer.ts'

/** What a refused arrival leaves for the interaction to say. */
interface Refusal {
  readonly uid: string
  readonly provider: string
  readonly code: FaultCode
  readonly detail: Record<string, unknown>
}

const REFUSAL_SECONDS = 600

const arrive = async (world: InteractionWorld, ctx: Ctx, fields: Fields) => {
  const provider = ctx.params.idp ?? ''
  const method = ctx.method === 'POST' ? 'POST' : 'GET'
  try {
    const { uid, handle } = await world.federation.arrive(provider, { method, url: ctx.URL, fields: fields.params })
    seeOther(ctx, `/interaction/${uid}/continue?h=${handle}`)
  } catch (error) {
    if (!isFault(error) || typeof error.detail.uid !== 'string') throw error
    const { uid } = error.detail
    // Repeated or late: show where the sign-in stands instead of an error (DESIGN 2).
    if (error.code === 'upstream.replayed' || error.code === 'upstream.expired')
      return seeOther(ctx, `/interaction/${uid}`)
    const handle = randomToken()
    const refusal: Refusal = { uid, provider, code: error.code, detail: error.detail }
    await world.box.put('Refusal', handle, refusal, { ttl: REFUSAL_SECONDS })
    seeOther(ctx, `/interaction/${uid}/continue?r=${handle}`)
  }
}

/** `/federation/:idp/callback`, the redirect URI to register at the provider (CONTRACT 4). */
export const callbackRoutes = (world: InteractionWorld): Route[] =>
  (['get', 'post'] as const).map((method) => ({
    method,
    path: '/federation/:idp/callback',
    // A provider's form_post comes from its own site; the single-use state is the proof (RFC 6749 10.12).
    ...(method === 'post' && { crossSite: true as const }),
    run: (ctx: Ctx, fields: Fields) => arrive(world, ctx, fields),
  }))

/** How the provider's claims were named, and what became of the person. */
export const traceProvisioned = (world: InteractionWorld, login: Login, provisioned: Provisioned): void => {
  const { outcome } = provisioned
  if (outcome !== 'refused') world.trace.add(login.reference, 'mapped', { ...provisioned.draft })
  const decided =
    outcome === 'refused'
      ? { fault: provisioned.code }
      : 'accountId' in provisioned && { account: provisioned.accountId }
  world.trace.add(login.reference, 'provisioned', { outcome, ...decided })
}

/** The person is verified and known: the step is passed. */
export const passProvider = async (
  world: InteractionWorld,
  ctx: Ctx,
  login: Login,
  given: { provider: string; identity: Identity; accountId: string },
): Promise<void> => {
  const { provider, identity, accountId } = given
  const account = await world.records.accounts.get(accountId)
  if (!account || account.disabled) return stumble(world, ctx, login, provider, 'login.disabled')
  const { journey, plan } = login
  const upstream = { provider, id: await world.upstreams.keep({ provider, accountId, identity }) }
  const passed = {
    by: provider,
    amr: identity.amr ?? ['fed'],
    authTime: identity.authTime ?? epochSeconds(world.clock),
    ...(identity.acr !== undefined && { acr: identity.acr }),
  }
  const after = { ...pass(journey, accountId, passed), upstream }
  const last = next(after, plan).go === 'finish'
  await advance(world, ctx, last ? { ...login, journey: after } : await remember(world, login, after))
}

/** `/interaction/:uid/continue`: collects what the callback left, exactly once. */
export const continueLogin = async (
  world: InteractionWorld,
  ctx: Ctx,
  login: Login,
  handle: string | undefined,
  refusalHandle: string | undefined,
): Promise<void> => {
  const { uid } = login.interaction
  if (refusalHandle !== undefined) {
    const refusal = await world.box.take<Refusal>('Refusal', refusalHandle)
    if (refusal?.uid !== uid) return seeOther(ctx, `/interaction/${uid}`)
    return stumble(world, ctx, login, refusal.provider, refusal.code, refusal.detail)
  }
  if (handle === undefined) return seeOther(ctx, `/interaction/${uid}`)
  let collected: { provider: string; identity: Identity }
  try {
    collected = await world.federation.collect(uid, handle)
  } catch (error) {
    if (isFault(error, 'upstream.replayed') || isFault(error, 'upstream.expired'))
      return seeOther(ctx, `/interaction/${uid}`)
    throw error
  }
  const { provider: id, identity } = collected
  world.trace.add(login.reference, 'arrived', {
    provider: id,
    uid: identity.uid,
    acr: identity.acr,
    amr: identity.amr,
    claims: identity.claims,
  })
  const provider = await world.records.providers.get(id)
  if (!provider?.enabled) throw new Fault('upstream.misconfigured', { provider: id })
  const provisioned = await world.provisioning.provision({
    provider: id,
    identity,
    ...(login.journey.accountId !== undefined && { accountId: login.journey.accountId }),
  })
  traceProvisioned(world, login, provisioned)
  if (provisioned.outcome === 'needs-email') return welcomeNewcomer(world, ctx, login, { provider: id, identity })
  if (provisioned.outcome === 'refused') return stumble(world, ctx, login, id, provisioned.code)
  await passProvider(world, ctx, login, { provider: id, identity, accountId: provisioned.accountId })
}
