/**
 * Seals records anew under the newest data key, in the background and in small steps, so that a master key that was
 * replaced opens nothing any more. Any number of nodes may do so at once: each step is a compare-and-swap.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { Fault, isFault } from '#kernel/faults.ts'
import type { Log } from '#kernel/log.ts'
import type { Directory, StoredRecord } from '#kernel/ports.ts'
import type { Keyring } from './keyring.ts'

const FIRST_MS = 60_000
const EVERY_MS = 3_600_000
/** So many records, then a rest: whoever signs in must not notice. */
const STEP = 50
const REST_MS = 50

interface Given {
  readonly port: Directory
  readonly keyring: Keyring
}

/** False when somebody changed the record meanwhile: then it was sealed by them, or the next pass finds it. */
const resealOne = async ({ port, keyring }: Given, kind: string, record: StoredRecord): Promise<boolean> => {
  const now = await port.read(kind, record.id)
  if (!now || Buffer.compare(now.doc, record.doc) !== 0) return false
  const place = `${kind}:${record.id}`
  const doc = keyring.directory.seal(keyring.directory.open(now.doc, place), place)
  try {
    await port.replace(kind, { ...record, doc }, now.revision)
    return true
  } catch (error) {
    if (isFault(error, 'directory.stale')) return false
    throw error
  }
}

/** One pass over the directory. Answers how many records were sealed under an earlier key before. */
export const reseal = async (given: Given, ended = () => false): Promise<number> => {
  let older = 0
  for await (const piece of given.port.dump()) {
    // Records come first; events are not sealed.
    if (ended() || !('record' in piece)) break
    if (given.keyring.directory.age(piece.record.doc) !== 'older') continue
    await resealOne(given, piece.kind, piece.record)
    if (++older % STEP === 0) await delay(REST_MS)
  }
  return older
}

/** Looks every hour whether there is something to do. The answered function ends it. */
export const resealInBackground = (given: Given, log: Log): (() => Promise<void>) => {
  let ended = false
  let running = Promise.resolve()
  const work = async () => {
    const complete = await given.keyring.pending()
    if (!complete) return
    const records = await reseal(given, () => ended)
    log.info('directory.resealed', { records })
    // Only a pass that found nothing proves that nothing is left.
    if (records === 0 && !ended) await complete()
    else if (!ended) later(FIRST_MS)
  }
  let timer: NodeJS.Timeout
  const later = (ms: number) => {
    clearTimeout(timer)
    timer = setTimeout(() => {
      later(EVERY_MS)
      running = work().catch((cause: unknown) => {
        if (!ended) log.warn('directory.reseal-failed', { cause: cause instanceof Fault ? cause.code : cause })
      })
    }, ms).unref()
  }
  later(FIRST_MS)
  return async () => {
    ended = true
    clearTimeout(timer)
    await running
  }
}
