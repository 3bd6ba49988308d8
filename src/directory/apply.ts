/**
 * Bulk changes: what a file declares is compared with what is stored, and the difference is decided as one intent, which
 * is rolled forward (intent.ts). Nothing is written when any of it cannot be.
 */
import { Fault } from '#kernel/faults.ts'
import { randomId } from '#kernel/random.ts'
import type { Account, AccountInput } from '#kernel/records/account.ts'
import type { Draw } from './accounts.ts'
import type { Ground } from './collection.ts'
import {
  difference,
  type Intent,
  type Intents,
  openIntents,
  type ResourceName,
  type Shelves,
  type Step,
  shelfOf,
} from './intent.ts'
import { acrKind, clientKind, mappingKind, providerKind, scopeKind, sectorKind } from './kinds.ts'
import { normaliseUsername } from './normalise.ts'
import type { Resources } from './overlay.ts'

/** One line of the difference. `fields` names what an update changes, never the values. */
export interface Change {
  readonly resource: ResourceName
  readonly id: string
  readonly action: 'create' | 'update' | 'remove'
  readonly fields: readonly string[]
  /** Not done: somebody changed the record, or took its name, since the difference was found. */
  readonly refused?: true
}

export interface ApplyOptions {
  /** Also removes what an earlier apply declared and this file does not. Of accounts only those that apply created. */
  readonly prune?: boolean
  /** Answers the difference and writes nothing. */
  readonly dryRun?: boolean
  /** Whether a stored hash is of this password, so that the same file twice changes nothing. */
  readonly samePassword: (password: string, hash: string) => Promise<boolean>
}

export interface Applying {
  /**
   * Makes the directory as the resources say, which must be valid and consistent.
   * @throws Fault `directory.read-only` when the served file declares a record differently, `directory.conflict`
   */
  apply(resources: Resources, options: ApplyOptions): Promise<readonly Change[]>
}

const asJson = (value: unknown): Step['value'] => JSON.parse(JSON.stringify(value)) as Step['value']

/** Resources that are compared whole, in an order in which no record refers to a later one. */
const plain = [
  { resource: 'mappings', ...mappingKind },
  { resource: 'identityProviders', ...providerKind },
  { resource: 'acrs', ...acrKind },
  { resource: 'scopes', ...scopeKind },
  { resource: 'clients', ...clientKind },
  { resource: 'sectorIdentifiers', ...sectorKind },
] as const

const planPlain = async (shelves: Shelves, resources: Resources): Promise<Step[]> => {
  const steps: Step[] = []
  for (const { resource, id: idOf, read } of plain)
    for (const raw of resources[resource]) {
      const value = read(asJson(raw))
      const id = (idOf as (value: unknown) => string)(value)
      const now = await shelfOf(shelves, resource).versioned(id)
      const fields = now ? difference(now.value, value) : []
      if (now && fields.length === 0) continue
      if (now?.revision === 0) throw new Fault('directory.read-only', { resource, id, fields })
      const action = now ? 'update' : 'create'
      steps.push({ resource, id, key: id, action, fields, revision: now?.revision ?? 0, value: asJson(value) })
    }
  return steps
}

/** What an account becomes: what the file says, its own id, its hash where the file has no other password. */
const nextAccount = async (now: Account, input: AccountInput, options: ApplyOptions, draw: Draw): Promise<Account> => {
  const { password, ...rest } = input
  const hash = now.passwordHash
  const same = password === undefined || (hash !== undefined && (await options.samePassword(password, hash)))
  const drawn = await draw(same ? rest : input)
  return {
    ...drawn,
    id: now.id,
    ...(now.createdAt !== undefined && { createdAt: now.createdAt }),
    ...(drawn.passwordHash === undefined && hash !== undefined && { passwordHash: hash }),
  }
}

