/**
 * One kind of sealed documents over the Directory port: encoding, short cache, compare-and-swap. What the records mean is
 * the business of the files beside it. A whole document is sealed; only ids and normalised index values are in clear.
 */
import type { Clock } from '#kernel/clock.ts'
import { Fault, isFault } from '#kernel/faults.ts'
import type { Bus, Directory, PageQuery, StoredRecord, VersionedRecord } from '#kernel/ports.ts'
import type { Sealer } from '#kernel/seal.ts'
import { createCache } from './cache.ts'
import type { Versioned } from './records.ts'

/** What every collection works with. */
export interface Ground {
  readonly port: Directory
  readonly bus: Bus
  readonly sealer: Sealer
  readonly clock: Clock
}

/** What a kind is: its word in the store, and what of a value the store may see. */
export interface KindOf<T> {
  readonly kind: string
  readonly id: (value: T) => string
  /** Fills in what an older version did not write, refuses what is not such a record. */
  readonly read: (value: unknown) => T
  readonly unique?: (value: T) => Record<string, string>
  readonly index?: (value: T) => Record<string, readonly string[]>
}

export interface Collection<T> {
  readonly kind: string
  /** From the cache; absence is cached too. */
  get(id: string): Promise<Versioned<T> | undefined>
  /** From the store. */
  fresh(id: string): Promise<Versioned<T> | undefined>
  page(query: PageQuery): Promise<Versioned<T>[]>
  /** Everything, cached as one. */
  all(): Promise<readonly Versioned<T>[]>
  find(index: string, value: string, limit: number): Promise<Versioned<T>[]>
  /** Throws `directory.conflict`. */
  create(value: T): Promise<number>
  /** Creates, or replaces whatever is there. With `ifRevision` (0: must be absent) throws `directory.stale`. */
  put(value: T, ifRevision?: number): Promise<number>
  /** Compare-and-swap until it holds; `change` must be pure. Answers undefined when there is no such record. */
  update(id: string, change: (now: T) => T): Promise<T | undefined>
  remove(id: string, ifRevision?: number): Promise<boolean>
  /** The record as the store takes it, for the port's own compound operations. */
  stored(value: T): StoredRecord
  /** Another node or a compound operation changed it. */
  forget(id?: string): void
  /** Forgets and tells the other nodes. */
  changed(id: string): Promise<void>
}

const MOST_TRIES = 50
const PAGE = 500

/** Every record of a kind, page by page. */
export const everyPage = async <T>(
  read: (query: PageQuery) => Promise<T[]>,
  idOf: (item: T) => string,
): Promise<T[]> => {
  const items: T[] = []
  for (;;) {
    const last = items.at(-1)
    const page = await read({ limit: PAGE, ...(last !== undefined && { after: idOf(last) }) })
    items.push(...page)
    if (page.length < PAGE) return items
  }
}

/** Values as sealed documents and back. */
const documents = <T>(sealer: Sealer, of: KindOf<T>) => ({
  open: ({ id, doc, revision }: VersionedRecord): Versioned<T> => ({
    value: of.read(JSON.parse(sealer.open(doc, `${of.kind}:${id}`).toString())),
    revision,
  }),
  stored(value: T): StoredRecord {
    const id = of.id(value)
    return {
      id,
      doc: sealer.seal(JSON.stringify(value), `${of.kind}:${id}`),
      ...(of.unique && { unique: of.unique(value) }),
      ...(of.index && { index: of.index(value) }),
    }
  },
})

/** Runs `attempt` again while another writer was faster. */
const insist = async <R>(attempt: () => Promise<R>, lost: (error: unknown) => boolean): Promise<R> => {
  for (let tries = 1; ; tries += 1) {
    try {
      return await attempt()
    } catch (error) {
      if (tries >= MOST_TRIES || !lost(error)) throw error
    }
  }
}
const faster = (error: unknown) =>
  isFault(error, 'directory.stale') || (isFault(error, 'directory.conflict') && error.detail.index === 'id')

/** Opens one kind. Costs nothing until used. */
export const openCollection = <T>({ port, bus, sealer, clock }: Ground, of: KindOf<T>): Collection<T> => {
  const { kind } = of
  const one = createCache<Versioned<T> | undefined>(clock)
  const whole = createCache<readonly Versioned<T>[]>(clock)
  const { open, stored } = documents(sealer, of)

  const forget = (id?: string) => {
    one.forget(id)
    whole.forget()
  }
  const changed = async (id: string) => {
    forget(id)
    await bus.publish(kind, id)
  }
  const fresh = async (id: string) => {
    const row = await port.read(kind, id)
    return row && open(row)
  }
  const page = async (query: PageQuery) => (await port.list(kind, query)).map(open)

  const create = async (value: T) => {
    const revision = await port.create(kind, stored(value))
    await changed(of.id(value))
    return revision
  }
  const replace = async (value: T, ifRevision: number) => {
    const revision = await port.replace(kind, stored(value), ifRevision)
    await changed(of.id(value))
    return revision
  }

  return {
    kind,
    stored,
    forget,
    changed,
    fresh,
    page,
    create,
    get: (id) => one.get(id, () => fresh(id)),
    all: () => whole.get('', () => everyPage(page, ({ value }) => of.id(value))),
    find: async (index, value, limit) => (await port.find(kind, index, value, { limit })).map(open),
    async put(value, ifRevision) {
      const id = of.id(value)
      if (ifRevision) return replace(value, ifRevision)
      if (ifRevision === 0) {
        if (await port.read(kind, id)) throw new Fault('directory.stale', { kind, id })
        return create(value)
      }
      return insist(async () => {
        const now = await port.read(kind, id)
        return now ? replace(value, now.revision) : create(value)
      }, faster)
    },
    update: (id, change) =>
      insist(
        async () => {
          const now = await fresh(id)
          if (!now) return undefined
          const next = change(now.value)
          await replace(next, now.revision)
          return next
        },
        (error) => isFault(error, 'directory.stale'),
      ),
    async remove(id, ifRevision) {
      const gone = await port.remove(kind, id, ifRevision)
      if (gone) await changed(id)
      return gone
    },
  }
}
