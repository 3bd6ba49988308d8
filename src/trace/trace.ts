/**
 * What happened in one login, step by step, for the person who has to explain it. Steps are redacted, gathered in memory
 * and written behind the request as one sealed artifact; an error page's reference is written before the page is sent.
 */
import type { Clock } from '#kernel/clock.ts'
import { redact } from '#kernel/log.ts'
import type { ArtifactStore } from '#kernel/ports.ts'
import { randomId, sha256 } from '#kernel/random.ts'
import type { Sealer } from '#kernel/seal.ts'

export interface TraceStep {
  /** Epoch ms. */
  readonly at: number
  /** What happened, in the words of docs/trace.md: `request`, `chosen`, `departed`, `arrived`, `mapped`, `provisioned`, `finished`, `refused` … */
  readonly step: string
  readonly detail?: Readonly<Record<string, unknown>>
}

export interface Trace {
  /** Cheap and synchronous. */
  add(reference: string, step: string, detail?: Readonly<Record<string, unknown>>): void
  /** Writes what was gathered, of one login or of all. */
  flush(reference?: string): Promise<void>
  read(reference: string): Promise<TraceStep[]>
  close(): Promise<void>
}

const ALPHABET = 'ABCDEFGHJKMNPQRSTVWXYZ23456789'

/** The reference that a person reads aloud, derived from the login's correlation id so that nothing maps them. */
export const referenceOf = (correlation: string): string =>
  Array.from(sha256(`reference ${correlation}`).subarray(0, 10), (byte) => ALPHABET[byte % ALPHABET.length]).join('')

const KEEP_MS = 14 * 24 * 3_600_000
const DELAY_MS = 500
const MOST_STEPS = 200
/** Logins whose steps wait in memory, while a store is away. */
const MOST_LOGINS = 10_000

/** @param keep how long traces stay, ms @param lost told when steps could not be written; they are tried again with the next */
export const createTrace = (
  store: ArtifactStore,
  sealer: Sealer,
  clock: Clock,
  keep = KEEP_MS,
  lost: (cause: unknown) => void = () => undefined,
): Trace => {
  const gathered = new Map<string, TraceStep[]>()
  let timer: NodeJS.Timeout | undefined

  const write = async (reference: string) => {
    const steps = gathered.get(reference)
    if (!steps) return
    gathered.delete(reference)
    const key = sha256(randomId())
    const tag = sha256(`trace ${reference}`)
    const body = sealer.seal(JSON.stringify(steps), `Trace:${key.toString('base64url')}`)
    try {
      await store.put('Trace', { key, body, tags: [tag], expiresAt: clock.now() + keep })
    } catch (error) {
      // Kept for the next time; MOST_STEPS bounds what a store that stays away can pile up.
      const since = gathered.get(reference) ?? []
      gathered.set(reference, [...steps, ...since].slice(0, MOST_STEPS))
      throw error
    }
  }
  const flush = async (reference?: string) => {
    const references = reference === undefined ? [...gathered.keys()] : [reference]
    await Promise.all(references.map(write))
  }
  const later = () => {
    timer ??= setTimeout(() => {
      timer = undefined
      // A trace that cannot be written must not break the login it describes.
      flush().catch(lost)
    }, DELAY_MS).unref()
  }

  return {
    add(reference, step, detail) {
      const steps = gathered.get(reference) ?? []
      if (steps.length < MOST_STEPS)
        steps.push({ at: clock.now(), step, ...(detail && { detail: redact(detail) as Record<string, unknown> }) })
      gathered.set(reference, steps)
      if (gathered.size > MOST_LOGINS) {
        const [oldest] = gathered.keys()
        if (oldest !== undefined) gathered.delete(oldest)
      }
      later()
    },
    flush,
    async read(reference) {
      await flush(reference)
      const rows = await store.findTagged('Trace', sha256(`trace ${reference.toUpperCase()}`))
      return rows
        .flatMap(
          (row) =>
            JSON.parse(
              sealer.open(row.body, `Trace:${Buffer.from(row.key).toString('base64url')}`).toString(),
            ) as TraceStep[],
        )
        .sort((a, b) => a.at - b.at)
    },
    async close() {
      clearTimeout(timer)
      await flush().catch(lost)
    },
  }
}
