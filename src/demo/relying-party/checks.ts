/**
 * What a relying party has to verify of a response and of an ID token, one line per rule, so that a developer sees which
 * one failed instead of "invalid token". Pure but for the signature; every function answers the checks it made.
 */
import type { JSONWebKeySet } from 'jose'
import type { RelyingPartyClient } from '../configuration.ts'
import { type Decoded, decode, halfHash, verifySignature } from './jwt.ts'
import type { Metadata } from './provider.ts'
import { expectedMode, type Pending } from './request.ts'

export interface Check {
  /** `<group>-<name>`, stable: `front-nonce`. */
  readonly id: string
  readonly label: string
  readonly outcome: 'passed' | 'failed' | 'skipped'
  /** What was found. */
  readonly detail: string
  /** The clause that asks for it. */
  readonly rule: string
}

/** Seconds by which two clocks may differ. */
const SKEW = 5

type Rule = readonly [name: string, label: string, rule: string]

/** Collects checks of one group. */
export const checkList = (group: string) => {
  const checks: Check[] = []
  const add = (outcome: Check['outcome'], [name, label, rule]: Rule, detail: string) =>
    void checks.push({ id: `${group}-${name}`, label, outcome, detail, rule })
  return {
    checks,
    verdict: (ok: boolean, rule: Rule, detail: string) => add(ok ? 'passed' : 'failed', rule, detail),
    skip: (rule: Rule, detail: string) => add('skipped', rule, detail),
    /** Compares as text; the detail shows both where they differ. */
    equal: (rule: Rule, found: unknown, expected: unknown) =>
      add(
        found === expected ? 'passed' : 'failed',
        rule,
        found === expected ? shown(found) : `found ${shown(found)}, expected ${shown(expected)}`,
      ),
  }
}

const shown = (value: unknown): string =>
  value === undefined ? 'nothing' : typeof value === 'string' ? value : JSON.stringify(value)

const isAmong = (value: unknown, list: unknown): boolean =>
  value === list || (Array.isArray(list) && list.includes(value))

export const passed = (checks: readonly Check[]): boolean => checks.every(({ outcome }) => outcome !== 'failed')

export interface Expectation {
  /** Prefix of the checks' ids. */
  readonly group: string
  readonly metadata: Metadata
  readonly client: RelyingPartyClient
  readonly jwks?: JSONWebKeySet
  /** Epoch seconds. */
  readonly now: number
}

/** What only an ID token of a login has to meet. */
export interface IdTokenExpectation extends Expectation {
  readonly pending?: Pending
  /** Given when it came through the browser beside the token, so that its hash is required. */
  readonly code?: string
  readonly accessToken?: string
  /** From the token endpoint the hash of the access token is optional (OIDC Core 3.1.3.6). */
  readonly accessTokenHash?: 'required' | 'optional'
  /** The subject of an earlier ID token of the same person. */
  readonly subject?: string
}

type List = ReturnType<typeof checkList>

const checkSender = async (list: List, token: Decoded, { metadata, client, jwks, now }: Expectation, alg: string) => {
  const { payload } = token
  const verdict = await verifySignature(token, alg, {
    ...(jwks && { jwks }),
    ...(client.client_secret && { secret: client.client_secret }),
  })
  list.verdict(verdict.ok, ['signature', 'Signature', 'OIDC Core 3.1.3.7 (6–8)'], verdict.reason)
  list.equal(['iss', 'Issuer', 'OIDC Core 3.1.3.7 (2)'], payload.iss, metadata.issuer)
  list.verdict(isAmong(client.client_id, payload.aud), ['aud', 'Audience', 'OIDC Core 3.1.3.7 (3)'], shown(payload.aud))
  const left = typeof payload.exp === 'number' ? payload.exp - now : undefined
  list.verdict(
    left !== undefined && left > -SKEW,
    ['exp', 'Not expired', 'OIDC Core 3.1.3.7 (9)'],
    left === undefined ? 'no expiry' : left >= 0 ? `for another ${left} s` : `expired ${-left} s ago`,
  )
}

