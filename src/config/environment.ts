/**
 * Settings from the environment: `GATEHOUSE__STORES__ARTIFACTS` is `stores.artifacts`. Case and underscores inside a name
 * do not count (`GATEHOUSE__TRUSTPROXY`, `GATEHOUSE__TRUST_PROXY`); a number is a place in a list.
 */
import type { z } from 'zod'
import { didYouMean, type Mistake } from './mistakes.ts'
import { alternativesAt, keysOf } from './schema-walk.ts'
import { settingComesLater } from './later.ts'
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
const step = (schema: z.ZodType, path: Path, segment: string): PropertyKey | Mistake['message'][] => {
  const level = alternativesAt(schema, path)
  if (/^\d{1,4}$/.test(segment) && level.some(({ def }) => def.type === 'array')) return Number(segment)
  const known = keysOf(level)
  const key = known.find((name) => plain(name) === plain(segment))
  if (key !== undefined) return key
  const open = level.some(({ def }) => def.type === 'record' || def.catchall !== undefined)
  const strict = level.some(({ def }) => def.catchall?._zod.def.type === 'never')
  if (open && !strict) return segment.toLowerCase()
  if (settingComesLater([...path, segment.toLowerCase()]))
    return ['found a setting that is not built in this version, must be left out']
  const names = known.map((name) => variableOf([...path, name]))
  return [`found an unknown setting, must be named after one${didYouMean(variableOf([...path, segment]), names)}`]
}

/** @param env all variables; only those that begin with GATEHOUSE__ count */
export const readEnvironment = (
  schema: z.ZodType,
  env: Readonly<Record<string, string | undefined>>,
): { overrides: Override[]; mistakes: Mistake[] } => {
  const overrides: Override[] = []
  const mistakes: Mistake[] = []
  const named = Object.entries(env).filter(([name]) => name.startsWith(PREFIX)).sort(([a], [b]) => (a < b ? -1 : 1))
  for (const [variable, text] of named) {
    if (text === undefined) continue
    let path: PropertyKey[] | undefined = []
    for (const segment of variable.slice(PREFIX.length).split('__')) {
      const next = step(schema, path, segment)
      if (Array.isArray(next)) {
        mistakes.push(...next.map((message) => ({ path: variable, message })))
        path = undefined
        break
      }
      path = [...path, next]
    }
    if (path) overrides.push({ variable, path, text })
  }
  return { overrides, mistakes }
}

const isTree = (value: unknown): value is Record<PropertyKey, unknown> =>
  typeof value === 'object' && value !== null && !(value instanceof Substituted)

/** A copy of the tree with the overrides put in. */
export const override = (tree: unknown, overrides: readonly Override[]): unknown =>
  overrides.reduce<unknown>((now, { path, text }) => put(now, path, new Substituted(text)), tree)

const put = (tree: unknown, [key, ...rest]: Path, value: unknown): unknown => {
  if (key === undefined) return value
  if (typeof key === 'number') {
    const list = Array.isArray(tree) ? [...tree] : []
    list[key] = put(list[key], rest, value)
    return list
  }
  const section: Record<PropertyKey, unknown> = isTree(tree) && !Array.isArray(tree) ? { ...tree } : {}
  section[key] = put(section[key], rest, value)
  return section
}
