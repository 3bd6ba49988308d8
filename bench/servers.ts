/** The servers of a run: Gatehouse in its default configuration, the bare oidc-provider, the upstream provider. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { env as environment, execPath } from 'node:process'
import type { BarePlan } from './bare.ts'
import { type ClientFixture, type Fixtures, UPSTREAM } from './fixtures.ts'
import { type Started, startServer } from './processes.ts'
import type { StorePlace } from './stores.ts'

const here = import.meta.dirname
const executable = join(here, '..', 'gatehouse')

/** A setting of the caller's shell must not make the default configuration another one. */
const cleanEnvironment = () =>
  Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('GATEHOUSE')))

export interface Server {
  readonly issuer: string
  readonly start: () => Promise<Started>
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })

/** A directory for databases and configurations, gone with the run. */
export const workDirectory = (): { readonly path: string; readonly remove: () => void } => {
  const path = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** Few, so that all of them are known to Gatehouse once it is warm; more than there are workers. */
const ARRIVING = 16

export interface BareOptions {
  readonly name: string
  readonly clients: readonly ClientFixture[]
  readonly autoLogin?: boolean
  /** SQLite unless told. */
  readonly place?: StorePlace
  /** Directory for a CPU profile. */
  readonly profile?: string
}

/** Of a run's own, which leaves nothing behind. */
const MASTER_KEY = randomBytes(32).toString('base64url')

const profiled = (directory: string | undefined): Record<string, string> =>
  directory === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${directory}` }

/** @returns an oidc-provider process of bench/bare.ts, not started yet */
export const bareServer = async (directory: string, fixtures: Fixtures, options: BareOptions): Promise<Server> => {
  const port = await freePort()
  const plan: BarePlan = {
    port,
    database: options.autoLogin ? ':memory:' : join(directory, `${options.name}.db`),
    store: options.place?.bare(options.name) ?? { kind: 'sqlite' },
    clients: options.clients.map((client) => ({ ...client }) as BarePlan['clients'][number]),
    people: options.autoLogin ? fixtures.people.slice(0, ARRIVING) : fixtures.people,
    jwks: {
      keys: [{ ...fixtures.key, use: 'sig', alg: 'RS256', kid: options.name } as BarePlan['jwks']['keys'][number]],
    },
    autoLogin: options.autoLogin ?? false,
  }
  const file = join(directory, `${options.name}.json`)
  writeFileSync(file, JSON.stringify(plan))
  const env = { ...cleanEnvironment(), ...profiled(options.profile) }
  return {
    issuer: `http://127.0.0.1:${port}`,
    start: () => startServer(execPath, [join(here, 'bare.ts'), file], env),
  }
}

/** The upstream's client is Gatehouse. */
export const upstreamClient = (gatehouse: string): ClientFixture => ({
  client_id: 'gatehouse',
  client_secret: 'a secret of this run only, between two processes of it',
  redirect_uris: [`${gatehouse}/federation/${UPSTREAM}/callback`],
  response_types: ['code'],
  grant_types: ['authorization_code'],
})

/** The address that Gatehouse will have, needed by the upstream before either is started. */
export const reserveIssuer = async (): Promise<string> => `http://127.0.0.1:${await freePort()}`

/**
 * Gatehouse from a configuration file that sets what a file must (issuer, where the databases lie, resources) and lets
 * it reach the upstream on loopback; everything else is as it comes.
 */
export const gatehouseServer = (
  directory: string,
  fixtures: Fixtures,
  given: {
    readonly issuer: string
    readonly upstream: string
    readonly place: StorePlace
    readonly profile?: string
    /** A module to load first. */
    readonly preload?: string
  },
): Server => {
  const { issuer, upstream } = given
  const configuration = {
    issuer,
    listen: { host: '127.0.0.1', port: Number(new URL(issuer).port) },
    stores: given.place.settings(directory),
    // Where no store is SQLite there is no file beside which one is made.
    ...(given.place.name === 'mongo' && { masterKey: MASTER_KEY }),
    egress: { allowPrivate: ['127.0.0.0/8'] },
    clients: [
      fixtures.service,
      { ...fixtures.signing, access_token_as_jwt: true },
      // Without providers the password page is the only way in, as at the bare server.
      { ...fixtures.web, trusted: true, providers: [] },
      { ...fixtures.federated, trusted: true, providers: [UPSTREAM] },
    ],
    accounts: fixtures.people.map((person) => ({ ...person, email_verified: true })),
    identityProviders: [
      {
        id: UPSTREAM,
        protocol: 'oidc',
        oidc: { issuer: upstream, scope: 'openid email', ...upstreamRegistration(issuer) },
      },
    ],
  }
  const file = join(directory, 'gatehouse.json')
  writeFileSync(file, JSON.stringify(configuration, undefined, 2))
  const env = {
    ...cleanEnvironment(),
    ...profiled(given.profile),
    ...(given.preload !== undefined && { NODE_OPTIONS: `--import=${given.preload}` }),
  }
  return { issuer, start: () => startServer(executable, ['serve', '--config', file], env) }
}

const upstreamRegistration = (issuer: string) => {
  const { client_id, client_secret } = upstreamClient(issuer)
  return { client_id, client_secret, token_endpoint_auth_method: 'client_secret_basic' }
}
