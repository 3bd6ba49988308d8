/** A shelf: one collection seen through the overlay of what the served file declares. */
import { Fault } from '#kernel/faults.ts'
import type { Collection } from './collection.ts'
import type { Shelf, Versioned } from './records.ts'

/**
 * @param idOf the id of a record
 * @param declared what the served file declares, revision 0, read-only
 * @param check refuses a value before it is written; answers it with its defaults
 */
export const createShelf = <T>(
  collection: Collection<T>,
  idOf: (value: T) => string,
  declared: readonly T[],
  check: (value: T) => T,
): Shelf<T> => {
  const overlay = new Map(declared.map((value) => [idOf(value), { value, revision: 0 }]))
  const idsAscending = [...overlay.keys()].sort(ascending)

  const refuseDeclared = (id: string) => {
    if (overlay.has(id)) throw new Fault('directory.read-only', { kind: collection.kind, id })
  }

  return {
    get: async (id) => (overlay.get(id) ?? (await collection.get(id)))?.value,
    versioned: async (id) => overlay.get(id) ?? (await collection.fresh(id)),
    async page({ after = '', limit }) {
      const stored = await collection.page({ limit, ...(after && { after }) })
      const first = idsAscending.filter((id) => after === '' || ascending(id, after) > 0).slice(0, limit)
      const merged = new Map(stored.map((entry): [string, Versioned<T>] => [idOf(entry.value), entry]))
      for (const id of first) {
        const entry = overlay.get(id)
        if (entry) merged.set(id, entry)
      }
      return [...merged.entries()]
        .sort(([a], [b]) => ascending(a, b))
        .slice(0, limit)
        .map(([, entry]) => entry)
    },
    async all() {
      if (overlay.size === 0) return (await collection.all()).map(({ value }) => value)
      const stored = (await collection.all()).filter(({ value }) => !overlay.has(idOf(value)))
      return [...overlay.values(), ...stored].map(({ value }) => value)
    },
    async put(value, ifRevision) {
      refuseDeclared(idOf(value))
      return collection.put(check(value), ifRevision)
    },
    async remove(id) {
      refuseDeclared(id)
      return collection.remove(id)
    },
  }
}

/** The order of ids in every store: by bytes. */
const ascending = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))
