/**
 * Every failure that a caller may see. The table drives the HTTP answer, the page's sentence and docs/errors.md;
 * `detail` and `cause` reach the log and the trace only. Rooms add lines here, never errors of their own.
 */

interface FaultEntry {
  /** HTTP status of pages and REST answers. */
  readonly status: number
  /** OAuth / OIDC error code, where the failure is handed back to a relying party (RFC 6749 4.1.2.1, OIDC Core 3.1.2.6). */
  readonly oauth: string
  /** One clear sentence for a person, with what to do. Message catalogues translate it under `fault.<code>`. */
  readonly say: string
}

const table = <T extends Record<string, FaultEntry>>(entries: T) => entries

export const faults = table({
  // The browser's path through a login
  'login.wrong': {
    status: 401,
    oauth: 'access_denied',
    say: 'The username or the password is not right. Please try again.',
  },
  'login.limited': {
    status: 429,
    oauth: 'temporarily_unavailable',
    say: 'Too many attempts. Please wait a little and try again.',
  },
  'login.disabled': {
    status: 403,
    oauth: 'access_denied',
    say: 'This account is disabled. Please ask your administrator.',
  },
  'login.other-person': {
    status: 403,
    oauth: 'access_denied',
    say: 'That is another person than the one who signed in before. Please use the same account.',
  },
  'otp.wrong': {
    status: 401,
    oauth: 'access_denied',
    say: 'This code is not right. Please try the one that is shown now.',
  },
  'otp.used': {
    status: 401,
    oauth: 'access_denied',
    say: 'This code was used already. Please wait for the next one.',
  },
  'otp.taken': {
    status: 409,
    oauth: 'access_denied',
    say: 'One-time codes were set up for this account already. Please use them.',
  },
  'otp.missing': {
    status: 403,
    oauth: 'unmet_authentication_requirements',
    say: 'This sign-in needs one-time codes, and your account has none. Please ask your administrator.',
  },
  'login.cancelled': { status: 403, oauth: 'access_denied', say: 'The sign-in was cancelled.' },
  'login.unreachable': {
    status: 400,
    oauth: 'unmet_authentication_requirements',
    say: 'The application asked for a way of signing in that is not available here.',
  },
  'journey.expired': {
    status: 410,
    oauth: 'access_denied',
    say: 'This sign-in took too long and has expired. Please start again.',
  },
  'journey.finished': {
    status: 409,
    oauth: 'access_denied',
    say: 'This sign-in is already finished. You can go back to the application.',
  },
  'journey.foreign': {
    status: 400,
    oauth: 'access_denied',
    say: 'This sign-in was started in another browser, or its cookie was lost. Please start again.',
  },
  'journey.unknown': {
    status: 404,
    oauth: 'invalid_request',
    say: 'There is no such sign-in. Please start again at the application.',
  },
  'journey.client': {
    status: 403,
    oauth: 'unauthorized_client',
    say: 'The application that you came from may not be used any more.',
  },
  // Going to a provider and coming back
  'upstream.denied': {
    status: 403,
    oauth: 'access_denied',
    say: 'The identity provider refused the sign-in, or it was cancelled there.',
  },
  'upstream.unavailable': {
    status: 424,
    oauth: 'temporarily_unavailable',
    say: 'The identity provider cannot be reached at the moment. Please try again in a minute.',
  },
  'upstream.invalid': {
    status: 424,
    oauth: 'server_error',
    say: 'The identity provider sent an answer that could not be verified.',
  },
  'upstream.replayed': {
    status: 400,
    oauth: 'access_denied',
    say: 'This sign-in was already used. Please start again.',
  },
  'upstream.expired': {
    status: 400,
    oauth: 'access_denied',
    say: 'The sign-in at the identity provider took too long. Please start again.',
  },
  'upstream.interaction': {
    status: 403,
    oauth: 'login_required',
    say: 'The identity provider needs you to sign in there first.',
  },
  'upstream.acr': {
    status: 403,
    oauth: 'unmet_authentication_requirements',
    say: 'The identity provider did not sign you in the way that the application asked for.',
  },
  'upstream.misconfigured': {
    status: 424,
    oauth: 'temporarily_unavailable',
    say: 'This identity provider is not set up completely. Please tell your administrator.',
  },
  'provision.refused': {
    status: 403,
    oauth: 'access_denied',
    say: 'There is no account for you here, and none may be created. Please ask your administrator.',
  },
  'provision.email-taken': {
    status: 403,
    oauth: 'access_denied',
    say: 'An account with this e-mail address already exists. Please sign in to that account.',
  },
  // The deployment's own code
  'hook.refused': {
    status: 403,
    oauth: 'access_denied',
    say: 'A rule of this service does not allow that. Please ask your administrator.',
  },
  'hook.failed': {
    status: 424,
    oauth: 'temporarily_unavailable',
    say: 'A rule of this service could not be checked. Please try again in a minute.',
  },
  'hook.broken': { status: 500, oauth: 'server_error', say: 'A hook file could not be loaded.' },
  // The directory and the stores
  'directory.conflict': { status: 409, oauth: 'invalid_request', say: 'Another record already uses this value.' },
  'directory.stale': {
    status: 412,
    oauth: 'invalid_request',
    say: 'The record was changed meanwhile. Please load it again.',
  },
  'directory.absent': { status: 404, oauth: 'invalid_request', say: 'There is no such record.' },
  'directory.read-only': {
    status: 409,
    oauth: 'invalid_request',
    say: 'The configuration file declares this record; change it there.',
  },
  'store.unavailable': {
    status: 503,
    oauth: 'temporarily_unavailable',
    say: 'The service is not available at the moment. Please try again shortly.',
  },
  'store.newer': { status: 500, oauth: 'server_error', say: 'The data was written by a newer version of Gatehouse.' },
  'seal.broken': {
    status: 500,
    oauth: 'server_error',
    say: 'Stored data could not be opened with the configured master key.',
  },
  // The edge
  'request.invalid': { status: 400, oauth: 'invalid_request', say: 'The request is not valid.' },
  'request.forged': {
    status: 403,
    oauth: 'invalid_request',
    say: 'The form was not sent from this page. Please go back and try again.',
  },
  'request.too-long': { status: 414, oauth: 'invalid_request', say: 'The address of the request is too long.' },
  'request.too-large': { status: 413, oauth: 'invalid_request', say: 'The request is too large.' },
  'request.host': { status: 421, oauth: 'invalid_request', say: 'This host name is not served here.' },
  'request.limited': {
    status: 429,
    oauth: 'temporarily_unavailable',
    say: 'Too many requests came from your network. Please wait a little and try again.',
  },
  'request.not-found': { status: 404, oauth: 'invalid_request', say: 'There is no page at this address.' },
  'request.method': { status: 405, oauth: 'invalid_request', say: 'This address does not accept that method.' },
  'outbound.refused': { status: 502, oauth: 'server_error', say: 'A needed address may not be contacted.' },
  'outbound.failed': { status: 502, oauth: 'temporarily_unavailable', say: 'A needed service did not answer.' },
  internal: {
    status: 500,
    oauth: 'server_error',
    say: 'Something went wrong here. Please try again; if it stays, tell your administrator the reference below.',
  },
})

export type FaultCode = keyof typeof faults

/**
 * An expected failure with a stable code.
 * @param code a line of the table above
 * @param detail facts for the log and the trace; never shown to a person
 * @param cause the underlying error
 */
export class Fault extends Error {
  readonly code: FaultCode
  readonly detail: Record<string, unknown>

  constructor(code: FaultCode, detail: Record<string, unknown> = {}, cause?: unknown) {
    super(code, cause === undefined ? undefined : { cause })
    this.name = 'Fault'
    this.code = code
    this.detail = detail
  }

  get entry(): FaultEntry {
    return faults[this.code]
  }
}

export const isFault = (error: unknown, code?: FaultCode): error is Fault =>
  error instanceof Fault && (code === undefined || error.code === code)
