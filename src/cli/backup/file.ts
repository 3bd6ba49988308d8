/**
 * An encrypted file of lines, written and read in chunks, so that its size does not matter.
 * The first line is JSON in clear: format, version, what the key comes from, salt, and a value that tells a wrong key.
 * Then chunks of 64 KiB, each AES-256-GCM with its number and "this is the last" in the nonce and the first line as
 * additional data: nothing can be changed, cut off, swapped or added unnoticed. Each file has a key of its own.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, scrypt } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { promisify } from 'node:util'
import { sha256 } from '#kernel/random.ts'
import { CliError } from '../seams.ts'

const FORMAT = 'gatehouse-backup'
const VERSION = 1
const CHUNK = 64 * 1024
const TAG = 16
const SALT = 16
const CHECK = 16
const MOST_FIRST_LINE = 1024
const LINE_END = 0x0a
/** Half a second and 128 MB a guess (OWASP Password Storage, scrypt). Other numbers are another version of the format. */
const SCRYPT = { N: 2 ** 17, r: 8, p: 1, maxmem: 2 ** 28 }

/** What a file is locked with: a passphrase, else the installation's master keys (newest first). */
export interface Lock {
  readonly passphrase?: string
  readonly masterKeys: readonly Uint8Array[]
}
interface FirstLine {
  readonly format: string
  readonly version: number
  readonly key: 'passphrase' | 'masterKey'
  /** base64url. */
  readonly salt: string
  readonly check: string
}
interface Keys {
  readonly secret: Buffer
  readonly check: string
}

const split = (bytes: Buffer): Keys => ({
  secret: bytes.subarray(0, 32),
  check: bytes.subarray(32).toString('base64url'),
})
const stretch = promisify<string, Buffer, number, typeof SCRYPT, Buffer>(scrypt)
const fromPassphrase = async (passphrase: string, salt: Buffer): Promise<Keys> =>
  split(await stretch(passphrase.normalize('NFKC'), salt, 32 + CHECK, SCRYPT))
const fromMasterKey = (key: Uint8Array, salt: Buffer): Keys =>
  split(Buffer.from(hkdfSync('sha256', key, salt, FORMAT, 32 + CHECK)))

/** Number of the chunk (48 bits) | whether it is the last. */
const nonceOf = (number: number, last: boolean): Buffer => {
  const nonce = Buffer.alloc(12)
  nonce.writeUIntBE(number, 5, 6)
  nonce[11] = last ? 1 : 0
  return nonce
}

/** The lines as chunks; the last one may be short. A chunk is the caller's until it asks for the next. */
async function* chunksOf(lines: AsyncIterable<string>): AsyncGenerator<{ plain: Buffer; last: boolean }> {
  const chunk = Buffer.allocUnsafe(CHUNK)
  let filled = 0
  for await (const line of lines) {
    let rest = Buffer.from(`${line}\n`)
    while (rest.length > 0) {
      if (filled === CHUNK) {
        yield { plain: chunk, last: false }
        filled = 0
      }
      const taken = rest.copy(chunk, filled)
      filled += taken
      rest = rest.subarray(taken)
    }
  }
  yield { plain: chunk.subarray(0, filled), last: true }
}

/** Writes lines to an empty file; it is on the disk when the promise is settled. */
export const writeLocked = async (file: FileHandle, lock: Lock, lines: AsyncIterable<string>): Promise<void> => {
  const salt = randomBytes(SALT)
  const [masterKey] = lock.masterKeys
  const byPassphrase = lock.passphrase !== undefined
  if (!byPassphrase && !masterKey) throw new CliError('There is no master key to lock the backup with.')
  const keys = byPassphrase
    ? await fromPassphrase(lock.passphrase, salt)
    : fromMasterKey(masterKey ?? Buffer.alloc(0), salt)
  const first: FirstLine = {
    format: FORMAT,
    version: VERSION,
    key: byPassphrase ? 'passphrase' : 'masterKey',
    salt: salt.toString('base64url'),
    check: keys.check,
  }
  const head = Buffer.from(`${JSON.stringify(first)}\n`)
  await file.writeFile(head)
  const place = sha256(head)
  let number = 0
  for await (const { plain, last } of chunksOf(lines)) {
    const cipher = createCipheriv('aes-256-gcm', keys.secret, nonceOf(number, last)).setAAD(place)
    await file.writeFile(Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]))
    number += 1
  }
  await file.sync()
}

