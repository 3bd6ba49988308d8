/**
 * The command line (CONTRACT 1). The only room that knows commander; it decides nothing itself and reads neither argv nor
 * the environment: the process edge hands them in. Exit codes: 0, and 1 for whatever went wrong, told in one line each.
 */
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { ConfigurationError } from '#config/load.ts'
import { isFault } from '#kernel/faults.ts'
import pkg from '../../package.json' with { type: 'json' }
import {
  changePassword,
  createAccount,
  forgetSubject,
  listAccountSubjects,
  listAccounts,
  removeAccount,
  setDisabled,
  showAccount,
} from './accounts.ts'
import { backUp, restoreFile } from './backup/commands.ts'
import { listClients, removeClient, setClientDisabled, summariseClient } from './clients.ts'
import { configurationFile, load } from './configuration.ts'
import { listAccountGrants, listClientGrants, revokeAccountGrants, revokeClientGrants } from './grants.ts'
import { exportKeys, listKeys, retireKey, rotateKeys } from './keys.ts'
import { resetOtp, showOtp } from './one-time-codes.ts'
import { printJson } from './print.ts'
import { issueToken, listTokens, revokeToken } from './registration-tokens.ts'
import { applyFile, exportResources } from './resources.ts'
import { type Actions, CliError, type Env, type Io, type Shell } from './seams.ts'
import { listDeliveries, listSessions, logoutAccount } from './sessions.ts'
import { showTrace } from './trace.ts'

export type { Actions, Env, Io, Opened } from './seams.ts'

type Done = (code: number) => void

const positive = (text: string): number => {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 1 || count > 100_000)
    throw new InvalidArgumentError('must be a number from 1 to 100000')
  return count
}
const collect = (value: string, before: string[] = []): string[] => [...before, value]

/** With what every command has. */
const command = (parent: Command, usage: string, text: string, { json = true } = {}): Command => {
  const made = parent.command(usage).description(text).option('-c, --config <file>', 'the configuration file')
  return json ? made.option('--json', 'answer as JSON') : made
}

const checkConfig = ({ io, env }: Shell, flags: { config?: string; json?: boolean }): number => {
  const file = configurationFile(flags.config, env)
  try {
    load(flags.config, env)
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    // The mistakes are the answer here, so they go to standard output.
    if (flags.json) printJson(io, { ok: false, mistakes: error.mistakes })
    else io.out(`${error.message}\n`)
    return 1
  }
  if (flags.json) printJson(io, { ok: true, mistakes: [] })
  else io.out(`${file ?? 'The default configuration'} is valid.\n`)
  return 0
}

const serverCommands = (root: Command, shell: Shell, done: Done) => {
  command(root, 'serve', 'run the server', { json: false })
    .option('--demo', 'with a demo identity provider and a test relying party')
    .action(async (flags: { config?: string; demo?: boolean }) => {
      const under = (defaults: unknown) => load(flags.config, shell.env, defaults)
      await shell.actions.serve(load(flags.config, shell.env), { demo: flags.demo ?? false, under })
    })
  command(root, 'check-config', 'say whether the configuration is valid, or every mistake in it').action((flags) =>
    done(checkConfig(shell, flags)),
  )
  command(root, 'trace <reference>', 'what happened in one login').action(async (reference: string, flags) =>
    done(await showTrace(shell, reference, flags)),
  )
}

const deliveryCommands = (root: Command, shell: Shell, done: Done) => {
  command(root, 'deliveries', 'what applications were told of ended sessions, the newest first')
    .option('--client <id>', 'only this client')
    .option('--account <account>', 'only of this account')
    .option('--limit <count>', 'at most so many', positive, 100)
    .action(async (flags) => done(await listDeliveries(shell, flags)))
}

const resourceCommands = (root: Command, shell: Shell, done: Done) => {
  command(root, 'apply <file>', 'declare the resources of a file (- for standard input) and print the difference')
    .option('--dry-run', 'only print the difference')
    .option('--prune', 'also remove what an earlier apply declared and this file does not')
    .action(async (file: string, flags) => done(await applyFile(shell, file, flags)))
  command(root, 'export', 'print the resources as a file that apply takes')
    .option('--secrets', 'with client secrets and password hashes')
    .action(async (flags) => done(await exportResources(shell, flags)))
}

