/** Does what the journey says comes next: shows a page, leaves for a provider, or hands the result to the engine. */
import { confirmedAcr } from '#federation/discovery.ts'
import type { Ctx } from '#http/context.ts'
import { textsFor } from '#http/language.ts'
import { seeOther } from '#http/route.ts'
import { requestedAcr } from '#kernel/acr.ts'
import { type Fault, type FaultCode, faults, isFault } from '#kernel/faults.ts'
import type { Wish } from '#kernel/identity.ts'
import type { Interaction, InteractionResult } from '#kernel/ports.ts'
import { showConsent } from './consent.ts'
import { type Next, next } from './journey.ts'
import { type InteractionWorld, type Login, remember } from './login.ts'

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)

/** OIDC Core 3.1.2.1: what the relying party demands of the authentication, for the provider to honour (CONTRACT 6). */
export const wishOf = ({ params }: Interaction, language: string): Wish => {
  const prompts = (text(params.prompt) ?? '').split(' ')
  const maxAge = params.max_age === undefined ? undefined : Number(params.max_age)
  const loginHint = text(params.login_hint)
  return {
    forceLogin: prompts.includes('login') || maxAge === 0,
    passive: prompts.includes('none'),
    uiLocales: language,
    ...(maxAge !== undefined && Number.isInteger(maxAge) && { maxAge }),
    ...(loginHint !== undefined && { loginHint }),
  }
}

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

const basePath = (login: Login) => `/interaction/${login.interaction.uid}`

const showChoice = async (world: InteractionWorld, ctx: Ctx, login: Login, step: Extract<Next, { go: 'choose' }>) => {
  const { card, plan, journey, interaction } = login
  const action = basePath(login)
  const hint = text(interaction.params.login_hint)
  const email = hint?.includes('@') ? { value: hint } : {}
  const fault = journey.fault && { fault: journey.fault }
  if (plan.email === 'first' && !journey.fault && ctx.query.all === undefined)
    return world.view(ctx, 'identify', {
      client: card,
      action: `${action}/identify`,
      cancel: `${action}/cancel`,
      ...(hint && { email: hint }),
    })
  const known = await Promise.all(
    step.options.filter((id) => plan.providers.has(id)).map((id) => world.records.providers.get(id)),
  )
  world.view(ctx, 'choose', {
    client: card,
    action: `${action}/choose`,
    cancel: `${action}/cancel`,
    providers: known
      .filter((provider) => provider !== undefined)
      .map(({ id, displayName = id, logo }) => ({ id, displayName, ...(logo && { logo }) })),
    methods: step.options.filter((id) => world.methods.has(id)).map((id) => ({ id, href: `${action}/${id}` })),
    ...(plan.email !== 'none' && { email: { action: `${action}/identify`, ...email } }),
    ...(step.waiting && { waiting: step.waiting }),
    ...fault,
  })
}

export const showMethod = (
  world: InteractionWorld,
  ctx: Ctx,
  login: Login,
  id: string,
  shown: { others: boolean; username?: string; fault?: FaultCode },
) => {
  const action = basePath(login)
  const username = shown.username ?? text(login.interaction.params.login_hint)
  const status = shown.fault ? faults[shown.fault].status : 200
  world.view(
    ctx,
    'login',
    {
      client: login.card,
      action: `${action}/${id}`,
      cancel: `${action}/cancel`,
      method: id,
      ...(username && { username }),
      ...(shown.others && { choose: `${action}/choose` }),
      ...(shown.fault && { fault: shown.fault }),
    },
    status,
  )
}

/** The values that the relying party asked for and that are this provider's own, for it to confirm. */
const acrsFor = async (world: InteractionWorld, { params }: Interaction, id: string): Promise<readonly string[]> => {
  const provider = await world.records.providers.get(id)
  return requestedAcr(params).values.filter((value) => provider?.acrs.includes(value))
}

