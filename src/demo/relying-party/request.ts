/**
 * Builds authorization requests (OIDC Core 3.1.2.1). Nothing that was typed is checked here: a developer's instrument
 * must be able to send what a provider has to refuse.
 */
import type { Clock } from '#kernel/clock.ts'
import { epochSeconds } from '#kernel/clock.ts'
import { randomToken, sha256 } from '#kernel/random.ts'
import { DEMO_API, DEMO_API_SCOPE, type RelyingPartyClient } from '../configuration.ts'

/** The form of the start page, as typed; an empty text is not sent. */
export interface Wishes {
  readonly response_type: string
  readonly response_mode: string
  readonly scope: string
  readonly acr_values: string
  readonly prompt: string
  readonly max_age: string
  readonly login_hint: string
  readonly ui_locales: string
  readonly display: string
  readonly claims: string
  /** Further parameters, one `name=value` a line. */
  readonly extra: string
  readonly pkce: boolean
  readonly par: boolean
  /** Sends the request as a signed object (RFC 9101). */
  readonly jar: boolean
  /** Binds the tokens to a key of the relying party (RFC 9449). */
  readonly dpop: boolean
  /** Asks for an access token for the demo's API, which is a JWT (RFC 8707, RFC 9068). */
  readonly api: boolean
  /** Sends the last ID token as id_token_hint. */
  readonly hint: boolean
}

export const TEXT_WISHES = [
  'response_type',
  'response_mode',
  'scope',
  'acr_values',
  'prompt',
  'max_age',
  'login_hint',
  'ui_locales',
  'display',
  'claims',
  'extra',
] as const

/** What the form shows at first. */
export const usualWishes: Wishes = {
  response_type: 'code',
  response_mode: '',
  scope: 'openid profile email',
  acr_values: '',
  prompt: '',
  max_age: '',
  login_hint: '',
  ui_locales: '',
  display: '',
  claims: '',
  extra: '',
  pkce: true,
  par: false,
  jar: false,
  dpop: false,
  api: false,
  hint: false,
}

/** Reads the posted form; the button that was pressed may carry an acr value of its own. */
export const readWishes = (form: URLSearchParams): Wishes => {
  const text = Object.fromEntries(TEXT_WISHES.map((name) => [name, form.get(name)?.trim() ?? '']))
  const acr = form.get('acr')
  return {
    ...usualWishes,
    ...text,
    ...(acr !== null && { acr_values: acr }),
    pkce: form.has('pkce'),
    par: form.has('par'),
    jar: form.has('jar'),
    dpop: form.has('dpop'),
    api: form.has('api'),
    hint: form.has('hint'),
  }
}

/** A login under way, kept in the browser's session under its state. */
export interface Pending {
  readonly state: string
  readonly nonce: string
  readonly verifier?: string
  readonly wishes: Wishes
  readonly client: RelyingPartyClient
  readonly redirectUri: string
  /** Epoch seconds. */
  readonly startedAt: number
  /** What was sent to the authorization endpoint, or pushed to it. */
  readonly params: Readonly<Record<string, string>>
  readonly pushed: boolean
}

const furtherParameters = (text: string): Record<string, string> =>
  Object.fromEntries(
    text
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line.includes('='))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )

/**
 * @param wishes what the form said
 * @param given client, redirect URI and, for `hint`, the last ID token
 */
export const prepareLogin = (
  wishes: Wishes,
  given: { client: RelyingPartyClient; redirectUri: string; idToken?: string; clock: Clock },
): Pending => {
  const { client, redirectUri, idToken, clock } = given
  const state = randomToken()
  const nonce = randomToken()
  const verifier = wishes.pkce && wishes.response_type.split(' ').includes('code') ? randomToken() : undefined
  const typed = TEXT_WISHES.filter((name) => name !== 'extra' && wishes[name] !== '').map((name) => [
    name,
    wishes[name],
  ])
  const params: Record<string, string> = {
    client_id: client.client_id,
    redirect_uri: redirectUri,
    ...Object.fromEntries(typed),
    state,
    nonce,
    // RFC 7636 4.3
    ...(verifier && { code_challenge: sha256(verifier).toString('base64url'), code_challenge_method: 'S256' }),
    ...(wishes.hint && idToken && { id_token_hint: idToken }),
    ...(wishes.api && { resource: DEMO_API, scope: `${wishes.scope} ${DEMO_API_SCOPE}`.trim() }),
    ...furtherParameters(wishes.extra),
  }
  return {
    // A further parameter may have replaced them, to see what the provider makes of it.
    state: params.state ?? state,
    nonce: params.nonce ?? nonce,
    wishes,
    client,
    redirectUri,
    startedAt: epochSeconds(clock),
    params,
    pushed: wishes.par,
    ...(verifier && { verifier }),
  }
}

/** An endpoint with parameters; a query that the endpoint has already stays (RFC 6749 3.1). */
export const withQuery = (endpoint: string, params: Readonly<Record<string, string>>): string => {
  const url = new URL(endpoint)
  for (const [name, value] of Object.entries(params)) url.searchParams.append(name, value)
  return url.href
}

/** How the response should come when the request names no mode (OAuth Multiple Response Types 5). */
export const expectedMode = ({ response_type, response_mode }: Wishes): string => {
  const usual = response_type === 'code' || response_type === 'none' ? 'query' : 'fragment'
  if (response_mode === '' || response_mode === 'jwt') return usual
  return response_mode.replace(/\.jwt$/, '')
}

/** The part of a response type: `code`, `id_token`, `token`. */
export const asksFor = ({ response_type }: Wishes, part: 'code' | 'id_token' | 'token'): boolean =>
  response_type.split(' ').includes(part)