const clientCommands = (root: Command, shell: Shell, done: Done) => {
  const client = root.command('client').description('relying parties')
  command(client, 'list', 'clients, by id')
    .option('--limit <count>', 'at most so many', positive, 100)
    .option('--after <id>', 'those that follow this id')
    .action(async (flags) => done(await listClients(shell, flags)))
  command(client, 'summary <id>', 'what one client is and may do, as Markdown').action(async (id: string, flags) =>
    done(await summariseClient(shell, id, flags)),
  )
  for (const [word, disabled] of [
    ['disable', true],
    ['enable', false],
  ] as const)
    command(client, `${word} <id>`, disabled ? 'refuse it everywhere, its tokens too' : 'let it in again').action(
      async (id: string, flags) => done(await setClientDisabled(shell, id, disabled, flags)),
    )
  command(client, 'grants <id>', 'who allowed what to it').action(async (id: string, flags) =>
    done(await listClientGrants(shell, id, flags)),
  )
  command(
    client,
    'revoke <id>',
    'take that back from everybody: nothing is agreed to any more, tokens are dead',
  ).action(async (id: string, flags) => done(await revokeClientGrants(shell, id, flags)))
  command(client, 'remove <id>', 'remove it, and what people allowed to it').action(async (id: string, flags) =>
    done(await removeClient(shell, id, flags)),
  )
  const token = root
    .command('registration-token')
    .description('initial access tokens: who holds one may register clients')
  command(token, 'create', 'issue one; it is shown once')
    .option('--uses <count>', 'clients that it may register', positive, 1)
    .option('--lifetime <duration>', 'ISO 8601, such as PT8H or P30D', 'P7D')
    .option('--note <text>', 'whom it is for')
    .action(async (flags) => done(await issueToken(shell, flags)))
  command(token, 'list', 'those that are alive').action(async (flags) => done(await listTokens(shell, flags)))
  command(token, 'revoke <id>', 'end one').action(async (id: string, flags) =>
    done(await revokeToken(shell, id, flags)),
  )
}

const lockOptions = (made: Command): Command =>
  made
    .option('--passphrase-file <file>', 'read the passphrase from a file')
    .option('--passphrase-stdin', 'read the passphrase from standard input; without either the master key is used')

const backupCommands = (root: Command, shell: Shell, done: Done) => {
  lockOptions(command(root, 'backup <file>', 'write everything that is stored to an encrypted file')).action(
    async (file: string, flags) => done(await backUp(shell, file, flags)),
  )
  lockOptions(command(root, 'restore <file>', 'bring a backup into empty stores, or into those that it came from'))
    .option('--check', 'only say whether the file is whole, and what it holds')
    .option('--keep-tokens', 'with sessions and tokens, although some may have been revoked after the backup')
    .action(async (file: string, flags) => done(await restoreFile(shell, file, flags)))
}

const keyCommands = (root: Command, shell: Shell, done: Done) => {
  const keys = root.command('keys').description('the signing keys')
  command(keys, 'list', 'all keys and what they do now').action(async (flags) => done(await listKeys(shell, flags)))
  command(keys, 'rotate', 'make new keys that sign at once; the old ones go on verifying')
    .option('--alg <algorithm>', 'only of this algorithm')
    .action(async (flags) => done(await rotateKeys(shell, flags)))
  command(keys, 'retire <kid>', 'stop signing with a key; a retired one is dropped at once').action(
    async (kid: string, flags) => done(await retireKey(shell, kid, flags)),
  )
  command(keys, 'export', 'print the public keys as a JWK set')
    .option('--pem', 'as PEM')
    .action(async (flags) => done(await exportKeys(shell, flags)))
}

const passwordOptions = (made: Command): Command =>
  made
    .option('--password-stdin', 'read the password from standard input')
    .option('--password-file <file>', 'read the password from a file; without either one is generated and shown once')

