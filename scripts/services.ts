/**
 * The real programs that tests talk to: found or started here, handed to the tests as environment variables.
 * A test skips itself when its variable is absent; in CI a missing one fails the run.
 * `node scripts/services.ts [--download] [NAME …]` opens them, prints what each is, and closes them again.
 */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { findHelm, helmMissing } from './helm.ts'
import { keycloakMissing, openKeycloak } from './keycloak.ts'
import { capabilityLines, fetchMongo, gradeLine, mongoMissing, openMongoServers } from './mongo.ts'
import { openRedis, redisMissing } from './redis.ts'
import { chosenPair, leftOut } from './stores.ts'

export type Opened =
  | {
      readonly variables: Readonly<Record<string, string>>
      /** What it is, for the summary, with its grade where there are several. */
      readonly said?: string
      /** A line each on what it can do, where that differs. */
      readonly notes?: readonly string[]
      close?(): Promise<void>
    }
  | { readonly missing: string }
  /** Not asked for: no failure, but told. */
  | { readonly leftOut: string }

export interface Service {
  readonly name: string
  /** The tiers that need it. */
  readonly tiers: readonly string[]
  open(): Promise<Opened>
}

const searchPath = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']

const findProgram = (...names: string[]): string | undefined =>
  names.flatMap((name) => searchPath.map((folder) => join(folder, name))).find((path) => existsSync(path))

const chromium: Service = {
  name: 'chromium',
  tiers: ['browser'],
  async open() {
    const path = process.env.CHROMIUM ?? findProgram('chromium', 'chromium-browser', 'google-chrome')
    if (!path) return { missing: 'Chromium (Debian: chromium)' }
    const { shareBrowser } = await import('#test/browser/chromium.ts')
    const { url, close } = await shareBrowser(path)
    return { variables: { CHROMIUM: path, GATEHOUSE_TEST_BROWSER: url }, close }
  },
}

const apache: Service = {
  name: 'mod_auth_openidc',
  tiers: ['peers'],
  async open() {
    const path = findProgram('apache2', 'httpd')
    const modules = '/usr/lib/apache2/modules'
    if (!path || !existsSync(join(modules, 'mod_auth_openidc.so')))
      return { missing: 'Apache with mod_auth_openidc (Debian: apache2 libapache2-mod-auth-openidc)' }
    return { variables: { GATEHOUSE_TEST_APACHE: path, GATEHOUSE_TEST_APACHE_MODULES: modules } }
  },
}

const keycloak: Service = {
  name: 'keycloak',
  tiers: ['peers'],
  async open() {
    const missing = await keycloakMissing()
    if (missing) return { missing }
    const server = await openKeycloak()
    const variables = {
      GATEHOUSE_TEST_KEYCLOAK: server.url,
      GATEHOUSE_TEST_KEYCLOAK_ADMIN: `${server.admin.user}:${server.admin.password}`,
    }
    return { variables, close: () => server.close() }
  },
}

/** Whole servers run on these too when ON_STORES says so. */
const houses = ['engine', 'flows', 'attacks']
const storeTiers = ['stores', 'nodes', 'pairs', ...(chosenPair === 'sqlite' ? [] : houses)]

const redis: Service = {
  name: 'redis',
  tiers: storeTiers,
  async open() {
    const out = leftOut('redis')
    if (out) return { leftOut: out }
    const missing = process.env.REDIS_URL ? undefined : redisMissing()
    if (missing) return { missing }
    const { url, servers, close } = await openRedis()
    const [own] = servers
    const version = own ? /redis_version:(\S+)/.exec(await own.ask('INFO server'))?.[1] : undefined
    const said = own ? `redis-server ${version ?? ''} (real)` : 'Redis of REDIS_URL (real)'
    return { variables: { GATEHOUSE_TEST_REDIS: url }, said, close }
  },
}

const mongo: Service = {
  name: 'mongodb',
  tiers: storeTiers,
  async open() {
    const out = leftOut('mongo')
    if (out) return { leftOut: out }
    if (process.argv.includes('--download')) await fetchMongo()
    const missing = await mongoMissing()
    if (missing) return { missing }
    const servers = await openMongoServers()
    const close = async () => {
      for (const server of servers) await server.close()
    }
    // Whole servers run on the first one; the adapter's own tests start all of them again, to kill and freeze them.
    const variables = { GATEHOUSE_TEST_MONGO: servers[0]?.database('DATABASE') ?? '' }
    return { variables, said: gradeLine(servers), notes: await capabilityLines(servers), close }
  },
}

const nginx: Service = {
  name: 'nginx',
  tiers: ['nodes'],
  async open() {
    const path = findProgram('nginx')
    return path ? { variables: { GATEHOUSE_TEST_NGINX: path } } : { missing: 'nginx (Debian: nginx)' }
  },
}

const helm: Service = {
  name: 'helm',
  tiers: ['deploy'],
  async open() {
    const missing = helmMissing()
    return missing ? { missing } : { variables: { HELM: await findHelm() } }
  },
}

export const services: readonly Service[] = [chromium, apache, keycloak, redis, mongo, nginx, helm]

/** Opens the services of these names, or all, and says what each is; answers how many are missing. */
const tell = async (names: readonly string[]): Promise<number> => {
  let missing = 0
  for (const service of services.filter(({ name }) => names.length === 0 || names.includes(name))) {
    const answer = await service.open().catch((error: Error) => ({ missing: error.message }))
    if ('leftOut' in answer) console.log(`${service.name}: ${answer.leftOut}`)
    else if ('missing' in answer) {
      missing += 1
      console.log(`${service.name}: not here: ${answer.missing}`)
    } else {
      console.log(`${service.name}: ${answer.said ?? 'here'}`)
      for (const note of answer.notes ?? []) console.log(`  ${note}`)
      await answer.close?.()
    }
  }
  return missing
}

if (import.meta.main) {
  const names = process.argv.slice(2).filter((word) => word !== '--download')
  const unknown = names.filter((name) => services.every((service) => service.name !== name))
  for (const name of unknown) console.log(`${name}: no such service`)
  process.exitCode = unknown.length + (await tell(names)) > 0 ? 1 : 0
}
