/**
 * A bulk change that was decided, and how it is rolled forward: each step is compare-and-swap against what the decision
 * saw, so any number of processes may do the same steps, late ones do nothing, and a crash half-way is completed at the
 * next start (DESIGN 3.21).
 */
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import { isFault } from '#kernel/faults.ts'
import { type Ground, type KindOf, openCollection } from './collection.ts'
import { checked } from './kinds.ts'
import type { Resources } from './overlay.ts'
import type { Records, Shelf } from './records.ts'

export type ResourceName = keyof Resources
export type Shelves = Pick<
  Records,
  'clients' | 'accounts' | 'providers' | 'mappings' | 'acrs' | 'scopes' | 'sectorIdentifiers'
>

export const shelfOf = (shelves: Shelves, resource: ResourceName): Shelf<unknown> =>
  shelves[resource === 'identityProviders' ? 'providers' : resource] as Shelf<unknown>

const resource = z.enum(['clients', 'accounts', 'identityProviders', 'mappings', 'acrs', 'scopes', 'sectorIdentifiers'])
const step = z.strictObject({
  resource,
  /** As people know it: an account's username. */
  id: z.string(),
  /** As the shelf knows it. */
  key: z.string(),
  action: z.enum(['create', 'update', 'remove']),
  fields: z.array(z.string()),
  /** What the decision saw; 0: nothing. */
  revision: z.number(),
  value: z.json().optional(),
})
export type Step = z.output<typeof step>

const intentRecord = z.strictObject({
  id: z.string(),
  token: z.string(),
  steps: z.array(step),
  /** Changes to what prune may remove. */
  managed: z.array(z.strictObject({ resource, add: z.array(z.string()), drop: z.array(z.string()) })),
})
export type Intent = z.output<typeof intentRecord>
const managedRecord = z.strictObject({ id: z.string(), ids: z.array(z.string()) })
type Managed = z.output<typeof managedRecord>

const intentKind: KindOf<Intent> = { kind: 'intent', id: ({ id }) => id, read: checked(intentRecord) }
const managedKind: KindOf<Managed> = { kind: 'applied', id: ({ id }) => id, read: checked(managedRecord) }
/** One at a time. */
const ID = 'apply'

/** Names of the members that differ; when a record was last written does not count. */
export const difference = (before: unknown, after: unknown): string[] => {
  const [a, b] = [before, after].map((value) => JSON.parse(JSON.stringify(value)) as Record<string, unknown>)
  const names = new Set([...Object.keys(a ?? {}), ...Object.keys(b ?? {})])
  names.delete('updatedAt')
  return [...names].filter((name) => !isDeepStrictEqual(a?.[name], b?.[name])).sort()
}

/** Done, by us or by whoever was faster; false: somebody wants it otherwise. */
const take = async (shelves: Shelves, { resource, key, action, revision, value }: Step): Promise<boolean> => {
  const shelf = shelfOf(shelves, resource)
  const now = await shelf.versioned(key)
  if (action === 'remove') {
    if (now?.revision === revision) await shelf.remove(key)
    return !now || now.revision === revision
  }
  try {
    await shelf.put(value, revision)
    return true
  } catch (error) {
    const lost = ['directory.stale', 'directory.conflict', 'directory.read-only'] as const
    if (!lost.some((code) => isFault(error, code))) throw error
    const there = await shelf.versioned(key)
    return there !== undefined && difference(there.value, value).length === 0
  }
}

export interface Intents {
  /** What apply declared so far and prune may remove. */
  managedIds(resource: ResourceName): Promise<readonly string[]>
  /** Decides; undefined when another decision stands, which is completed first. */
  decide(intent: Omit<Intent, 'id'>): Promise<Intent | undefined>
  /** Does every step; answers those that somebody prevented. */
  rollForward(intent: Intent): Promise<readonly Step[]>
  /** Completes what a crash left half done. */
  complete(): Promise<void>
}

export const openIntents = (ground: Ground, shelves: Shelves): Intents => {
  const intents = openCollection(ground, intentKind)
  const managed = openCollection(ground, managedKind)
  const managedIds = async (name: ResourceName) => (await managed.fresh(name))?.value.ids ?? []

  const manage = async ({ resource, add, drop }: Intent['managed'][number]) => {
    const change = (ids: readonly string[]) => [...new Set([...ids, ...add])].filter((id) => !drop.includes(id)).sort()
    if (isDeepStrictEqual(change(await managedIds(resource)), await managedIds(resource))) return
    if (!(await managed.update(resource, (now) => ({ ...now, ids: change(now.ids) }))))
      await managed.put({ id: resource, ids: change([]) })
  }
  const rollForward = async (intent: Intent): Promise<Step[]> => {
    const prevented: Step[] = []
    for (const one of intent.steps) if (!(await take(shelves, one))) prevented.push(one)
    for (const one of intent.managed) await manage(one)
    const standing = await intents.fresh(ID)
    if (standing?.value.token === intent.token) await intents.remove(ID, standing.revision)
    return prevented
  }
  const complete = async () => {
    const earlier = await intents.fresh(ID)
    if (earlier) await rollForward(earlier.value)
  }

  return {
    managedIds,
    rollForward,
    complete,
    async decide(given) {
      const intent = { ...given, id: ID }
      try {
        await intents.create(intent)
        return intent
      } catch (error) {
        if (!isFault(error, 'directory.conflict')) throw error
        await complete()
        return undefined
      }
    },
  }
}
