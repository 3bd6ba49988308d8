/** `client`: relying parties, from the command line. What is declared in the served file is changed there. */
import { systemClock } from '#kernel/clock.ts'
import { isFault } from '#kernel/faults.ts'
import type { Client } from '#kernel/records/client.ts'
import { methodSettings } from '#methods/index.ts'
import { clientSummary, readSurroundings } from '#op/client-summary.ts'
import { withStores } from './configuration.ts'
import { printJson, printTable } from './print.ts'
import { CliError, type Opened, type Shell } from './seams.ts'

interface Flags {
  readonly config?: string
  readonly json?: boolean
}

const find = async ({ records }: Opened, id: string): Promise<Client> => {
  const client = await records.clients.get(id)
  if (!client) throw new CliError(`There is no client ${id}: see \`gatehouse client list\`.`)
  return client
}

const stateOf = ({ disabled, expires_at }: Client): string => {
  if (disabled) return 'disabled'
  return typeof expires_at === 'number' && expires_at * 1000 <= systemClock.now() ? 'expired' : 'enabled'
}

export const listClients = (shell: Shell, flags: Flags & { limit: number; after?: string }): Promise<number> =>
  withStores(shell, flags.config, async ({ records }) => {
    const page = await records.clients.page({ limit: flags.limit, ...(flags.after && { after: flags.after }) })
    const clients = page.map(({ value, revision }) => ({
      client_id: value.client_id,
      client_name: value.client_name ?? '',
      state: stateOf(value),
      declared: revision === 0,
    }))
    if (flags.json) printJson(shell.io, { clients })
    else
      printTable(
        shell.io,
        ['ID', 'NAME', 'STATE', 'FROM'],
        clients.map(({ client_id, client_name, state, declared }) => [
          client_id,
          client_name,
          state,
          declared ? 'file' : 'store',
        ]),
      )
    return 0
  })

export const summariseClient = (shell: Shell, id: string, flags: Flags): Promise<number> =>
  withStores(shell, flags.config, async (opened, { settings }) => {
    const client = await find(opened, id)
    const methods = Object.keys(methodSettings).filter((id) => settings.methods[id]?.enabled !== false)
    const around = await readSurroundings({ settings, records: opened.records, methods })
    const summary = clientSummary(client, around, systemClock.now())
    if (flags.json) printJson(shell.io, { client_id: id, state: stateOf(client), summary })
    else shell.io.out(summary)
    return 0
  })

/** Its tokens are refused from then on, by every node within a second. */
export const setClientDisabled = (shell: Shell, id: string, disabled: boolean, flags: Flags): Promise<number> =>
  withStores(shell, flags.config, async (opened) => {
    await changing(id, async () => void (await opened.records.clients.put({ ...(await find(opened, id)), disabled })))
    if (flags.json) printJson(shell.io, { client_id: id, disabled })
    else shell.io.out(`${id} is ${disabled ? 'disabled' : 'enabled'}.\n`)
    return 0
  })

export const removeClient = (shell: Shell, id: string, flags: Flags): Promise<number> =>
  withStores(shell, flags.config, async (opened) => {
    await find(opened, id)
    await changing(id, async () => void (await opened.records.clients.remove(id)))
    if (flags.json) printJson(shell.io, { removed: id })
    else shell.io.out(`Removed ${id}.\n`)
    return 0
  })

const changing = async (id: string, work: () => Promise<void>) => {
  try {
    await work()
  } catch (error) {
    if (!isFault(error, 'directory.read-only')) throw error
    throw new CliError(`${id} is declared in the configuration file: change it there.`)
  }
}
