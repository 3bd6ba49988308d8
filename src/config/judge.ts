/**
 * Judges what was written, section by section and entry by entry, so that one mistake hides no other: what is wrong is
 * told, taken out, and the rest is judged again, until rules between fields had their say too.
 */
import type { z } from 'zod'
import { at, type Mistake, mistakesOf, type Scene } from './mistakes.ts'
import { alternativesAt, keysOf } from './schema-walk.ts'

type Path = readonly PropertyKey[]

const MOST_ROUNDS = 4

/** A copy without what is at the path; undefined when nothing can be taken out there. */
const without = (value: unknown, [key, ...rest]: Path): unknown => {
  if (typeof value !== 'object' || value === null || key === undefined || !Object.hasOwn(value, key)) return undefined
  const copy = (Array.isArray(value) ? [...value] : { ...value }) as Record<PropertyKey, unknown>
  if (rest.length > 0) {
    const inner = without(copy[key], rest)
    if (inner === undefined) return undefined
    copy[key] = inner
    return copy
  }
  // An entry of a list cannot go without renumbering those after it.
  if (Array.isArray(value)) return undefined
  delete copy[key]
  return copy
}

const wrongPaths = (issue: z.core.$ZodIssue): Path[] =>
  issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : [issue.path]

interface Judged {
  readonly valid: unknown
  readonly mistakes: readonly Mistake[]
}

/** The field of that name, in whichever alternative of a schema has it. */
const fieldOf = (schema: z.ZodType, name: string): z.ZodType | undefined =>
  alternativesAt(schema, []).find(({ def }) => def.shape && Object.hasOwn(def.shape, name))?.def.shape?.[name] as
    | z.ZodType
    | undefined

const isKindless = (issue: z.core.$ZodIssue): boolean =>
  issue.code === 'invalid_union' && 'discriminator' in issue && issue.path.length <= 1

/** What does not say of which kind it is, is judged field by field: the schema looks no further. */
const judgeFields = (scene: Scene, schema: z.ZodType, value: unknown, base: Path): Mistake[] =>
  Object.entries(value as object).flatMap(([name, field]) => {
    const { error } = fieldOf(schema, name)?.safeParse(field) ?? {}
    return (error?.issues ?? []).flatMap((issue) => mistakesOf(scene, [...base, name], issue))
  })

/** One section or entry. `valid` is there when what was left of it is. */
const judgeOne = (scene: Scene, schema: z.ZodType, value: unknown, base: Path): Judged => {
  const mistakes = new Map<string, Mistake>()
  let rest = value
  for (let round = 1; ; round += 1) {
    const result = schema.safeParse(rest)
    if (result.success) return { valid: result.data, mistakes: [...mistakes.values()] }
    const before = mistakes.size
    const told = [...mistakes.keys()]
    const found = result.error.issues.flatMap((issue) => mistakesOf(scene, base, issue))
    if (result.error.issues.some(isKindless)) found.push(...judgeFields(scene, schema, rest, base))
    for (const mistake of found) {
      const known = told.some((path) => mistake.path === path || path.startsWith(`${mistake.path}.`))
      if (!known && !mistakes.has(mistake.path)) mistakes.set(mistake.path, mistake)
    }
    const next = result.error.issues.flatMap(wrongPaths).reduce<unknown>((now, path) => without(now, path) ?? now, rest)
    if (next === rest || round === MOST_ROUNDS || (round > 1 && mistakes.size === before))
      return { valid: undefined, mistakes: [...mistakes.values()] }
    rest = next
  }
}

/** What is right by itself in an entry that is wrong as a whole: enough to judge the references to and from it. */
const sketch = (element: z.ZodType, entry: unknown): Record<string, unknown> => {
  if (typeof entry !== 'object' || entry === null) return {}
  const right = Object.entries(entry).flatMap(([name, value]): [string, unknown][] => {
    const result = fieldOf(element, name)?.safeParse(value)
    return result?.success ? [[name, result.data]] : []
  })
  return Object.fromEntries(right)
}

/** A list is judged entry by entry; of the wrong ones a sketch is left. */
const judgeList = (scene: Scene, schema: z.ZodType, list: readonly unknown[], path: Path): Judged => {
  const element = alternativesAt(schema, []).find(({ def }) => def.type === 'array')?.def.element as z.ZodType
  const judged = list.map((entry, index) => judgeOne(scene, element, entry, [...path, index]))
  const valid = judged.map((one, index) => one.valid ?? sketch(element, list[index]))
  return { valid, mistakes: judged.flatMap(({ mistakes }) => mistakes) }
}

/**
 * @returns what was valid by itself under its name (of wrong resources a sketch), and every mistake
 */
export const judge = (scene: Scene): { valid: Record<string, unknown>; mistakes: Mistake[] } => {
  const valid: Record<string, unknown> = {}
  const mistakes: Mistake[] = []
  const root = alternativesAt(scene.schema, [])
  const shape = root[0]?.def.shape ?? {}
  const written = scene.written as Record<string, unknown>
  const unknown = Object.keys(written).filter((name) => !keysOf(root).includes(name))
  if (unknown.length > 0)
    mistakes.push(...mistakesOf(scene, [], { code: 'unrecognized_keys', keys: unknown, path: [], message: '' }))
  for (const [name, part] of Object.entries(shape)) {
    const value = at(written, [name])
    const schema = part as z.ZodType
    const sections = alternativesAt(schema, []).some(
      ({ def }) => def.type === 'array' && def.element && keysOf(alternativesAt(def.element, [])).length > 0,
    )
    const judged =
      sections && Array.isArray(value)
        ? judgeList(scene, schema, value, [name])
        : judgeOne(scene, schema, value, [name])
    if (judged.valid !== undefined || value === undefined) valid[name] = judged.valid
    mistakes.push(...judged.mistakes)
  }
  return { valid, mistakes }
}
