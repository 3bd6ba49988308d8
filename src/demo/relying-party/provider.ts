/**
 * What the relying party knows of the provider: its discovery document and its keys (OIDC Discovery 4). Both are read
 * anew for every login, because a developer changes the provider between two tries.
 */
import type { JSONWebKeySet } from 'jose'
import type { Answer, Send } from './calls.ts'

/** The provider's metadata (OIDC Discovery 3, RFC 8414 2) as far as this relying party reads it. */
export interface Metadata {
  readonly issuer: string
  readonly authorization_endpoint?: string
  readonly token_endpoint?: string
  readonly userinfo_endpoint?: string
  readonly jwks_uri?: string
  readonly registration_endpoint?: string
  readonly introspection_endpoint?: string
  readonly revocation_endpoint?: string
  readonly end_session_endpoint?: string
  readonly pushed_authorization_request_endpoint?: string
  readonly response_types_supported?: readonly string[]
  readonly response_modes_supported?: readonly string[]
  readonly authorization_response_iss_parameter_supported?: boolean
  readonly [member: string]: unknown
}

export interface Discovered {
  readonly answer: Answer
  /** Absent when the document cannot be used; `problem` says why. */
  readonly metadata?: Metadata
  readonly problem?: string
}

export interface Provider {
  readonly issuer: string
  discover(): Promise<Discovered>
  /** The published keys; `problem` when they cannot be read. */
  keys(metadata: Metadata): Promise<{ answer?: Answer; jwks?: JSONWebKeySet; problem?: string }>
}

/** @param issuer as configured; the document must name exactly this one (OIDC Discovery 4.3) */
export const createProvider = (issuer: string, send: Send): Provider => ({
  issuer,
  async discover() {
    const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
    const answer = await send({ title: 'Discovery', method: 'GET', url })
    if (!answer.ok) return { answer, problem: answer.problem ?? 'The discovery document could not be read.' }
    if (!answer.data) return { answer, problem: 'The discovery document is not a JSON object.' }
    const metadata = answer.data as unknown as Metadata
    if (metadata.issuer !== issuer)
      return { answer, problem: `The discovery document names another issuer: ${String(metadata.issuer)}` }
    return { answer, metadata }
  },
  async keys({ jwks_uri: url }) {
    if (!url) return { problem: 'The provider publishes no keys (jwks_uri).' }
    const answer = await send({ title: 'Keys', method: 'GET', url })
    const keys = answer.data?.keys
    if (!answer.ok || !Array.isArray(keys))
      return { answer, problem: answer.problem ?? 'The key document has no array "keys".' }
    return { answer, jwks: { keys } as JSONWebKeySet }
  },
})
