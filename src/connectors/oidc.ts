/**
 * OpenID Connect upstream: we are the relying party (CONTRACT 6). Code flow with PKCE S256, state, nonce and the issuer
 * check of RFC 9207; the ID token verified, userinfo bound to it by `sub`. openid-client does the protocol and is
 * imported nowhere else. What must stay secret (nonce, verifier) lives in the trip's memo.
 */
import * as client from 'openid-client'
import { z } from 'zod'
import { epochSeconds } from '#kernel/clock.ts'
import { Fault } from '#kernel/faults.ts'
import type { Identity, Wish } from '#kernel/identity.ts'
import type { IdentityProvider, Mapping } from '#kernel/records/provider.ts'
import { standardClaims } from '#kernel/scopes.ts'
import type { Arrival, Connector, ConnectorType, Departure } from './connector.ts'
import { checkSymmetric, checkTimes, identityOf } from './oidc/claims.ts'
import { type Leg, upstreamFault } from './oidc/failure.ts'
import { readLogoutToken } from './oidc/logout-token.ts'
import { type OidcSettings, oidcSettings } from './oidc/settings.ts'
import { createStanding, type Standing } from './oidc/standing.ts'

const memoShape = z.object({
  nonce: z.string(),
  verifier: z.string(),
  /** Epoch seconds. */
  departedAt: z.number(),
  /** Seconds, as sent. */
  maxAge: z.number().optional(),
})
type Memo = z.output<typeof memoShape>

/** What `depart` remembered, as the store gives it back; another version's is as good as none. */
const readMemo = (memo: unknown): Memo => {
  const read = memoShape.safeParse(memo)
  if (!read.success) throw new Fault('upstream.expired', { leg: 'authorization', reason: 'unreadable memo' })
  return read.data
}

/** Characters; longer hints do not help anybody to sign in. */
const LONGEST_HINT = 512

/** CONTRACT 6, the part that depends on what the relying party asked and on the provider's `forward`. */
const wishes = (wish: Wish, { forward }: IdentityProvider, settings: OidcSettings): Record<string, string> => {
  const acrValues = forward.acr_values ?? wish.acrValues ?? settings.default_acr_values ?? []
  const locales =
    (forward.ui_locales && wish.uiLocales) ||
    (settings.default_ui_locales ?? []).join(' ') ||
    (forward.ui_locales && wish.defaultLocale)
  const prompt = wish.passive ? 'none' : wish.forceLogin ? 'login' : undefined
  const maxAge = forward.max_age ? (wish.forceLogin ? 0 : wish.maxAge) : undefined
  const hint = forward.login_hint ? wish.loginHint?.slice(0, LONGEST_HINT) : undefined
  return {
    ...(forward.prompt && prompt && { prompt }),
    ...(maxAge !== undefined && { max_age: String(maxAge) }),
    ...(locales && { ui_locales: locales }),
    ...(hint && { login_hint: hint }),
    ...(acrValues.length > 0 && { acr_values: acrValues.join(' ') }),
  }
}

const onLeg = async <T>(leg: Leg, work: () => Promise<T>): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    throw upstreamFault(error, leg)
  }
}

const depart = async (
  trip: { state: string; returnTo: URL; wish: Wish },
  provider: IdentityProvider,
  settings: OidcSettings,
  standing: Standing,
  now: number,
): Promise<{ departure: Departure; memo: Memo }> => {
  // Where the provider may not be told to stay passive it would show its pages, which the relying party forbade.
  if (trip.wish.passive && !provider.forward.prompt)
    throw new Fault('upstream.interaction', { leg: 'authorization', reason: 'prompt is not forwarded' })
  const config = await standing.configure(false)
  const [nonce, verifier] = [client.randomNonce(), client.randomPKCECodeVerifier()]
  const extra = wishes(trip.wish, provider, settings)
  const parameters = {
    response_type: 'code',
    redirect_uri: trip.returnTo.href,
    scope: settings.scope,
    state: trip.state,
    nonce,
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    ...extra,
  }
  const url = settings.par
    ? await onLeg('pushed request', () => client.buildAuthorizationUrlWithPAR(config, parameters))
    : await onLeg('authorization', async () => client.buildAuthorizationUrl(config, parameters))
  const maxAge = extra.max_age === undefined ? settings.default_max_age : Number(extra.max_age)
  return {
    departure: { go: 'redirect', url },
    memo: { nonce, verifier, departedAt: now, ...(maxAge !== undefined && { maxAge }) },
  }
}

const arrive = async (
  trip: { state: string; returnTo: URL; memo: Memo },
  arrival: Arrival,
  settings: OidcSettings,
  standing: Standing,
  now: () => number,
): Promise<Identity> => {
  const alg = settings.id_token_signed_response_alg
  const byKeys = alg !== 'none' && !alg?.startsWith('HS')
  const config = await standing.configure(byKeys)
  const answered = new URL(trip.returnTo)
  answered.search = arrival.fields.toString()
  const leg = arrival.fields.has('code') && !arrival.fields.has('error') ? 'token' : 'authorization'
  const tokens = await onLeg(leg, () =>
    client.authorizationCodeGrant(config, answered, {
      pkceCodeVerifier: trip.memo.verifier,
      expectedNonce: trip.memo.nonce,
      expectedState: trip.state,
      idTokenExpected: true,
    }),
  )
  const claims = tokens.claims()
  if (!claims || !tokens.id_token) throw new Fault('upstream.invalid', { leg: 'id token', reason: 'missing' })
  if (alg?.startsWith('HS')) checkSymmetric(tokens.id_token, alg, settings.client_secret ?? '')
  const { departedAt, maxAge } = trip.memo
  checkTimes(claims, { departedAt, maxAge, requireAuthTime: settings.require_auth_time }, now())
  const userinfo = config.serverMetadata().userinfo_endpoint
    ? await onLeg('userinfo', () => client.fetchUserInfo(config, tokens.access_token, claims.sub))
    : {}
  return identityOf(claims, userinfo, tokens.id_token)
}

/** RP-Initiated Logout 1.0, 2. */
const logout = async (
  standing: Standing,
  hint: string | undefined,
  returnTo: URL,
  state: string,
): Promise<Departure | undefined> => {
  const config = await standing.configure(false)
  if (!config.serverMetadata().end_session_endpoint) return undefined
  const url = await onLeg('discovery', async () =>
    client.buildEndSessionUrl(config, {
      ...(hint && { id_token_hint: hint }),
      post_logout_redirect_uri: returnTo.href,
      state,
    }),
  )
  return { go: 'redirect', url }
}

/** Standard claims (OIDC Core 5.1) under their own names; the username is what the provider shows people. */
const defaultMapping: Mapping = {
  name: 'openid-client',
  attributes: {
    username: ['preferred_username', 'nickname', 'email'],
    ...Object.fromEntries(standardClaims.map((claim) => [claim, claim])),
  },
}

export const oidc = {
  protocol: 'oidc',
  settings: oidcSettings,
  defaultMapping,
  open(provider, settings, world): Connector {
    const standing = createStanding(settings, world)
    const now = () => epochSeconds(world.clock)
    return {
      depart: (trip) => depart(trip, provider, settings, standing, now()),
      arrive: async (trip, arrival) => arrive({ ...trip, memo: readMemo(trip.memo) }, arrival, settings, standing, now),
      logout: (identity, returnTo, state) => logout(standing, identity.idToken, returnTo, state),
      loggedOut: (token) => readLogoutToken(token, settings, standing, world.clock),
    }
  },
} as const satisfies ConnectorType<typeof oidcSettings>
