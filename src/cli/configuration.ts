/** Which configuration a command works with: `--config`, else GATEHOUSE_CONFIG, else ./gatehouse.yaml where there is one. */
import { existsSync } from 'node:fs'
import { configurationSchema, type Loaded, loadConfiguration, type Rooms } from '#config/load.ts'
import { builtInMappings, protocolSettings } from '#connectors/index.ts'
import { methodSettings } from '#methods/index.ts'
import { judgeClients } from '#op/client-check.ts'
import { storeMistake } from '#src/stores.ts'
import type { Env, Opened, Shell } from './seams.ts'

const DEFAULT_FILE = './gatehouse.yaml'

/** What the rooms bring to the schema. */
export const rooms: Rooms = {
  protocols: protocolSettings,
  methods: methodSettings,
  mappings: [...builtInMappings.keys()],
  storeMistake,
  judgeClients,
}

/** The schema of a whole file, as this version has it. */
export const wholeSchema = () => configurationSchema(rooms)

/** A file that was named must be there; the default one need not. */
export const configurationFile = (option: string | undefined, env: Env): string | undefined =>
  option ?? (env.GATEHOUSE_CONFIG || undefined) ?? (existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined)

/** @throws ConfigurationError with every mistake */
export const load = (option: string | undefined, env: Env, under?: unknown): Loaded =>
  loadConfiguration({ ...rooms, file: configurationFile(option, env), env, under })

/** Runs `work` over the opened stores and closes them, whatever happens. */
export const withStores = async <T>(
  { env, actions }: Shell,
  option: string | undefined,
  work: (opened: Opened, loaded: Loaded) => Promise<T>,
): Promise<T> => {
  const loaded = load(option, env)
  const opened = await actions.open(loaded)
  try {
    return await work(opened, loaded)
  } finally {
    await opened.close()
  }
}
