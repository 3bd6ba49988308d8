/**
 * The OpenID Provider on real stores and a real socket, with interactions that answer themselves: what the guards
 * of ENGINE 16 run against. The person at the browser is a function.
 */
import { createServer } from 'node:http'
import { after, before } from 'node:test'
import { z } from 'zod'
import { createBox } from '#artifacts/box.ts'
import { keyringOf } from '#config/keys.ts'
import { type Settings, settingsShape } from '#config/settings.ts'
import { createRecords, noResources, type Resources } from '#directory/index.ts'
import { openKeyring } from '#directory/keyring.ts'
import type { Records } from '#directory/records.ts'
import { createApp, createPresentation } from '#http/app.ts'
import { seeOther } from '#http/route.ts'
import { epochSeconds, systemClock } from '#kernel/clock.ts'
import { type Log, silentLog } from '#kernel/log.ts'
import type { ArtifactStore, AuditEvent, ConsentDecision, Interaction, InteractionResult } from '#kernel/ports.ts'
import { accountInput } from '#kernel/records/account.ts'
import { clientRecord } from '#kernel/records/client.ts'
import { acrRecord, providerBase } from '#kernel/records/provider.ts'
import { createOp, type Op, type OpOptions } from '#op/index.ts'
import { openBus, openPair } from '#src/stores.ts'
import { emptyPair } from '#test/world/stores.ts'
import { createTrace } from '#trace/trace.ts'

export const redirectUri = 'https://rp.example/cb'

/** A confidential client; `over` replaces members. */
export const client = (client_id: string, over: Record<string, unknown> = {}) =>
  clientRecord.parse({
    client_id,
    client_secret: `${client_id}-secret-0123456789`,
    redirect_uris: [redirectUri],
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    trusted: true,
    ...over,
  })

export const provider = (id: string, over: Record<string, unknown> = {}) =>
  providerBase
    .loose()
    .parse({ id, protocol: 'oidc', oidc: {}, ...over }) as unknown as Resources['identityProviders'][number]

export const acr = (over: Record<string, unknown>) => acrRecord.parse(over)

/** Everyone the tests know. */
const people = [
  {
    id: 'alice',
    username: 'alice',
    email: 'alice@example.org',
    email_verified: true,
    claims: {
      name: 'Alice Example',
      given_name: 'Alice',
      phone_number: '+49 30 1',
      phone_number_verified: false,
      address: { locality: 'Berlin', country: 'DE' },
    },
  },
  { id: 'bob', username: 'bob', claims: { name: 'Bob Example' } },
].map((person) => accountInput.parse(person))

/** What happens at the browser instead of pages. */
export interface Person {
  login?: (interaction: Interaction) => InteractionResult | Promise<InteractionResult>
  /** Undefined: the person says no. */
  consent?: (interaction: Interaction) => ConsentDecision | undefined
}

export const signIn = (accountId: string, over: Partial<{ acr: string; amr: string[]; provider: string }> = {}) => ({
  login: { accountId, acr: over.acr ?? 'basic', amr: over.amr ?? ['pwd'], ts: epochSeconds(systemClock) },
  ...(over.provider !== undefined && { upstream: { provider: over.provider, id: `${over.provider} session` } }),
})

export interface House {
  readonly issuer: string
  readonly op: Op
  readonly records: Records
  readonly store: ArtifactStore
  readonly audits: Omit<AuditEvent, 'at'>[]
  readonly lines: { event: string; fields: Record<string, unknown> }[]
  /** Every interaction that was shown, by prompt name. */
  readonly shown: { prompt: string; details: Readonly<Record<string, unknown>> }[]
  person: Person
}

export interface HouseOptions {
  readonly settings?: Record<string, unknown>
  readonly resources?: Partial<Resources>
  /** Stands between the engine and the store. */
  readonly wrap?: (store: ArtifactStore) => ArtifactStore
  readonly options?: Partial<OpOptions>
  /** Of the issuer: begins with a slash, ends without one. */
  readonly path?: string
}

/** A store that does some things differently. */
export const overriding = (store: ArtifactStore, other: Partial<ArtifactStore>): ArtifactStore =>
  new Proxy(store, {
    get(target, name) {
      const own = Reflect.get(other, name) as unknown
      const value = own ?? (Reflect.get(target, name) as unknown)
      return typeof value === 'function' && own === undefined ? value.bind(target) : value
    },
  })

interface Ending {
  after(close: () => Promise<void>): void
}

const parseSettings = (issuer: string, over: Record<string, unknown>): Settings =>
  z.strictObject(settingsShape({ basic: z.strictObject({ enabled: z.boolean().default(true) }).prefault({}) })).parse({
    issuer,
    keys: { algorithms: ['RS256', 'ES256'] },
    ...over,
  }) as Settings

const reserve = async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return { server, port: typeof address === 'object' && address ? address.port : 0 }
}

