/** `registration-token`: initial access tokens (RFC 7591 1.2), for whoever may register clients. */
import { systemClock } from '#kernel/clock.ts'
import { parseDuration } from '#kernel/kinds.ts'
import { createInitialAccess, type InitialAccess, type InitialAccessToken } from '#op/initial-access.ts'
import { withStores } from './configuration.ts'
import { instant, printJson, printTable } from './print.ts'
import { CliError, type Opened, type Shell } from './seams.ts'

interface Flags {
  readonly config?: string
  readonly json?: boolean
}

const MOST_SECONDS = 10 * 366 * 86_400

const open = ({ store, box }: Opened): InitialAccess => createInitialAccess({ store, box, clock: systemClock })

const shown = ({ id, note = '', uses, used, issuedAt, expiresAt }: InitialAccessToken) => ({
  id,
  note,
  uses,
  used,
  issuedAt: instant(issuedAt),
  expiresAt: instant(expiresAt),
})

const secondsOf = (text: string): number => {
  const seconds = parseDuration(text)
  if (seconds === undefined || seconds < 1 || seconds > MOST_SECONDS)
    throw new CliError(`${text} is no lifetime: write an ISO 8601 duration such as PT8H or P30D, ten years at most.`)
  return seconds
}

export interface IssueFlags extends Flags {
  readonly uses: number
  readonly lifetime: string
  readonly note?: string
}

export const issueToken = (shell: Shell, flags: IssueFlags): Promise<number> =>
  withStores(shell, flags.config, async (opened, { settings }) => {
    const lifetime = secondsOf(flags.lifetime)
    if (!settings.registration.enabled)
      throw new CliError('Registration is off (registration.enabled): the token would open nothing.')
    const { token, ...facts } = await open(opened).issue({
      uses: flags.uses,
      lifetime,
      ...(flags.note !== undefined && { note: flags.note }),
    })
    if (flags.json) printJson(shell.io, { ...shown(facts), token })
    else {
      shell.io.out(`${token}\n`)
      shell.io.err(`Registers ${flags.uses} client(s) until ${instant(facts.expiresAt)}; shown this once.\n`)
    }
    return 0
  })

export const listTokens = (shell: Shell, flags: Flags): Promise<number> =>
  withStores(shell, flags.config, async (opened) => {
    const tokens = (await open(opened).list()).map(shown)
    if (flags.json) printJson(shell.io, { tokens })
    else
      printTable(
        shell.io,
        ['ID', 'USED', 'EXPIRES', 'NOTE'],
        tokens.map(({ id, used, uses, expiresAt, note }) => [id, `${used} of ${uses}`, expiresAt, note]),
      )
    return 0
  })

export const revokeToken = (shell: Shell, id: string, flags: Flags): Promise<number> =>
  withStores(shell, flags.config, async (opened) => {
    if (!(await open(opened).revoke(id)))
      throw new CliError(`There is no token ${id}: see \`gatehouse registration-token list\`.`)
    if (flags.json) printJson(shell.io, { revoked: id })
    else shell.io.out(`Revoked ${id}.\n`)
    return 0
  })
