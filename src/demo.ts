/**
 * `serve --demo`: Gatehouse, a second Gatehouse as the demo's identity provider, and the test relying party, in one
 * process. Beside wire because it composes too; nothing here exists without --demo.
 */
import { dirname, join } from 'node:path'
import { type Loaded, loadConfiguration } from '#config/load.ts'
import { storeKind, storePath } from '#config/store-address.ts'
import { builtInMappings, protocolSettings } from '#connectors/index.ts'
import { type DemoConfiguration, demoConfiguration, openSeed, startRelyingParty } from '#demo/index.ts'
import type { Log } from '#kernel/log.ts'
import { methodSettings } from '#methods/index.ts'
import { type Running, start } from './wire.ts'

export interface DemoWorld {
  readonly log: Log
  /** As a `World` has it. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Tells the person at the terminal; the log stays for machines. */
  readonly print: (line: string) => void
}

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])

const announce = (demo: DemoConfiguration, issuer: string, print: (line: string) => void) => {
  const upstream = String(demo.upstream.issuer)
  const lines = [
    '',
    `  Gatehouse             ${issuer}`,
    `  Identity provider     ${upstream}`,
    `  Test relying party    ${demo.relyingParty.url}   <- begin here`,
    '',
    ...demo.people.map(({ username, password, at }) => `  ${at.padEnd(20)}  ${username} / ${password}`),
    '',
  ]
  for (const line of lines) print(line)
}

const loaded = (written: unknown): Loaded =>
  loadConfiguration({
    written,
    env: {},
    protocols: protocolSettings,
    methods: methodSettings,
    mappings: [...builtInMappings.keys()],
  })

/** The configuration's own resources and the demo's; of two with one id the configuration's. */
const joined = (own: Loaded, demo: Loaded): Loaded => {
  const both = <T>(mine: readonly T[], theirs: readonly T[], id: (item: T) => string): T[] => {
    const known = new Set(mine.map(id))
    return [...mine, ...theirs.filter((item) => !known.has(id(item)))]
  }
  const [mine, theirs] = [own.resources, demo.resources]
  return {
    ...own,
    resources: {
      clients: both(mine.clients, theirs.clients, (item) => item.client_id),
      accounts: both(mine.accounts, theirs.accounts, (item) => item.username),
      identityProviders: both(mine.identityProviders, theirs.identityProviders, (item) => item.id),
      mappings: both(mine.mappings, theirs.mappings, (item) => item.name),
      acrs: both(mine.acrs, theirs.acrs, (item) => item.name),
      scopes: both(mine.scopes, theirs.scopes, (item) => item.name),
      sectorIdentifiers: both(mine.sectorIdentifiers, theirs.sectorIdentifiers, (item) => item.id),
    },
  }
}

/**
 * @param under loads the configuration over the demo's own defaults
 * @throws Error for an issuer that is not on loopback: the demo's people and applications are for nobody else
 */
export const startWithDemo = async (
  under: (defaults: unknown) => Loaded,
  { log, env = {}, print }: DemoWorld,
): Promise<Running> => {
  const { settings } = under({})
  const issuer = new URL(settings.issuer)
  if (!LOOPBACK.has(issuer.hostname)) throw new Error('--demo: the issuer must be on localhost')
  const file = [settings.stores.artifacts, settings.stores.directory].find((address) => storeKind(address) === 'sqlite')
  const data = file === undefined ? './data' : dirname(storePath(file))
  const demo = demoConfiguration({
    issuer: settings.issuer,
    host: settings.listen.host,
    ports: { upstream: settings.listen.port + 1, relyingParty: settings.listen.port + 2 },
    seed: await openSeed(data),
    data: join(data, 'upstream'),
  })
  const main = joined(under(demo.main.settings), loaded({ ...demo.main.settings, ...demo.main.resources }))
  const [person] = demo.people
  const shown = person && { demo: { ...person, client: demo.relyingParty.url } }
  const [running, upstream] = await Promise.all([
    start(main, { log, env, ...shown }),
    start(loaded(demo.upstream), { log }),
  ])
  const relyingParty = await startRelyingParty({
    ...demo.relyingParty,
    issuer: running.issuer,
    fetch: running.fetch,
    log,
    people: demo.people,
  })
  announce(demo, running.issuer, print)
  return {
    ...running,
    listeners: [...running.listeners, ...upstream.listeners, relyingParty.url],
    async close() {
      await relyingParty.close()
      await Promise.all([running.close(), upstream.close()])
    },
  }
}