const planAccounts = async (
  { accounts }: Shelves,
  inputs: readonly AccountInput[],
  options: ApplyOptions,
  draw: Draw,
): Promise<Step[]> => {
  const steps: Step[] = []
  for (const input of inputs) {
    const named = await accounts.byUsername(input.username)
    const id = input.id ?? named?.id
    if (named && named.id !== id) throw new Fault('directory.conflict', { index: 'username', id })
    const now = id === undefined ? undefined : await accounts.versioned(id)
    const value = now ? await nextAccount(now.value, input, options, draw) : await draw(input)
    const fields = now ? difference(now.value, value) : []
    if (now && fields.length === 0) continue
    steps.push({
      resource: 'accounts',
      id: value.username,
      key: value.id,
      action: now ? 'update' : 'create',
      fields,
      revision: now?.revision ?? 0,
      value: asJson(value),
    })
  }
  return steps
}

/** Ids under which prune remembers: accounts by their normalised usernames. */
const managedName = (resource: ResourceName, id: string): string =>
  resource === 'accounts' ? normaliseUsername(id) : id

const declaredIn = (resources: Resources): Record<ResourceName, string[]> => ({
  clients: resources.clients.map(clientKind.id),
  accounts: resources.accounts.map(({ username }) => normaliseUsername(username)),
  identityProviders: resources.identityProviders.map(providerKind.id),
  mappings: resources.mappings.map(mappingKind.id),
  acrs: resources.acrs.map(acrKind.id),
  scopes: resources.scopes.map(scopeKind.id),
  sectorIdentifiers: resources.sectorIdentifiers.map(sectorKind.id),
})

/** In an order in which no record is removed before one that refers to it. */
const removalOrder: readonly ResourceName[] = [
  'sectorIdentifiers',
  'clients',
  'accounts',
  'scopes',
  'acrs',
  'identityProviders',
  'mappings',
]

const removal = async (shelves: Shelves, resource: ResourceName, id: string): Promise<Step | undefined> => {
  const key = resource === 'accounts' ? (await shelves.accounts.byUsername(id))?.id : id
  const now = key === undefined ? undefined : await shelfOf(shelves, resource).versioned(key)
  if (key === undefined || !now || now.revision === 0) return undefined
  return { resource, id, key, action: 'remove', fields: [], revision: now.revision }
}

const planManaged = async (
  shelves: Shelves,
  intents: Intents,
  resources: Resources,
  steps: readonly Step[],
  prune: boolean,
): Promise<Pick<Intent, 'steps' | 'managed'>> => {
  const declared = declaredIn(resources)
  const plan: Pick<Intent, 'steps' | 'managed'> = { steps: [...steps], managed: [] }
  for (const resource of removalOrder) {
    const created = steps.filter((step) => step.resource === resource && step.action === 'create')
    // People who were there before belong to themselves, whatever a file says of them later.
    const add = resource === 'accounts' ? created.map(({ id }) => managedName(resource, id)) : declared[resource]
    const drop = prune ? (await intents.managedIds(resource)).filter((id) => !declared[resource].includes(id)) : []
    for (const id of drop) {
      const step = await removal(shelves, resource, id)
      if (step) plan.steps.push(step)
    }
    plan.managed.push({ resource, add, drop })
  }
  return plan
}

const asChange = ({ resource, id, action, fields }: Step): Change => ({ resource, id, action, fields })

/** Opens the applier, and completes what a crash left half done. */
export const openApply = async (ground: Ground, shelves: Shelves, draw: Draw): Promise<Applying> => {
  const intents = openIntents(ground, shelves)
  await intents.complete()

  const plan = async (resources: Resources, options: ApplyOptions) => {
    const steps = [
      ...(await planPlain(shelves, resources)),
      ...(await planAccounts(shelves, resources.accounts, options, draw)),
    ]
    return planManaged(shelves, intents, resources, steps, options.prune ?? false)
  }

  return {
    async apply(resources, options) {
      for (;;) {
        const planned = await plan(resources, options)
        if (options.dryRun) return planned.steps.map(asChange)
        const intent = await intents.decide({ ...planned, token: randomId() })
        if (!intent) continue
        const prevented = await intents.rollForward(intent)
        return intent.steps.map((step) => ({
          ...asChange(step),
          ...(prevented.includes(step) && { refused: true as const }),
        }))
      }
    },
  }
}
