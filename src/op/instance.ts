/** Makes an engine of the settings and of the records as they are at this moment, and proves that it works. */

import Provider from 'oidc-provider'
import { type EngineAdapters, engineAdapter } from '#artifacts/adapter.ts'
import type { Records, SigningKey } from '#directory/records.ts'
import { epochSeconds } from '#kernel/clock.ts'
import { noHooks } from '#kernel/hooks.ts'
import { randomToken, sameSecret, sha256 } from '#kernel/random.ts'
import { createAccessTokenJwts } from './access-tokens.ts'
import { type AcrTable, createAcrTable } from './acr.ts'
import { buildConfiguration, cookiesFor } from './build.ts'
import { createFindAccount } from './claims.ts'
import type { SecretGuard } from './client-secrets.ts'
import { createVocabulary, POLICY } from './clients.ts'
import { keepCompiled } from './compiled-clients.ts'
import { createDocuments, type Documents } from './documents.ts'
import { Engine } from './engine.ts'
import { listen, replayed } from './events.ts'
import type { Pages } from './features.ts'
import { createLoadExistingGrant, createNames, type Names } from './grants.ts'
import { createHookSeams, type HookSeams } from './hooks.ts'
import type { OpOptions } from './index.ts'
import type { InitialAccess } from './initial-access.ts'
import { CODE_MEMORY } from './late-codes.ts'
import { patchClients } from './logout.ts'
import { translated } from './outage.ts'
import { createPolicy, isPassiveTrip, reportedAcr } from './policy.ts'
import type { RefreshGrace } from './refresh.ts'
import { createRegistrationPolicy } from './registration.ts'
import { createScopeTable, type ScopeTable } from './scopes.ts'
import type { Seams } from './seams.ts'
import type { Sectors } from './sectors.ts'
import type { SessionManagement } from './session-management.ts'
import { grantLifetime, type OpSettings, takesRequestUris } from './settings.ts'
import { createReadStatement } from './software-statements.ts'
import { createSpontaneous, type Spontaneous } from './spontaneous.ts'
import { type Algorithm, createPairwise, createSubjects, type Subjects } from './subjects.ts'

/** What answers requests until the next change. */
export interface Instance {
  readonly engine: Engine
  readonly documents: Documents
  readonly kept: EngineAdapters['kept']
  readonly scopes: ScopeTable
  readonly spontaneous: Spontaneous
}

/** Secrets of this room, made once for the deployment. */
export interface Secrets {
  /** Newest first, base64url. */
  readonly cookieKeys: readonly string[]
  readonly names: Names
  readonly pepper: Uint8Array
  /** 32 bytes from which every node makes the same DPoP nonces. */
  readonly nonces: Buffer
  readonly pairwise: Algorithm
  /** Stands for an initial access token where registration is open to all; never leaves this process. */
  readonly openRegistration: string
}

export const readSecrets = async (settings: OpSettings, keys: Records['keys']): Promise<Secrets> => {
  const { pairwiseKey, pairwiseSalt } = settings.subjects
  const [cookie, names, pepper, nonces, key, salt] = await Promise.all([
    keys.secret('cookies'),
    keys.secret('grant names'),
    keys.secret('user codes'),
    keys.secret('dpop nonces'),
    pairwiseKey === undefined ? keys.secret('pairwise key') : Buffer.from(pairwiseKey),
    pairwiseSalt ?? keys.secret('pairwise salt').then((made) => made.toString('base64url')),
  ])
  return {
    cookieKeys: [cookie.toString('base64url')],
    names: createNames(names),
    pepper,
    nonces,
    pairwise: createPairwise(key, salt),
    openRegistration: randomToken(),
  }
}

const metadata = (settings: OpSettings): Record<string, unknown> =>
  takesRequestUris(settings) ? { request_uri_parameter_supported: true, require_request_uri_registration: true } : {}

export interface InstanceParts {
  readonly options: OpOptions
  readonly secrets: Secrets
  readonly grace: RefreshGrace
  readonly initialAccess: InitialAccess
  readonly sectors: Sectors
  readonly pages: Pages
  readonly watch: SessionManagement
  /** Limits guesses at client secrets. */
  readonly guardSecrets: SecretGuard
}

/** What the records add to the settings. */
export const readIngredients = async ({
  settings,
  records,
  methods,
  secondary,
}: Pick<OpOptions, 'settings' | 'records' | 'methods' | 'secondary'>) => {
  const [keys, providers, acrs, mappings, defined] = await Promise.all([
    records.keys.published(),
    records.providers.all(),
    records.acrs.all(),
    records.mappings.all(),
    records.scopes.all(),
  ])
  const scopes = createScopeTable(defined)
  const table = createAcrTable({
    methods,
    ...(secondary && { secondary }),
    providers: settings.inbound.enabled ? providers.filter(({ enabled }) => enabled) : [],
    acrs,
  })
  const signing = keys.filter(({ jwk }) => jwk.use !== 'enc')
  return {
    keys,
    signing,
    mappings,
    scopes,
    acrs: table,
    /** What client metadata may name. */
    known: { scopes: scopes.names, acrs: table.values, algorithms: [...new Set(signing.map(({ alg }) => alg))] },
  }
}

