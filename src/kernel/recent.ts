/**
 * A bounded memory of what was used last. Two maps take turns: the older one is thrown away as a whole when the younger
 * one is full. Taking the oldest entry out of a single Map instead steps over every entry that was taken out before it,
 * which costs several µs for each new one.
 */

export interface Recent<K, V> {
  get(key: K): V | undefined
  set(key: K, value: V): void
  delete(key: K): void
  clear(): void
}

/** @param most entries are kept at most, and the half of it that was used last for certain */
export const createRecent = <K, V extends {} | null>(most: number): Recent<K, V> => {
  let young = new Map<K, V>()
  let old = new Map<K, V>()
  const set = (key: K, value: V): void => {
    if (young.size >= most / 2 && !young.has(key)) {
      old = young
      young = new Map()
    }
    young.set(key, value)
  }
  return {
    set,
    get(key) {
      const used = young.get(key)
      if (used !== undefined) return used
      const found = old.get(key)
      if (found !== undefined) set(key, found)
      return found
    },
    delete(key) {
      young.delete(key)
      old.delete(key)
    },
    clear() {
      young.clear()
      old.clear()
    },
  }
}
