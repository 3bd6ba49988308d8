/** What the engine tells of itself, written down: the audit trail, the login's trace, the log (ENGINE 15, docs/trace.md). */
import type { KoaContextWithOIDC, Session } from 'oidc-provider'
import type { Log } from '#kernel/log.ts'
import { randomReference } from '#kernel/random.ts'
import type { Audit } from '#trace/audit.ts'
import { referenceOf, type Trace } from '#trace/trace.ts'
import type { Engine } from './engine.ts'
import { shown } from './pages.ts'
import { entered } from './registration.ts'

export interface Witnesses {
  readonly log: Log
  readonly audit: Audit
  readonly trace: Trace
}

interface Refusal {
  readonly error?: string
  readonly message: string
  readonly error_description?: string | undefined
  readonly error_detail?: string | undefined
  readonly cause?: unknown
}

/** The login's name, once it is known; error pages and the log show it. */
const referenceIn = (ctx: KoaContextWithOIDC): string | undefined => {
  const correlation = ctx.oidc.entities.Interaction?.cid
  if (correlation === undefined) return undefined
  const reference = referenceOf(correlation)
  ctx.state.reference = reference
  return reference
}

const about = (ctx: KoaContextWithOIDC) => {
  // Such a route may answer with a page, which shows a reference.
  if (shown.has(ctx.oidc.route)) ctx.state.reference ??= randomReference()
  const { rid, reference } = ctx.state as { rid?: string; reference?: string }
  return { rid, reference, client: ctx.oidc.client?.clientId }
}

const whyOf = (error: Refusal) => ({
  error: error.error ?? error.message,
  description: error.error_description,
  reason: error.error_detail,
})

const onLogin = ({ audit, log, trace }: Witnesses) => ({
  started(ctx: KoaContextWithOIDC, prompt: { name: string; reasons: string[] }) {
    const reference = referenceIn(ctx)
    if (!reference) return
    const { client, params, entities } = ctx.oidc
    // One request may lead through several prompts; what it asked is told once.
    const step = entities.Interaction?.lastSubmission ? 'prompt' : 'request'
    const asked = step === 'request' ? { params: { ...params } } : {}
    trace.add(reference, step, { client: client?.clientId, prompt: prompt.name, reasons: prompt.reasons, ...asked })
  },
  ended(ctx: KoaContextWithOIDC) {
    const reference = referenceIn(ctx)
    if (reference) log.debug('login.resumed', about(ctx))
  },
  succeeded(ctx: KoaContextWithOIDC) {
    const reference = referenceIn(ctx)
    if (reference) trace.add(reference, 'finished', { client: ctx.oidc.client?.clientId })
    // A further application on an existing session is no login: it leaves this line and no trace (docs/trace.md).
    else {
      const { client, session } = ctx.oidc
      log.info('authorization.silent', { rid: ctx.state.rid, client: client?.clientId, account: session?.accountId })
    }
  },
  refused(ctx: KoaContextWithOIDC, error: Refusal) {
    const reference = referenceIn(ctx)
    if (!reference) return
    // What the interaction itself ended with was written down there.
    if (ctx.oidc.entities.Interaction?.result?.error !== undefined) return
    trace.add(reference, 'refused', whyOf(error))
    audit({ type: 'login.refused', client: ctx.oidc.client?.clientId, reference, detail: whyOf(error) })
  },
})

const refusals = [
  'authorization.error',
  'grant.error',
  'introspection.error',
  'revocation.error',
  'userinfo.error',
  'pushed_authorization_request.error',
  'registration_create.error',
  'registration_read.error',
  'registration_update.error',
  'registration_delete.error',
  'end_session.error',
  'end_session_confirm.error',
  'end_session_success.error',
] as const

/** Listens to an instance. A listener that throws would break the request, so none does. */
export const listen = (engine: Engine, witnesses: Witnesses): void => {
  const { log, audit } = witnesses
  const safely =
    <A extends unknown[]>(listener: (...given: A) => void) =>
    (...given: A): void => {
      try {
        listener(...given)
      } catch (cause) {
        log.error('op.listener-failed', { cause })
      }
    }
  const login = onLogin(witnesses)
  engine.on('interaction.started', safely(login.started))
  engine.on('interaction.ended', safely(login.ended))
  engine.on(
    'authorization.success',
    safely((ctx) => login.succeeded(ctx)),
  )
  engine.on('authorization.error', safely(login.refused))

  for (const event of refusals)
    engine.on(
      event as 'grant.error',
      safely((ctx, error) => log.info('oauth.refused', { at: event, ...about(ctx), ...whyOf(error) })),
    )
  engine.on(
    'server_error',
    safely((ctx, cause) => log.error('oauth.failed', { ...about(ctx), path: ctx.path, cause })),
  )
  engine.on(
    'grant.revoked',
    safely((ctx) => {
      if (ctx.oidc.route === 'token') replayed(witnesses, ctx, 'sequential')
      if (ctx.oidc.route === 'revocation') audit({ type: 'grant.revoked', client: ctx.oidc.client?.clientId })
    }),
  )
  engine.on(
    'end_session.success',
    safely((ctx) => {
      const { session, client } = ctx.oidc
      const { reference, client: clientId } = about(ctx)
      if (!session?.accountId) return
      audit({ type: 'logout', account: session.accountId, client: client?.clientId, reference })
      const whole = (session as Session & { destroyed?: boolean }).destroyed === true
      if (reference)
        witnesses.trace.add(reference, 'signed-out', { account: session.accountId, client: clientId, whole })
    }),
  )
  engine.on(
    'backchannel.error',
    safely((ctx, cause, client) => log.error('logout.not-enqueued', { ...about(ctx), client: client.clientId, cause })),
  )
  for (const [event, type] of [
    ['registration_create.success', 'client.registered'],
    ['registration_update.success', 'client.updated'],
    ['registration_delete.success', 'client.removed'],
  ] as const)
    engine.on(
      event as 'registration_create.success',
      safely((ctx, client) => {
        const initialAccess = entered.get(ctx)?.id
        audit({ type, client: client.clientId, ...(initialAccess !== undefined && { detail: { initialAccess } }) })
      }),
    )
}

/** Something that may be used once was presented twice, and its grant is dead now. */
export const replayed = ({ audit }: Witnesses, ctx: KoaContextWithOIDC | undefined, how: string): void =>
  audit({ type: 'token.replayed', client: ctx?.oidc.client?.clientId, detail: { how } })
