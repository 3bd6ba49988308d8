/** `apply` and `export`: resources from a file into the directory, and out again. */
import { type Loaded, loadResources, type Names } from '#config/load.ts'
import { type ResourceName, resourceNames } from '#config/resources.ts'
import { parseText } from '#config/source-text.ts'
import { asWritten, entrySchema, toYaml } from '#config/write.ts'
import type { Change } from '#directory/apply.ts'
import type { Records } from '#directory/records.ts'
import { verifyPassword } from '#methods/password.ts'
import { rooms, wholeSchema, withStores } from './configuration.ts'
import { printJson } from './print.ts'
import type { Io, Shell } from './seams.ts'

const namesIn = async (records: Records): Promise<Names> => ({
  providers: (await records.providers.all()).map(({ id }) => id),
  mappings: (await records.mappings.all()).map(({ name }) => name),
  acrs: (await records.acrs.all()).map(({ name }) => name),
})

const signs = { create: '+', update: '~', remove: '-' } as const

const lineOf = ({ resource, id, action, fields, refused }: Change): string => {
  const what = fields.length > 0 ? `: ${fields.join(', ')}` : ''
  return `${signs[action]} ${resource} ${id}${what}${refused ? ' (not done: the name was taken meanwhile)' : ''}`
}

const summaryOf = (changes: readonly Change[], dryRun: boolean): string => {
  if (changes.length === 0) return 'Nothing to change.'
  const count = (action: Change['action']) => changes.filter((change) => change.action === action).length
  const parts = `${count('create')} to create, ${count('update')} to update, ${count('remove')} to remove`
  return dryRun
    ? `${parts}; nothing was written.`
    : `${parts.replaceAll('to create', 'created').replace('to update', 'updated').replace('to remove', 'removed')}.`
}

export interface ApplyFlags {
  readonly config?: string
  readonly json?: boolean
  readonly dryRun?: boolean
  readonly prune?: boolean
}

/** Answers the exit code: 1 when something could not be done. */
export const applyFile = (shell: Shell, file: string, flags: ApplyFlags): Promise<number> =>
  withStores(shell, flags.config, async ({ records }, { settings }) => {
    const { io, env } = shell
    const source = file === '-' ? { written: parseText(await io.read(), 'standard input', env) } : { file }
    const resources = loadResources({ ...rooms, ...source, env, settings, names: await namesIn(records) })
    const changes = await records.apply(resources, {
      dryRun: flags.dryRun ?? false,
      prune: flags.prune ?? false,
      samePassword: async (password, hash) => (await verifyPassword(password, hash)).matches,
    })
    if (flags.json) printJson(io, { dryRun: flags.dryRun ?? false, changes })
    else for (const line of [...changes.map(lineOf), summaryOf(changes, flags.dryRun ?? false)]) io.out(`${line}\n`)
    return changes.some(({ refused }) => refused) ? 1 : 0
  })

const everything = async (records: Records): Promise<Record<ResourceName, readonly unknown[]>> => ({
  clients: await records.clients.all(),
  accounts: (await records.accounts.all()).map(({ createdAt: _, updatedAt: __, ...account }) => account),
  identityProviders: await records.providers.all(),
  mappings: await records.mappings.all(),
  acrs: await records.acrs.all(),
  scopes: await records.scopes.all(),
  sectorIdentifiers: await records.sectorIdentifiers.all(),
})

/** What is stored and declared, as a file that `apply` takes. */
const fileOf = async (records: Records, secrets: boolean): Promise<Record<string, unknown>> => {
  const schema = wholeSchema()
  const all = await everything(records)
  const lists = resourceNames.map((name): [string, unknown[]] => [
    name,
    all[name].map((record) => asWritten(entrySchema(schema, name), record, { secrets })),
  ])
  return Object.fromEntries(lists.filter(([, list]) => list.length > 0))
}

const header = (io: Io, { settings }: Loaded, secrets: boolean) => {
  io.out(`# Resources of ${settings.issuer}, for: gatehouse apply FILE\n`)
  io.out(
    secrets
      ? '# Holds secrets: keep it as safe as the master key.\n'
      : '# Secrets are left out: gatehouse export --secrets has them.\n',
  )
}

export const exportResources = (
  shell: Shell,
  flags: { config?: string; json?: boolean; secrets?: boolean },
): Promise<number> =>
  withStores(shell, flags.config, async ({ records }, loaded) => {
    const written = await fileOf(records, flags.secrets ?? false)
    if (flags.json) printJson(shell.io, written)
    else {
      header(shell.io, loaded, flags.secrets ?? false)
      shell.io.out(toYaml(written))
    }
    return 0
  })
