/**
 * `refreshReuseGrace`: a refresh token that is presented again within the grace, because its answer was lost on the way,
 * gets the very same answer again instead of ending the grant (DESIGN 3.3, RFC 9700 4.14.2). Off by default.
 */
import { setTimeout as wait } from 'node:timers/promises'
import Provider, { errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { Box } from '#artifacts/box.ts'
import { type Clock, epochSeconds } from '#kernel/clock.ts'

const MODEL = 'RefreshAnswer'
/** How long the loser of a race waits for the winner's answer. */
const PATIENCE_MS = 2000
const STEP_MS = 20

interface Answer {
  readonly clientId: string
  readonly body: unknown
}

/** Ends the engine's own handling; `serve` puts the repeated answer in its place. */
class Repeated extends errors.InvalidGrant {}

export interface RefreshGrace {
  /** A refresh token was found consumed, `at` epoch seconds. Throws to answer again. */
  forgive(value: string, clientId: string | undefined, at: number): Promise<void>
  /** A refresh token was redeemed by somebody else this moment. Throws to answer again. */
  pardon(model: string, value: string): Promise<void>
  /** After the engine: keeps a fresh answer, or puts the repeated one in place. */
  settle(ctx: KoaContextWithOIDC): Promise<void>
}

const none: RefreshGrace = {
  forgive: async () => undefined,
  pardon: async () => undefined,
  settle: async () => undefined,
}

/** @param grace seconds; 0 turns it off */
export const createRefreshGrace = (box: Box, clock: Clock, grace: number): RefreshGrace => {
  if (grace === 0) return none
  const repeated = new WeakMap<object, unknown>()

  const answer = async (value: string): Promise<boolean> => {
    const ctx = Provider.ctx
    const kept = await box.get<Answer>(MODEL, value)
    if (!ctx || !kept || kept.clientId !== ctx.oidc.client?.clientId) return false
    repeated.set(ctx, kept.body)
    return true
  }

  /** The winner may still be at work. Throws when its answer comes in time. */
  const awaitAnswer = async (value: string): Promise<void> => {
    const until = clock.now() + PATIENCE_MS
    while (clock.now() < until) {
      if (await answer(value)) throw new Repeated('answered before')
      await wait(STEP_MS)
    }
  }

  return {
    async forgive(value, clientId, at) {
      const mine = clientId !== undefined && clientId === Provider.ctx?.oidc.client?.clientId
      if (mine && epochSeconds(clock) - at <= grace) await awaitAnswer(value)
    },
    async pardon(model, value) {
      if (model === 'RefreshToken') await awaitAnswer(value)
    },
    async settle(ctx) {
      const { client, params } = ctx.oidc
      if (params?.grant_type !== 'refresh_token' || !client) return
      if (repeated.has(ctx)) {
        ctx.status = 200
        ctx.body = repeated.get(ctx)
      } else if (ctx.status === 200 && typeof params.refresh_token === 'string') {
        const kept: Answer = { clientId: client.clientId, body: ctx.body }
        await box.put(MODEL, params.refresh_token, kept, { ttl: grace })
      }
    },
  }
}
