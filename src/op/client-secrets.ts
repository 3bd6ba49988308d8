/**
 * Guessing client secrets is limited as guessing passwords is (CONTRACT 2, attempt limits), wherever a secret is shown:
 * itself, by the signature of an assertion, or by that of a request object, which anybody may send. The shared counters
 * are asked only for clients that this process saw a wrong secret of, so that a client with the right one pays nothing.
 */
import Provider, { type Client, errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { Ctx } from '#http/context.ts'
import type { Clock } from '#kernel/clock.ts'
import type { ArtifactStore } from '#kernel/ports.ts'
import { createAttempts } from '#methods/attempts.ts'
import type { Engine } from './engine.ts'

const SUSPECTS = 10_000

class TooManyAttempts extends errors.OIDCProviderError {
  constructor() {
    super(429, 'temporarily_unavailable')
    this.name = 'TooManyAttempts'
    this.error_description = 'too many wrong client secrets; try again later'
    this.expose = true
  }
}

interface SecretHolder {
  clientId: string
  compareClientSecret(actual: string): boolean | Promise<boolean>
}

type Signer = Pick<Client, 'clientId'>

export interface SecretGuard {
  /** Makes an engine's clients count wrong secrets. */
  install(engine: Engine): void
  /** A client assertion by the secret was right: refused all the same when there were too many wrong ones. */
  assertion(ctx: object, client: Signer, alg: unknown): Promise<void>
  /** Before the signature of a request object by the secret is judged; anybody may send one. */
  requestObject(ctx: KoaContextWithOIDC, client: Signer, alg: unknown): Promise<void>
  /** After the engine: counts what it found to be wrong. */
  settle(ctx: Ctx): Promise<void>
}

/** Where clients show that they know their secret, by what the engine tells of a failure there. */
const authentications = ['grant.error', 'introspection.error', 'revocation.error', 'pushed_authorization_request.error']
const requests = ['authorization.error', 'pushed_authorization_request.error']

const isSymmetric = (alg: unknown): boolean => typeof alg === 'string' && alg.startsWith('HS')

/** Wrong secrets so far, of the clients that this process saw one of. */
const createCounter = (store: ArtifactStore, clock: Clock) => {
  const attempts = createAttempts(store, clock, 'client secret')
  const suspects = new Set<string>()
  const whoOf = (ctx: object | undefined, clientId: string) => ({
    account: clientId,
    address: (ctx as Partial<Ctx> | undefined)?.ip ?? '',
  })
  /** Seconds until another try makes sense. */
  const waitFor = async (ctx: object | undefined, clientId: string): Promise<number | undefined> =>
    suspects.has(clientId) ? (await attempts.standing(whoOf(ctx, clientId))).wait : undefined
  return {
    waitFor,
    async count(ctx: object | undefined, clientId: string): Promise<void> {
      if (suspects.size >= SUSPECTS) suspects.clear()
      suspects.add(clientId)
      await attempts.wrong(whoOf(ctx, clientId))
    },
    async admit(ctx: object | undefined, clientId: string): Promise<void> {
      const wait = await waitFor(ctx, clientId)
      if (wait === undefined) return
      ;(ctx as Ctx | undefined)?.set('retry-after', String(wait))
      throw new TooManyAttempts()
    },
  }
}

/** Shared by all engine instances of a process. */
export const createSecretGuard = (store: ArtifactStore, clock: Clock): SecretGuard => {
  const { admit, count, waitFor } = createCounter(store, clock)
  /** Requests whose request object is judged by the secret, and those that turned out to be guesses; by their clients. */
  const judged = new WeakSet<object>()
  const wrong = new WeakMap<object, string>()

  return {
    install(engine) {
      const prototype = engine.Client.prototype as unknown as SecretHolder
      const compare = prototype.compareClientSecret
      prototype.compareClientSecret = async function (actual) {
        await admit(Provider.ctx, this.clientId)
        if (await compare.call(this, actual)) return true
        await count(Provider.ctx, this.clientId)
        return false
      }
      const listen = (events: readonly string[], isGuess: (ctx: KoaContextWithOIDC, error: Error) => boolean) => {
        for (const event of events)
          engine.on(event as 'grant.error', (ctx, error) => {
            if (ctx.oidc.client && isGuess(ctx, error)) wrong.set(ctx, ctx.oidc.client.clientId)
          })
      }
      // With a cause: the assertion itself could not be verified.
      listen(authentications, ({ oidc }, error) =>
        Boolean(
          oidc.client?.clientAuthMethod === 'client_secret_jwt' &&
            error instanceof errors.InvalidClientAuth &&
            error.cause,
        ),
      )
      listen(requests, (ctx, error) => judged.has(ctx) && error instanceof errors.InvalidRequestObject)
    },
    async assertion(ctx, client, alg) {
      if (isSymmetric(alg)) await admit(ctx, client.clientId)
    },
    async requestObject(ctx, client, alg) {
      // A pushed one was judged when it was pushed.
      if (!isSymmetric(alg) || ctx.oidc.entities.PushedAuthorizationRequest) return
      await admit(ctx, client.clientId)
      judged.add(ctx)
    },
    async settle(ctx) {
      const clientId = wrong.get(ctx)
      if (clientId === undefined) return
      const wait = await waitFor(ctx, clientId)
      if (wait === undefined) return count(ctx, clientId)
      // A right guess is refused likewise: which one it was shows to nobody.
      if (ctx.status !== 401) return
      const { error, error_description } = new TooManyAttempts()
      ctx.status = 429
      ctx.body = { error, error_description }
      ctx.set('retry-after', String(wait))
    },
  }
}
