/** The consent step: only what is new is asked (OIDC Core 3.1.2.4). */
import type { Ctx } from '#http/context.ts'
import type { Fields } from '#http/form.ts'
import { textsFor } from '#http/language.ts'
import { claimText, scopeTexts } from '#http/messages.ts'
import { seeOther } from '#http/route.ts'
import type { InteractionWorld, Login } from './login.ts'

const words = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : []

/** Scopes of APIs (RFC 8707) are asked like all others. */
const missingScopes = ({ interaction: { prompt } }: Login): string[] => {
  const { missingOIDCScope, missingResourceScopes } = prompt.details
  const ofResources = Object.values((missingResourceScopes ?? {}) as Record<string, unknown>).flatMap(words)
  return [...new Set([...words(missingOIDCScope), ...ofResources])]
}

/** What the page asks: scopes that are new, or all of the request when the relying party demands to ask again. */
const askedScopes = (login: Login): string[] => {
  const again = words(login.interaction.prompt.details.requestedScopes)
  return again.length > 0 ? again : missingScopes(login)
}

export const showConsent = async (world: InteractionWorld, ctx: Ctx, login: Login): Promise<void> => {
  const { interaction, card } = login
  const base = `/interaction/${interaction.uid}`
  const accountId = interaction.session?.accountId
  const account = accountId === undefined ? undefined : await world.records.accounts.get(accountId)
  const scopes = askedScopes(login)
  const before = accountId === undefined ? undefined : await world.records.consents.get(accountId, interaction.clientId)
  const declined = new Set(before?.rejectedScopes)
  const t = textsFor(ctx, world.messages)
  const defined = new Map((await world.records.scopes.all()).map((scope) => [scope.name, scope]))
  world.view(ctx, 'consent', {
    client: card,
    account: { name: account?.username ?? accountId ?? '' },
    action: `${base}/consent`,
    cancel: `${base}/cancel`,
    scopes: scopes
      .filter((name) => name !== 'offline_access')
      .map((name) => {
        const { displayName, description } = defined.get(name) ?? {}
        const own = { ...(displayName && { displayName }), ...(description && { description }) }
        return { name, ...scopeTexts(t, name), ...own, required: name === 'openid', declined: declined.has(name) }
      }),
    claims: words(interaction.prompt.details.missingOIDCClaims).map((name) => ({
      name,
      displayName: claimText(t, name),
    })),
    offline: scopes.includes('offline_access'),
  })
}

/** The boxes that stayed ticked. Each has a name of its own, so that scripts that know a field by its name lose none. */
const ticked = ({ params }: Fields): string[] =>
  [...params].filter(([name]) => /^scope(?:-\d+)?$/.test(name)).map(([, scope]) => scope)

/** @param fields `scope-0` and so on: the boxes that stayed ticked */
export const decideConsent = async (world: InteractionWorld, ctx: Ctx, login: Login, fields: Fields): Promise<void> => {
  const { interaction, client, reference } = login
  const allowed = new Set([...ticked(fields), 'openid'])
  const optional = askedScopes(login).filter((name) => name !== 'openid' && name !== 'offline_access')
  const rejectedScopes = optional.filter((name) => !allowed.has(name))
  const grantId = await interaction.grant({ rejectedScopes, remember: client.trusted || client.persist_authorizations })
  world.trace.add(reference, 'consented', { scopes: [...allowed], rejectedScopes })
  world.audit({
    type: 'consent.given',
    client: interaction.clientId,
    reference,
    ...(interaction.session && { account: interaction.session.accountId }),
    detail: { rejectedScopes },
  })
  seeOther(ctx, await interaction.finish({ consent: { grantId } }))
}
