/** The master keys: from the settings, else from a file beside SQLite, made at the first start (CONTRACT 2). */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { link, mkdir, readFile, unlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ConfigurationError } from './mistakes.ts'
import type { Settings } from './settings.ts'
import { storeKind, storePath } from './store-address.ts'

const FILE = 'master.key'
const BYTES = 32

const decode = (text: string): Buffer => Buffer.from(text, 'base64url')

/** Of several first starts one writes the file and all read it: a link is made whole or not at all. */
const make = async (file: string): Promise<void> => {
  await mkdir(dirname(file), { recursive: true })
  const draft = `${file}.${randomBytes(6).toString('hex')}`
  await writeFile(draft, `${randomBytes(BYTES).toString('base64url')}\n`, { mode: 0o600, flush: true })
  try {
    await link(draft, file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await unlink(draft)
  }
}

/**
 * The keys that seal what is stored, newest first, 32 bytes each.
 * @throws ConfigurationError when the key's file is damaged, or gone while the data that it sealed is there
 */
export const masterKeys = async ({ masterKey, stores }: Pick<Settings, 'masterKey' | 'stores'>): Promise<Buffer[]> => {
  if (masterKey !== undefined) return (Array.isArray(masterKey) ? masterKey : [masterKey]).map(decode)
  const wrong = (message: string) => new ConfigurationError([{ path: 'masterKey', message }])
  const beside = [stores.artifacts, stores.directory].find((address) => storeKind(address) === 'sqlite')
  if (beside === undefined) throw wrong('missing, must be set where no store is SQLite')
  const file = join(dirname(storePath(beside)), FILE)
  // Asked in this order: another first start makes the key before the data.
  const sealedBefore = existsSync(storePath(stores.directory))
  if (!existsSync(file)) {
    // A new key could not open what the lost one sealed.
    if (sealedBefore)
      throw wrong(`missing, and ${file} is gone although there is data, must be set to the key that sealed it`)
    await make(file)
  }
  const key = decode((await readFile(file, 'utf8')).trim())
  if (key.length !== BYTES) throw wrong(`found ${file}, which is damaged, must hold 32 bytes as base64url`)
  return [key]
}