/** Whether a file begins as backups do. */
export const isBackup = async (path: string): Promise<boolean> => {
  const file = await open(path, 'r')
  try {
    const begin = Buffer.from(`{"format":"${FORMAT}",`)
    const { buffer } = await file.read(Buffer.alloc(begin.length), 0, begin.length, 0)
    return buffer.equals(begin)
  } finally {
    await file.close()
  }
}

const readFirstLine = async (file: FileHandle, path: string): Promise<{ head: Buffer; first: FirstLine }> => {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(MOST_FIRST_LINE), 0, MOST_FIRST_LINE, 0)
  const head = buffer.subarray(0, buffer.subarray(0, bytesRead).indexOf(LINE_END) + 1)
  let first: Partial<FirstLine> | undefined
  try {
    first = JSON.parse(head.toString()) as Partial<FirstLine>
  } catch {
    first = undefined
  }
  if (first?.format !== FORMAT) throw new CliError(`${path} is no backup of Gatehouse.`)
  if (first.version !== VERSION)
    throw new CliError(
      `${path} has format ${first.version}, this Gatehouse reads ${VERSION}: use the one that wrote it.`,
    )
  const { key, salt, check } = first
  if (typeof key !== 'string' || typeof salt !== 'string' || typeof check !== 'string')
    throw new CliError(`${path} is damaged: its first line is not complete.`)
  return { head, first: first as FirstLine }
}

const unlock = async (first: FirstLine, lock: Lock, path: string): Promise<Buffer> => {
  const salt = Buffer.from(first.salt, 'base64url')
  const { passphrase } = lock
  if (first.key === 'passphrase') {
    if (passphrase === undefined)
      throw new CliError(
        `${path} is locked by a passphrase: give it with --passphrase-file FILE or --passphrase-stdin.`,
      )
    const { secret, check } = await fromPassphrase(passphrase, salt)
    if (check === first.check) return secret
    throw new CliError(`The passphrase does not open ${path}.`)
  }
  if (passphrase !== undefined)
    throw new CliError(`${path} is locked by the master key, not by a passphrase: leave the passphrase out.`)
  const found = lock.masterKeys.map((key) => fromMasterKey(key, salt)).find(({ check }) => check === first.check)
  if (found) return found.secret
  throw new CliError(
    `${path} is locked by another master key: add that one to masterKey as an older one, or make the backup with a passphrase.`,
  )
}

const damaged = (path: string): CliError => new CliError(`${path} is damaged or cut short.`)

async function* decrypted(file: FileHandle, path: string, head: Buffer, secret: Buffer): AsyncGenerator<Buffer> {
  const place = sha256(head)
  const { size } = await file.stat()
  let at = head.length
  for (let number = 0; ; number += 1) {
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(CHUNK + TAG), 0, CHUNK + TAG, at)
    if (bytesRead < TAG) throw damaged(path)
    at += bytesRead
    const last = at >= size
    const decipher = createDecipheriv('aes-256-gcm', secret, nonceOf(number, last)).setAAD(place)
    decipher.setAuthTag(buffer.subarray(bytesRead - TAG, bytesRead))
    let plain: Buffer
    try {
      plain = Buffer.concat([decipher.update(buffer.subarray(0, bytesRead - TAG)), decipher.final()])
    } catch {
      throw damaged(path)
    }
    yield plain
    if (last) return
  }
}

async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let begun: Buffer[] = []
  for await (const chunk of chunks) {
    let from = 0
    for (let end = chunk.indexOf(LINE_END); end >= 0; end = chunk.indexOf(LINE_END, from)) {
      yield Buffer.concat([...begun, chunk.subarray(from, end)]).toString()
      begun = []
      from = end + 1
    }
    if (from < chunk.length) begun.push(chunk.subarray(from))
  }
}

/** A file that its lock opens. */
export interface Locked {
  /** From the beginning, as often as asked. Throws CliError at the first chunk that is not as it was written. */
  lines(): AsyncGenerator<string>
  close(): Promise<void>
}

/** @throws CliError when there is no such file, it is no backup, of a newer format, or locked otherwise */
export const openLocked = async (path: string, lock: Lock): Promise<Locked> => {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    throw new CliError(`${path} cannot be read (${error.code}).`)
  })
  try {
    const { head, first } = await readFirstLine(file, path)
    const secret = await unlock(first, lock, path)
    return { lines: () => linesOf(decrypted(file, path, head, secret)), close: () => file.close() }
  } catch (error) {
    await file.close()
    // A folder opens and cannot be read.
    if ((error as NodeJS.ErrnoException).code === 'EISDIR') throw new CliError(`${path} cannot be read (EISDIR).`)
    throw error
  }
}
