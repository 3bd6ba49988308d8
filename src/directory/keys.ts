/** Signing keys and named secrets: made when first needed, sealed, rotated by time and by hand (ENGINE 9, PERSISTENCE 5). */
import { randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { Clock } from '#kernel/clock.ts'
import { Fault, isFault } from '#kernel/faults.ts'
import { type Collection, type Ground, type KindOf, openCollection } from './collection.ts'
import { generateKeyOf, type KeyAlgorithm, keyAlgorithms } from './generate.ts'
import {
  type KeyRecord,
  type KeySettings,
  leadOf,
  nextChangeAfter,
  publishedAt,
  stateAt,
  successorDue,
  timesOf,
} from './key-times.ts'
import { checked } from './kinds.ts'
import type { Keys, SigningKey } from './records.ts'

const keyRecord: z.ZodType<KeyRecord> = z.strictObject({
  id: z.string(),
  generation: z.number(),
  kid: z.string(),
  alg: z.string(),
  jwk: z.record(z.string(), z.unknown()),
  publishAt: z.number(),
  activateAt: z.number(),
  retiredAt: z.number().optional(),
  droppedAt: z.number().optional(),
})
const secretRecord = z.strictObject({ id: z.string(), value: z.string() })
type SecretRecord = z.output<typeof secretRecord>

export const keyKind: KindOf<KeyRecord> = { kind: 'key', id: ({ id }) => id, read: checked(keyRecord) }
export const secretKind: KindOf<SecretRecord> = { kind: 'secret', id: ({ id }) => id, read: checked(secretRecord) }

const SECRET_BYTES = 32
/** Dropped keys stay listed for so long, then their records go. */
const FORGET_AFTER_MS = 30 * 24 * 3_600_000

const MOST_RACES = 5

const isAlgorithm = (alg: string): alg is KeyAlgorithm => keyAlgorithms.some((known) => known === alg)

/** Reads and makes generations; one object, so that the steps below stay small. */
const createGenerations = (collection: Collection<KeyRecord>, settings: KeySettings, clock: Clock) => {
  const records = async () => (await collection.all()).map(({ value }) => value)
  const times = async () => timesOf(await records(), settings)

  /** Makes the next generation; when another node is faster, its key counts. Answers what there is now. */
  const next = async (alg: string, at: { publishAt: number; activateAt: number }): Promise<{ activateAt: number }> => {
    if (!isAlgorithm(alg)) throw new Fault('request.invalid', { reason: `no such algorithm: ${alg}` })
    const generation =
      Math.max(0, ...(await records()).filter((key) => key.alg === alg).map((key) => key.generation)) + 1
    const jwk = await generateKeyOf(alg)
    try {
      await collection.create({ id: `${alg}:${generation}`, generation, kid: jwk.kid, alg, jwk, ...at })
      return at
    } catch (error) {
      if (!isFault(error, 'directory.conflict')) throw error
      collection.forget()
      return (await collection.fresh(`${alg}:${generation}`))?.value ?? at
    }
  }

  /** Brings the set to what this moment asks for. Cheap when nothing is due. */
  const ensure = async () => {
    const now = clock.now()
    const keys = await times()
    await Promise.all(
      settings.algorithms.map(async (alg) => {
        const due = successorDue(keys, alg, settings)
        if (!due || due.dueAt > now) return
        const first = due.activateAt === 0
        await next(alg, {
          publishAt: now,
          activateAt: first ? now : Math.max(due.activateAt, now + leadOf(settings)),
        })
      }),
    )
    await Promise.all((await records()).map((record) => tidy(record, now)))
  }

  const tidy = async (record: KeyRecord, now: number) => {
    const key = (await times()).find(({ kid }) => kid === record.kid)
    if (!key) return
    if (!settings.algorithms.includes(record.alg) && key.retireAt === undefined)
      await collection.update(record.id, (latest) => ({ ...latest, retiredAt: latest.retiredAt ?? now }))
    const others = (await records()).filter((other) => other.alg === record.alg && other.kid !== record.kid)
    // Oldest first, since a key's times follow from those after it; the newest stays, the next number counts from it.
    const oldest = others.length > 0 && others.every((other) => other.generation > record.generation)
    if (oldest && key.dropAt !== undefined && key.dropAt + FORGET_AFTER_MS < now) await collection.remove(record.id)
  }

  return { records, times, next, ensure }
}

const createSecrets = (collection: Collection<SecretRecord>) => {
  const known = new Map<string, Promise<Buffer>>()
  const make = async (name: string): Promise<Buffer> => {
    const found = await collection.fresh(name)
    if (found) return Buffer.from(found.value.value, 'base64url')
    try {
      const value = randomBytes(SECRET_BYTES)
      await collection.create({ id: name, value: value.toString('base64url') })
      return value
    } catch (error) {
      if (!isFault(error, 'directory.conflict')) throw error
      return make(name)
    }
  }
  return (name: string): Promise<Buffer> => {
    const before = known.get(name)
    if (before) return before
    const making = make(name)
    known.set(name, making)
    making.catch(() => known.delete(name))
    return making
  }
}

/** @param settings durations in seconds, as the configuration's `keys` gives them */
export const createKeys = (
  ground: Ground,
  settings: KeySettings,
): { keys: Keys; collections: { forget(id?: string): void; kind: string }[] } => {
  const collection = openCollection(ground, keyKind)
  const secrets = openCollection(ground, secretKind)
  const { clock } = ground
  const generations = createGenerations(collection, settings, clock)

  const published = async (): Promise<readonly SigningKey[]> => {
    await generations.ensure()
    return publishedAt(await generations.times(), clock.now(), settings)
  }

  const retire = async (kid: string) => {
    const record = (await generations.records()).find((key) => key.kid === kid)
    const key = (await generations.times()).find((one) => one.kid === kid)
    if (!record || !key) throw new Fault('directory.absent', { kind: 'key', id: kid })
    const now = clock.now()
    const state = stateAt(key, now)
    if (state === 'retired')
      await collection.update(record.id, (latest) => ({ ...latest, droppedAt: latest.droppedAt ?? now }))
    // Something must sign, so a signing key retires by its successor.
    if (state === 'active') await rotateOne(record.alg)
    if (state === 'published' || state === 'waiting')
      await collection.update(record.id, (latest) => ({ ...latest, retiredAt: latest.retiredAt ?? now }))
  }
  /** Until a new key signs: where another node announced the next one at this very moment, that one is passed over. */
  const rotateOne = async (alg: string) => {
    const now = clock.now()
    for (let tries = 1; tries <= MOST_RACES; tries += 1) {
      const { activateAt } = await generations.next(alg, { publishAt: now, activateAt: now })
      if (activateAt <= clock.now()) return
    }
    throw new Fault('directory.stale', { kind: 'key', id: alg })
  }

  const keys: Keys = {
    published,
    all: () => generations.times(),
    async rotate(alg) {
      if (alg !== undefined && !settings.algorithms.includes(alg))
        throw new Fault('request.invalid', { reason: `the settings do not name the algorithm ${alg}` })
      await Promise.all((alg === undefined ? settings.algorithms : [alg]).map(rotateOne))
      return published()
    },
    retire,
    secret: createSecrets(secrets),
    nextChange: async (since = clock.now()) => nextChangeAfter(await generations.times(), since, settings),
  }
  return { keys, collections: [collection, secrets] }
}
