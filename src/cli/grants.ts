/**
 * What people allowed to applications: listed and taken back, by account or by client. Taking back forgets what was
 * agreed to first and kills the tokens then, in the store that every node reads; a request in between gets neither.
 */
import type { Consent } from '#kernel/records/account.ts'
import { findAccount } from './accounts.ts'
import { withStores } from './configuration.ts'
import { instant, printJson, printTable } from './print.ts'
import { CliError, type Opened, type Shell } from './seams.ts'

interface Flags {
  readonly config?: string
  readonly json?: boolean
}
type Of = { readonly accountId: string } | { readonly clientId: string }

interface Row {
  readonly accountId: string
  readonly clientId: string
  readonly scopes: readonly string[]
  readonly claims: readonly string[]
  readonly resources: Readonly<Record<string, readonly string[]>>
  readonly declined: readonly string[]
  /** Grants that are in force: one a browser session, and those that outlived theirs. */
  readonly live: number
  readonly since: string | undefined
}

const isEmpty = ({ scopes, claims, rejectedScopes, resources }: Consent): boolean =>
  scopes.length + claims.length + rejectedScopes.length + Object.keys(resources).length === 0

const rowsOf = async ({ records, graph }: Opened, of: Of): Promise<Row[]> => {
  const [consents, grants] = await Promise.all([
    'accountId' in of ? records.consents.ofAccount(of.accountId) : records.consents.ofClient(of.clientId),
    graph.grants(of),
  ])
  const keyOf = ({ accountId, clientId }: { accountId: string; clientId: string }) =>
    JSON.stringify([accountId, clientId])
  const kept = new Map(consents.filter((consent) => !isEmpty(consent)).map((consent) => [keyOf(consent), consent]))
  const live = Map.groupBy(grants, keyOf)
  return [...new Set([...kept.keys(), ...live.keys()])].sort().map((key) => {
    const [accountId = '', clientId = ''] = JSON.parse(key) as string[]
    const consent = kept.get(key)
    return {
      accountId,
      clientId,
      scopes: consent?.scopes ?? [],
      claims: consent?.claims ?? [],
      resources: consent?.resources ?? {},
      declined: consent?.rejectedScopes ?? [],
      live: live.get(key)?.length ?? 0,
      since: instant(consent?.updatedAt),
    }
  })
}

const listed = async (shell: Shell, opened: Opened, of: Of, flags: Flags): Promise<number> => {
  const grants = await rowsOf(opened, of)
  if (flags.json) printJson(shell.io, { grants })
  else
    printTable(
      shell.io,
      ['accountId' in of ? 'CLIENT' : 'ACCOUNT', 'ALLOWED', 'DECLINED', 'IN FORCE', 'SINCE'],
      grants.map(({ accountId, clientId, scopes, claims, resources, declined, live, since = '' }) => [
        'accountId' in of ? clientId : accountId,
        [...scopes, ...claims, ...Object.values(resources).flat()].join(' '),
        declined.join(' '),
        String(live),
        since,
      ]),
    )
  return 0
}

const revoked = async (shell: Shell, opened: Opened, rows: readonly Row[], of: Of, flags: Flags): Promise<number> => {
  for (const { accountId, clientId } of rows) await opened.records.consents.forget(accountId, clientId)
  let grants = 0
  for (const { accountId, clientId } of rows) grants += await opened.sessions.revokeGrants({ accountId, clientId })
  opened.audit({
    type: 'consent.withdrawn',
    ...('accountId' in of ? { account: of.accountId } : { client: of.clientId }),
    detail: { by: 'administrator', consents: rows.length, grants },
  })
  if (flags.json)
    printJson(shell.io, { revoked: rows.map(({ accountId, clientId }) => ({ accountId, clientId })), grants })
  else if (rows.length === 0) shell.io.out('There is nothing to take back.\n')
  else shell.io.out(`Taken back from ${rows.length}, with ${grants} live.\n`)
  return 0
}

export const listAccountGrants = (shell: Shell, name: string, flags: Flags): Promise<number> =>
  withStores(shell, flags.config, async (opened) =>
    listed(shell, opened, { accountId: (await findAccount(opened, name)).id }, flags),
  )

/** @param clientId one client; with `all` every one */
export const revokeAccountGrants = (
  shell: Shell,
  name: string,
  clientId: string | undefined,
  flags: Flags & { all?: boolean },
): Promise<number> => {
  if ((clientId === undefined) === (flags.all !== true)) throw new CliError('Name one client, or say --all.')
  return withStores(shell, flags.config, async (opened) => {
    const of = { accountId: (await findAccount(opened, name)).id }
    const rows = (await rowsOf(opened, of)).filter((row) => flags.all || row.clientId === clientId)
    return revoked(shell, opened, rows, of, flags)
  })
}

export const listClientGrants = (shell: Shell, clientId: string, flags: Flags): Promise<number> =>
  withStores(shell, flags.config, (opened) => listed(shell, opened, { clientId }, flags))

/** Of everybody who allowed something to the client. */
export const revokeClientGrants = (shell: Shell, clientId: string, flags: Flags): Promise<number> =>
  withStores(shell, flags.config, async (opened) =>
    revoked(shell, opened, await rowsOf(opened, { clientId }), { clientId }, flags),
  )