const leave = async (world: InteractionWorld, ctx: Ctx, login: Login, provider: string) => {
  const { interaction, reference, journey, plan } = login
  const acrValues = await acrsFor(world, interaction, provider)
  const wish = {
    ...wishOf(interaction, textsFor(ctx, world.messages).lang),
    ...(acrValues.length > 0 && { acrValues }),
  }
  if (journey.picked !== provider) world.trace.add(reference, 'chosen', { by: plan.by, provider })
  try {
    const [departure] = await Promise.all([
      world.federation.depart({ provider, uid: interaction.uid, wish, reference }),
      remember(world, login, { ...journey, picked: provider, departed: provider }),
    ])
    const { origin, pathname, searchParams } = departure.url
    world.trace.add(reference, 'departed', {
      provider,
      to: `${origin}${pathname}`,
      sent: Object.fromEntries(searchParams),
    })
    if (departure.go === 'redirect') return seeOther(ctx, departure.url.href)
    world.view(ctx, 'auto-post', { url: departure.url.href, fields: departure.fields, to: provider })
  } catch (error) {
    if (!isFault(error)) throw error
    await stumble(world, ctx, login, provider, error.code, error.detail)
  }
}

/** What the person decided there, or the relying party asked in vain: theirs to hear at once when there was no other way in. */
const ANSWERS: ReadonlySet<FaultCode> = new Set(['upstream.denied', 'upstream.acr', 'upstream.interaction'])

/** A provider did not sign the person in: back to the choice with the reason, or to the relying party with an honest code. */
export const stumble = async (
  world: InteractionWorld,
  ctx: Ctx,
  login: Login,
  provider: string,
  code: FaultCode,
  detail: Record<string, unknown> = {},
): Promise<void> => {
  const { interaction, reference, plan, journey } = login
  // The interaction's id is a secret of its browser, and the rest is told beside.
  const { uid: _, reference: __, provider: ___, ...facts } = detail
  world.trace.add(reference, 'refused', { provider, fault: code, ...facts })
  world.audit({
    type: 'login.failed',
    client: interaction.clientId,
    provider,
    reference,
    detail: { fault: code, ...facts },
  })
  const alone = plan.steps.every((options) => options.length < 2)
  if (wishOf(interaction, '').passive || (alone && ANSWERS.has(code))) return refuse(world, ctx, login, code)
  const after = await remember(world, login, {
    passed: journey.passed,
    ...(journey.accountId !== undefined && { accountId: journey.accountId }),
    ...(journey.upstream && { upstream: journey.upstream }),
    fault: code,
  })
  await advance(world, ctx, after)
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

const complete = async (world: InteractionWorld, ctx: Ctx, login: Login, step: Extract<Next, { go: 'finish' }>) => {
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

/** The one dispatcher: every route ends here. */
export const advance = async (world: InteractionWorld, ctx: Ctx, login: Login): Promise<void> => {
  if (login.interaction.prompt.name === 'consent') return showConsent(world, ctx, login)
  const step = next(login.journey, login.plan)
  // OIDC Core 3.1.2.1: prompt=none forbids any page.
  const silent = wishOf(login.interaction, '').passive
  if (silent && (step.go === 'choose' || step.go === 'method' || step.go === 'email'))
    return finish(world, ctx, login, {
      error: 'interaction_required',
      error_description: 'the sign-in needs the person',
    })
  switch (step.go) {
    case 'choose':
      return showChoice(world, ctx, login, step)
    case 'method':
      return showMethod(world, ctx, login, step.id, { others: step.others })
    case 'leave':
      return leave(world, ctx, login, step.provider)
    case 'email':
      return world.view(ctx, 'email', {
        client: login.card,
        action: `${basePath(login)}/email`,
        cancel: `${basePath(login)}/cancel`,
      })
    case 'finish':
      return complete(world, ctx, login, step)
    case 'unreachable':
      return refuse(world, ctx, login, 'login.unreachable')
  }
}
