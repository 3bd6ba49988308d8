/**
 * One look at a sign-in: the engine's interaction, our journey beside it, and the plan that the request makes. Every
 * route opens this first; what cannot be continued becomes a Fault with the ways on, never a dead page.
 */
import type { Box } from '#artifacts/box.ts'
import type { Records } from '#directory/records.ts'
import type { Choice } from '#federation/discovery.ts'
import type { Provisioning } from '#federation/provisioning.ts'
import type { Federation } from '#federation/trip.ts'
import type { UpstreamSessions } from '#federation/upstream.ts'
import type { Ctx } from '#http/context.ts'
import type { Messages } from '#http/messages.ts'
import { type ClientCard, cardOf, type WayOn } from '#http/pages.ts'
import type { View } from '#http/view.ts'
import { type Clock, epochSeconds } from '#kernel/clock.ts'
import { Fault, type FaultCode } from '#kernel/faults.ts'
import type { HookRunner } from '#kernel/hooks.ts'
import type { Engine, Interaction, KeptRequest } from '#kernel/ports.ts'
import type { Client } from '#kernel/records/client.ts'
import { type Method, secondaryOf } from '#methods/method.ts'
import type { Audit } from '#trace/audit.ts'
import { referenceOf, type Trace } from '#trace/trace.ts'
import type { Journey } from './journey.ts'
import type { Planner } from './plan.ts'
import { standing } from './standing.ts'

export interface InteractionWorld {
  readonly engine: Engine
  readonly records: Records
  readonly box: Box
  readonly clock: Clock
  readonly view: View
  readonly trace: Trace
  readonly audit: Audit
  readonly federation: Federation
  readonly methods: ReadonlyMap<string, Method>
  readonly provisioning: Provisioning
  readonly upstreams: UpstreamSessions
  readonly plan: Planner
  readonly messages: Messages
  readonly hooks: HookRunner
  /** Lifetime of a sign-in in seconds. */
  readonly lifetime: number
}

export interface Login {
  readonly interaction: Interaction
  readonly client: Client
  readonly card: ClientCard
  readonly journey: Journey
  readonly plan: Choice
  readonly reference: string
}

export const basePath = ({ interaction }: Pick<Login, 'interaction'>): string => `/interaction/${interaction.uid}`

const STALE: Record<KeptRequest['state'], FaultCode> = {
  open: 'journey.foreign',
  finished: 'journey.finished',
  expired: 'journey.expired',
}

/** The ways on from a sign-in that cannot be continued in this browser: the same request again, or the application. */
const explain = async (world: InteractionWorld, ctx: Ctx, uid: string): Promise<never> => {
  const kept = await world.engine.kept(uid)
  if (!kept) throw new Fault('journey.unknown')
  const client = await world.records.clients.get(kept.clientId)
  const home = client?.initiate_login_uri ?? client?.client_uri
  const application: WayOn[] = home ? [{ href: home, label: 'way.application' }] : []
  const restart: WayOn = { href: `/interaction/${uid}/restart`, label: 'way.restart' }
  // Who has finished wants back to the application; the same request again would bring it an answer that it had.
  const ways = kept.state === 'finished' && home ? application : [restart, ...application]
  if (client) ctx.state.client = cardOf(client)
  ctx.state.ways = ways
  throw new Fault(STALE[kept.state], { uid, client: kept.clientId })
}

/** Throws Fault `journey.*` with `ctx.state.ways` set when the sign-in is not this browser's, is over or never was. */
export const openLogin = async (world: InteractionWorld, ctx: Ctx): Promise<Login> => {
  const uid = ctx.params.uid ?? ''
  const reading = world.box.get<Journey>('Journey', uid)
  // Whoever needs it is told of the failure.
  reading.catch(() => undefined)
  const interaction = await world.engine.interaction(ctx, uid)
  if (!interaction) return explain(world, ctx, uid)
  const reference = referenceOf(interaction.correlation)
  ctx.state.reference = reference
  if (typeof interaction.params.ui_locales === 'string') ctx.state.uiLocales = interaction.params.ui_locales
  const client = await world.records.clients.get(interaction.clientId)
  if (!client || client.disabled) throw new Fault('journey.client', { client: interaction.clientId })
  const card = cardOf(client)
  ctx.state.client = card
  ctx.state.ways = [{ href: `/interaction/${uid}`, label: 'way.continue' }]
  const [journey, plan] = await Promise.all([reading, world.plan.of(interaction, client)])
  const now = epochSeconds(world.clock)
  const begun = journey ?? standing(interaction, plan, { secondary: secondaryOf(world.methods), now })
  return { interaction, client, card, journey: begun, plan, reference }
}

/** Values of the step that is open now. */
export const openOptions = ({ journey, plan }: Login): readonly string[] =>
  plan.steps.find((options) => !journey.passed.some(({ by }) => options.includes(by))) ?? []

/** Remembers the journey for as long as its interaction lives, and answers the login as it now stands. */
export const remember = async (world: InteractionWorld, login: Login, journey: Journey): Promise<Login> => {
  const { uid, expiresAt } = login.interaction
  const ttl = Math.max(1, Math.ceil((expiresAt - world.clock.now()) / 1000))
  await world.box.put('Journey', uid, journey, { ttl })
  return { ...login, journey }
}
