/**
 * The real programs that tests talk to: found or started here, handed to the tests as environment variables.
 * A test skips itself when its variable is absent; in CI a missing one fails the run.
 */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { keycloakMissing, openKeycloak } from './keycloak.ts'

export type Opened =
  | { readonly variables: Readonly<Record<string, string>>; close?(): Promise<void> }
  | { readonly missing: string }

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
    return path ? { variables: { CHROMIUM: path } } : { missing: 'Chromium (Debian: chromium)' }
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

export const services: readonly Service[] = [chromium, apache, keycloak]
