/**
 * The configuration: defaults, then the file, then the environment (CONTRACT 2). Read this file first in this room.
 * Everything that is wrong is reported at once; nothing is contacted and nothing is written.
 */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { z } from 'zod'
import type { Client } from '#kernel/records/client.ts'
import { checkResources, type Names, type PartialResources } from './check-resources.ts'
import { checkSettings, type Known } from './checks.ts'
import { type Override, override, readEnvironment } from './environment.ts'
import { judge } from './judge.ts'
import { at, ConfigurationError, joined, type Mistake, type Scene } from './mistakes.ts'
import { type ResourceName, type Resources, resourceNames, resourcesShape } from './resources.ts'
import { type Settings, settingsShape } from './settings.ts'
import { settle } from './settle.ts'
import { readText } from './source-text.ts'

export type { Names } from './check-resources.ts'
export { ConfigurationError, type Mistake } from './mistakes.ts'
export type { Resources } from './resources.ts'
export type { Settings } from './settings.ts'

/** What the rooms above bring: the schemas and names that the configuration is made of. */
export interface Rooms {
  /** protocol → schema of its block, from the connector registry. */
  readonly protocols: Readonly<Record<string, z.ZodType>>
  /** method → schema of its block, from the method registry. */
  readonly methods: Readonly<Record<string, z.ZodType>>
  /** Names of the connectors' own mappings. */
  readonly mappings?: readonly string[]
  /** Languages that there are texts in. */
  readonly languages?: readonly string[]
  /** What is wrong with a store's address behind its scheme, from the adapters; see `Known`. */
  readonly storeMistake?: (address: string) => string | undefined
  /** What is wrong with clients as a whole, from the engine; see `Known`. */
  readonly judgeClients?: Known['judgeClients']
}

type Env = Readonly<Record<string, string | undefined>>

export interface Sources extends Rooms {
  /** Absent: all defaults. Relative paths, in it too, start at the working directory. */
  readonly file?: string | undefined
  /** In place of a file: its content as values. */
  readonly written?: unknown
  /** Values below the file's: other defaults. */
  readonly under?: unknown
  readonly env: Env
}

export type Source = 'default' | 'file' | 'environment'

export interface Loaded {
  readonly settings: Settings
  readonly resources: Resources
  /** Path of a setting → which source won. */
  readonly sources: Readonly<Record<string, Source>>
  readonly file: string | undefined
}

/** The schema of a whole file. */
export const configurationSchema = (rooms: Pick<Rooms, 'protocols' | 'methods'>) =>
  z.strictObject({ ...settingsShape(rooms.methods), ...resourcesShape(rooms.protocols) })

export const knownTo = ({
  methods,
  mappings = [],
  languages = ['en', 'de'],
  storeMistake,
  judgeClients,
}: Rooms): Known => ({
  methods: Object.keys(methods),
  mappings,
  languages,
  storeMistake,
  judgeClients,
})

/** @throws ConfigurationError when the file cannot be read or is not YAML */
export const readFile = (file: string, env: Env): { value: unknown; mistakes: readonly Mistake[] } => {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown'
    throw new ConfigurationError([
      { path: file, message: `found no file that can be read (${code}), must be YAML or JSON` },
    ])
  }
  const read = readText(text, basename(file), env)
  if (read.value === undefined && read.mistakes.length > 0) throw new ConfigurationError(read.mistakes)
  return read
}

const isSection = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The upper values over the lower ones; lists and scalars replace each other whole. */
const layered = (lower: unknown, upper: unknown): unknown => {
  if (upper === undefined || upper === null) return lower
  if (!isSection(lower) || !isSection(upper) || Object.getPrototypeOf(upper) !== Object.prototype) return upper
  const keys = new Set([...Object.keys(lower), ...Object.keys(upper)])
  return Object.fromEntries([...keys].map((key) => [key, layered(lower[key], upper[key])]))
}

/** `http://localhost:PORT` when no issuer is written: a changed port changes it as well. */
const withIssuer = (written: Record<string, unknown>): Record<string, unknown> => {
  const port = at(written, ['listen', 'port'])
  if (written.issuer !== undefined || !Number.isInteger(port) || Number(port) < 1 || Number(port) > 65_535)
    return written
  return { ...written, issuer: `http://localhost:${port}` }
}

/** Where each setting came from, by its path, for every scalar and list. */
const sourcesOf = (settings: unknown, file: unknown, overrides: readonly Override[]): Record<string, Source> => {
  const found: Record<string, Source> = {}
  const named = overrides.map(({ path }) => joined(path))
  const walk = (value: unknown, path: readonly string[]) => {
    if (isSection(value)) {
      for (const [key, item] of Object.entries(value)) walk(item, [...path, key])
      return
    }
    const name = joined(path)
    const overridden = named.some((one) => one === name || one.startsWith(`${name}.`) || name.startsWith(`${one}.`))
    const written = at(file, path) !== undefined ? 'file' : 'default'
    found[name] = overridden ? 'environment' : written
  }
  walk(settings, [])
  return found
}

/** The names that references may use: an entry that is wrong otherwise still has its name. */
const namesIn = (written: unknown): Names => {
  const names = (list: string, key: string): string[] => {
    const entries = at(written, [list])
    const found = Array.isArray(entries) ? entries.map((entry) => at(entry, [key])) : []
    return found.filter((name) => typeof name === 'string')
  }
  return {
    providers: names('identityProviders', 'id'),
    mappings: names('mappings', 'name'),
    acrs: names('acrs', 'name'),
  }
}

