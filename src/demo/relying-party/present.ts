/** Turns what the relying party knows into what its pages show: rows, notes and cards. Pure. */
import type { RelyingPartyClient } from '../configuration.ts'
import { actions } from './actions.ts'
import type { Call } from './calls.ts'
import { decode } from './jwt.ts'
import type { CallCard, DemoPages, Row, TokenCard } from './pages.ts'
import type { Metadata } from './provider.ts'
import type { Login, Outcome, Session, TokenSet } from './session.ts'

/** What the registered claims mean (RFC 7519 4.1, OIDC Core 2 and 5.1), for those who do not know them by heart. */
const MEANINGS: Readonly<Record<string, string>> = {
  iss: 'who issued it',
  sub: 'the person, for this client',
  aud: 'for whom it is',
  azp: 'the client that asked',
  nonce: 'binds it to the request',
  acr: 'how the person signed in',
  amr: 'with which means',
  idp: 'the identity provider',
  c_hash: 'binds it to the code',
  at_hash: 'binds it to the access token',
  s_hash: 'binds it to the state',
  sid: 'the session at the provider',
  jti: 'its own name',
  alg: 'signature algorithm',
  kid: 'the key that signed it',
  typ: 'kind of token',
}
const TIMES = ['exp', 'iat', 'nbf', 'auth_time', 'updated_at', 'client_id_issued_at']

const UNITS = [
  [86_400, 'day'],
  [3600, 'hour'],
  [60, 'minute'],
  [1, 'second'],
] as const
const words = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })

/** "in 59 minutes", "3 seconds ago". @param seconds from now */
export const relative = (seconds: number): string => {
  const [size, unit] = UNITS.find(([least]) => Math.abs(seconds) >= least) ?? UNITS[3]
  return words.format(Math.trunc(seconds / size), unit)
}

const instant = (epochSeconds: number): string =>
  new Date(epochSeconds * 1000).toISOString().replace('T', ' ').slice(0, 19)

const noteOf = (name: string, value: unknown, now: number): string | undefined => {
  if (TIMES.includes(name) && typeof value === 'number' && value > 0 && value < 1e11)
    return `${instant(value)} UTC, ${relative(value - now)}`
  return MEANINGS[name]
}

/** Characters from which a text gets lines of its own, with a scroll bar. */
const LONG = 200

/** @param now epoch seconds */
export const rows = (object: Readonly<Record<string, unknown>>, now: number): Row[] =>
  Object.entries(object)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => {
      const plain = typeof value === 'string' ? value : JSON.stringify(value)
      const deep = typeof value === 'object' && value !== null && plain.length > 40
      const note = noteOf(name, value, now)
      return {
        name,
        value: deep ? JSON.stringify(value, null, 2) : plain,
        block: deep || plain.length > LONG,
        ...(note && { note }),
      }
    })

/** A token with everything that can be read of it. */
export const tokenCard = (id: string, title: string, raw: string, now: number, note?: string): TokenCard => {
  const token = decode(raw)
  return {
    id,
    title,
    raw,
    ...(token && { jwt: { parts: token.parts, header: rows(token.header, now), payload: rows(token.payload, now) } }),
    ...(note && { note }),
  }
}

const tokenCards = (tokens: TokenSet, now: number): TokenCard[] => {
  const { idToken, frontIdToken, accessToken, refreshToken, accessTokenExpiresAt, scope } = tokens
  const life = accessTokenExpiresAt && `expires ${relative(Math.floor(accessTokenExpiresAt / 1000) - now)}`
  const notes = [life, scope && `scope: ${scope}`].filter(Boolean).join('; ')
  return [
    ...(idToken ? [tokenCard('id-token', 'ID token', idToken, now)] : []),
    ...(frontIdToken
      ? [tokenCard('front-id-token', 'ID token from the authorization endpoint', frontIdToken, now)]
      : []),
    ...(accessToken ? [tokenCard('access-token', 'Access token', accessToken, now, notes)] : []),
    ...(refreshToken ? [tokenCard('refresh-token', 'Refresh token', refreshToken, now)] : []),
  ]
}

const pretty = (body: string): string => {
  try {
    return JSON.stringify(JSON.parse(body), null, 2)
  } catch {
    return body
  }
}

