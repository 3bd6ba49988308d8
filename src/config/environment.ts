/**
 * Settings from the environment: `GATEHOUSE__STORES__ARTIFACTS` is `stores.artifacts`. Case and underscores inside a name
 * do not count (`GATEHOUSE__TRUSTPROXY`, `GATEHOUSE__TRUST_PROXY`); a number is a place in a list.
 */
import { parse } from 'yaml'
import type { z } from 'zod'
import { settingComesLater } from './later.ts'
import { didYouMean, type Mistake } from './mistakes.ts'
import { alternativesAt, keysOf } from './schema-walk.ts'
import { Substituted } from './source-text.ts'

export const PREFIX = 'GATEHOUSE__'

type Path = readonly PropertyKey[]

export interface Override {
  readonly variable: string
  readonly path: Path
  readonly text: string
}

const plain = (name: string): string => name.toLowerCase().replaceAll('_', '')

/** The variable of a setting. */
export const variableOf = (path: Path): string => PREFIX + path.map((part) => String(part).toUpperCase()).join('__')

/** One level down, or what is wrong with the variable. */
const step = (schema: z.ZodType, path: Path, segment: string): { key: PropertyKey } | { wrong: string } => {
  const level = alternativesAt(schema, path)
  if (/^\d{1,3}$/.test(segment) && level.some(({ def }) => def.type === 'array')) return { key: Number(segment) }
  const known = keysOf(level)
  const key = known.find((name) => plain(name) === plain(segment))
  if (key !== undefined) return { key }
  // Names of one's own (claims, attributes) are lower case.
  if (level.some(({ def }) => def.type === 'record' || (def.catchall && def.catchall._zod.def.type !== 'never')))
    return { key: segment.toLowerCase() }
  if (settingComesLater([...path, segment]))
    return { wrong: 'found a setting that is not built in this version, must be left out' }
  const names = known.map((name) => variableOf([...path, name]))
  const meant = didYouMean(variableOf([...path, segment]), names)
  return { wrong: `found no setting of this name, must be ${PREFIX} and the path of one in upper case${meant}` }
}

const pathOf = (schema: z.ZodType, variable: string): { path: Path } | { wrong: string } => {
  let path: Path = []
  for (const segment of variable.slice(PREFIX.length).split('__')) {
    const next = step(schema, path, segment)
    if ('wrong' in next) return next
    path = [...path, next.key]
  }
  return { path }
}

/** @param env all variables; only those that begin with GATEHOUSE__ count, and an empty one does not */
export const readEnvironment = (
  schema: z.ZodType,
  env: Readonly<Record<string, string | undefined>>,
): { overrides: Override[]; mistakes: Mistake[] } => {
  const overrides: Override[] = []
  const mistakes: Mistake[] = []
  for (const variable of Object.keys(env).sort()) {
    const text = env[variable]
    if (!variable.startsWith(PREFIX) || !text) continue
    const found = pathOf(schema, variable)
    if ('wrong' in found) mistakes.push({ path: variable, message: found.wrong })
    else overrides.push({ variable, path: found.path, text })
  }
  return { overrides, mistakes }
}

const isTree = (value: unknown): value is Record<PropertyKey, unknown> =>
  typeof value === 'object' && value !== null && !(value instanceof Substituted)

/** A copy of the tree with the overrides put in. */
export const override = (tree: unknown, overrides: readonly Override[]): unknown =>
  overrides.reduce<unknown>((now, { path, text }) => put(now, path, new Substituted(text)), tree)

/** A section that a variable gave as a whole, where another variable reaches into it. */
const opened = (tree: unknown): unknown => {
  if (!(tree instanceof Substituted)) return tree
  try {
    return parse(tree.text, { logLevel: 'error' })
  } catch {
    return undefined
  }
}

const put = (whole: unknown, [key, ...rest]: Path, value: unknown): unknown => {
  if (key === undefined) return value
  const tree = opened(whole)
  if (typeof key === 'number') {
    const list = Array.isArray(tree) ? [...tree] : []
    list[key] = put(list[key], rest, value)
    return Array.from(list)
  }
  const section: Record<PropertyKey, unknown> = isTree(tree) && !Array.isArray(tree) ? { ...tree } : {}
  section[key] = put(section[key], rest, value)
  return section
}
