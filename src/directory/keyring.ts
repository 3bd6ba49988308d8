/**
 * The data keys: one per purpose, made at the first start, kept in the directory wrapped by the newest master key
 * (envelope encryption, PERSISTENCE 5). Rotating the master key rewraps them and leaves every sealed row as it is.
 */
import type { Clock } from '#kernel/clock.ts'
import { Fault, isFault } from '#kernel/faults.ts'
import type { Directory, VersionedRecord } from '#kernel/ports.ts'
import { createKeyWrap, createSealer, type DataKey, type Sealer, type WrappedKey } from '#kernel/seal.ts'

/** The kind of the keyring's records, which only this file writes. */
export const keyringKind = 'keyring'
const MASTER_KEY_BYTES = 32
const MOST_KEYS = 100

export interface Keyring {
  readonly artifacts: Sealer
  readonly directory: Sealer
}

/** A data key of the keyring, and the id of its record. */
export type RingKey = DataKey & { readonly record: string }

const wrapOf = (masterKeys: readonly Uint8Array[]) => {
  if (masterKeys.length === 0 || masterKeys.some((key) => key.length !== MASTER_KEY_BYTES))
    throw new Fault('seal.broken', { reason: 'a master key has 32 bytes' })
  return createKeyWrap(masterKeys)
}

/**
 * The keyring's data keys, opened: for a backup, which protects them by its own encryption. Makes none.
 * @throws Fault `seal.broken` when no master key opens a data key
 */
export const dataKeys = async (port: Directory, masterKeys: readonly Uint8Array[]): Promise<RingKey[]> => {
  const wrap = wrapOf(masterKeys)
  return (await port.list(keyringKind, { limit: MOST_KEYS })).map((row) => {
    const wrapped = decode(row)
    const { id, purpose, createdAt } = wrapped
    return { id, purpose, createdAt, key: wrap.unwrap(wrapped), record: row.id }
  })
}

/** Adds data keys of a backup to the keyring, under this installation's newest master key; those it has stay. */
export const adoptDataKeys = async (
  port: Directory,
  masterKeys: readonly Uint8Array[],
  keys: readonly RingKey[],
): Promise<void> => {
  const wrap = wrapOf(masterKeys)
  const known = await dataKeys(port, masterKeys)
  for (const key of keys) {
    if (known.some((one) => sameKey(one, key))) continue
    const taken = known.some(({ record }) => record === key.record)
    await port.create(keyringKind, encode(taken ? `${key.purpose}:${key.id}` : key.record, wrap.wrap(key)))
  }
}

export const sameKey = (a: DataKey, b: DataKey): boolean =>
  a.id === b.id && a.purpose === b.purpose && Buffer.compare(a.key, b.key) === 0

/** version(1) | master key id(4), which is how a wrapped key says under what. */
const wrappedUnder = ({ wrapped }: WrappedKey): string => Buffer.from(wrapped, 'base64url').toString('hex', 1, 5)

const decode = ({ doc }: VersionedRecord): WrappedKey => JSON.parse(Buffer.from(doc).toString()) as WrappedKey
const encode = (id: string, key: WrappedKey) => ({ id, doc: Buffer.from(JSON.stringify(key)) })

/**
 * Opens the keyring, making it when the directory is new; of several first starts one wins and all use its keys.
 * @param masterKeys 32 bytes each, newest first: the first wraps, all unwrap
 * @throws Fault `seal.broken` when no master key opens a data key
 */
export const openKeyring = async (
  port: Directory,
  masterKeys: readonly Uint8Array[],
  clock: Clock,
): Promise<Keyring> => {
  const wrap = wrapOf(masterKeys)

  const ensure = async (purpose: string) => {
    if ((await keysOf(purpose)).length > 0) return
    try {
      await port.create(keyringKind, encode(`${purpose}:1`, wrap.generate(purpose, clock.now())))
    } catch (error) {
      if (!isFault(error, 'directory.conflict')) throw error
    }
  }
  const keysOf = async (purpose: string) =>
    (await port.list(keyringKind, { limit: MOST_KEYS })).filter(({ id }) => id.startsWith(`${purpose}:`))

  const rewrapIfOlder = async (row: VersionedRecord) => {
    const key = decode(row)
    const again = wrap.rewrap(key)
    if (wrappedUnder(again) === wrappedUnder(key)) return
    try {
      await port.replace(keyringKind, encode(row.id, again), row.revision)
    } catch (error) {
      // Another node did the same.
      if (!isFault(error, 'directory.stale')) throw error
    }
  }

  const open = async (purpose: string): Promise<Sealer> => {
    await ensure(purpose)
    const rows = await keysOf(purpose)
    const keys = rows.map(decode).sort((a, b) => b.createdAt - a.createdAt)
    const sealer = createSealer(keys.map((key) => ({ id: key.id, key: wrap.unwrap(key) })))
    for (const row of rows) await rewrapIfOlder(row)
    return sealer
  }

  return { artifacts: await open('artifacts'), directory: await open('directory') }
}
