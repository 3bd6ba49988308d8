/** Parts that were opened one upon the other, to be closed in the reverse order. */

type Part = () => Promise<unknown> | unknown

export interface Closer {
  add(part: Part): void
  /** Closes everything even when one part fails; throws the first failure. */
  close(): Promise<void>
}

export const createCloser = (): Closer => {
  const parts: Part[] = []
  return {
    add: (part) => void parts.unshift(part),
    async close() {
      const failures: unknown[] = []
      for (const part of parts.splice(0)) {
        try {
          await part()
        } catch (error) {
          failures.push(error)
        }
      }
      if (failures.length > 0) throw failures[0]
    },
  }
}

/**
 * What was half opened is closed again.
 * @throws what `open` throws
 */
export const opening = async <T>(open: (parts: Closer) => Promise<T>): Promise<T> => {
  const parts = createCloser()
  try {
    return await open(parts)
  } catch (error) {
    await parts.close().catch(() => undefined)
    throw error
  }
}