const headLines = (headers: Readonly<Record<string, string>>): string =>
  Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}`)
    .join('\n')

const joined = (...parts: (string | undefined)[]): string => parts.filter(Boolean).join('\n\n')

export const callCard = ({ title, at, ms, request, response, failure }: Call): CallCard => ({
  title,
  method: request.method,
  url: request.url,
  status: response ? String(response.status) : 'no answer',
  ok: response !== undefined && response.status < 400,
  when: `${new Date(at).toISOString().slice(11, 19)} UTC, ${ms} ms`,
  sent: joined(`${request.method} ${request.url}\n${headLines(request.headers)}`, request.body),
  received: response
    ? joined(`${response.status}\n${headLines(response.headers)}`, pretty(response.body))
    : (failure ?? ''),
})

const claimsOf = ({ tokens }: Login): Readonly<Record<string, unknown>> =>
  (tokens.idToken === undefined ? undefined : decode(tokens.idToken)?.payload) ?? {}

/** The person's name as far as ID token and userinfo tell; undefined when nobody is signed in. */
export const signedIn = ({ login }: Session): string | undefined => {
  if (!login?.ok) return undefined
  return nameOf(login) ?? 'Signed in'
}

/** An identifier is no name: until userinfo has told one there is none. */
const nameOf = (login: Login): string | undefined => {
  const { name, preferred_username: username, email } = { ...claimsOf(login), ...login.profile }
  const found = [name, username, email].find((value) => typeof value === 'string' && value !== '')
  return typeof found === 'string' ? found : undefined
}

const headline = (login: Login): string => {
  if (login.response.error) return 'The provider answered with an error'
  if (!login.ok) return 'This sign-in must not be trusted'
  if (!login.tokens.idToken) return 'The provider allowed access'
  const name = nameOf(login)
  return name === undefined ? 'Signed in' : `Signed in as ${name}`
}

/** How it was done, in one look. */
const facts = (login: Login, now: number): Row[] => {
  const { sub, acr, amr, idp, auth_time } = claimsOf(login)
  const whole = {
    sub,
    acr,
    amr: Array.isArray(amr) ? amr.join(', ') : amr,
    idp,
    auth_time,
    response_type: login.pending?.wishes.response_type,
    arrived_by: login.channel,
  }
  return rows(whole, now)
}

export const loginCard = (login: Login, now: number): NonNullable<DemoPages['result']['login']> => ({
  ok: login.ok,
  headline: headline(login),
  ...(login.problem && { problem: login.problem }),
  facts: login.response.error ? [] : facts(login, now),
  groups: login.groups.map((group) => ({
    ...group,
    failed: group.checks.filter(({ outcome }) => outcome === 'failed').length,
    passed: group.checks.filter(({ outcome }) => outcome === 'passed').length,
  })),
  request: login.pending ? rows(login.pending.params, now) : [],
  response: rows(login.response, now),
  tokens: tokenCards(login.tokens, now),
})

export const outcomeCard = (outcome: Outcome, now: number): NonNullable<DemoPages['result']['outcome']> => ({
  title: outcome.title,
  ok: outcome.ok,
  sentence: outcome.sentence,
  checks: outcome.checks ?? [],
  claims: outcome.claims ? rows(outcome.claims, now) : [],
  ...(outcome.data !== undefined && { data: JSON.stringify(outcome.data, null, 2) }),
})

/** Which buttons belong together, and what each needs. */
const BUTTONS: readonly { legend: string; needs?: keyof TokenSet; names: readonly [string, string][] }[] = [
  {
    legend: 'Userinfo',
    needs: 'accessToken',
    names: [
      ['userinfo', 'GET'],
      ['userinfo-post-header', 'POST, header'],
      ['userinfo-post-body', 'POST, body'],
    ],
  },
  {
    legend: 'Access token',
    needs: 'accessToken',
    names: [
      ['introspect', 'Introspect'],
      ['revoke', 'Revoke'],
    ],
  },
  {
    legend: 'Refresh token',
    needs: 'refreshToken',
    names: [
      ['refresh', 'Refresh'],
      ['introspect-refresh', 'Introspect'],
      ['revoke-refresh', 'Revoke'],
    ],
  },
  { legend: 'This client', names: [['client-credentials', 'Client credentials']] },
]

/** A button whose token is missing stays in place, so that the page does not jump; pressing it says what is missing. */
export const buttonsFor = (tokens: TokenSet): DemoPages['result']['buttons'] =>
  BUTTONS.map(({ legend, needs, names }) => ({
    legend,
    buttons: names
      .filter(([name]) => name in actions)
      .map(([name, label]) => ({
        id: name,
        action: `/call/${name}`,
        label,
        off: needs !== undefined && tokens[needs] === undefined,
      })),
  }))

/** A list of words as one line. */
const listed = (value: unknown): unknown =>
  Array.isArray(value) && value.every((item) => typeof item === 'string') ? value.join(', ') : value

const isEndpoint = (name: string): boolean =>
  name.endsWith('_endpoint') || name === 'jwks_uri' || name.endsWith('_iframe')

/** Endpoints first, then what the provider says it can do, lists on one line. */
export const discoveryRows = (metadata: Metadata): { endpoints: Row[]; abilities: Row[] } => {
  const line = ([name, value]: [string, unknown]): Row => {
    const list = Array.isArray(value)
      ? value.map((item) => (typeof item === 'string' ? item : JSON.stringify(item)))
      : undefined
    return {
      name,
      value: list?.join(', ') ?? (typeof value === 'string' ? value : JSON.stringify(value)),
      block: false,
    }
  }
  const entries = Object.entries(metadata)
  return {
    endpoints: entries.filter(([name]) => isEndpoint(name) || name === 'issuer').map(line),
    abilities: entries.filter(([name]) => !isEndpoint(name) && name !== 'issuer').map(line),
  }
}

/** A client's registration with its secrets covered, lists on one line. */
export const clientRows = (client: RelyingPartyClient, now: number): Row[] =>
  rows(Object.fromEntries(Object.entries(client).map(([name, value]) => [name, listed(value)])), now).map((row) =>
    row.name === 'client_secret' || row.name === 'registration_access_token'
      ? { ...row, value: `${row.value.slice(0, 4)}…`, note: 'shown in part' }
      : row,
  )
