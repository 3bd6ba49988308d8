/** Reading zod schemas: what is at a path, what it takes, whether it is secret. Mistakes, documents and the environment's names follow from it. */
import { z } from 'zod'

type Schema = z.core.$ZodType
type Meta = z.core.GlobalMeta & { default?: unknown }

interface Definition {
  readonly type: string
  readonly innerType?: Schema
  readonly in?: Schema
  readonly options?: readonly Schema[]
  readonly element?: Schema
  readonly shape?: Readonly<Record<string, Schema>>
  readonly catchall?: Schema
  readonly keyType?: Schema
  readonly valueType?: Schema
  readonly values?: readonly unknown[]
  readonly entries?: Readonly<Record<string, string | number>>
  readonly defaultValue?: unknown
  readonly checks?: readonly { readonly _zod: { readonly def: unknown } }[]
}

const definition = (schema: Schema): Definition => schema._zod.def as unknown as Definition

/** What one spelling of a value must be: a schema without its wrappers, and the notes that the wrappers carried. */
export interface Alternative {
  readonly schema: Schema
  readonly def: Definition
  readonly meta: Meta
  readonly optional: boolean
}

const wrappers = new Set(['optional', 'default', 'prefault', 'nonoptional', 'readonly', 'catch', 'lazy'])

/** The alternatives of a schema: unions are taken apart, wrappers are taken off, notes are inherited inwards. */
export const alternativesOf = (schema: Schema, inherited: Meta = {}, optional = false): Alternative[] => {
  const def = definition(schema)
  const own = z.globalRegistry.get(schema as z.ZodType) ?? {}
  const meta: Meta = {
    ...own,
    ...inherited,
    ...('defaultValue' in def && { default: inherited.default ?? def.defaultValue }),
  }
  if (wrappers.has(def.type) && def.innerType)
    return alternativesOf(def.innerType, meta, optional || def.type !== 'nonoptional')
  if (def.type === 'nullable' && def.innerType) return alternativesOf(def.innerType, meta, optional)
  if (def.type === 'pipe' && def.in) return alternativesOf(def.in, meta, optional)
  if (def.type === 'union' && def.options)
    return def.options.flatMap((option) => alternativesOf(option, meta, optional))
  return [{ schema, def, meta, optional }]
}

/** The schemas below one alternative. */
const childOf = ({ def }: Alternative, key: PropertyKey): Schema | undefined => {
  if (def.type === 'object') return def.shape && Object.hasOwn(def.shape, key) ? def.shape[String(key)] : def.catchall
  if (def.type === 'array') return def.element
  return def.type === 'record' ? def.valueType : undefined
}

/** Notes that hold for everything below. */
const handedDown = ({ meta }: Alternative): Meta => (meta.secret ? { secret: true } : {})

/** What may be one step below a place. Empty: nothing is known of it. */
export const below = (level: readonly Alternative[], key: PropertyKey): Alternative[] =>
  level.flatMap((alternative) => {
    const child = childOf(alternative, key)
    return child ? alternativesOf(child, handedDown(alternative)) : []
  })

/** What may be at a path. */
export const alternativesAt = (root: Schema, path: readonly PropertyKey[]): Alternative[] =>
  path.reduce<Alternative[]>(below, alternativesOf(root))

/** The names that an object at this place may have. */
export const keysOf = (level: readonly Alternative[]): string[] => [
  ...new Set(level.flatMap(({ def }) => Object.keys(def.shape ?? {}))),
]

export const isSecret = (level: readonly Alternative[]): boolean => level.some(({ meta }) => meta.secret === true)

const scalars = new Set(['string', 'number', 'boolean', 'enum', 'literal', 'null', 'int'])
export const takesScalar = (level: readonly Alternative[]): boolean => level.some(({ def }) => scalars.has(def.type))

/** Whether text stays text here, or is read as YAML (numbers, true, lists). */
export const takesText = (level: readonly Alternative[]): boolean =>
  level.some(({ def }) => def.type === 'string' || choicesOf([{ def }]).some((choice) => typeof choice === 'string'))

/** The values of enums and literals. */
export const choicesOf = (level: readonly Pick<Alternative, 'def'>[]): unknown[] =>
  level.flatMap(({ def }) => {
    if (def.type === 'enum') return Object.values(def.entries ?? {})
    return def.type === 'literal' ? [...(def.values ?? [])] : []
  })

/** The bounds of a number, from its checks. */
const numberPhrase = ({ checks = [] }: Definition): string => {
  const found = checks.map((check) => check._zod.def as { check: string; value?: number })
  const bound = (name: string) => found.find(({ check }) => check === name)?.value
  const [from, to] = [bound('greater_than'), bound('less_than')]
  const whole = found.some(({ check }) => check === 'number_format') ? 'whole ' : ''
  return `a ${whole}number${from === undefined ? '' : ` from ${from}`}${to === undefined ? '' : ` to ${to}`}`
}

const words: Readonly<Record<string, string>> = {
  string: 'text',
  boolean: 'true or false',
  null: 'null',
  object: 'a section of settings',
  record: 'a section of names and values',
  unknown: 'anything',
  any: 'anything',
  lazy: 'anything',
}

/** What an alternative takes, as it goes on after "must be ". */
const phraseOf = ({ def, meta }: Alternative): string => {
  if (meta.allowed) return meta.allowed
  if (meta.unit === 'seconds' && def.type === 'string') return 'an ISO 8601 duration such as PT5M, PT1H or P90D'
  if (def.type === 'number') return numberPhrase(def)
  const choices = choicesOf([{ def }])
  if (choices.length > 0) return choices.length > 1 ? `one of ${choices.join(', ')}` : String(choices[0])
  if (def.type === 'array' && def.element) return `a list of ${inList(allowedPhrase(alternativesOf(def.element)))}`
  return words[def.type] ?? 'another value'
}

const inList = (phrase: string): string =>
  phrase === 'a section of settings'
    ? 'sections of settings'
    : phrase.replace(/^one of /, '').replace(/^(?=(an?|the) )/, 'values, each ')

/** What is allowed at a place, as it goes on after "must be ". */
export const allowedPhrase = (level: readonly Alternative[]): string => [...new Set(level.map(phraseOf))].join(' or ')
