/** `backup` and `restore`: everything that the stores hold, in one encrypted file, and back into any stores. Read this first. */
import { existsSync, readFileSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import type { Loaded } from '#config/load.ts'
import { systemClock } from '#kernel/clock.ts'
import { randomId } from '#kernel/random.ts'
import { load } from '../configuration.ts'
import { instant, printJson } from '../print.ts'
import { CliError, type Io, type Shell, type Stores } from '../seams.ts'
import { isBackup, type Lock, type Locked, openLocked, writeLocked } from './file.ts'
import type { Counts } from './lines.ts'
import { readStores } from './read-stores.ts'
import { type Report, restore } from './restore.ts'
import { itemsIn, type Summary, verify } from './verify.ts'

interface Flags {
  readonly config?: string
  readonly json?: boolean
  readonly passphraseFile?: string
  readonly passphraseStdin?: boolean
}
export interface RestoreFlags extends Flags {
  readonly keepTokens?: boolean
  readonly check?: boolean
}

const SHORTEST_PASSPHRASE = 12

const readPassphrase = (path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new CliError(`${path} cannot be read (${(error as NodeJS.ErrnoException).code}).`)
  }
}

const passphraseFrom = async (io: Io, { passphraseFile, passphraseStdin }: Flags): Promise<string | undefined> => {
  if (passphraseFile !== undefined && passphraseStdin) throw new CliError('Give the passphrase once.')
  if (passphraseFile === undefined && !passphraseStdin) return undefined
  const text = passphraseFile === undefined ? await io.read() : readPassphrase(passphraseFile)
  const passphrase = text.replace(/\r?\n$/, '')
  if (passphrase.length < SHORTEST_PASSPHRASE)
    throw new CliError(`The passphrase must have at least ${SHORTEST_PASSPHRASE} characters.`)
  return passphrase
}

const withBareStores = async <T>(
  { io, env, actions }: Shell,
  flags: Flags,
  work: (stores: Stores, lock: Lock, loaded: Loaded) => Promise<T>,
): Promise<T> => {
  const loaded = load(flags.config, env)
  const passphrase = await passphraseFrom(io, flags)
  const stores = await actions.stores(loaded)
  try {
    return await work(
      stores,
      { masterKeys: stores.masterKeys, ...(passphrase !== undefined && { passphrase }) },
      loaded,
    )
  } finally {
    await stores.close()
  }
}

const withFile = async <T>(path: string, lock: Lock, work: (file: Locked) => Promise<T>): Promise<T> => {
  const file = await openLocked(path, lock)
  try {
    return await work(file)
  } finally {
    await file.close()
  }
}

const named = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => `${count} ${name}`)
    .join(', ') || 'none'

const contents = ({ records, events, artifacts, marks }: Counts): string =>
  [
    `  records: ${named(records)}`,
    `  artifacts: ${named(artifacts)}`,
    `  marks of what was used or revoked: ${marks}`,
    `  audit events: ${events}\n`,
  ].join('\n')

const about = ({ header, counts, sha256 }: Summary) => ({
  issuer: header.issuer,
  createdAt: instant(header.createdAt),
  counts,
  sha256,
})

/** Beside the final place, so that a file of that name is always whole; read again before it counts. */
const writeFile = async (path: string, lock: Lock, lines: AsyncIterable<string>): Promise<Summary> => {
  if (existsSync(path) && !(await isBackup(path)))
    throw new CliError(`${path} is there already and is no backup: choose another name.`)
  const draft = `${path}.${randomId()}.partial`
  const file = await open(draft, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
    throw new CliError(`${path} cannot be written (${error.code}).`)
  })
  try {
    await writeLocked(file, lock, lines).finally(() => file.close())
    const summary = await withFile(draft, lock, (written) => verify(written, draft))
    await rename(draft, path)
    return summary
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}

export const backUp = (shell: Shell, path: string, flags: Flags): Promise<number> =>
  withBareStores(shell, flags, async (stores, lock, { settings }) => {
    const summary = await writeFile(path, lock, readStores(stores, settings.issuer, systemClock))
    if (flags.json) printJson(shell.io, { file: path, ...about(summary) })
    else {
      const by = lock.passphrase === undefined ? 'the master key, without which it cannot be opened' : 'the passphrase'
      shell.io.out(`Wrote ${path}, locked by ${by}:\n${contents(summary.counts)}`)
    }
    return 0
  })

const reasons = {
  old: 'the backup is more than an hour old, and what was revoked since would be valid again',
  'not-empty':
    'the stores were not empty, what is still valid is in them, and what was ended since would be valid again',
} as const

const tell = (io: Io, path: string, { records, artifacts, conflicts, left }: Report) => {
  const { created, replaced, same } = records
  io.out(`Restored ${path}: ${created} records created, ${replaced} replaced, ${same} as they were; `)
  io.out(`${artifacts.added} artifacts added, ${artifacts.present} as they were, ${artifacts.left} left out.\n`)
  if (left && artifacts.left > 0)
    io.out(`Sessions and tokens were left out: ${reasons[left]}. --keep-tokens brings them.\n`)
  for (const { kind, id, index } of conflicts)
    io.err(`Not restored: ${kind} ${id}, because another one has its ${index}.\n`)
}

/** Looks through the whole file before it touches the stores. */
export const restoreFile = (shell: Shell, path: string, flags: RestoreFlags): Promise<number> =>
  withBareStores(shell, flags, (stores, lock, { settings }) =>
    withFile(path, lock, async (file) => {
      const { io } = shell
      const summary = await verify(file, path)
      const { header } = summary
      if (header.issuer !== settings.issuer)
        io.err(`The backup is of ${header.issuer}, this is ${settings.issuer}: its sessions and tokens do not fit.\n`)
      if (flags.check) {
        if (flags.json) printJson(io, { ok: true, ...about(summary) })
        else io.out(`${path} is whole, made ${instant(header.createdAt)}:\n${contents(summary.counts)}`)
        return 0
      }
      const keepTokens = flags.keepTokens ?? false
      const report = await restore(stores, summary, itemsIn(file), { keepTokens, clock: systemClock })
      if (flags.json) printJson(io, { ...about(summary), restored: report })
      else tell(io, path, report)
      return report.conflicts.length > 0 ? 1 : 0
    }),
  )
