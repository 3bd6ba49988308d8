/** A newcomer whose provider sent no address is asked for one, once (CONTRACT 7, requestForEmail). */
import { z } from 'zod'
import type { Ctx } from '#http/context.ts'
import { Fault } from '#kernel/faults.ts'
import type { Identity } from '#kernel/identity.ts'
import { randomToken } from '#kernel/random.ts'
import { advance, stumble } from './advance.ts'
import { type InteractionWorld, type Login, remember } from './login.ts'
import { passProvider, traceProvisioned } from './return.ts'

interface Pending {
  readonly uid: string
  readonly provider: string
  readonly identity: Identity
}

/** Keeps the verified arrival beside the sign-in and shows the page. */
export const welcomeNewcomer = async (
  world: InteractionWorld,
  ctx: Ctx,
  login: Login,
  given: { provider: string; identity: Identity },
): Promise<void> => {
  const pending = randomToken()
  const kept: Pending = { uid: login.interaction.uid, ...given }
  await world.box.put('Newcomer', pending, kept, { ttl: world.lifetime })
  await advance(
    world,
    ctx,
    await remember(world, login, { ...login.journey, newcomer: { provider: given.provider, pending } }),
  )
}

const address = z.email().max(320)

/** The answer: a taken address fails the login (HAZARDS 4), a free one makes the account. */
export const answerEmail = async (
  world: InteractionWorld,
  ctx: Ctx,
  login: Login,
  email: string | undefined,
): Promise<void> => {
  const { newcomer } = login.journey
  if (!newcomer) return advance(world, ctx, login)
  const base = `/interaction/${login.interaction.uid}`
  const parsed = address.safeParse(email?.trim())
  if (!parsed.success) {
    const shown = {
      client: login.card,
      action: `${base}/email`,
      cancel: `${base}/cancel`,
      fault: 'request.email',
      ...(email && { email }),
    }
    return world.view(ctx, 'email', shown, 400)
  }
  const pending = await world.box.take<Pending>('Newcomer', newcomer.pending)
  const { newcomer: _, ...journey } = login.journey
  const after = { ...login, journey }
  if (pending?.uid !== login.interaction.uid) return advance(world, ctx, await remember(world, login, journey))
  const provider = await world.records.providers.get(pending.provider)
  if (!provider?.enabled) throw new Fault('upstream.misconfigured', { provider: pending.provider })
  const outcome = await world.provisioning.provision({
    provider: pending.provider,
    identity: pending.identity,
    email: { address: parsed.data, verified: false },
  })
  traceProvisioned(world, login, outcome)
  if (outcome.outcome === 'refused') return stumble(world, ctx, after, pending.provider, outcome.code)
  if (outcome.outcome === 'needs-email') throw new Fault('internal', { reason: 'address asked twice' })
  await passProvider(world, ctx, after, {
    provider: pending.provider,
    identity: pending.identity,
    accountId: outcome.accountId,
  })
}
