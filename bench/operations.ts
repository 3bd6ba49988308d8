/**
 * What is measured (CONTRACT 13). An operation is an entry of the table at the end: who does it, who it is compared
 * with, and the work of one worker. Adding one is adding an entry; a server that is new gets its name in `Servers`.
 */
import { type Fixtures, UPSTREAM } from './fixtures.ts'
import { type AuthorizationRequest, authorize, basic, exchange, requestTokens, type Target } from './flows.ts'
import { Browser, expectStatus, type Wire } from './http.ts'

/** Who can be asked to work. */
export type ServerName = 'gatehouse' | 'bare'

export interface Worker {
  readonly target: Target
  readonly wire: Wire
  readonly fixtures: Fixtures
  /** From 0. */
  readonly index: number
}

/** Prepares one worker; what it answers is the operation, repeated and measured. It throws when an answer is wrong. */
export type Work = (worker: Worker) => Promise<() => Promise<void>>

export interface Contest {
  readonly on: ServerName
  readonly work: Work
  /** Each operation has one password hash and one signature in Node's thread pool, and nothing else there. */
  readonly hashed: boolean
}

export interface Operation {
  readonly name: string
  readonly gatehouse: Contest
  /** Absent where there is nothing to compare with. */
  readonly bare?: Contest
  /** The ratio that must not be passed. */
  readonly limit?: number
}

export const LIMIT = 1.15
export const FEDERATION_LIMIT = 1.35

const personOf = ({ fixtures, index }: Worker, turn: number) => {
  const { people, password } = fixtures
  // Workers start apart, so that no two sign the same person in at once.
  const person = people[(index * 8 + turn) % people.length]
  if (!person) throw new Error('there are no people')
  return { person, password }
}

/** Signs the worker's person in and answers their browser, with what the code was redeemed for. */
const signedIn = async (worker: Worker, request: AuthorizationRequest) => {
  const { target, wire } = worker
  const browser = new Browser(wire)
  const code = await authorize(target, browser, request, 'any', personOf(worker, 0))
  return { browser, tokens: await exchange(target, wire, request.client, code) }
}

const discovery: Work = async ({ target, wire }) => {
  const mark = `"issuer":"${target.issuer}"`
  return async () => {
    const answer = await wire.send('GET', target.discovery, {})
    expectStatus(answer, 200, 'discovery')
    if (!answer.body.includes(mark) || !answer.body.endsWith('}')) throw new Error(`discovery answered: ${answer.body}`)
  }
}

const clientCredentials: Work =
  async ({ target, wire, fixtures }) =>
  async () => {
    await requestTokens(target, wire, fixtures.service, { grant_type: 'client_credentials' })
  }

const clientCredentialsJwt: Work =
  async ({ target, wire, fixtures }) =>
  async () => {
    const { access_token } = await requestTokens(target, wire, fixtures.signing, { grant_type: 'client_credentials' })
    if (access_token.split('.').length !== 3) throw new Error(`no JWT: ${access_token}`)
  }

const codeFlow: Work = async (worker) => {
  const { target, wire, fixtures } = worker
  const request = { client: fixtures.web, scope: 'openid email' }
  const { browser } = await signedIn(worker, request)
  return async () => {
    await exchange(target, wire, fixtures.web, await authorize(target, browser, request, 0))
  }
}

const firstLogin: Work = async (worker) => {
  const { target, wire, fixtures } = worker
  const request = { client: fixtures.web, scope: 'openid email' }
  let turn = 0
  return async () => {
    const code = await authorize(target, new Browser(wire), request, 1, personOf(worker, turn++))
    await exchange(target, wire, fixtures.web, code)
  }
}

const refresh: Work = async (worker) => {
  const { target, wire, fixtures } = worker
  // OIDC Core 11: offline_access needs prompt=consent; whether that shows a page is not measured.
  const request = { client: fixtures.web, scope: 'openid email offline_access', extra: { prompt: 'consent' } }
  let { refresh_token } = (await signedIn(worker, request)).tokens
  return async () => {
    const fields = { grant_type: 'refresh_token', refresh_token: refresh_token ?? '' }
    const tokens = await requestTokens(target, wire, fixtures.web, fields, ['id_token', 'refresh_token'])
    if (tokens.refresh_token === refresh_token) throw new Error('the refresh token was not rotated')
    refresh_token = tokens.refresh_token
  }
}

const introspection: Work = async (worker) => {
  const { target, wire, fixtures } = worker
  const { tokens } = await signedIn(worker, { client: fixtures.web, scope: 'openid email' })
  const fields = new URLSearchParams({ token: tokens.access_token })
  const authorization = basic(fixtures.web)
  return async () => {
    const answer = await wire.form(target.introspection, fields, { authorization })
    expectStatus(answer, 200, 'introspection')
    if (!answer.body.includes('"active":true')) throw new Error(`introspection answered: ${answer.body}`)
  }
}

const userinfo: Work = async (worker) => {
  const { target, wire, fixtures } = worker
  const { tokens } = await signedIn(worker, { client: fixtures.web, scope: 'openid email' })
  const headers = { authorization: `Bearer ${tokens.access_token}` }
  return async () => {
    const answer = await wire.send('GET', target.userinfo, headers)
    expectStatus(answer, 200, 'userinfo')
    if (!answer.body.includes('"sub":"') || !answer.body.includes('"email":"'))
      throw new Error(`userinfo answered: ${answer.body}`)
  }
}

/** A stranger to both hosts' cookies, known to the directory after the first time. */
const federatedLogin: Work = async ({ target, wire, fixtures }) => {
  const request = { client: fixtures.federated, scope: 'openid email', extra: { acr_values: UPSTREAM } }
  return async () => {
    const code = await authorize(target, new Browser(wire), request, 0)
    await exchange(target, wire, fixtures.federated, code)
  }
}

/** Gatehouse against the bare engine, doing the same. */
const against = (name: string, work: Work, hashed = false): Operation => ({
  name,
  gatehouse: { on: 'gatehouse', work, hashed },
  bare: { on: 'bare', work, hashed },
  limit: LIMIT,
})

export const operations: readonly Operation[] = [
  against('discovery', discovery),
  against('client_credentials', clientCredentials),
  against('client_credentials_jwt', clientCredentialsJwt),
  against('code_flow_sso', codeFlow),
  against('first_login', firstLogin, true),
  against('refresh', refresh),
  against('introspection', introspection),
  against('userinfo', userinfo),
  {
    name: 'federated_login',
    gatehouse: { on: 'gatehouse', work: federatedLogin, hashed: false },
    bare: { on: 'gatehouse', work: firstLogin, hashed: true },
    limit: FEDERATION_LIMIT,
  },
]
