/** What people and relying parties do: sign in through real pages, exchange codes, use tokens. Every answer is checked. */
import { createHash, randomBytes } from 'node:crypto'
import { type ClientFixture, type Person, REDIRECT } from './fixtures.ts'
import { findForm } from './form.ts'
import { type Arrived, type Browser, expectStatus, type Wire } from './http.ts'

/** Addresses of a provider, from its discovery document. */
export interface Target {
  readonly issuer: string
  readonly discovery: URL
  readonly authorization: URL
  readonly token: URL
  readonly userinfo: URL
  readonly introspection: URL
}

/** Reads the provider's own word on where things are. */
export const discover = async (wire: Wire, issuer: string): Promise<Target> => {
  const discovery = new URL(`${issuer}/.well-known/openid-configuration`)
  const answer = await wire.send('GET', discovery, {})
  expectStatus(answer, 200, discovery.pathname)
  const document = JSON.parse(answer.body) as Record<string, string>
  const endpoint = (name: string) => new URL(document[`${name}_endpoint`] ?? '')
  return {
    issuer,
    discovery,
    authorization: endpoint('authorization'),
    token: endpoint('token'),
    userinfo: endpoint('userinfo'),
    introspection: endpoint('introspection'),
  }
}

/** RFC 6749 2.3.1. */
export const basic = ({ client_id, client_secret }: ClientFixture): string =>
  `Basic ${Buffer.from(`${encodeURIComponent(client_id)}:${encodeURIComponent(client_secret)}`).toString('base64')}`

// One for the whole run: PKCE costs the server the same, and the load nothing.
const verifier = randomBytes(32).toString('base64url')
const challenge = createHash('sha256').update(verifier).digest('base64url')

let count = 0
const MOST_PAGES = 4

export interface AuthorizationRequest {
  readonly client: ClientFixture
  readonly scope: string
  /** Further parameters. */
  readonly extra?: Readonly<Record<string, string>>
}

/** The code that came to the redirect URI. */
const codeOf = (target: Target, arrived: Arrived, state: string): string => {
  if (!('left' in arrived))
    throw new Error(`a redirect to the client expected, a page found: ${arrived.page.slice(0, 1500)}`)
  const given = arrived.left.searchParams
  const code = given.get('code')
  if (code === null || given.get('state') !== state || given.get('iss') !== target.issuer)
    throw new Error(`a code expected, found: ${arrived.left.search}`)
  return code
}

const authorizationUrl = (target: Target, request: AuthorizationRequest, state: string): URL => {
  const url = new URL(target.authorization)
  url.search = new URLSearchParams({
    client_id: request.client.client_id,
    response_type: 'code',
    redirect_uri: REDIRECT,
    scope: request.scope,
    state,
    nonce: state,
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...request.extra,
  }).toString()
  return url
}

/** Fills in the page's form as a person would: the password form, or the one with an `#allow` button or its like. */
const fillIn = (html: string, person: Person, password: string) => {
  const form = findForm(
    html,
    ({ fields, buttons }) => fields.has('password') || buttons.has('allow') || buttons.has('continue'),
  )
  if (form.fields.has('password')) {
    form.fields.set('username', person.username)
    form.fields.set('password', password)
  }
  const pressed = form.buttons.get('allow') ?? form.buttons.get('continue')
  if (pressed && pressed.name !== '') form.fields.append(pressed.name, pressed.value)
  return form
}

/**
 * An authorization request from this browser up to the code.
 * @param pages how many pages the person must have to fill in; `any` in preparations, which are not measured
 */
export const authorize = async (
  target: Target,
  browser: Browser,
  request: AuthorizationRequest,
  pages: number | 'any',
  who?: { readonly person: Person; readonly password: string },
): Promise<string> => {
  const state = `s${++count}`
  let arrived = await browser.open(authorizationUrl(target, request, state), REDIRECT)
  for (let page = 0; pages === 'any' ? page < MOST_PAGES && 'page' in arrived : page < pages; page++) {
    if (!('page' in arrived) || !who) throw new Error(`page ${page + 1} of ${pages} expected, none was shown`)
    const { action, fields } = fillIn(arrived.page, who.person, who.password)
    arrived = await browser.submit(new URL(action, arrived.url), fields, REDIRECT)
  }
  return codeOf(target, arrived, state)
}

export interface Tokens {
  readonly access_token: string
  readonly id_token?: string
  readonly refresh_token?: string
}

/** A token request. Throws unless there is an access token and each of `members`. */
export const requestTokens = async (
  target: Target,
  wire: Wire,
  client: ClientFixture,
  fields: Readonly<Record<string, string>>,
  members: readonly (keyof Tokens)[] = [],
): Promise<Tokens> => {
  const answer = await wire.form(target.token, new URLSearchParams(fields), { authorization: basic(client) })
  expectStatus(answer, 200, `token request ${fields.grant_type}`)
  const tokens = JSON.parse(answer.body) as Tokens
  for (const member of ['access_token', ...members] as const)
    if (typeof tokens[member] !== 'string')
      throw new Error(`${member} expected of ${fields.grant_type}, found: ${answer.body}`)
  return tokens
}

/** Redeems a code for an access token and an ID token. */
export const exchange = (target: Target, wire: Wire, client: ClientFixture, code: string): Promise<Tokens> =>
  requestTokens(
    target,
    wire,
    client,
    { grant_type: 'authorization_code', code, redirect_uri: REDIRECT, code_verifier: verifier },
    ['id_token'],
  )
