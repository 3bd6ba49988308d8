/**
 * Bulk changes (DESIGN 3.21): what a file declares is compared with what is stored; the difference becomes an intent record,
 * which is rolled forward. A crash half-way is completed at the next start, so no store needs transactions over records.
 */
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { Fault, isFault } from '#kernel/faults.ts'
import { type Account, type AccountInput, accountRecord } from '#kernel/records/account.ts'
import type { Draw } from './accounts.ts'
import { type Ground, type KindOf, openCollection } from './collection.ts'
import { acrKind, checked, clientKind, mappingKind, providerKind } from './kinds.ts'
import { normaliseUsername } from './normalise.ts'
import type { Resources } from './overlay.ts'
import type { Records, Shelf } from './records.ts'

export type ResourceName = keyof Resources

/** One line of the difference. `fields` names what an update changes, never the values. */
export interface Change {
  readonly resource: ResourceName
  readonly id: string
  readonly action: 'create' | 'update' | 'remove'
  readonly fields: readonly string[]
  /** Another record took the username, or the served file the record, meanwhile: not done. */
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

const step = z.strictObject({
  resource: z.enum(['clients', 'accounts', 'identityProviders', 'mappings', 'acrs']),
  id: z.string(),
  action: z.enum(['create', 'update', 'remove']),
  fields: z.array(z.string()),
  value: z.json().optional(),
})
type Step = z.output<typeof step>
const intentRecord = z.strictObject({
  id: z.string(),
  steps: z.array(step),
  managed: z.record(z.string(), z.array(z.string())),
})
type Intent = z.output<typeof intentRecord>
const managedRecord = z.strictObject({ id: z.string(), ids: z.array(z.string()) })
type Managed = z.output<typeof managedRecord>

const intentKind: KindOf<Intent> = { kind: 'intent', id: ({ id }) => id, read: checked(intentRecord) }
/** What apply declared so far, per resource: what prune may remove. */
const managedKind: KindOf<Managed> = { kind: 'applied', id: ({ id }) => id, read: checked(managedRecord) }
const INTENT = 'apply'

const asJson = (value: unknown): Record<string, unknown> => JSON.parse(JSON.stringify(value)) as Record<string, unknown>

/** Names of the members that differ. */
const difference = (before: unknown, after: unknown): string[] => {
  const [a, b] = [asJson(before), asJson(after)]
  const names = new Set([...Object.keys(a), ...Object.keys(b)])
  return [...names].filter((name) => !isDeepStrictEqual(a[name], b[name])).sort()
}

const idsOf: { readonly [Name in ResourceName]: (value: Resources[Name][number]) => string } = {
  clients: clientKind.id,
  accounts: ({ username }) => username,
  identityProviders: providerKind.id,
  mappings: mappingKind.id,
  acrs: acrKind.id,
}

type Shelves = Pick<Records, 'clients' | 'accounts' | 'providers' | 'mappings' | 'acrs'>

const shelfOf = (shelves: Shelves, resource: ResourceName): Shelf<unknown> =>
  shelves[resource === 'identityProviders' ? 'providers' : resource] as Shelf<unknown>

const planShelf = async (
  shelves: Shelves,
  resource: Exclude<ResourceName, 'accounts'>,
  values: readonly unknown[],
  read: (value: unknown) => unknown,
): Promise<Step[]> => {
  const steps: Step[] = []
  for (const raw of values) {
    const value = read(asJson(raw))
    const id = (idsOf[resource] as (value: unknown) => string)(value)
    const now = await shelfOf(shelves, resource).versioned(id)
    const fields = now ? difference(now.value, value) : []
    if (now && fields.length === 0) continue
    if (now?.revision === 0) throw new Fault('directory.read-only', { resource, id, fields })
    steps.push({ resource, id, action: now ? 'update' : 'create', fields, value: value as Step['value'] })
  }
  return steps
}

/** What an account becomes: what the file says, its own id, its hash where the file has no other password. */
const nextAccount = async (now: Account, input: AccountInput, options: ApplyOptions, draw: Draw): Promise<Account> => {
  const { password, ...rest } = input
  const same =
    password === undefined ||
    (now.passwordHash !== undefined && (await options.samePassword(password, now.passwordHash)))
  const drawn = await draw(same ? rest : input)
  return {
    ...drawn,
    id: now.id,
    ...(now.createdAt !== undefined && { createdAt: now.createdAt }),
    ...(drawn.passwordHash === undefined && now.passwordHash !== undefined && { passwordHash: now.passwordHash }),
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
    const now = input.id === undefined ? named : await accounts.get(input.id)
    if (named && named.id !== now?.id) throw new Fault('directory.conflict', { index: 'username', id: input.id })
    const value = now ? await nextAccount(now, input, options, draw) : await draw(input)
    const fields = now ? difference({ ...now, updatedAt: 0 }, { ...value, updatedAt: 0 }) : []
    if (now && fields.length === 0) continue
    const action = now ? 'update' : 'create'
    steps.push({ resource: 'accounts', id: value.username, action, fields, value: asJson(value) as Step['value'] })
  }
  return steps
}

/** Opens the applier, and completes what a crash left half done. */
export const openApply = async (ground: Ground, shelves: Shelves, draw: Draw): Promise<Applying> => {
  const intents = openCollection(ground, intentKind)
  const managed = openCollection(ground, managedKind)

  const managedIds = async (resource: ResourceName) => (await managed.fresh(resource))?.value.ids ?? []

  const plan = async (resources: Resources, options: ApplyOptions): Promise<Intent> => {
    const steps = [
      ...(await planShelf(shelves, 'mappings', resources.mappings, mappingKind.read)),
      ...(await planShelf(shelves, 'identityProviders', resources.identityProviders, providerKind.read)),
      ...(await planShelf(shelves, 'acrs', resources.acrs, acrKind.read)),
      ...(await planShelf(shelves, 'clients', resources.clients, clientKind.read)),
      ...(await planAccounts(shelves, resources.accounts, options, draw)),
    ]
    const next: Record<string, string[]> = {}
    for (const resource of Object.keys(idsOf) as ResourceName[]) {
      const declared = (resources[resource] as readonly unknown[]).map((value) => managedId(resource, value))
      const created = steps
        .filter((one) => one.resource === 'accounts' && one.action === 'create')
        .map(({ id }) => normaliseUsername(id))
      const before = await managedIds(resource)
      const gone = options.prune ? before.filter((id) => !declared.includes(id)) : []
      steps.push(...(await removals(resource, gone)))
      const added = resource === 'accounts' ? created : declared
      next[resource] = [...new Set([...before, ...added])].filter((id) => !gone.includes(id)).sort()
    }
    return { id: INTENT, steps, managed: next }
  }

  const removals = async (resource: ResourceName, ids: readonly string[]): Promise<Step[]> => {
    const steps: Step[] = []
    for (const id of ids) {
      const found =
        resource === 'accounts'
          ? await shelves.accounts.byUsername(id)
          : (await shelfOf(shelves, resource).versioned(id))?.revision || undefined
      if (found) steps.push({ resource, id, action: 'remove', fields: [] })
    }
    return steps
  }

  const take = async ({ resource, id, action, value }: Step): Promise<boolean> => {
    if (action !== 'remove') {
      try {
        await shelfOf(shelves, resource).put(resource === 'accounts' ? accountRecord.parse(value) : value)
      } catch (error) {
        // Somebody took the username or declared the record since the plan was made; the rest must still be done.
        if (!isFault(error, 'directory.conflict') && !isFault(error, 'directory.read-only')) throw error
        return false
      }
      return true
    }
    if (resource !== 'accounts') return shelfOf(shelves, resource).remove(id)
    const account = await shelves.accounts.byUsername(id)
    return account ? shelves.accounts.remove(account.id) : false
  }

  const rollForward = async ({ steps, managed: next }: Intent): Promise<Change[]> => {
    const changes: Change[] = []
    for (const { value, ...one } of steps) {
      const done = await take({ value, ...one })
      changes.push({ ...one, ...(!done && one.action !== 'remove' && { refused: true as const }) })
    }
    for (const [resource, ids] of Object.entries(next)) {
      const before = await managedIds(resource as ResourceName)
      if (!isDeepStrictEqual(before, ids)) await managed.put({ id: resource, ids })
    }
    await intents.remove(INTENT)
    return changes
  }

  const completeEarlier = async () => {
    const earlier = await intents.fresh(INTENT)
    if (earlier) await rollForward(earlier.value)
  }
  await completeEarlier()

  return {
    async apply(resources, options) {
      for (;;) {
        const intent = await plan(resources, options)
        const changes = intent.steps.map(({ value: _, ...change }): Change => change)
        if (options.dryRun) return changes
        try {
          await intents.create(intent)
        } catch (error) {
          if (!isFault(error, 'directory.conflict')) throw error
          // Another apply is under way or died: its work is completed first, then this one is planned afresh.
          await completeEarlier()
          continue
        }
        return rollForward(intent)
      }
    },
  }
}

const managedId = (resource: ResourceName, value: unknown): string => {
  const id = (idsOf[resource] as (value: unknown) => string)(value)
  return resource === 'accounts' ? normaliseUsername(id) : id
}
