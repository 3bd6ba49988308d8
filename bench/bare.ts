/**
 * A bare oidc-provider as a process of its own: static clients, a login page of five lines, a plain adapter for
 * SQLite, Redis or MongoDB.
 * It does what no login can avoid (an account read from SQLite, an argon2id verification) and nothing else: no audit,
 * no CSRF token, no sealing, no limits. With `autoLogin` it is the upstream provider, where everybody is signed in.
 * Run as `node bench/bare.ts PLAN.json`; prints `{"event":"ready"}` as Gatehouse does.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { argv } from 'node:process'
import type { DatabaseSync } from 'node:sqlite'
import Provider, { type ClientMetadata, type Configuration, type JWKS, type KoaContextWithOIDC } from 'oidc-provider'
import { type Person, SIGNING } from './fixtures.ts'
import { plainMongoAdapter } from './mongo-adapter.ts'
import { verify } from './password.ts'
import { plainRedisAdapter } from './redis-adapter.ts'
import { openDatabase, plainAdapter } from './sqlite-adapter.ts'
import type { BareStore } from './stores.ts'

/** The file that the process is given. */
export interface BarePlan {
  readonly port: number
  /** Accounts, and artifacts where they are not elsewhere. */
  readonly database: string
  readonly store: BareStore
  readonly clients: readonly ClientMetadata[]
  readonly people: readonly Person[]
  readonly jwks: JWKS
  readonly autoLogin: boolean
}

const HOUR = 3600
const DAY = 24 * HOUR

/** A first-party client's grant, made without asking: what Gatehouse does for a trusted one. */
const loadExistingGrant = async ({ oidc }: KoaContextWithOIDC) => {
  const { client, session, account, provider } = oidc
  if (!client || !session || !account) return undefined
  const known = session.grantIdFor(client.clientId)
  if (known !== undefined) return provider.Grant.find(known)
  const grant = new provider.Grant({ accountId: account.accountId, clientId: client.clientId })
  grant.addOIDCScope([...oidc.requestParamOIDCScopes])
  await grant.save()
  return grant
}

/** What oidc-provider has for JWT access tokens: they belong to a resource, and are signed but not stored. */
const resourceIndicators: NonNullable<Configuration['features']>['resourceIndicators'] = {
  enabled: true,
  defaultResource: (_ctx, client) => (client.clientId === SIGNING ? 'https://api.example.org' : []),
  getResourceServerInfo: (_ctx, resource) => ({
    scope: '',
    audience: resource,
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg: 'RS256' } },
  }),
}

const adapterOf = async ({ store, port }: BarePlan, database: DatabaseSync): Promise<Configuration['adapter']> => {
  if (store.kind === 'sqlite') return plainAdapter(database)
  return store.kind === 'redis' ? plainRedisAdapter(store.url, `bare-${port}:`) : await plainMongoAdapter(store.url)
}

const configuration = (plan: BarePlan, adapter: Configuration['adapter']): Configuration => ({
  adapter,
  clients: [...plan.clients],
  jwks: plan.jwks,
  cookies: { keys: [randomBytes(32).toString('base64url')] },
  routes: { authorization: '/authorize', introspection: '/introspect', revocation: '/revoke', userinfo: '/userinfo' },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators,
  },
  claims: { openid: ['sub'], email: ['email', 'email_verified'] },
  findAccount: (_ctx, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@example.org`, email_verified: true }),
  }),
  loadExistingGrant,
  pkce: { required: () => false },
  // Gatehouse rotates every refresh token; the comparison is of like with like.
  rotateRefreshToken: true,
  ttl: {
    AccessToken: HOUR,
    AuthorizationCode: 60,
    ClientCredentials: HOUR,
    Grant: 14 * DAY,
    IdToken: HOUR,
    Interaction: HOUR,
    RefreshToken: 14 * DAY,
    Session: 14 * HOUR,
  },
})

const seedPeople = (database: DatabaseSync, people: readonly Person[]): void => {
  database.exec('CREATE TABLE IF NOT EXISTS account (username TEXT PRIMARY KEY, id TEXT NOT NULL, phc TEXT NOT NULL)')
  const insert = database.prepare('INSERT OR IGNORE INTO account (username, id, phc) VALUES (?, ?, ?)')
  database.exec('BEGIN')
  for (const { username, id, passwordHash } of people) insert.run(username, id, passwordHash)
  database.exec('COMMIT')
}

const page = (action: string, prompt: string): string => {
  const fields = prompt === 'login' ? '<input name="username"><input name="password" type="password">' : ''
  return `<!doctype html><title>Sign in</title><form method="post" action="${action}">
<input type="hidden" name="prompt" value="${prompt}">${fields}<button id="continue">Continue</button></form>`
}

const readBody = async (request: IncomingMessage): Promise<URLSearchParams> => {
  let body = ''
  for await (const chunk of request.setEncoding('utf8')) body += String(chunk)
  return new URLSearchParams(body)
}

const interactions = (provider: Provider, database: DatabaseSync, plan: BarePlan) => {
  const byName = database.prepare('SELECT id, phc FROM account WHERE username = ?')
  let turn = 0

  const show = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { prompt } = await provider.interactionDetails(request, response)
    if (plan.autoLogin) {
      const { id } = plan.people[turn++ % plan.people.length] ?? { id: 'person-0' }
      return provider.interactionFinished(request, response, { login: { accountId: id } })
    }
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' })
    response.end(page(request.url ?? '', prompt.name))
  }

  const submit = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const fields = await readBody(request)
    if (fields.get('prompt') === 'consent')
      return provider.interactionFinished(request, response, { consent: {} }, { mergeWithLastSubmission: true })
    const account = byName.get(fields.get('username') ?? '') as { id: string; phc: string } | undefined
    if (!account || !(await verify(fields.get('password') ?? '', account.phc))) {
      response.writeHead(401).end('wrong user name or password')
      return
    }
    await provider.interactionFinished(request, response, { login: { accountId: account.id } })
  }

  return (request: IncomingMessage, response: ServerResponse) =>
    request.method === 'POST' ? submit(request, response) : show(request, response)
}

const start = async (plan: BarePlan): Promise<void> => {
  const database = openDatabase(plan.database)
  seedPeople(database, plan.people)
  const provider = new Provider(`http://127.0.0.1:${plan.port}`, configuration(plan, await adapterOf(plan, database)))
  provider.on('server_error', (_ctx, error) => console.error(error))
  const engine = provider.callback()
  const interact = interactions(provider, database, plan)
  const server = createServer((request, response) => {
    if (!request.url?.startsWith('/interaction/')) return void engine(request, response)
    interact(request, response).catch((error: unknown) => {
      console.error(error)
      response.writeHead(500).end()
    })
  })
  server.listen(plan.port, '127.0.0.1', () => console.log(JSON.stringify({ event: 'ready' })))
}

// An ordinary exit, so that a CPU profile is written.
process.on('SIGTERM', () => process.exit(0))
await start(JSON.parse(readFileSync(argv[2] ?? '', 'utf8')) as BarePlan)
