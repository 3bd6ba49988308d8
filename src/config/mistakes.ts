/**
 * Mistakes in the words of the person who wrote the file: `path.to.setting: what was found, what is allowed`.
 * What is secret by schema or by name is never repeated.
 */
import type { z } from 'zod'
import { settingComesLater, valueComesLater } from './later.ts'
import {
  type Alternative,
  allowedPhrase,
  alternativesAt,
  choicesOf,
  isSecret,
  keysOf,
  takesScalar,
} from './schema-walk.ts'

export interface Mistake {
  /** `clients.0.client_id`; the environment variable or the file where no setting is at fault. */
  readonly path: string
  /** What was found, what is allowed. */
  readonly message: string
}

type Path = readonly PropertyKey[]

/** What a mistake is judged against. */
export interface Scene {
  readonly schema: z.ZodType
  readonly written: unknown
  /** The environment variable that a value came from. */
  readonly variable: (path: Path) => string | undefined
}

export const joined = (path: Path): string => path.map(String).join('.')

/** What is at a path of a tree, own properties only. */
export const at = (tree: unknown, path: Path): unknown =>
  path.reduce<unknown>(
    (level, key) =>
      typeof level === 'object' && level !== null && Object.hasOwn(level, key)
        ? (level as Record<PropertyKey, unknown>)[key]
        : undefined,
    tree,
  )

