/**
 * The data keys, for each purpose a row of them, kept in the directory wrapped by the newest master key (envelope
 * encryption, PERSISTENCE 5). A new one follows in time or after a change of the master key, known to every node before
 * it seals. Artifacts age out from under an earlier key; records are sealed anew by reseal.ts.
 */
import type { Clock } from '#kernel/clock.ts'
import { Fault, isFault } from '#kernel/faults.ts'
import type { Bus, Directory, VersionedRecord } from '#kernel/ports.ts'
import { createKeyWrap, createSealer, type DataKey, type Sealer, type WrappedKey } from '#kernel/seal.ts'

/** The kind of the keyring's records, which only this file writes. */
export const keyringKind = 'keyring'
const MASTER_KEY_BYTES = 32
const MOST_KEYS = 10_000

export interface Keyring {
  readonly artifacts: Sealer
  readonly directory: Sealer
  /** Makes what is due and reads what others made. */
  refresh(): Promise<void>
  /** While records may be sealed under an earlier key than the newest: what notes that none is any more. */
  pending(): Promise<(() => Promise<void>) | undefined>
  close(): void
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

/** A data key seals so long, ms, before it gets a successor: random nonces allow 2^32 values a key (SP 800-38D 8.3). */
const ROTATE_MS: Readonly<Record<Purpose, number>> = {
  artifacts: 7 * 24 * 3_600_000,
  directory: 365 * 24 * 3_600_000,
}
/** A new key is known everywhere so long, ms, before it seals. */
const LEAD_MS = 3_600_000
const LOOK_MS = 600_000

type Purpose = 'artifacts' | 'directory'
const purposes: readonly Purpose[] = ['artifacts', 'directory']

const startOf = ({ activateAt, createdAt }: WrappedKey): number => activateAt ?? createdAt

/** A sealer that follows its keys: the newest one whose time has come seals, all open. */
const createLive = (clock: Clock) => {
  let now: Sealer | undefined
  /** The next key and the moment from which it seals. */
  let next: { sealer: Sealer; at: number } | undefined
  const current = (): Sealer => {
    if (next && next.at <= clock.now()) {
      now = next.sealer
      next = undefined
    }
    if (!now) throw new Fault('seal.broken', { reason: 'no key' })
    return now
  }
  const sealer: Sealer = {
    seal: (plain, place) => current().seal(plain, place),
    open: (sealed, place) => current().open(sealed, place),
    age: (value) => current().age(value),
  }
  /** @param keys oldest start first */
  const use = (keys: readonly { id: number; key: Uint8Array; start: number }[]) => {
    const ready = keys.filter(({ start }) => start <= clock.now())
    const sealing = ready.at(-1) ?? keys[0]
    const following = keys.find(({ start }) => start > (sealing?.start ?? 0) && start > clock.now())
    const led = (first: (typeof keys)[number]) => createSealer([first, ...keys.filter((key) => key !== first)])
    now = sealing && led(sealing)
    next = following && { sealer: led(following), at: following.start }
  }
  return { sealer, use }
}

/** The records of the ring, and the changes of them that every node may try: one succeeds, the others find it done. */
const createRing = (port: Directory, masterKeys: readonly Uint8Array[], clock: Clock) => {
  const wrap = wrapOf(masterKeys)
  const read = async () =>
    (await port.list(keyringKind, { limit: MOST_KEYS }))
      .map((row) => ({ row, key: decode(row) }))
      .sort((a, b) => startOf(a.key) - startOf(b.key))
  type Entry = Awaited<ReturnType<typeof read>>[number]

  const create = async (id: string, key: WrappedKey) => {
    try {
      await port.create(keyringKind, encode(id, key))
    } catch (error) {
      if (!isFault(error, 'directory.conflict')) throw error
    }
  }
  const replace = async ({ row }: Entry, key: WrappedKey) => {
    try {
      await port.replace(keyringKind, encode(row.id, key), row.revision)
    } catch (error) {
      if (!isFault(error, 'directory.stale')) throw error
    }
  }

  /** Under the newest master key; answers whether something was under an older one. */
  const rewrap = async (): Promise<boolean> => {
    let older = false
    for (const entry of await read()) {
      const again = wrap.rewrap(entry.key)
      if (wrappedUnder(again) === wrappedUnder(entry.key)) continue
      older = true
      await replace(entry, again)
    }
    return older
  }

  /** Makes what is due; `all`: successors of every key, since an older master key wrapped those there are. */
  const ensure = async (all = false) => {
    const entries = await read()
    for (const purpose of purposes) {
      const newest = entries.filter(({ key }) => key.purpose === purpose).at(-1)?.key
      const now = clock.now()
      if (!newest) await create(`${purpose}:1`, wrap.generate(purpose, now))
      // Named after the one that it follows: of several nodes one makes it.
      else if (startOf(newest) <= now && (all || startOf(newest) + ROTATE_MS[purpose] <= now))
        await create(`${purpose}:after-${newest.id}`, wrap.generate(purpose, now, now + LEAD_MS))
    }
  }
  return { wrap, read, replace, rewrap, ensure }
}

/**
 * Opens the keyring, making it when the directory is new; of several first starts one wins and all use its keys. What an
 * older master key wrapped is wrapped anew, and gets successors that it never wrapped.
 * @param masterKeys 32 bytes each, newest first: the first wraps, all unwrap
 * @param bus tells of other nodes' keys; without it the ring stays as it is until `refresh`
 * @throws Fault `seal.broken` when no master key opens a data key
 */
export const openKeyring = async (
  port: Directory,
  masterKeys: readonly Uint8Array[],
  clock: Clock,
  bus?: Bus,
): Promise<Keyring> => {
  const ring = createRing(port, masterKeys, clock)
  const live = { artifacts: createLive(clock), directory: createLive(clock) }

  const load = async () => {
    const entries = await ring.read()
    for (const purpose of purposes)
      live[purpose].use(
        entries
          .filter(({ key }) => key.purpose === purpose)
          .map(({ key }) => ({ id: key.id, key: ring.wrap.unwrap(key), start: startOf(key) })),
      )
  }
  const refresh = async () => {
    await ring.ensure()
    await load()
  }

  await ring.ensure()
  // Opened before anything is changed: a wrong master key must not leave a trace.
  await load()
  if (await ring.rewrap()) await ring.ensure(true)
  await load()

  // A ring that cannot be read now is read at the next look; until then its keys go on.
  const stop = bus?.onChange((kind) => {
    if (kind === keyringKind) load().catch(() => undefined)
  })
  const timer = bus && setInterval(() => void refresh().catch(() => undefined), LOOK_MS).unref()

  return {
    artifacts: live.artifacts.sealer,
    directory: live.directory.sealer,
    refresh,
    async pending() {
      const ours = (await ring.read()).filter(({ key }) => key.purpose === 'directory' && startOf(key) <= clock.now())
      const newest = ours.at(-1)
      return newest && ours.length > 1 && !newest.key.complete
        ? () => ring.replace(newest, { ...newest.key, complete: true })
        : undefined
    },
    close() {
      stop?.()
      clearInterval(timer)
    },
  }
}