const checkHashes = (list: List, { header, payload }: Decoded, want: IdTokenExpectation) => {
  const alg = String(header.alg)
  const cHash: Rule = ['c_hash', 'Hash of the code', 'OIDC Core 3.3.2.11']
  if (want.code === undefined) list.skip(cHash, 'no code came beside this token')
  else list.equal(cHash, payload.c_hash, halfHash(want.code, alg))
  const atHash: Rule = ['at_hash', 'Hash of the access token', 'OIDC Core 3.2.2.9, 3.1.3.6']
  if (want.accessToken === undefined) list.skip(atHash, 'no access token came beside this token')
  else if (payload.at_hash === undefined && want.accessTokenHash === 'optional')
    list.skip(atHash, 'not sent, and optional at the token endpoint')
  else list.equal(atHash, payload.at_hash, halfHash(want.accessToken, alg))
}

/** `claims` may make an acr essential (OIDC Core 5.5.1.1); undefined: it does not. */
const essentialAcr = (claims: string): readonly unknown[] | undefined => {
  try {
    const acr = JSON.parse(claims)?.id_token?.acr
    if (!acr?.essential) return undefined
    return acr.values ?? (acr.value === undefined ? [] : [acr.value])
  } catch {
    return undefined
  }
}

const checkAuthentication = (list: List, { payload }: Decoded, pending: Pending, now: number) => {
  const { params } = pending
  list.equal(['nonce', 'Nonce', 'OIDC Core 3.1.3.7 (11)'], payload.nonce, pending.nonce)
  const maxAge: Rule = ['auth_time', 'Time of the sign-in', 'OIDC Core 3.1.2.1 max_age']
  const age = typeof payload.auth_time === 'number' ? now - payload.auth_time : undefined
  const limit = params.prompt?.split(' ').includes('login') ? 0 : Number(params.max_age ?? Number.NaN)
  if (Number.isNaN(limit))
    list.skip(maxAge, age === undefined ? 'not asked for' : `${age} s ago; no limit was asked for`)
  else {
    const elapsed = now - pending.startedAt
    list.verdict(
      age !== undefined && age <= limit + elapsed + SKEW,
      maxAge,
      age === undefined ? 'missing' : `${age} s ago`,
    )
  }
  const acr: Rule = ['acr', 'Way of the sign-in (acr)', 'OIDC Core 3.1.3.7 (12)']
  const essential = essentialAcr(params.claims ?? '')
  const asked = params.acr_values?.split(' ')
  if (essential)
    list.verdict(essential.length === 0 || essential.includes(payload.acr), acr, `${shown(payload.acr)} (essential)`)
  else if (!asked || asked.includes(String(payload.acr))) {
    if (asked) list.verdict(true, acr, shown(payload.acr))
    else list.skip(acr, `${shown(payload.acr)}; none was asked for`)
  } else list.skip(acr, `${shown(payload.acr)}; asked for ${params.acr_values}, as a wish only`)
}

const REQUIRED = ['iss', 'sub', 'aud', 'exp', 'iat']

/** OIDC Core 3.1.3.7, 3.2.2.11, 3.3.2.12: everything that can be verified of an ID token. */
export const checkIdToken = async (raw: string, want: IdTokenExpectation): Promise<Check[]> => {
  const list = checkList(want.group)
  const token = decode(raw)
  list.verdict(
    !!token,
    ['form', 'Signed token', 'RFC 7515 3.1'],
    token ? 'compact JWS' : 'not a signed token in compact form',
  )
  if (!token) return list.checks
  const missing = REQUIRED.filter((name) => token.payload[name] === undefined)
  list.verdict(
    !missing.length,
    ['claims', 'Required claims', 'OIDC Core 2'],
    missing.length ? `without ${missing.join(', ')}` : 'all there',
  )
  await checkSender(list, token, want, want.client.id_token_signed_response_alg ?? 'RS256')
  const { iat, aud, azp, sub } = token.payload
  list.verdict(
    typeof iat === 'number' && iat <= want.now + SKEW,
    ['iat', 'Issued in the past', 'OIDC Core 3.1.3.7 (10)'],
    typeof iat === 'number' ? `${want.now - iat} s ago` : 'missing',
  )
  if (azp !== undefined || (Array.isArray(aud) && aud.length > 1))
    list.equal(['azp', 'Authorized party', 'OIDC Core 3.1.3.7 (4–5)'], azp, want.client.client_id)
  if (want.pending) checkAuthentication(list, token, want.pending, want.now)
  checkHashes(list, token, want)
  if (want.subject !== undefined)
    list.equal(['sub', 'Same person as before', 'OIDC Core 3.3.3.6, 12.2'], sub, want.subject)
  return list.checks
}

