/**
 * What a provider did wrong, or said, as one of our faults. The detail names the reason in words of the library and of
 * the specifications, never a value that came with the answer: those may be secrets or somebody's data.
 */
import {
  AuthorizationResponseError,
  ClientError,
  ResponseBodyError,
  WWWAuthenticateChallengeError,
} from 'openid-client'
import { Fault, type FaultCode } from '#kernel/faults.ts'

export type Leg = 'discovery' | 'keys' | 'authorization' | 'pushed request' | 'token' | 'id token' | 'userinfo'

/** RFC 6749 4.1.2.1 and 5.2, OIDC Core 3.1.2.6, OIDC unmet_authentication_requirements 1.0. */
const said: ReadonlyMap<string, FaultCode> = new Map(
  Object.entries({
    access_denied: 'upstream.denied',
    login_required: 'upstream.interaction',
    interaction_required: 'upstream.interaction',
    consent_required: 'upstream.interaction',
    account_selection_required: 'upstream.interaction',
    unmet_authentication_requirements: 'upstream.acr',
    temporarily_unavailable: 'upstream.unavailable',
    server_error: 'upstream.unavailable',
    slow_down: 'upstream.unavailable',
    invalid_request: 'upstream.misconfigured',
    invalid_request_object: 'upstream.misconfigured',
    invalid_request_uri: 'upstream.misconfigured',
    request_not_supported: 'upstream.misconfigured',
    request_uri_not_supported: 'upstream.misconfigured',
    invalid_client: 'upstream.misconfigured',
    unauthorized_client: 'upstream.misconfigured',
    unsupported_grant_type: 'upstream.misconfigured',
    unsupported_response_type: 'upstream.misconfigured',
    unsupported_response_mode: 'upstream.misconfigured',
    invalid_scope: 'upstream.misconfigured',
    invalid_grant: 'upstream.invalid',
  } as const),
)

/** Error names and descriptions are the provider's text: kept short and printable. */
const short = (text: unknown, most: number): string | undefined =>
  typeof text === 'string' ? text.replace(/[^\x20-\x7e]/g, ' ').slice(0, most) : undefined

const chain = (error: unknown): unknown[] => {
  const links: unknown[] = []
  for (let now = error; now !== undefined && now !== null && links.length < 6; now = (now as { cause?: unknown }).cause)
    links.push(now)
  return links
}

const spoken = (error: AuthorizationResponseError | ResponseBodyError, leg: Leg): Fault => {
  // A provider's own words (user_cancelled_login …) mean that it did not sign the person in.
  const unknown: FaultCode = leg === 'authorization' ? 'upstream.denied' : 'upstream.invalid'
  const down = error instanceof ResponseBodyError && error.status >= 500
  const code = said.get(error.error) ?? (down ? 'upstream.unavailable' : unknown)
  return new Fault(code, {
    leg,
    reason: short(error.error, 80),
    description: short(error.error_description, 200),
    ...(error instanceof ResponseBodyError && { status: error.status }),
  })
}

/** The network's faults, seen from the login: away, or an address that this deployment does not allow. */
const unreachable = (fault: Fault, leg: Leg): Fault => {
  if (fault.code.startsWith('upstream.')) return fault
  const code: FaultCode =
    fault.code === 'outbound.refused'
      ? 'upstream.misconfigured'
      : fault.detail.reason === 'too large'
        ? 'upstream.invalid'
        : 'upstream.unavailable'
  return new Fault(code, { leg, ...fault.detail }, fault)
}

/** The claim, header or member that a check stumbled on, where the library names it. */
const subject = (links: unknown[]): string | undefined => {
  for (const link of links) {
    const { claim, attribute } = link as { claim?: unknown; attribute?: unknown }
    const name = claim ?? attribute
    if (typeof name === 'string') return name
  }
  return undefined
}

/** @param leg where it happened @returns a Fault `upstream.*` with `leg` and `reason` in its detail */
export const upstreamFault = (error: unknown, leg: Leg): Fault => {
  const links = chain(error)
  const fault = links.find((link) => link instanceof Fault)
  if (fault) return unreachable(fault, leg)
  if (error instanceof AuthorizationResponseError || error instanceof ResponseBodyError) return spoken(error, leg)
  if (error instanceof WWWAuthenticateChallengeError)
    return new Fault('upstream.invalid', { leg, reason: 'access refused', status: error.status })
  const answer = links.find((link) => link instanceof Response)
  if (answer)
    return new Fault(answerCode(answer.status, leg), { leg, reason: 'unexpected answer', status: answer.status })
  const code = error instanceof ClientError ? error.code : undefined
  // A SyntaxError quotes what it could not read.
  const deepest = links.findLast((link) => link instanceof Error && !(link instanceof SyntaxError))
  return new Fault(
    leg === 'discovery' || code === 'OAUTH_MISSING_SERVER_METADATA' || code === 'OAUTH_INVALID_SERVER_METADATA'
      ? 'upstream.misconfigured'
      : 'upstream.invalid',
    {
      leg,
      reason: code ?? 'unusable',
      member: subject(links),
      problem: short((deepest as Error | undefined)?.message, 200),
    },
  )
}

const answerCode = (status: number, leg: Leg): FaultCode => {
  if (status >= 500 || status === 429) return 'upstream.unavailable'
  return leg === 'discovery' ? 'upstream.misconfigured' : 'upstream.invalid'
}
