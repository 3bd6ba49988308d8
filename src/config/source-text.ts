/**
 * A file's text → its values. `${NAME}` and `${NAME:-default}` are put in after the YAML is read, so that what a variable
 * holds is always a value and never syntax; `$${` stands for `${`.
 */
import { parseDocument } from 'yaml'
import { ConfigurationError, type Mistake } from './mistakes.ts'

/** Text that came from variables: read as text or as YAML, whichever the setting takes. */
export class Substituted {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

const PLACEHOLDER = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}\n]*))?\}/g
/** Private-use characters that stand for a placeholder while YAML is read: plain scalars may hold them everywhere. */
const MARK = /\uE000(\d+)\uE001/g

interface Placeholder {
  /** Absent: the escape of `${`. */
  readonly name: string | undefined
  readonly standard: string | undefined
  readonly original: string
}

type Env = Readonly<Record<string, string | undefined>>

const hide = (text: string): { marked: string; placeholders: Placeholder[] } => {
  const placeholders: Placeholder[] = []
  const marked = text.replace(PLACEHOLDER, (original, name: string | undefined, standard: string | undefined) => {
    placeholders.push({ name, standard, original })
    return `\uE000${placeholders.length - 1}\uE001`
  })
  return { marked, placeholders }
}

/** The reader's own messages repeat what they stumbled over, which may be a secret. */
const faulty: Readonly<Record<string, string>> = {
  BAD_ALIAS: 'an alias (text that begins with *) without an anchor',
  BAD_INDENT: 'a line that is indented wrongly',
  BLOCK_AS_IMPLICIT_KEY: 'two names on one line, or a value that needs quotes',
  DUPLICATE_KEY: 'a name that was there before in the same section',
  MISSING_CHAR: 'a bracket or quote that is not closed',
  MULTIPLE_DOCS: 'more than one document',
  TAB_AS_INDENT: 'a tab used for indentation',
}

/** A bracket that is open at the end of the file counts as a wrong indentation of what follows. */
const UNCLOSED = /^Flow (?:map|sequence) in block collection must be .*end with a [}\]]/

interface Read {
  readonly value: unknown
  readonly mistakes: readonly Mistake[]
}

/**
 * @param name how the file is called in mistakes
 * @param env what placeholders are looked up in
 */
export const readText = (text: string, name: string, env: Env): Read => {
  const { marked, placeholders } = hide(text)
  const document = parseDocument(marked, { logLevel: 'error', prettyErrors: true, strict: true, uniqueKeys: true })
  // What follows the first mistake is mostly its consequence.
  const wrong = document.errors.slice(0, 1).map(({ linePos, code, message }) => ({
    path: `${name}${linePos ? `:${linePos[0].line}` : ''}`,
    message: `found ${faulty[UNCLOSED.test(message) ? 'MISSING_CHAR' : code] ?? 'YAML that cannot be read'}, must be YAML or JSON`,
  }))
  if (wrong.length > 0) return { value: undefined, mistakes: wrong }
  const mistakes: Mistake[] = []

  const fill = (scalar: string, path: readonly PropertyKey[]): unknown => {
    if (!scalar.includes('\uE000')) return scalar
    const text = scalar.replace(MARK, (mark, index: string) => {
      const placeholder = placeholders[Number(index)]
      if (!placeholder) return mark
      if (placeholder.name === undefined) return '${'
      // As in a shell: `:-` also stands in for an empty variable.
      const value = env[placeholder.name] || (placeholder.standard ?? env[placeholder.name])
      if (value === undefined)
        mistakes.push({
          path: path.length > 0 ? path.map(String).join('.') : name,
          message: `found \${${placeholder.name}} but the environment has no ${placeholder.name}, must be set there or be written \${${placeholder.name}:-default}`,
        })
      return value ?? ''
    })
    return new Substituted(text)
  }
  const walk = (value: unknown, path: readonly PropertyKey[]): unknown => {
    if (typeof value === 'string') return fill(value, path)
    if (Array.isArray(value)) return value.map((item, index) => walk(item, [...path, index]))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => {
        const plain = key.replace(MARK, (mark, index: string) => placeholders[Number(index)]?.original ?? mark)
        return [plain, walk(item, [...path, plain])]
      }),
    )
  }
  try {
    return { value: walk(document.toJS({ maxAliasCount: 100 }), []), mistakes }
  } catch {
    return { value: undefined, mistakes: [{ path: name, message: `found ${faulty.BAD_ALIAS}, must be YAML or JSON` }] }
  }
}

/** The same for text that is no file. @throws ConfigurationError */
export const parseText = (text: string, name: string, env: Env): unknown => {
  const { value, mistakes } = readText(text, name, env)
  if (mistakes.length > 0) throw new ConfigurationError(mistakes)
  return value
}