/** JARM 2.4: the envelope of a signed authorization response. */
export const checkEnvelope = async (raw: string, want: Expectation): Promise<Check[]> => {
  const list = checkList(want.group)
  const token = decode(raw)
  list.verdict(
    !!token,
    ['form', 'Signed response', 'JARM 2.1'],
    token ? 'compact JWS' : 'not a signed token in compact form',
  )
  const alg = want.client.authorization_signed_response_alg
  if (token) await checkSender(list, token, want, typeof alg === 'string' ? alg : 'RS256')
  return list.checks
}

export type Channel = 'query' | 'fragment' | 'form_post'

/** The response as such: it belongs to a request of this browser, came the way that was asked for, names its sender. */
export const checkResponse = (
  response: Readonly<Record<string, string>>,
  given: { pending: Pending; metadata: Metadata; channel: Channel; enveloped: boolean },
): Check[] => {
  const { pending, metadata, channel, enveloped } = given
  const list = checkList('response')
  list.equal(['state', 'State belongs to this browser', 'RFC 6749 10.12'], response.state, pending.state)
  const wanted = expectedMode(pending.wishes)
  list.verdict(
    channel === wanted,
    ['mode', 'Response mode', 'OAuth Multiple Response Types 2.1'],
    channel === wanted ? channel : `came by ${channel}, expected ${wanted}`,
  )
  const iss: Rule = ['iss', 'Issuer of the response', 'RFC 9207 2.4']
  if (response.iss !== undefined) list.equal(iss, response.iss, metadata.issuer)
  else if (enveloped || response.id_token) list.skip(iss, 'the signed token in the response names the issuer')
  else if (metadata.authorization_response_iss_parameter_supported)
    list.verdict(false, iss, 'missing, though the provider says that it sends it')
  else list.skip(iss, 'the provider does not send it')
  if (response.error) return list.checks
  const types = pending.wishes.response_type.split(' ').filter((type) => type !== 'none')
  const wants = types.map((type) => (type === 'token' ? 'access_token' : type))
  const missing = wants.filter((name) => !response[name])
  const more = ['code', 'id_token', 'access_token'].filter((name) => response[name] && !wants.includes(name))
  list.verdict(
    !missing.length && !more.length,
    ['parts', 'Everything that was asked for', 'OAuth Multiple Response Types 3, 5'],
    [
      `has ${wants.filter((name) => response[name]).join(', ') || 'nothing'}`,
      ...(missing.length ? [`lacks ${missing.join(', ')}`] : []),
      ...(more.length ? [`has ${more.join(', ')} too`] : []),
    ].join('; '),
  )
  return list.checks
}

/** OIDC Core 5.3.4 for a signed answer, 5.3.2 for the subject of any. */
export const checkUserinfo = async (
  raw: string,
  signed: boolean,
  want: Expectation & { subject?: string },
): Promise<{ checks: Check[]; claims?: Readonly<Record<string, unknown>> }> => {
  const list = checkList(want.group)
  let claims: Readonly<Record<string, unknown>> | undefined
  if (signed) {
    const token = decode(raw)
    list.verdict(!!token, ['form', 'Signed answer', 'OIDC Core 5.3.2'], token ? 'compact JWS' : 'not a signed token')
    if (token) {
      const alg = want.client.userinfo_signed_response_alg ?? 'RS256'
      const verdict = await verifySignature(token, alg, {
        ...(want.jwks && { jwks: want.jwks }),
        ...(want.client.client_secret && { secret: want.client.client_secret }),
      })
      list.verdict(verdict.ok, ['signature', 'Signature', 'OIDC Core 5.3.4'], verdict.reason)
      list.equal(['iss', 'Issuer', 'OIDC Core 5.3.2'], token.payload.iss, want.metadata.issuer)
      list.verdict(
        isAmong(want.client.client_id, token.payload.aud),
        ['aud', 'Audience', 'OIDC Core 5.3.2'],
        shown(token.payload.aud),
      )
      claims = token.payload
    }
  } else claims = JSON.parse(raw) as Record<string, unknown>
  const sub: Rule = ['sub', 'Same person as in the ID token', 'OIDC Core 5.3.4']
  if (want.subject === undefined) list.skip(sub, 'there is no ID token to compare with')
  else list.equal(sub, claims?.sub, want.subject)
  return { checks: list.checks, ...(claims && { claims }) }
}
