/**
 * Password hashes: argon2id of node:crypto as PHC strings, off the event loop. Each hash takes memory and a tenth of a
 * second, so only as many run at once as Node's thread pool has threads unless told otherwise, and a queue that grew too
 * long refuses instead of making everybody wait. Fewer at once cost a login a tenth more; how a larger pool spares
 * signatures the wait for hashes is told in docs/scaling.md.
 * OWASP Password Storage: argon2id m=19456 t=2 p=1; ASVS 5.0 11.4.2.
 */
import { type Argon2Algorithm, argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { Fault } from '#kernel/faults.ts'

const derive = promisify(argon2)

interface Parts {
  readonly algorithm: Argon2Algorithm
  /** KiB. */
  readonly memory: number
  readonly passes: number
  readonly parallelism: number
  readonly salt: Buffer
  readonly tag: Buffer
}

const STANDARD = { algorithm: 'argon2id', memory: 19_456, passes: 2, parallelism: 1 } as const
const SALT = 16
const TAG = 32
/** Bytes; longer ones are refused before they cost anything. */
const LONGEST = 4096

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64').replace(/=+$/, '')

/** The PHC string format: $argon2id$v=19$m=…,t=…,p=…$salt$hash, base64 without padding. */
export const encodePhc = (parts: Parts): string =>
  `$${parts.algorithm}$v=19$m=${parts.memory},t=${parts.passes},p=${parts.parallelism}$${base64(parts.salt)}$${base64(parts.tag)}`

const PHC =
  /^\$(argon2(?:id|i|d))\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/

/** Undefined for text that is no such string, or asks for more work than a login may cost (256 MiB, 20 passes). */
export const decodePhc = (phc: string): Parts | undefined => {
  const [, algorithm, memory, passes, parallelism, salt, tag] = PHC.exec(phc) ?? []
  if (!algorithm || !salt || !tag) return undefined
  const parts = {
    algorithm: algorithm as Argon2Algorithm,
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    salt: Buffer.from(salt, 'base64'),
    tag: Buffer.from(tag, 'base64'),
  }
  const sane =
    parts.passes >= 1 &&
    parts.passes <= 20 &&
    parts.parallelism >= 1 &&
    parts.parallelism <= 16 &&
    parts.memory >= 8 * parts.parallelism &&
    parts.memory <= 262_144
  return sane ? parts : undefined
}

const compute = (password: string, { algorithm, memory, passes, parallelism, salt, tag }: Parts): Promise<Buffer> =>
  derive(algorithm, { message: password, nonce: salt, memory, passes, parallelism, tagLength: tag.length })

const isStandard = (parts: Parts): boolean =>
  parts.algorithm === STANDARD.algorithm &&
  parts.memory === STANDARD.memory &&
  parts.passes === STANDARD.passes &&
  parts.parallelism === STANDARD.parallelism &&
  parts.salt.length >= SALT &&
  parts.tag.length >= TAG

/** Compared against where there is no hash, so that the answer takes as long as for a known person. */
const NOBODY: Parts = { ...STANDARD, salt: Buffer.alloc(SALT, 1), tag: Buffer.alloc(TAG) }

export interface Verdict {
  readonly matches: boolean
  /** The hash was made with other parameters than new ones are. */
  readonly needsRehash: boolean
}

export interface Passwords {
  /** @returns a PHC string; throws Fault `login.limited` when too many wait already */
  hashPassword(password: string): Promise<string>
  /**
   * @param phc absent (nobody of that name, no password): as much work, never a match
   * @param turn what else belongs into the turn
   */
  verifyPassword(password: string, phc: string | undefined, turn?: Turn): Promise<Verdict>
}

/** A guess, its limit and its counting: in this process none at the same name begins before the last one was counted. */
export interface Turn {
  /** The name that is guessed at. */
  readonly of: string
  /** Asked first; true spares the work and counts as no match. */
  skip(): Promise<boolean>
  /** Told of a wrong password before the next one gets the turn. */
  failed(): Promise<void>
}

/** @param running at once (each 19 MiB and a thread); @param waiting at most, others are refused */
export const createPasswords = ({ running = 4, waiting = 64 } = {}): Passwords => {
  const queue: { readonly of: string | undefined; readonly go: () => void }[] = []
  const guessed = new Set<string>()
  let active = 0

  const isFree = (of: string | undefined): boolean => active < running && (of === undefined || !guessed.has(of))
  const begin = (of: string | undefined): void => {
    active += 1
    if (of !== undefined) guessed.add(of)
  }
  /** The first that waits and may begin. */
  const take = () => {
    const at = queue.findIndex(({ of }) => isFree(of))
    return at < 0 ? undefined : queue.splice(at, 1)[0]
  }
  const end = (of: string | undefined): void => {
    active -= 1
    if (of !== undefined) guessed.delete(of)
    for (let next = take(); next; next = take()) {
      begin(next.of)
      next.go()
    }
  }
  const inTurn = async <T>(of: string | undefined, work: () => Promise<T>): Promise<T> => {
    if (isFree(of)) begin(of)
    else {
      if (queue.length >= waiting) throw new Fault('login.limited', { reason: 'password queue full', waiting })
      // Whoever lets it go has begun its turn.
      await new Promise<void>((go) => queue.push({ of, go }))
    }
    try {
      return await work()
    } finally {
      end(of)
    }
  }

  return {
    async hashPassword(password) {
      const parts = { ...STANDARD, salt: randomBytes(SALT), tag: Buffer.alloc(TAG) }
      return inTurn(undefined, async () => encodePhc({ ...parts, tag: await compute(password, parts) }))
    },
    async verifyPassword(password, phc, turn) {
      const known = phc === undefined ? undefined : decodePhc(phc)
      const tooLong = Buffer.byteLength(password) > LONGEST
      return inTurn(turn?.of, async () => {
        if (await turn?.skip()) return { matches: false, needsRehash: false }
        const parts = known ?? NOBODY
        const tag = await compute(tooLong ? '' : password, parts)
        const matches = timingSafeEqual(tag, parts.tag) && known !== undefined && !tooLong
        if (!matches) await turn?.failed()
        return { matches, needsRehash: matches && !isStandard(parts) }
      })
    },
  }
}

/** The process's own, so that every caller shares one bound. */
export const { hashPassword, verifyPassword } = createPasswords()
