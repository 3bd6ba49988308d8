/**
 * When the person at the browser is needed: our own checks instead of the built-in ones about acr, which lose essential
 * requests (ENGINE 3). A check throws an OAuth error where no page could help.
 */
import { decodeJwt } from 'jose'
import { errors, interactionPolicy, type KoaContextWithOIDC } from 'oidc-provider'
import type { Records } from '#directory/records.ts'
import { requestedAcr } from '#kernel/acr.ts'
import type { AcrTable, Done } from './acr.ts'
import type { SessionExtras } from './seams.ts'
import type { Subjects } from './subjects.ts'

const { Check, Prompt, base } = interactionPolicy

/** An authorization request as the room above sees it. */
export interface PassiveRequest {
  readonly params: Readonly<Record<string, unknown>>
  readonly clientId: string
}

export interface PolicyOptions {
  readonly acrs: AcrTable
  readonly clients: Records['clients']
  readonly subjects: Subjects
  /** Whether a request names nothing that goes before the client's default_acr_values (CONTRACT 5). */
  readonly byDefaults?: ((request: PassiveRequest) => Promise<boolean>) | undefined
  /** Whether a request with prompt=none leads to exactly one provider, which can be asked passively (CONTRACT 6). */
  readonly passive?: ((request: PassiveRequest) => Promise<boolean>) | undefined
}

/** Requests that the check below let travel to a provider although they allow no page. */
const passiveTrips = new WeakSet<object>()
export const isPassiveTrip = (ctx: object): boolean => passiveTrips.has(ctx)

/** How the browser session's person signed in. */
const doneIn = (ctx: KoaContextWithOIDC): Done => {
  const session = ctx.oidc.session as (typeof ctx.oidc.session & SessionExtras) | undefined
  return { acr: session?.acr, provider: session?.upstream?.provider, ways: session?.ways?.map(({ by }) => by) }
}

const paramsOf = (ctx: KoaContextWithOIDC): Readonly<Record<string, unknown>> => ctx.oidc.params ?? {}

/** What the check below found a request to ask for, the client's defaults included. */
const asked = new WeakMap<object, readonly string[]>()

/** The acr to report for this request: what was asked for, when it was satisfied, else what was done. */
export const reportedAcr = (acrs: AcrTable, ctx: KoaContextWithOIDC, actual: string | undefined): string | undefined =>
  actual === undefined ? undefined : (acrs.met(asked.get(ctx) ?? [], doneIn(ctx)) ?? actual)

const acrCheck = ({ acrs, clients, byDefaults }: PolicyOptions) => {
  const request = async (ctx: KoaContextWithOIDC) => {
    const params = paramsOf(ctx)
    const client = ctx.oidc.client && (await clients.get(ctx.oidc.client.clientId))
    const defaults = client?.default_acr_values ?? []
    const count =
      client && defaults.length > 0 && ((await byDefaults?.({ params, clientId: client.client_id })) ?? true)
    const wanted = requestedAcr(params, count ? defaults : [])
    return { ...wanted, reachable: acrs.reachable(wanted.values, client?.providers) }
  }
  return new Check(
    'acr',
    'the requested authentication context was not reached',
    'unmet_authentication_requirements',
    async (ctx) => {
      const { values, essential, reachable } = await request(ctx)
      asked.set(ctx, values)
      if (values.length === 0 || (ctx.oidc.session?.accountId && acrs.met(values, doneIn(ctx)) !== undefined))
        return Check.NO_NEED_TO_PROMPT
      // OIDC Core 5.5.1.1, Unmet Authentication Requirements 1: an essential acr that nobody can give is an error at once.
      if (essential && reachable.length === 0)
        throw new errors.UnmetAuthenticationRequirements('none of the requested authentication contexts is available')
      if (!ctx.oidc.session?.accountId || reachable.length === 0) return Check.NO_NEED_TO_PROMPT
      if (ctx.oidc.result?.login) {
        if (essential) throw new errors.UnmetAuthenticationRequirements('the authentication context was not reached')
        return Check.NO_NEED_TO_PROMPT
      }
      // A voluntary wish is no reason to fail a request that allows no page (OIDC Core 3.1.2.1, acr_values).
      return essential || !ctx.oidc.prompts.has('none')
    },
    async (ctx) => {
      const { values, essential } = await request(ctx)
      return { acr: { values, essential } }
    },
  )
}

/** The account behind the session was disabled or removed: only another sign-in helps. */
const accountCheck = () =>
  new Check('account', 'the account is not available', 'login_required', (ctx) =>
    Boolean(ctx.oidc.session?.accountId && !ctx.oidc.account),
  )