/** Edits to get from one word to the other: insert, drop, replace, swap neighbours (Damerau). */
const distance = (a: string, b: string): number => {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)]
  for (let i = 1; i <= a.length; i += 1) {
    const above = rows[i - 1] ?? []
    const row = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const swap = swapped ? (rows[i - 2]?.[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY
      row.push(Math.min((above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (above[j - 1] ?? 0) + same, swap))
    }
    rows.push(row)
  }
  return rows[a.length]?.[b.length] ?? 0
}

const plain = (text: string): string => text.toLowerCase().replace(/[_-]/g, '')

/** The candidate that was probably meant, if one is near. */
export const nearest = (word: string, candidates: readonly string[]): string | undefined => {
  const most = word.length <= 3 ? 1 : word.length <= 6 ? 2 : 3
  const near = candidates
    .map((candidate) => ({ candidate, far: distance(plain(word), plain(candidate)) }))
    .filter(({ candidate, far }) => far <= most && far < candidate.length)
    .sort((a, b) => a.far - b.far)
  return near[0]?.candidate
}

export const didYouMean = (word: string, candidates: readonly string[]): string => {
  const meant = nearest(word, candidates)
  return meant === undefined ? '' : `; did you mean ${JSON.stringify(meant)}?`
}

const SECRET_NAME = /(secret|password|passphrase|master_?key|private_?key)$/i
/** Secret by schema or by name; and of a place that nobody knows nobody can say that it is not. */
const hidden = (level: readonly Alternative[], path: Path): boolean =>
  level.length === 0 || isSecret(level) || path.some((part) => typeof part === 'string' && SECRET_NAME.test(part))

const MOST_SHOWN = 60
/** Passwords travel in addresses too. */
const shown = (text: string): string => {
  const masked = text.replace(/\/\/[^/@\s]*@/g, '//…@')
  return JSON.stringify(masked.length > MOST_SHOWN ? `${masked.slice(0, MOST_SHOWN)}…` : masked)
}

const kindOf = (value: unknown): string => {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a section'
  return typeof value === 'string' ? 'text' : `a ${typeof value}`
}

/** What was found, without saying more than is good. */
export const foundPhrase = (value: unknown, level: readonly Alternative[], path: Path): string => {
  if (value === undefined) return 'missing'
  if (value === null) return 'found nothing'
  if (typeof value === 'object') return `found ${kindOf(value)}`
  if (hidden(level, path)) return `found ${kindOf(value)} (not shown)`
  if (typeof value === 'string') return takesScalar(level) ? `found ${shown(value)}` : 'found text'
  return `found ${String(value)}`
}

const MOST_LISTED = 14

/** A setting of this name in another section at the top. */
const elsewhere = (schema: z.ZodType, path: Path, key: string): string => {
  if (path.length > 0) return ''
  const sections = keysOf(alternativesAt(schema, [])).filter((section) =>
    keysOf(alternativesAt(schema, [section])).some((name) => plain(name) === plain(key)),
  )
  return sections.length === 1 ? `; did you mean "${sections[0]}.${key}"?` : ''
}

const unknownKey = (scene: Scene, path: Path, key: string): Mistake => {
  const whole = [...path, key]
  if (settingComesLater(whole))
    return { path: joined(whole), message: 'found a setting that is not built in this version, must be left out' }
  const known = keysOf(alternativesAt(scene.schema, path))
  const meant = didYouMean(key, known) || elsewhere(scene.schema, path, key)
  const list = known.length <= MOST_LISTED ? `, must be one of ${known.join(', ')}` : ', must be a documented setting'
  return { path: joined(whole), message: `found an unknown setting${list}${meant}` }
}

const custom = (message: string): boolean => /^(must|needs|cannot)\b/.test(message)

const wrongValue = (scene: Scene, path: Path, message: string, verbatim = custom(message)): Mistake => {
  const level = alternativesAt(scene.schema, path)
  const value = at(scene.written, path)
  const variable = scene.variable(path)
  const found = foundPhrase(value, level, path) + (variable === undefined ? '' : ` in ${variable}`)
  if (/^(found|missing)\b/.test(message)) return { path: joined(path), message }
  if (valueComesLater(path, value))
    return {
      path: joined(path),
      message: `${found}, which is not built in this version, must be ${allowedPhrase(level)}`,
    }
  if (verbatim) return { path: joined(path), message: `${found}, ${message}` }
  const choices = choicesOf(level).filter((choice) => typeof choice === 'string')
  const meant = typeof value === 'string' && !hidden(level, path) ? didYouMean(value, choices) : ''
  return { path: joined(path), message: `${found}, must be ${allowedPhrase(level)}${meant}` }
}

/** Sizes of texts and lists; those of numbers are part of what is allowed. */
const sizePhrase = (issue: z.core.$ZodIssue): string | undefined => {
  if (issue.code !== 'too_small' && issue.code !== 'too_big') return undefined
  const limit = issue.code === 'too_small' ? issue.minimum : issue.maximum
  const bound = issue.code === 'too_small' ? 'at least' : 'at most'
  if (issue.origin === 'array') return `must have ${bound} ${limit} ${limit === 1 ? 'entry' : 'entries'}`
  if (issue.origin === 'string') return `must have ${bound} ${limit} ${limit === 1 ? 'character' : 'characters'}`
  return undefined
}

const startPhrase = (issue: z.core.$ZodIssue): string | undefined =>
  issue.code === 'invalid_format' && issue.format === 'starts_with'
    ? `must begin with ${JSON.stringify((issue as { prefix?: string }).prefix)}`
    : undefined

/** Of a union's branches the one that the value was meant for: what went furthest, or failed at more than its type. */
const meantBranch = (branches: readonly (readonly z.core.$ZodIssue[])[]): readonly z.core.$ZodIssue[] | undefined =>
  branches.find(
    (issues) => issues.every((issue) => issue.path.length > 0 || issue.code !== 'invalid_type') && issues.length > 0,
  )

/** One issue of zod → the mistakes it stands for. */
export const mistakesOf = (scene: Scene, base: Path, issue: z.core.$ZodIssue): Mistake[] => {
  const path = [...base, ...issue.path]
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(scene, path, key))
  if (issue.code === 'invalid_union') {
    const branch = meantBranch(issue.errors)
    if (branch) return branch.flatMap((inner) => mistakesOf(scene, path, inner))
    const discriminator = (issue as { discriminator?: string }).discriminator
    // A missing or wrong word that says what the rest is: the mistake is there.
    return [wrongValue(scene, discriminator && path.at(-1) !== discriminator ? [...path, discriminator] : path, '')]
  }
  if (issue.code === 'invalid_key' || issue.code === 'invalid_element')
    return [wrongValue(scene, path, issue.issues[0]?.message ?? '')]
  if (issue.code === 'custom') return [wrongValue(scene, path, issue.message, true)]
  return [wrongValue(scene, path, sizePhrase(issue) ?? startPhrase(issue) ?? issue.message)]
}

/** Everything that was wrong, at once. The message has one line a mistake. */
export class ConfigurationError extends Error {
  readonly mistakes: readonly Mistake[]

  constructor(mistakes: readonly Mistake[]) {
    super(mistakes.map(({ path, message }) => `${path}: ${message}`).join('\n'))
    this.name = 'ConfigurationError'
    this.mistakes = mistakes
  }
}
