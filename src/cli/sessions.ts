/** Who is signed in where, ending it, and what applications were told of it, from the command line beside a running server. */
import type { Delivery } from '#sessions/deliveries.ts'
import { findAccount } from './accounts.ts'
import { withStores } from './configuration.ts'
import { instant, printJson, printTable } from './print.ts'
import type { Shell } from './seams.ts'

interface Flags {
  readonly config?: string
  readonly json?: boolean
}

export const listSessions = (shell: Shell, name: string, flags: Flags): Promise<number> =>
  withStores(shell, flags.config, async (opened) => {
    const { id } = await findAccount(opened, name)
    const sessions = (await opened.graph.ofAccount(id)).map(({ signedInAt, endsAt, upstream, clients }) => ({
      signedInAt: instant(signedInAt),
      endsAt: instant(endsAt),
      ...(upstream && { provider: upstream.provider }),
      clients: clients.map(({ clientId }) => clientId),
    }))
    if (flags.json) printJson(shell.io, { sessions })
    else
      printTable(
        shell.io,
        ['SINCE', 'UNTIL', 'PROVIDER', 'APPLICATIONS'],
        sessions.map(({ signedInAt, endsAt, provider = '', clients }) => [
          signedInAt,
          endsAt,
          provider,
          clients.join(' '),
        ]),
      )
    return 0
  })

export const logoutAccount = (shell: Shell, name: string, flags: Flags & { offline?: boolean }): Promise<number> =>
  withStores(shell, flags.config, async (opened) => {
    const { id, username } = await findAccount(opened, name)
    const sessions = await opened.sessions.endAccount(id, { cause: 'admin' })
    const grants = flags.offline ? await opened.sessions.revokeGrants({ accountId: id }) : 0
    if (flags.json) printJson(shell.io, { account: id, sessions, grants })
    else
      shell.io.out(
        `Signed ${username} out of ${sessions} browser${sessions === 1 ? '' : 's'}; its applications are being told.\n`,
      )
    return 0
  })

const outcome = ({ state, attempts, dueAt }: Delivery): string => {
  const last = attempts.at(-1)
  if (state === 'delivered') return `told ${instant(last?.at)}`
  if (state === 'failed') return `given up: ${last?.problem ?? ''}`
  return last ? `${last.problem}, again ${instant(dueAt)}` : 'under way'
}

export const listDeliveries = (
  shell: Shell,
  flags: Flags & { client?: string; account?: string; limit: number },
): Promise<number> =>
  withStores(shell, flags.config, async (opened) => {
    const account = flags.account === undefined ? undefined : await findAccount(opened, flags.account)
    const found = await opened.deliveries.receipts({
      ...(flags.client !== undefined && { clientId: flags.client }),
      ...(account && { accountId: account.id }),
    })
    const shown = found.slice(0, flags.limit)
    if (flags.json)
      printJson(shell.io, {
        deliveries: shown.map(({ dueAt, createdAt, attempts, ...rest }) => ({
          ...rest,
          createdAt: instant(createdAt),
          ...(rest.state === 'waiting' && { dueAt: instant(dueAt) }),
          attempts: attempts.map(({ at, ...attempt }) => ({ at: instant(at), ...attempt })),
        })),
      })
    else
      printTable(
        shell.io,
        ['ENDED', 'CAUSE', 'CLIENT', 'ACCOUNT', 'TRIED', 'OUTCOME'],
        shown.map((each) => [
          instant(each.createdAt),
          each.cause,
          each.clientId,
          each.accountId,
          String(each.attempts.length),
          outcome(each),
        ]),
      )
    return 0
  })