/**
 * Loads and checks a whole configuration.
 * @returns settings with durations in seconds, resources, and which source won per path
 * @throws ConfigurationError with every mistake: `path: what was found, what is allowed`
 */
export const loadConfiguration = (given: Sources): Loaded => {
  const schema = configurationSchema(given)
  const read = given.file === undefined ? { value: given.written, mistakes: [] } : readFile(given.file, given.env)
  const environment = readEnvironment(schema, given.env)
  const merged = override(layered(given.under, read.value) ?? {}, environment.overrides)
  const settled = settle(schema, merged)
  if (!isSection(settled.value))
    throw new ConfigurationError([
      ...read.mistakes,
      { path: given.file ?? 'configuration', message: 'found no settings, must be a section of settings' },
    ])
  const written = withIssuer(settled.value)
  const mistakes: Mistake[] = [...read.mistakes, ...environment.mistakes, ...settled.mistakes]

  const variable: Scene['variable'] = (path) =>
    environment.overrides.find((one) => joined(path).startsWith(joined(one.path)))?.variable
  const judged = judge({ schema, written, variable })
  mistakes.push(...judged.mistakes)
  const settings = judged.valid as Partial<Settings>
  const report = (path: string, message: string) => mistakes.push({ path, message })
  checkSettings(settings, knownTo(given), report)
  checkResources(resourcesIn(judged.valid), settings, namesIn(written), knownTo(given), report)
  mistakes.push(...wholeClients(given, settings, resourcesIn(judged.valid), mistakes))
  if (mistakes.length > 0) throw new ConfigurationError(distinctMistakes(mistakes))

  const isResource = (name: string): name is ResourceName => resourceNames.some((one) => one === name)
  const entries = Object.entries(judged.valid)
  const onlySettings = Object.fromEntries(entries.filter(([name]) => !isResource(name)))
  return {
    settings: onlySettings as unknown as Settings,
    resources: Object.fromEntries(entries.filter(([name]) => isResource(name))) as unknown as Resources,
    sources: sourcesOf(onlySettings, read.value, environment.overrides),
    file: given.file,
  }
}

const isAt =
  (place: string) =>
  ({ path }: Mistake): boolean =>
    path === place || path.startsWith(`${place}.`)

/** What is wrong with clients as a whole: under settings that are right, with those that are right member by member. */
const wholeClients = (
  { judgeClients }: Rooms,
  settings: Partial<Settings>,
  resources: PartialResources,
  mistakes: readonly Mistake[],
): Mistake[] => {
  const rightSettings = mistakes.every((mistake) => resourceNames.some((name) => isAt(name)(mistake)))
  if (!judgeClients || !rightSettings) return []
  const right = resources.clients
    .map((client, index) => ({ client, path: `clients.${index}` }))
    .filter(({ path }) => !mistakes.some(isAt(path)))
  const judged = judgeClients(
    settings as Settings,
    right.map(({ client }) => client as Client),
  )
  return right.flatMap(({ path }, index) => {
    const message = judged[index]
    return message === undefined ? [] : [{ path, message }]
  })
}

const resourcesIn = (valid: Readonly<Record<string, unknown>>): PartialResources =>
  Object.fromEntries(resourceNames.map((name) => [name, valid[name] ?? []])) as unknown as PartialResources

/** One path is told once. */
const distinctMistakes = (mistakes: readonly Mistake[]): Mistake[] =>
  [...new Map(mistakes.toReversed().map((mistake) => [mistake.path, mistake])).values()].reverse()

export interface ResourceSources extends Rooms {
  /** A file, or in its place its content as values. */
  readonly file?: string
  readonly written?: unknown
  readonly env: Env
  /** The settings that the resources will live under. */
  readonly settings: Settings
  /** What is there already and may be referred to. */
  readonly names: Names
}

/**
 * Resources alone, as `apply` takes them.
 * @throws ConfigurationError with every mistake; a setting is one, since it belongs to the served file
 */
export const loadResources = (given: ResourceSources): Resources => {
  const schema = configurationSchema(given)
  const read = given.file === undefined ? { value: given.written, mistakes: [] } : readFile(given.file, given.env)
  const settled = settle(schema, read.value ?? {})
  if (!isSection(settled.value))
    throw new ConfigurationError([
      { path: given.file ?? 'resources', message: 'found no resources, must be a section of them' },
    ])
  const mistakes: Mistake[] = [...read.mistakes, ...settled.mistakes]
  const isSetting = (name: string) => Object.hasOwn(settingsShape(given.methods), name)
  for (const name of Object.keys(settled.value).filter(isSetting))
    mistakes.push({ path: name, message: `found a setting, must be a resource (${resourceNames.join(', ')})` })
  const written = Object.fromEntries(Object.entries(settled.value).filter(([name]) => !isSetting(name)))
  const judged = judge({ schema, written, variable: () => undefined })
  mistakes.push(...judged.mistakes)
  const own = namesIn(written)
  const names = {
    providers: [...own.providers, ...given.names.providers],
    mappings: [...own.mappings, ...given.names.mappings],
    acrs: [...own.acrs, ...given.names.acrs],
  }
  checkResources(resourcesIn(judged.valid), given.settings, names, knownTo(given), (path, message) =>
    mistakes.push({ path, message }),
  )
  mistakes.push(...wholeClients(given, given.settings, resourcesIn(judged.valid), mistakes))
  if (mistakes.length > 0) throw new ConfigurationError(distinctMistakes(mistakes))
  return resourcesIn(judged.valid) as Resources
}
