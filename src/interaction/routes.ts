/**
 * The addresses of a login. Read this first. Each opens the sign-in as it is stored, does one thing, and lets
 * `advance` decide what follows; asking again or late shows where one stands.
 */
import type { Ctx } from '#http/context.ts'
import type { Fields } from '#http/form.ts'
import { type Route, seeOther } from '#http/route.ts'
import { epochSeconds } from '#kernel/clock.ts'
import { Fault } from '#kernel/faults.ts'
import { advance, showMethod } from './advance.ts'
import { decideConsent } from './consent.ts'
import { refuse } from './finish.ts'
import { next, pass } from './journey.ts'
import { type InteractionWorld, type Login, openLogin, openOptions, remember } from './login.ts'
import { answerEmail } from './newcomer.ts'
import { callbackRoutes, continueLogin } from './return.ts'
import { acknowledgeCodes, confirmSetup, keepAsItIs } from './setup-answers.ts'

const bind = (ctx: Ctx) => ctx.params.uid ?? ''

const withoutFault = ({ journey }: Login) => {
  const { fault: _, departed: __, ...rest } = journey
  return rest
}

const choose = async (world: InteractionWorld, ctx: Ctx, login: Login, picked: string | undefined) => {
  if (picked === undefined || !openOptions(login).includes(picked))
    throw new Fault('request.invalid', { field: 'provider' })
  world.trace.add(login.reference, 'chosen', { by: 'person', picked })
  await advance(world, ctx, await remember(world, login, { ...withoutFault(login), picked }))
}

const identify = async (world: InteractionWorld, ctx: Ctx, login: Login, fields: Fields) => {
  const email = fields.get('email')?.trim() ?? ''
  const options = openOptions(login)
  const [provider] = await world.plan.forEmail(email, login.client, options)
  const local = options.find((id) => world.methods.has(id))
  const picked = provider ?? local
  world.trace.add(login.reference, 'chosen', { by: 'email domain', domain: email.split('@')[1], picked })
  if (picked === undefined) {
    ctx.query = { all: '1' }
    return advance(world, ctx, login)
  }
  if (picked === local) return showMethod(world, ctx, login, picked, { others: options.length > 1, username: email })
  await advance(world, ctx, await remember(world, login, { ...withoutFault(login), picked }))
}

const attempt = async (world: InteractionWorld, ctx: Ctx, login: Login, id: string, fields: Fields) => {
  const method = world.methods.get(id)
  if (!method || !openOptions(login).includes(id)) return advance(world, ctx, login)
  const { interaction, reference, journey } = login
  const given = { address: ctx.ip, ...(journey.accountId !== undefined && { accountId: journey.accountId }) }
  const outcome = await method.attempt(fields.plain(), given)
  if (!outcome.ok) {
    world.trace.add(reference, 'refused', { method: id, fault: outcome.code })
    world.audit({
      type: 'login.failed',
      client: interaction.clientId,
      reference,
      detail: { method: id, fault: outcome.code },
    })
    if (outcome.retryAfter !== undefined) ctx.set('retry-after', String(Math.max(1, Math.ceil(outcome.retryAfter))))
    const username = fields.get('username')
    return showMethod(world, ctx, login, id, {
      others: openOptions(login).length > 1,
      fault: outcome.code,
      ...(username && { username }),
    })
  }
  world.trace.add(reference, 'passed', { method: id, account: outcome.accountId })
  const passed = { by: id, amr: outcome.amr, authTime: epochSeconds(world.clock) }
  if (outcome.recovered)
    world.audit({
      type: 'credential.recovered',
      account: outcome.accountId,
      client: interaction.clientId,
      reference,
      detail: { method: id },
    })
  const renew = outcome.recovered && method.enrolment?.open ? { renew: id } : {}
  const after = { ...login, journey: { ...pass(journey, outcome.accountId, passed), ...renew } }
  // The last step needs no memory: the engine keeps its result.
  const last = next(after.journey, after.plan).go === 'finish'
  await advance(world, ctx, last ? after : await remember(world, login, after.journey))
}

/** The page that asks for a local method, when the step allows it. */
const methodPage = async (world: InteractionWorld, ctx: Ctx, login: Login, id: string) => {
  const options = openOptions(login)
  if (login.interaction.prompt.name === 'consent' || !options.includes(id) || !world.methods.has(id))
    return advance(world, ctx, login)
  const { journey } = login
  return advance(world, ctx, { ...login, journey: { ...journey, picked: id } })
}

const cancel = (world: InteractionWorld, ctx: Ctx, login: Login) =>
  refuse(world, ctx, login, login.journey.fault ?? 'login.cancelled')

const restart = async (world: InteractionWorld, ctx: Ctx) => {
  const kept = await world.engine.kept(ctx.params.uid ?? '')
  if (!kept) throw new Fault('journey.unknown')
  seeOther(ctx, world.engine.restartUrl(kept))
}

/** @returns the routes below /interaction and /federation */
export const interactionRoutes = (world: InteractionWorld): Route[] => {
  const step = (
    path: string,
    run: (ctx: Ctx, login: Login, fields: Fields) => void | Promise<void>,
    more: Partial<Route> = {},
  ): Route => ({
    method: 'post',
    path: `/interaction/:uid${path}`,
    bind,
    run: async (ctx, fields) => run(ctx, await openLogin(world, ctx), fields),
    ...more,
  })
  const show = { method: 'get' } as const
  const look = (ctx: Ctx, login: Login) => advance(world, ctx, login)
  return [
    step('', look, show),
    step('/choose', (ctx, login, fields) => choose(world, ctx, login, fields.get('provider'))),
    step(
      '/choose',
      (ctx, login) => advance(world, ctx, { ...login, journey: { ...withoutFault(login), picked: '' } }),
      show,
    ),
    step('/identify', (ctx, login, fields) => identify(world, ctx, login, fields)),
    step('/identify', look, show),
    step(
      '/consent',
      async (ctx, login, fields) => {
        if (login.interaction.prompt.name !== 'consent') return advance(world, ctx, login)
        await decideConsent(world, ctx, login, fields)
      },
      { repeatable: ['scope'] },
    ),
    step('/consent', look, show),
    step('/email', (ctx, login, fields) => answerEmail(world, ctx, login, fields.get('email'))),
    step('/email', look, show),
    step('/cancel', (ctx, login) => cancel(world, ctx, login)),
    step('/cancel', look, show),
    step('/continue', (ctx, login, fields) => continueLogin(world, ctx, login, fields.get('h'), fields.get('r')), show),
    { method: 'get', path: '/interaction/:uid/restart', run: (ctx) => restart(world, ctx) },
    ...[...world.methods].flatMap(([id, method]) => [
      step(`/${id}`, (ctx, login, fields) => attempt(world, ctx, login, id, fields)),
      step(`/${id}`, (ctx, login) => methodPage(world, ctx, login, id), show),
      ...(method.enrolment
        ? [
            step(`/${id}/setup`, (ctx, login, fields) => confirmSetup(world, ctx, login, id, fields)),
            step(`/${id}/setup`, look, show),
            step(`/${id}/keep`, (ctx, login) => keepAsItIs(world, ctx, login)),
            step(`/${id}/keep`, look, show),
            step(`/${id}/codes`, (ctx, login) => acknowledgeCodes(world, ctx, login)),
            step(`/${id}/codes`, look, show),
          ]
        : []),
    ]),
    ...callbackRoutes(world),
  ]
}
