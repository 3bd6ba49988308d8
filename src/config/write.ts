/** Resources → the text of a file that reads back as the same resources. What equals a default is left out. */
import { isDeepStrictEqual } from 'node:util'
import { stringify } from 'yaml'
import type { z } from 'zod'
import { type Alternative, alternativesAt, alternativesOf, below, isSecret } from './schema-walk.ts'

/** So that reading puts no variable in. */
const escaped = (text: string): string => text.replaceAll('${', '$${')

const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0

const isDefault = (value: unknown, level: readonly Alternative[]): boolean =>
  level.length > 0 && level.every(({ meta }) => 'default' in meta && isDeepStrictEqual(meta.default, value))

/**
 * A record as a file would have it.
 * @param secrets whether secrets stay in
 */
export const asWritten = (schema: z.ZodType, record: unknown, { secrets }: { secrets: boolean }): unknown => {
  const walk = (value: unknown, level: readonly Alternative[]): unknown => {
    if (typeof value === 'string') return escaped(value)
    if (Array.isArray(value)) return value.map((item, index) => walk(item, below(level, index)))
    if (typeof value !== 'object' || value === null) return value
    const members = Object.entries(value).flatMap(([name, item]): [string, unknown][] => {
      const place = below(level, name)
      if (item === undefined || (!secrets && isSecret(place)) || isDefault(item, place)) return []
      const written = walk(item, place)
      return isEmpty(written) && isDefault(written, place) ? [] : [[name, written]]
    })
    return Object.fromEntries(members)
  }
  return walk(record, alternativesOf(schema))
}

/** The schema of one entry of a list at the top of a file. */
export const entrySchema = (schema: z.ZodType, name: string): z.ZodType => {
  const list = alternativesAt(schema, [name]).find(({ def }) => def.type === 'array')
  if (!list?.def.element) throw new TypeError(`${name} is no list`)
  return list.def.element as z.ZodType
}

export const toYaml = (value: unknown): string => stringify(value, { lineWidth: 0, aliasDuplicateObjects: false })
