/** Which error each address may answer bad input with: the words of its specification, and no others. */
import assert from 'node:assert/strict'
import type { Answer } from './raw.ts'

/** The client could not be authenticated, or may not (RFC 6749 5.2). */
const client = ['invalid_request', 'invalid_client', 'unauthorized_client']
/** RFC 9449 7 and 8. */
const proof = ['invalid_dpop_proof', 'use_dpop_nonce']
/** RFC 6749 4.1.2.1, OIDC Core 3.1.2.6, RFC 9101 7, RFC 8707 2, Unmet Authentication Requirements 1. */
const authorization = [
  ...client,
  'access_denied',
  'unsupported_response_type',
  'unsupported_response_mode',
  'invalid_scope',
  'invalid_target',
  'server_error',
  'interaction_required',
  'login_required',
  'account_selection_required',
  'consent_required',
  'invalid_request_uri',
  'invalid_request_object',
  'request_not_supported',
  'request_uri_not_supported',
  'registration_not_supported',
  'unmet_authentication_requirements',
  'invalid_redirect_uri',
].filter((error) => error !== 'server_error')

const allowed: Readonly<Record<string, readonly string[]>> = {
  '/authorize': authorization,
  '/par': [...authorization, ...proof],
  '/token': [
    ...client,
    ...proof,
    'invalid_grant',
    'unsupported_grant_type',
    'invalid_scope',
    'invalid_target',
    // With 429, after too many wrong secrets.
    'temporarily_unavailable',
  ],
  // RFC 6750 3.1
  '/userinfo': ['invalid_request', 'invalid_token', 'insufficient_scope', ...proof],
  '/introspect': [...client, 'unsupported_token_type'],
  '/revoke': [...client, 'unsupported_token_type'],
  // RFC 7591 3.2.2
  '/register': [
    'invalid_request',
    'invalid_token',
    'invalid_redirect_uri',
    'invalid_client_metadata',
    'invalid_software_statement',
    'unapproved_software_statement',
  ],
  '/session/end': ['invalid_request', 'invalid_client'],
}

/** The error that an answer tells, in JSON, on a page of ours, or to the relying party. */
const errorIn = ({ headers, body }: Answer): string | undefined => {
  const { location, 'content-type': type = '' } = headers
  if (type.startsWith('application/json'))
    return String((JSON.parse(body) as { error?: unknown }).error ?? '') || undefined
  if (location !== undefined) {
    const url = URL.parse(location, 'http://issuer.example')
    return url?.searchParams.get('error') ?? new URLSearchParams(url?.hash.slice(1)).get('error') ?? undefined
  }
  return /<code id="error">([a-z_]+)<\/code>/.exec(body)?.[1]
}

/** Asserts that the error, if there is one, is one of the address. @param what names the input in the message */
export const judgeError = (path: string, answer: Answer, what: string): void => {
  const known = allowed[path]
  const error = known && errorIn(answer)
  if (error !== undefined)
    assert.ok(known?.includes(error), `${path} answered ${error}: ${what.slice(0, 800)}\n${answer.body.slice(0, 400)}`)
}