const createAdapters = (
  { options, secrets, grace }: InstanceParts,
  known: Parameters<typeof createVocabulary>[1],
): EngineAdapters => {
  const { settings, records, log } = options
  return engineAdapter({
    ...options,
    clients: records.clients,
    vocabulary: createVocabulary(settings, known),
    pepper: secrets.pepper,
    tombstone: grantLifetime(settings),
    // The mark of a pushed request's one use must outlast the interaction that it began (ENGINE 8).
    linger: { PushedAuthorizationRequest: settings.lifetimes.interaction, AuthorizationCode: CODE_MEMORY },
    report: (client, dropped) => log.warn('client.stale', { client, dropped }),
    replayed: () => replayed(options, Provider.ctx, 'parallel'),
    pardon: grace.pardon,
    translate: translated,
  })
}

const createJwts = ({ options }: InstanceParts, keys: readonly SigningKey[], subjects: Subjects) =>
  createAccessTokenJwts({
    issuer: options.settings.issuer,
    keys,
    algorithm: options.settings.keys.default,
    clock: options.clock,
    box: options.box,
    subject: subjects.of,
  })

/** Tokens that enter without having been issued: open registration's own, or the one of the configuration. */
const isHouseToken =
  ({ options, secrets }: InstanceParts) =>
  (value: string): boolean => {
    const { initialAccessToken } = options.settings.registration
    if (typeof initialAccessToken === 'string') return sameSecret(value, initialAccessToken)
    return initialAccessToken === false && sameSecret(value, secrets.openRegistration)
  }

const createSeams = (
  parts: InstanceParts,
  made: {
    readonly acrs: AcrTable
    readonly keys: readonly SigningKey[]
    readonly hooks: HookSeams
    readonly scopes: ScopeTable
    readonly spontaneous: Spontaneous
    readonly subjects: Subjects
  },
): Seams => {
  const { acrs, keys, hooks, scopes, spontaneous, subjects } = made
  const { options, secrets, grace, watch, pages, initialAccess } = parts
  const { settings, store, clock } = options
  return {
    secure: cookiesFor(settings.issuer).secure,
    now: () => epochSeconds(clock),
    sid: secrets.names.sid,
    unique: translated((issuer, jti, exp) => store.putOnce('ReplayDetection', sha256(`${issuer} ${jti}`), exp * 1000)),
    entersRegistration: translated(async (value) => isHouseToken(parts)(value) || initialAccess.isOpen(value)),
    registrationPolicies: [POLICY],
    acr: (ctx, actual) => reportedAcr(acrs, ctx, actual),
    isPassiveTrip,
    respond: watch.respond,
    formPost: pages.formPost,
    forgive: grace.forgive,
    jwts: createJwts(parts, keys, subjects),
    hooks,
    isDynamicScope: scopes.isDynamic,
    subjects,
    spontaneous,
  }
}

/** @throws when the records and settings make no working engine */
export const createInstance = async (parts: InstanceParts): Promise<Instance> => {
  const { options, secrets, pages } = parts
  const { settings, records, clock } = options
  const { keys, signing, mappings, scopes, acrs, known } = await readIngredients(options)
  const adapters = createAdapters(parts, known)
  const hooks = createHookSeams(options.hooks ?? noHooks, records.accounts)
  const subjects = createSubjects(settings, records, secrets.pairwise)
  const spontaneous = createSpontaneous({
    names: scopes.names,
    hooks,
    box: options.box,
    clock,
    lifetime: settings.spontaneousScopeLifetime,
  })
  const configuration = buildConfiguration({
    settings,
    clock,
    keys,
    cookieKeys: secrets.cookieKeys,
    mappings,
    scopes,
    acrs: acrs.values,
    adapter: adapters.factory,
    policy: createPolicy({
      acrs,
      clients: records.clients,
      subjects,
      byDefaults: options.byDefaults,
      passive: options.passive,
    }),
    findAccount: translated(createFindAccount(records.accounts, scopes)),
    isAlive: translated(async (id) => (await records.accounts.get(id))?.disabled === false),
    loadExistingGrant: translated(createLoadExistingGrant(records.consents, secrets.names, hooks, spontaneous)),
    hooks,
    registrationPolicy: createRegistrationPolicy(
      {
        settings,
        clock,
        registrable: scopes.registrable,
        hooks,
        readStatement: createReadStatement(settings, options.fetch),
        initialAccess: parts.initialAccess,
        sectors: parts.sectors,
      },
      isHouseToken(parts),
    ),
    subjects,
    pages,
    guard: parts.guardSecrets,
    nonceSecret: secrets.nonces,
    fetch: options.fetch,
  })
  const engine = new Engine(
    settings.issuer,
    configuration,
    createSeams(parts, { acrs, keys: signing, hooks, scopes, spontaneous, subjects }),
  )
  keepCompiled(engine, adapters.factory('Client').find)
  listen(engine, options)
  patchClients(engine, settings, options.notify ?? (async () => undefined))
  parts.guardSecrets.install(engine)
  return {
    engine,
    documents: await createDocuments(engine, metadata(settings)),
    kept: adapters.kept,
    scopes,
    spontaneous,
  }
}

/** How many clients a start is tried with; the rest is tried when it comes. */
const TRIED_CLIENTS = 50

/** Clients that this configuration cannot use: told at the start, refused when they come. */
export const tryClients = async ({ engine }: Instance, { records, log }: OpOptions): Promise<void> => {
  for (const { value } of await records.clients.page({ limit: TRIED_CLIENTS })) {
    if (value.disabled) continue
    try {
      await engine.Client.find(value.client_id)
    } catch (error) {
      const { error_description: reason } = error as { error_description?: string }
      log.warn('client.unusable', { client: value.client_id, reason })
    }
  }
}
