/** `account`: people, from the command line. Passwords come from standard input or a file, never from an argument. */
import { readFileSync } from 'node:fs'
import { isFault } from '#kernel/faults.ts'
import { randomToken } from '#kernel/random.ts'
import type { Account } from '#kernel/records/account.ts'
import { hashPassword } from '#methods/password.ts'
import { readSecrets } from '#op/instance.ts'
import { listSubjects } from '#op/subjects.ts'
import { withStores } from './configuration.ts'
import { instant, printJson, printTable } from './print.ts'
import { CliError, type Io, type Opened, type Shell } from './seams.ts'

interface Flags {
  readonly config?: string
  readonly json?: boolean
}
export interface PasswordFlags extends Flags {
  readonly passwordStdin?: boolean
  readonly passwordFile?: string
}

/** 18 random bytes: 144 bits, typed once. */
const GENERATED_BYTES = 18
const LONGEST = 1024

/** As people may see it: no hash. */
const visible = ({ passwordHash, createdAt, updatedAt, ...account }: Account) => ({
  ...account,
  password: passwordHash !== undefined,
  createdAt: instant(createdAt),
  updatedAt: instant(updatedAt),
})

/** By id, username or e-mail. Throws CliError. */
export const findAccount = async ({ records }: Pick<Opened, 'records'>, name: string): Promise<Account> => {
  const account = (await records.accounts.get(name)) ?? (await records.accounts.byLogin(name))
  if (!account)
    throw new CliError(`There is no account ${name} (or several with this address): see \`gatehouse account list\`.`)
  return account
}

/** From where it was told to come from, else a generated one, which is shown this once. */
const newPassword = async (io: Io, flags: PasswordFlags): Promise<{ password: string; generated: boolean }> => {
  if (!flags.passwordStdin && flags.passwordFile === undefined)
    return { password: randomToken(GENERATED_BYTES), generated: true }
  const text = flags.passwordFile === undefined ? await io.read() : readFileSync(flags.passwordFile, 'utf8')
  const password = text.replace(/\r?\n$/, '')
  if (password === '' || Buffer.byteLength(password) > LONGEST)
    throw new CliError(`The password must have 1 to ${LONGEST} bytes.`)
  return { password, generated: false }
}

const show = (io: Io, account: Account, flags: Flags, more: Record<string, unknown> = {}) => {
  const facts = { ...visible(account), ...more }
  if (flags.json) return printJson(io, facts)
  for (const [name, value] of Object.entries(facts))
    if (value !== undefined && value !== '')
      io.out(`${name}: ${typeof value === 'object' ? JSON.stringify(value) : String(value)}\n`)
}

export const listAccounts = (shell: Shell, flags: Flags & { limit: number; after?: string }): Promise<number> =>
  withStores(shell, flags.config, async ({ records }) => {
    const page = await records.accounts.page({ limit: flags.limit, ...(flags.after && { after: flags.after }) })
    const accounts = page.map(({ value }) => visible(value))
    if (flags.json) printJson(shell.io, { accounts })
    else
      printTable(
        shell.io,
        ['ID', 'USERNAME', 'E-MAIL', 'STATE', 'ROLES'],
        accounts.map(({ id, username, email = '', disabled, roles }) => [
          id,
          username,
          email,
          disabled ? 'disabled' : 'enabled',
          roles.join(' '),
        ]),
      )
    return 0
  })

export const showAccount = (shell: Shell, name: string, flags: Flags): Promise<number> =>
  withStores(shell, flags.config, async (opened) => {
    const account = await findAccount(opened, name)
    const links = await opened.records.links.ofAccount(account.id)
    show(shell.io, account, flags, { links: links.map(({ id }) => id) })
    return 0
  })

export interface CreateFlags extends PasswordFlags {
  readonly id?: string
  readonly email?: string
  readonly emailVerified?: boolean
  readonly role?: string[]
  readonly name?: string
}

export const createAccount = (shell: Shell, username: string, flags: CreateFlags): Promise<number> =>
  withStores(shell, flags.config, async ({ records }) => {
    const { password, generated } = await newPassword(shell.io, flags)
    try {
      const account = await records.accounts.create({
        ...(flags.id !== undefined && { id: flags.id }),
        username,
        password,
        ...(flags.email !== undefined && { email: flags.email }),
        email_verified: flags.emailVerified ?? false,
        claims: flags.name === undefined ? {} : { name: flags.name },
        roles: flags.role ?? [],
        disabled: false,
      })
      show(shell.io, account, flags, generated ? { generatedPassword: password } : {})
    } catch (error) {
      if (!isFault(error, 'directory.conflict')) throw error
      throw new CliError(`The ${String(error.detail.index)} is taken: choose another one.`)
    }
    return 0
  })

export const changePassword = (shell: Shell, name: string, flags: PasswordFlags): Promise<number> =>
  withStores(shell, flags.config, async (opened) => {
    const account = await findAccount(opened, name)
    const { password, generated } = await newPassword(shell.io, flags)
    const passwordHash = await hashPassword(password)
    const changed = await opened.records.accounts.update(account.id, (now) => ({ ...now, passwordHash }))
    show(shell.io, changed, flags, generated ? { generatedPassword: password } : {})
    return 0
  })

export const setDisabled = (shell: Shell, name: string, disabled: boolean, flags: Flags): Promise<number> =>
  withStores(shell, flags.config, async (opened) => {
    const account = await findAccount(opened, name)
    show(shell.io, await opened.records.accounts.update(account.id, (now) => ({ ...now, disabled })), flags)
    return 0
  })

/** What clients with pairwise subjects know the account by. */
export const listAccountSubjects = (shell: Shell, name: string, flags: Flags): Promise<number> =>
  withStores(shell, flags.config, async (opened, { settings }) => {
    const { id } = await findAccount(opened, name)
    const { pairwise } = await readSecrets(settings, opened.records.keys)
    const subjects = await listSubjects(settings, opened.records, pairwise, id)
    if (flags.json) printJson(shell.io, { subjects })
    else
      printTable(
        shell.io,
        ['SECTOR', 'SUBJECT', 'MADE', 'CLIENTS'],
        subjects.map(({ sector, subject, stored, clients }) => [
          sector,
          subject,
          stored ? 'stored' : 'worked out',
          clients.join(' '),
        ]),
      )
    return 0
  })

export const forgetSubject = (shell: Shell, name: string, sector: string, flags: Flags): Promise<number> =>
  withStores(shell, flags.config, async (opened) => {
    const { id, username } = await findAccount(opened, name)
    if (!(await opened.records.subjects.forget(id, sector)))
      throw new CliError(`Nothing is stored for ${username} at ${sector}: see \`gatehouse account subjects\`.`)
    if (flags.json) printJson(shell.io, { forgotten: { id, sector } })
    else shell.io.out(`Forgotten: the applications of ${sector} will not know ${username} again.\n`)
    return 0
  })

export const removeAccount = (shell: Shell, name: string, flags: Flags): Promise<number> =>
  withStores(shell, flags.config, async (opened) => {
    const { id, username } = await findAccount(opened, name)
    await opened.records.accounts.remove(id)
    if (flags.json) printJson(shell.io, { removed: { id, username } })
    else shell.io.out(`Removed ${username} (${id}).\n`)
    return 0
  })