const passiveCheck = ({ passive }: PolicyOptions) =>
  new Check('passive', 'never asked for by itself', 'login_required', async (ctx) => {
    const { client, prompts, session, route } = ctx.oidc
    if (!passive || !client || session?.accountId || route !== 'authorization' || !prompts.has('none')) return false
    if (await passive({ params: paramsOf(ctx), clientId: client.clientId })) passiveTrips.add(ctx)
    return false
  })

/** Every scope that a request asks for and that there is, those of resources included. */
const requestedScopes = ({ oidc }: KoaContextWithOIDC): string[] => {
  const ofResources = Object.values(oidc.resourceServers ?? {}).flatMap(({ scopes }) => [...scopes])
  const asked = ofResources.filter((scope) => oidc.requestParamScopes.has(scope))
  return [...new Set([...oidc.requestParamOIDCScopes, ...asked])]
}

/** A trusted client's users are not asked, even when it asks to ask. Where it asks to, everything is asked again. */
const consentCheck = () =>
  new Check(
    'consent_prompt',
    'consent prompt was not resolved',
    'consent_required',
    (ctx) =>
      Boolean(
        ctx.oidc.client?.trusted !== true && ctx.oidc.prompts.has('consent') && ctx.oidc.promptPending('consent'),
      ),
    (ctx) => ({ requestedScopes: requestedScopes(ctx) }),
  )

/** The `sub` of a token whose signature the engine checked when the request arrived. */
const hintedSubject = (hint: unknown): string | undefined => {
  if (typeof hint !== 'string') return undefined
  try {
    const { sub } = decodeJwt(hint)
    return sub
  } catch {
    // An encrypted hint was opened by the engine at the request; here it says nothing.
    return undefined
  }
}

/** Which subjects a request names: by the reason that another sign-in has, when it is not theirs. */
const wantedSubjects: Readonly<Record<string, (ctx: KoaContextWithOIDC) => unknown>> = {
  id_token_hint: (ctx) => hintedSubject(paramsOf(ctx).id_token_hint),
  claims_id_token_sub_value: (ctx) => (ctx.oidc.claims?.id_token?.sub as { value?: unknown } | null | undefined)?.value,
}

/**
 * OIDC Core 3.1.2.1 (id_token_hint), 5.5.1: another person than the one asked for has to sign in, and it is an error when
 * they had their chance. In place of the engine's own checks, which know the account's id only.
 */
const subjectChecks = ({ subjects }: PolicyOptions) =>
  Object.entries(wantedSubjects).map(
    ([reason, wantedBy]) =>
      new Check(reason, 'another person than the one that was asked for', 'login_required', async (ctx) => {
        const { client, account, result, session } = ctx.oidc
        const wanted = wantedBy(ctx)
        if (!client || wanted === undefined) return false
        if (!session?.accountId || !account) return true
        if ((await subjects.of(client, session.accountId)) === wanted) return false
        if (result?.login) throw new errors.LoginRequired('another person signed in than the one that was asked for')
        return true
      }),
  )

/** Throws for an account that this client could know by no name, before anything is issued. */
const nameCheck = ({ subjects }: PolicyOptions) =>
  new Check('subject', 'the account has no subject identifier', 'access_denied', async (ctx) => {
    const { client, account } = ctx.oidc
    if (subjects.isMapped && client && account) await subjects.of(client, account.accountId)
    return false
  })

/** For the engine's `interactions.policy`. */
export const createPolicy = (options: PolicyOptions): interactionPolicy.DefaultPolicy => {
  const policy = base()
  const login = policy.get('login')
  const consent = policy.get('consent')
  if (!login || !consent) throw new TypeError('oidc-provider has no login or consent prompt')

  for (const reason of ['essential_acrs', 'essential_acr', ...Object.keys(wantedSubjects)]) login.checks.remove(reason)
  login.checks.add(accountCheck())
  for (const check of subjectChecks(options)) login.checks.add(check)
  login.checks.add(nameCheck(options))
  login.checks.add(acrCheck(options))
  login.checks.add(passiveCheck(options))

  // Native clients prove themselves by PKCE and a claimed or loopback address; asking each time teaches to agree unread.
  for (const reason of ['native_client_prompt', 'consent_prompt']) consent.checks.remove(reason)
  consent.checks.add(consentCheck(), 0)

  // Initiating User Registration 1.0 and OIDC Core 3.1.2.1: both are a sign-in, resolved by the interaction's result.
  policy.add(new Prompt({ name: 'select_account', requestable: true }), 0)
  policy.add(new Prompt({ name: 'create', requestable: true }), 0)
  return policy
}