const accountCommands = (root: Command, shell: Shell, done: Done) => {
  const account = root.command('account').description('people; ACCOUNT is an id, a username or an e-mail address')
  command(account, 'list', 'accounts, by id')
    .option('--limit <count>', 'at most so many', positive, 100)
    .option('--after <id>', 'those that follow this id')
    .action(async (flags) => done(await listAccounts(shell, flags)))
  command(account, 'show <account>', 'one account').action(async (name: string, flags) =>
    done(await showAccount(shell, name, flags)),
  )
  passwordOptions(command(account, 'create <username>', 'a new account'))
    .option('--id <id>', 'its id, which is its public sub; random when absent')
    .option('--email <address>', 'its e-mail address')
    .option('--email-verified', 'the address is known to be theirs')
    .option('--name <name>', 'the full name')
    .option('--role <role>', 'a role; may be given several times', collect)
    .action(async (username: string, flags) => done(await createAccount(shell, username, flags)))
  passwordOptions(command(account, 'passwd <account>', 'a new password')).action(async (name: string, flags) =>
    done(await changePassword(shell, name, flags)),
  )
  for (const [word, disabled] of [
    ['disable', true],
    ['enable', false],
  ] as const)
    command(account, `${word} <account>`, disabled ? 'refuse it everywhere' : 'let it sign in again').action(
      async (name: string, flags) => done(await setDisabled(shell, name, disabled, flags)),
    )
  command(account, 'sessions <account>', 'where it is signed in').action(async (name: string, flags) =>
    done(await listSessions(shell, name, flags)),
  )
  command(account, 'logout <account>', 'sign it out everywhere and tell its applications')
    .option('--offline', 'also end what applications may keep while nobody is there (offline_access)')
    .action(async (name: string, flags) => done(await logoutAccount(shell, name, flags)))
  command(account, 'grants <account>', 'what it allowed to which clients').action(async (name: string, flags) =>
    done(await listAccountGrants(shell, name, flags)),
  )
  command(
    account,
    'revoke <account> [client]',
    'take that back: nothing is agreed to any more, tokens are dead at once',
  )
    .option('--all', 'from every client')
    .action(async (name: string, client: string | undefined, flags) =>
      done(await revokeAccountGrants(shell, name, client, flags)),
    )
  command(account, 'otp <account>', 'whether it has one-time codes').action(async (name: string, flags) =>
    done(await showOtp(shell, name, flags)),
  )
  command(account, 'otp-reset <account>', 'take its one-time codes away, for who lost them').action(
    async (name: string, flags) => done(await resetOtp(shell, name, flags)),
  )
  command(account, 'subjects <account>', 'the pairwise subjects that applications know it by').action(
    async (name: string, flags) => done(await listAccountSubjects(shell, name, flags)),
  )
  command(account, 'forget-subject <account> <sector>', 'drop a stored pairwise subject').action(
    async (name: string, sector: string, flags) => done(await forgetSubject(shell, name, sector, flags)),
  )
  command(account, 'remove <account>', 'remove it with its links and consents').action(async (name: string, flags) =>
    done(await removeAccount(shell, name, flags)),
  )
}

/** All commands. `done` receives the exit code of the one that ran. */
export const program = (shell: Shell, done: Done): Command => {
  const root = new Command('gatehouse')
    .description('An OpenID Provider whose login can be somebody else’s.')
    .version(pkg.version)
    .configureOutput({ writeOut: shell.io.out, writeErr: shell.io.err })
    .showSuggestionAfterError()
    .exitOverride()
  const groups = [
    serverCommands,
    resourceCommands,
    clientCommands,
    backupCommands,
    keyCommands,
    accountCommands,
    deliveryCommands,
  ]
  for (const add of groups) add(root, shell, done)
  return root
}

const linesOf = (error: unknown): string[] => {
  if (error instanceof ConfigurationError) return error.message.split('\n')
  if (error instanceof CliError) return [error.message]
  if (isFault(error)) {
    const { setting, reason, path, store } = error.detail
    if (typeof setting === 'string' && typeof reason === 'string') {
      // A store that cannot be used: which setting names it, where it is, and why.
      const place = String(path ?? store ?? '')
      return [[setting, ...(reason.includes(place) ? [] : [place]), reason].join(': ')]
    }
    const facts = Object.entries(error.detail).map(([name, value]) => `${name}: ${JSON.stringify(value)}`)
    return [`${error.entry.say} (${[error.code, ...facts].join(', ')})`]
  }
  return [error instanceof Error ? error.message : String(error)]
}

/**
 * Runs one command.
 * @param argv the arguments after the program's name
 * @returns the exit code
 */
export const run = async (argv: readonly string[], env: Env, io: Io, actions: Actions): Promise<number> => {
  let code = 0
  try {
    await program({ io, env, actions }, (answer) => {
      code = answer
    }).parseAsync([...argv], { from: 'user' })
    return code
  } catch (error) {
    // Help and version end this way too; commander has printed what there is to say.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 1
    for (const line of linesOf(error)) io.err(`${line}\n`)
    return 1
  }
}
