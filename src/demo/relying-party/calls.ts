/**
 * The relying party's requests to the provider, each kept as a record that a developer can read: what was sent, what
 * came back, how long it took. Client secrets are masked in the record; tokens are shown, that is what the page is for.
 */
import type { Clock } from '#kernel/clock.ts'
import { isFault } from '#kernel/faults.ts'
import type { RelyingPartyClient } from '../configuration.ts'
import { dpopProof, rememberNonce } from './dpop.ts'

/** One HTTP exchange as the page shows it. */
export interface Call {
  readonly title: string
  /** Epoch ms. */
  readonly at: number
  readonly ms: number
  readonly request: {
    readonly method: string
    readonly url: string
    readonly headers: Readonly<Record<string, string>>
    readonly body?: string
  }
  readonly response?: {
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly body: string
  }
  /** Why there is no response. */
  readonly failure?: string
}

export interface Answer {
  readonly call: Call
  readonly ok: boolean
  /** The body when it is a JSON object. */
  readonly data?: Readonly<Record<string, unknown>>
  /** One sentence on what went wrong, the provider's own words where it gave some. */
  readonly problem?: string
}

export interface Outgoing {
  readonly title: string
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly form?: Readonly<Record<string, string | undefined>>
  readonly json?: unknown
  /** Authenticates this client at the endpoint (RFC 6749 2.3). */
  readonly client?: RelyingPartyClient
  /** Proves possession of the relying party's key, for this access token if one is presented (RFC 9449). */
  readonly dpop?: { readonly token?: string | undefined } | undefined
}

export type Send = (outgoing: Outgoing) => Promise<Answer>

/** Bytes of an answer that are read; a provider sends far less. */
const MOST = 1_000_000
const PATIENCE_MS = 15_000
const MASK = '••••••'
const SHOWN_HEADERS = [
  'content-type',
  'cache-control',
  'www-authenticate',
  'location',
  'retry-after',
  'date',
  'dpop-nonce',
]

/** RFC 6749 2.3.1: id and secret are form-encoded before they are joined. */
const formEncode = (text: string): string => new URLSearchParams([['', text]]).toString().slice(1)

interface ClientProof {
  readonly headers: Readonly<Record<string, string>>
  readonly fields: Readonly<Record<string, string>>
  /** The headers as the record shows them. */
  readonly shown: Readonly<Record<string, string>>
}

const withClient = (client: RelyingPartyClient | undefined): ClientProof => {
  if (!client) return { headers: {}, fields: {}, shown: {} }
  const { client_id, client_secret = '' } = client
  const method = client.token_endpoint_auth_method ?? 'client_secret_basic'
  if (method === 'none') return { headers: {}, fields: { client_id }, shown: {} }
  if (method === 'client_secret_post') return { headers: {}, fields: { client_id, client_secret }, shown: {} }
  const pair = `${formEncode(client_id)}:${formEncode(client_secret)}`
  return {
    headers: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` },
    fields: {},
    shown: { authorization: `Basic ${client_id}:${MASK}` },
  }
}

const encode = (fields: Readonly<Record<string, string | undefined>>): URLSearchParams => {
  const body = new URLSearchParams()
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) body.append(name, value)
  return body
}

const readText = async (response: Response): Promise<string> => {
  const text = await response.text()
  return text.length > MOST ? `${text.slice(0, MOST)}…` : text
}

const asObject = (text: string): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

const challenge = (response: Response): string | undefined =>
  /error_description="([^"]*)"/.exec(response.headers.get('www-authenticate') ?? '')?.[1]

/** What the provider says went wrong, in one line. */
const problemOf = (response: Response, data: Record<string, unknown> | undefined): string => {
  const { error, error_description: description } = data ?? {}
  const words = [error, description].filter((word): word is string => typeof word === 'string')
  if (words.length) return words.join(': ')
  return challenge(response) ?? `The provider answered with status ${response.status}.`
}

/** Fields one a line, as a person reads them. */
const lines = (fields: URLSearchParams): string => [...fields].map(([name, value]) => `${name}=${value}`).join('\n')

/** What is sent, and the same with the client's secret masked. */
const prepare = ({ form, json, client, headers }: Outgoing) => {
  const auth = withClient(client)
  const fields = form && encode({ ...form, ...auth.fields })
  const body = fields?.toString() ?? (json === undefined ? undefined : JSON.stringify(json))
  const type = fields ? 'application/x-www-form-urlencoded' : 'application/json'
  const sent: Record<string, string> = {
    accept: 'application/json',
    ...(body !== undefined && { 'content-type': type }),
    ...headers,
  }
  if (fields?.has('client_secret')) fields.set('client_secret', MASK)
  return {
    headers: { ...sent, ...auth.headers },
    body,
    shown: {
      headers: { ...sent, ...auth.shown },
      body: fields ? lines(fields) : json === undefined ? undefined : JSON.stringify(json, null, 2),
    },
  }
}

const wantsNonce = ({ data, call }: Answer): boolean =>
  data?.error === 'use_dpop_nonce' || /use_dpop_nonce/.test(call.response?.headers['www-authenticate'] ?? '')

/** @param fetch how this process reaches the provider */
export const createSend = (fetch: typeof globalThis.fetch, clock: Clock): Send => {
  const send = createPlainSend(fetch, clock)
  const bound = async (outgoing: Outgoing): Promise<Answer> => {
    const proof = await dpopProof(outgoing.method, outgoing.url, outgoing.dpop?.token)
    const answer = await send({ ...outgoing, headers: { ...outgoing.headers, dpop: proof } })
    const nonce = answer.call.response?.headers['dpop-nonce']
    if (nonce !== undefined) rememberNonce(outgoing.url, nonce)
    return answer
  }
  return async (outgoing) => {
    if (!outgoing.dpop) return send(outgoing)
    const answer = await bound(outgoing)
    // RFC 9449 8: once more, with the nonce that the provider has just given.
    return wantsNonce(answer) ? bound(outgoing) : answer
  }
}

const createPlainSend =
  (fetch: typeof globalThis.fetch, clock: Clock): Send =>
  async (outgoing) => {
    const { headers, body, shown } = prepare(outgoing)
    const { title, method, url } = outgoing
    const at = clock.now()
    const request = { method, url, headers: shown.headers, ...(shown.body && { body: shown.body }) }
    try {
      const response = await fetch(url, {
        method,
        headers,
        redirect: 'manual',
        signal: AbortSignal.timeout(PATIENCE_MS),
        ...(body !== undefined && { body }),
      })
      const text = await readText(response)
      const data = asObject(text)
      const kept = Object.fromEntries(
        SHOWN_HEADERS.flatMap((name) => {
          const value = response.headers.get(name)
          return value === null ? [] : [[name, value]]
        }),
      )
      return {
        call: {
          title,
          at,
          ms: clock.now() - at,
          request,
          response: { status: response.status, headers: kept, body: text },
        },
        ok: response.ok,
        ...(data && { data }),
        ...(!response.ok && { problem: problemOf(response, data) }),
      }
    } catch (error) {
      const failure = reason(error)
      return {
        call: { title, at, ms: clock.now() - at, request, failure },
        ok: false,
        problem: `The provider did not answer: ${failure}`,
      }
    }
  }

/** fetch hides what happened in its cause; the guarded client names it in the fault's detail. */
const reason = (error: unknown): string => {
  if (isFault(error)) return `${error.code} (${String(error.detail.reason ?? 'no reason given')})`
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  if (!(cause instanceof Error)) return String(cause)
  const { code } = cause as NodeJS.ErrnoException
  return cause.message || code || cause.name
}
