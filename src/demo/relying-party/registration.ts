/** Dynamic client registration and its management (OIDC Registration 3 and 4, RFC 7592): register, read, update, delete. */
import { type RelyingPartyClient, relyingPartyMetadata } from '../configuration.ts'
import type { Answer } from './calls.ts'
import type { Desk } from './login.ts'
import { record, type Session } from './session.ts'

/** What the text field proposes. */
export const proposal = (url: string): string =>
  JSON.stringify({ ...relyingPartyMetadata(url), client_name: 'My own relying party' }, null, 2)

/** RFC 7592 2.2: an update must not carry what only the provider sets. */
const PROVIDERS_OWN = [
  'registration_access_token',
  'registration_client_uri',
  'client_secret_expires_at',
  'client_id_issued_at',
]

const editable = (client: RelyingPartyClient): string =>
  JSON.stringify(Object.fromEntries(Object.entries(client).filter(([name]) => !PROVIDERS_OWN.includes(name))), null, 2)

/** The text field's content: what was typed last, else what is registered, else the proposal. */
export const metadataText = (session: Session, url: string): string =>
  session.registrationText ?? (session.registered ? editable(session.registered.client) : proposal(url))

const parse = (text: string): { metadata: Record<string, unknown> } | { problem: string } => {
  try {
    const metadata: unknown = JSON.parse(text)
    if (typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata))
      return { metadata: metadata as Record<string, unknown> }
    return { problem: 'The metadata must be a JSON object.' }
  } catch (error) {
    return { problem: `The metadata is not JSON: ${error instanceof Error ? error.message : String(error)}` }
  }
}

const keep = (session: Session, data: Readonly<Record<string, unknown>>) => {
  const { registered } = session
  const uri = data.registration_client_uri ?? registered?.uri
  // RFC 7592 3: an answer may bring a new token; without one the old stays.
  const token = data.registration_access_token ?? registered?.token
  session.registered = {
    client: { ...data, client_id: String(data.client_id) },
    ...(typeof uri === 'string' && { uri }),
    ...(typeof token === 'string' && { token }),
  }
}

type Result = { readonly ok: boolean; readonly sentence: string }

/**
 * @param text metadata as JSON
 * @param initialToken where the provider asks for one (RFC 7591 1.2)
 */
export const register = async (desk: Desk, session: Session, text: string, initialToken: string): Promise<Result> => {
  session.registrationText = text
  const { metadata, answer, problem } = await desk.provider.discover()
  if (!metadata) {
    record(session, answer.call)
    return { ok: false, sentence: problem ?? 'Discovery failed.' }
  }
  if (!metadata.registration_endpoint) return { ok: false, sentence: 'The provider takes no registrations.' }
  const parsed = parse(text)
  if ('problem' in parsed) return { ok: false, sentence: parsed.problem }
  const created = await desk.send({
    title: 'Register',
    method: 'POST',
    url: metadata.registration_endpoint,
    json: parsed.metadata,
    ...(initialToken && { headers: { authorization: `Bearer ${initialToken}` } }),
  })
  record(session, created.call)
  if (!created.ok || typeof created.data?.client_id !== 'string')
    return { ok: false, sentence: created.problem ?? 'The answer has no client_id.' }
  session.registered = undefined
  keep(session, created.data)
  session.registrationText = undefined
  session.useRegistered = true
  return { ok: true, sentence: `Registered as ${created.data.client_id}; sign-ins use this client now.` }
}

const manage = async (
  desk: Desk,
  session: Session,
  method: 'GET' | 'PUT' | 'DELETE',
  json?: unknown,
): Promise<Answer | undefined> => {
  const { registered } = session
  if (!registered?.uri || !registered.token) return undefined
  const titles = { GET: 'Read registration', PUT: 'Update registration', DELETE: 'Delete registration' }
  const answer = await desk.send({
    title: titles[method],
    method,
    url: registered.uri,
    headers: { authorization: `Bearer ${registered.token}` },
    ...(json !== undefined && { json }),
  })
  record(session, answer.call)
  return answer
}

const NOTHING: Result = {
  ok: false,
  sentence: 'There is no registration that could be managed. Register a client first.',
}

export const readRegistration = async (desk: Desk, session: Session): Promise<Result> => {
  const answer = await manage(desk, session, 'GET')
  if (!answer) return NOTHING
  if (!answer.ok || !answer.data) return { ok: false, sentence: answer.problem ?? 'The answer is not a JSON object.' }
  keep(session, answer.data)
  session.registrationText = undefined
  return { ok: true, sentence: 'This is what the provider has on record.' }
}

export const updateRegistration = async (desk: Desk, session: Session, text: string): Promise<Result> => {
  session.registrationText = text
  const parsed = parse(text)
  if ('problem' in parsed) return { ok: false, sentence: parsed.problem }
  const answer = await manage(desk, session, 'PUT', parsed.metadata)
  if (!answer) return NOTHING
  if (!answer.ok || !answer.data) return { ok: false, sentence: answer.problem ?? 'The answer is not a JSON object.' }
  keep(session, answer.data)
  session.registrationText = undefined
  return { ok: true, sentence: 'The registration is changed.' }
}

export const deleteRegistration = async (desk: Desk, session: Session): Promise<Result> => {
  const answer = await manage(desk, session, 'DELETE')
  if (!answer) return NOTHING
  if (!answer.ok) return { ok: false, sentence: answer.problem ?? 'The provider refused.' }
  session.registered = undefined
  session.registrationText = undefined
  session.useRegistered = false
  return { ok: true, sentence: 'The registration is deleted; sign-ins use the configured client again.' }
}
