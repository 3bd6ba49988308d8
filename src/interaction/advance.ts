/** Does what the journey says comes next: shows a page, leaves for a provider, or hands the result to the engine. */
import type { Ctx } from '#http/context.ts'
import { wishedLanguage } from '#http/language.ts'
import { seeOther } from '#http/route.ts'
import { requestedAcr } from '#kernel/acr.ts'
import { type FaultCode, faults, isFault } from '#kernel/faults.ts'
import type { Wish } from '#kernel/identity.ts'
import type { Interaction } from '#kernel/ports.ts'
import { showConsent } from './consent.ts'
import { complete, finish, refuse } from './finish.ts'
import { type Next, next } from './journey.ts'
import { basePath, type InteractionWorld, type Login, remember } from './login.ts'
import { setupNeeded, showRecoveryCodes, showSetup, withoutSession } from './setup.ts'

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined)

/** OIDC Core 3.1.2.1: what the relying party demands of the authentication, for the provider to honour (CONTRACT 6). */
export const wishOf = ({ params }: Interaction, language: Pick<Wish, 'uiLocales' | 'defaultLocale'> = {}): Wish => {
  const prompts = (text(params.prompt) ?? '').split(' ')
  const maxAge = params.max_age === undefined ? undefined : Number(params.max_age)
  const loginHint = text(params.login_hint)
  return {
    forceLogin: prompts.includes('login') || maxAge === 0,
    passive: prompts.includes('none'),
    ...language,
    ...(maxAge !== undefined && Number.isInteger(maxAge) && { maxAge }),
    ...(loginHint !== undefined && { loginHint }),
  }
}

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

/** The page of a local method. A person who is known already is named, and asked no name. */
export const showMethod = async (
  world: InteractionWorld,
  ctx: Ctx,
  login: Login,
  id: string,
  shown: { others: boolean; username?: string; fault?: FaultCode },
): Promise<void> => {
  const { accountId } = login.journey
  const action = basePath(login)
  const account = accountId === undefined ? undefined : (await world.records.accounts.get(accountId))?.username
  const username = shown.username ?? account ?? text(login.interaction.params.login_hint)
  const status = shown.fault ? faults[shown.fault].status : 200
  const page = {
    client: login.card,
    action: `${action}/${id}`,
    cancel: `${action}/cancel`,
    ...(username && { username }),
    ...(shown.others && { choose: `${action}/choose` }),
    ...(shown.fault && { fault: shown.fault }),
  }
  if (world.methods.get(id)?.page === 'otp')
    return world.view(ctx, 'otp', { ...page, ...(account && { account }) }, status)
  world.view(ctx, 'login', { ...page, method: id }, status)
}

/** Asks for a method, or first has the person set it up. */
const askMethod = async (world: InteractionWorld, ctx: Ctx, login: Login, step: Extract<Next, { go: 'method' }>) => {
  switch (await setupNeeded(world, login, step.id)) {
    case 'no':
      return showMethod(world, ctx, login, step.id, { others: step.others })
    case 'yes':
      return showSetup(world, ctx, login, step.id)
    case 'closed':
      return refuse(world, ctx, login, 'otp.missing')
    case 'first factor':
      return advance(world, ctx, await withoutSession(world, login))
  }
}

/** The values that the relying party asked for and that are this provider's own, for it to confirm. */
const acrsFor = async (world: InteractionWorld, { params }: Interaction, id: string): Promise<readonly string[]> => {
  const provider = await world.records.providers.get(id)
  return requestedAcr(params).values.filter((value) => provider?.acrs.includes(value))
}

const leave = async (world: InteractionWorld, ctx: Ctx, login: Login, provider: string) => {
  const { interaction, reference, journey, plan } = login
  const acrValues = await acrsFor(world, interaction, provider)
  const uiLocales = wishedLanguage(ctx, world.messages)
  const wish = {
    ...wishOf(interaction, uiLocales ? { uiLocales } : { defaultLocale: world.messages.fallback }),
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
  if (wishOf(interaction).passive || (alone && ANSWERS.has(code))) return refuse(world, ctx, login, code)
  const after = await remember(world, login, {
    passed: journey.passed,
    ...(journey.accountId !== undefined && { accountId: journey.accountId }),
    ...(journey.upstream && { upstream: journey.upstream }),
    fault: code,
  })
  await advance(world, ctx, after)
}

/** The one dispatcher: every route ends here. */
export const advance = async (world: InteractionWorld, ctx: Ctx, login: Login): Promise<void> => {
  if (login.interaction.prompt.name === 'consent') return showConsent(world, ctx, login)
  const step = next(login.journey, login.plan)
  // OIDC Core 3.1.2.1: prompt=none forbids any page.
  const silent = wishOf(login.interaction).passive
  if (silent && step.go !== 'leave' && step.go !== 'finish' && step.go !== 'unreachable')
    return finish(world, ctx, login, {
      error: 'interaction_required',
      error_description: 'the sign-in needs the person',
    })
  switch (step.go) {
    case 'choose':
      return showChoice(world, ctx, login, step)
    case 'method':
      return askMethod(world, ctx, login, step)
    case 'codes':
      return showRecoveryCodes(world, ctx, login)
    case 'renew':
      return showSetup(world, ctx, login, step.id, { anew: true })
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
