/** What was written → what the schema judges: text of variables is read as the setting takes it, secrets come from their files, empty sections vanish. */
import { readFileSync, statSync } from 'node:fs'
import { parse } from 'yaml'
import type { z } from 'zod'
import { joined, type Mistake } from './mistakes.ts'
import { type Alternative, alternativesOf, below, isSecret, takesScalar, takesText } from './schema-walk.ts'
import { Substituted } from './source-text.ts'

type Path = readonly PropertyKey[]

const MOST_BYTES = 65_536

const takes = (level: readonly Alternative[], ...types: string[]): boolean =>
  level.some(({ def }) => types.includes(def.type))

/** Lists, sections and `{ file: … }` for a secret, written in brackets: all other text stays text where text is taken. */
const isBracketed = (text: string, level: readonly Alternative[]): boolean =>
  (text.startsWith('[') && takes(level, 'array')) ||
  (text.startsWith('{') && (takes(level, 'object', 'record') || isSecret(level)))

const readAs = (text: string, level: readonly Alternative[]): unknown => {
  // An empty variable is a setting that was not written.
  if (text === '') return undefined
  const anything = level.length === 0 || takes(level, 'lazy', 'unknown', 'any')
  if ((anything || takesText(level)) && !isBracketed(text.trim(), level)) return text
  try {
    const value: unknown = parse(text, { logLevel: 'error' })
    return isSecret(level) && !Array.isArray(value) && fileOf(value) === undefined ? text : value
  } catch {
    return text
  }
}

const fileOf = (value: unknown): string | undefined => {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, 'file')) return undefined
  const { file } = value as { file: unknown }
  return Object.keys(value).length === 1 && typeof file === 'string' ? file : undefined
}

/** The content of a secret's file, without the line break that editors add. */
const readSecret = (path: Path, file: string): { value?: string; mistake?: Mistake } => {
  const mistake = (found: string) => ({
    mistake: {
      path: joined(path),
      message: `found the file ${file}, ${found}, must be a readable file with the secret`,
    },
  })
  try {
    if (statSync(file).size > MOST_BYTES) return mistake('which is too large')
    const value = readFileSync(file, 'utf8').replace(/\r?\n$/, '')
    return value === '' ? mistake('which is empty') : { value }
  } catch (error) {
    return mistake(`which cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`)
  }
}

/** @param tree as read; answers plain values that the schema can judge, and what could not be made of it */
export const settle = (schema: z.ZodType, tree: unknown): { value: unknown; mistakes: Mistake[] } => {
  const mistakes: Mistake[] = []

  const walk = (value: unknown, path: Path, level: readonly Alternative[]): unknown => {
    const plain = value instanceof Substituted ? readAs(value.text, level) : value
    const file = isSecret(level) ? fileOf(unwrapText(plain)) : undefined
    if (file !== undefined) {
      const { value: content, mistake } = readSecret(path, file)
      if (mistake) mistakes.push(mistake)
      return content
    }
    // `clients:` with nothing below it.
    if (plain === null && level.length > 0 && !takesScalar(level)) return undefined
    if (Array.isArray(plain)) return plain.map((item, index) => walk(item, [...path, index], below(level, index)))
    if (typeof plain !== 'object' || plain === null) return plain
    const entries = Object.entries(plain).map(([key, item]): [string, unknown] => [
      key,
      walk(item, [...path, key], below(level, key)),
    ])
    return Object.fromEntries(entries.filter(([, item]) => item !== undefined))
  }
  return { value: walk(tree, [], alternativesOf(schema)), mistakes }
}

/** `{ file: ${HOME}/secret }` */
const unwrapText = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(
        Object.entries(value).map(([key, item]) => [key, item instanceof Substituted ? item.text : item]),
      )
    : value
