/** What the cases of the artifact store's contract share. */
import type { Clock } from '#kernel/clock.ts'
import type { ArtifactRow, ArtifactStore } from '#kernel/ports.ts'
import { sha256 } from '#kernel/random.ts'

/** What a case works with: a fresh store, and time. */
export interface World {
  readonly store: ArtifactStore
  readonly clock: Clock
  skip(ms: number): Promise<void>
}
export type Case = (world: World) => Promise<void>
export type Cases = Readonly<Record<string, Case>>

export const key = (name: string): Buffer => sha256(name)
export const row = (name: string, more: Partial<ArtifactRow> = {}): ArtifactRow => ({
  key: key(name),
  body: Buffer.from(`body of ${name}`),
  ...more,
})
export const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i))
export const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString()
export const all = async (store: ArtifactStore) => {
  const found: { model: string; row: ArtifactRow }[] = []
  for await (const one of store.scan()) found.push(one)
  return found
}
export const count = <T>(values: readonly T[], value: T): number => values.filter((one) => one === value).length

const hex = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(hex)
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value
}

/** A row in comparable form: without its revision and what is undefined, bytes in hexadecimal. */
export const plain = ({ revision: _, ...rest }: ArtifactRow): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(rest)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, hex(value)]),
  )
