/**
 * The demo's secrets and passwords: derived from one random seed that is made at the first start and kept beside the
 * demo's data, so that the accounts that were created then still open after a restart. Nothing is known in advance.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hmac, randomToken } from '#kernel/random.ts'

const FILE = 'demo.seed'
/** Crockford's base 32 in lower case: 32 characters without look-alikes, so that a byte maps without bias. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'

/** Secrets by name, the same for the same seed. */
export interface Seed {
  /** 256 bits, base64url: for software. */
  secret(name: string): string
  /** 60 bits in groups of four, for a person to type: `k7mq-2xwd-9rtn`. */
  password(name: string): string
}

/** @param seed at least 128 bits of randomness */
export const createSeed = (seed: string): Seed => ({
  secret: (name) => hmac(Buffer.from(seed), `demo secret ${name}`).toString('base64url'),
  password: (name) =>
    Array.from(hmac(Buffer.from(seed), `demo password ${name}`).subarray(0, 12), (byte) => ALPHABET[byte % 32])
      .join('')
      .replace(/(.{4})(?=.)/g, '$1-'),
})

/**
 * Reads the seed of a data directory, made (0600) when there is none.
 * @param directory created when absent
 */
export const openSeed = async (directory: string): Promise<Seed> => {
  await mkdir(directory, { recursive: true })
  const path = join(directory, FILE)
  try {
    // `wx` fails when the file exists, so that of two processes starting at once one wins and both read the same.
    await writeFile(path, `${randomToken()}\n`, { flag: 'wx', mode: 0o600 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  return createSeed((await readFile(path, 'utf8')).trim())
}