const answer = async (house: House, interaction: Interaction): Promise<string> => {
  const { name, details } = interaction.prompt
  house.shown.push({ prompt: name, details })
  if (name !== 'consent') return interaction.finish(await (house.person.login ?? (() => signIn('alice')))(interaction))
  const decide = house.person.consent ?? (() => ({ rejectedScopes: [], remember: true }))
  const decision = decide(interaction)
  if (!decision) return interaction.finish({ error: 'access_denied' })
  return interaction.finish({ consent: { grantId: await interaction.grant(decision) } })
}

/** Opens a house; it is closed when the test (or suite) ends. */
export const openHouse = async (t: Ending, given: HouseOptions = {}): Promise<House> => {
  const place = await emptyPair()
  // Also of a house that does not open: what is left open would keep the test's process alive.
  const closing: (() => Promise<unknown>)[] = [place.close]
  t.after(async () => {
    for (const close of closing.toReversed()) await close()
  })
  const { stores } = place.settings
  const { server, port } = await reserve()
  // A house that does not open must not keep the test's process alive.
  server.unref()
  const issuer = `http://localhost:${port}${given.path ?? ''}`
  const settings = parseSettings(issuer, given.settings ?? {})
  const clock = systemClock
  const lines: House['lines'] = []
  const keep = (event: string, fields: Record<string, unknown> = {}) => void lines.push({ event, fields })
  const log: Log = { ...silentLog, info: keep, warn: keep, error: keep }

  const { store: artifacts, directory } = await openPair(stores, { clock, log })
  closing.push(() => Promise.all([artifacts.close(), directory.close()]))
  const store = given.wrap?.(artifacts) ?? artifacts
  const bus = await openBus(stores, directory, { clock, log })
  closing.push(bus.close.bind(bus))
  const keyring = await openKeyring(directory, [Buffer.alloc(32, 3)], clock)
  const records = await createRecords({
    port: directory,
    bus,
    sealer: keyring.directory,
    clock,
    overlay: { ...noResources, accounts: people, ...given.resources },
    keys: keyringOf(settings),
    hashPassword: async () => 'unused',
  })
  const sealer = keyring.artifacts
  const audits: House['audits'] = []
  const trace = createTrace(store, sealer, clock)
  const presentation = createPresentation({ issuer, i18n: settings.i18n, csrfKey: Buffer.alloc(32, 1), log })
  const op = await createOp({
    settings,
    records,
    store,
    sealer,
    box: createBox({ store, sealer, clock }),
    clock,
    log,
    fetch: async () => Response.error(),
    trace,
    audit: (event) => void audits.push(event),
    methods: ['basic'],
    presentation,
    ...given.options,
  })
  const house: House = { issuer, op, records, store, audits, lines, shown: [], person: {} }
  const app = createApp({
    issuer,
    trustProxy: false,
    cookieKeys: op.cookieKeys,
    clock,
    log,
    presentation,
    engine: op.middleware,
    routes: [
      ...op.routes,
      {
        method: 'get',
        path: '/interaction/:uid',
        run: async (ctx) => {
          const interaction = await op.engine.interaction(ctx, ctx.params.uid ?? '')
          if (interaction) return seeOther(ctx, await answer(house, interaction))
          const kept = await op.engine.kept(ctx.params.uid ?? '')
          ctx.status = 410
          ctx.body = { state: kept?.state, restart: kept && op.engine.restartUrl(kept) }
        },
      },
    ],
  })
  server.on('request', app.callback())

  closing.push(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    await op.close()
    await trace.close()
    await records.close()
  })
  return house
}

/** One house for all tests of a suite. @param make may take its time; @returns the house, once the tests run */
export const suiteHouse = (make: () => HouseOptions | Promise<HouseOptions>): (() => House) => {
  const endings: (() => Promise<void>)[] = []
  let house: House | undefined
  before(async () => {
    house = await openHouse({ after: (close) => void endings.push(close) }, await make())
  })
  after(async () => {
    for (const close of endings) await close()
  })
  return () => {
    if (!house) throw new TypeError('the house is not open yet')
    return house
  }
}

const implicit = ['id_token', 'id_token token']
export const responseTypes = ['code', 'none', ...implicit, 'code id_token', 'code token', 'code id_token token']

/** One client of each kind that certification tries. */
export const certifiedClients = (): HouseOptions => ({
  resources: {
    clients: [
      client('web', {
        response_types: responseTypes,
        grant_types: ['authorization_code', 'refresh_token', 'implicit'],
      }),
      client('spa', { client_secret: undefined, token_endpoint_auth_method: 'none' }),
      client('signed', { userinfo_signed_response_alg: 'ES256', id_token_signed_response_alg: 'ES256' }),
      client('pair', { subject_type: 'pairwise' }),
      client('sector', { subject_type: 'pairwise', sector_identifier_uri: 'https://sector.example/list' }),
      client('jar'),
    ],
  },
})
