/** The reference of everything that a file may say, made of the schema itself: a page for people, a JSON Schema for editors. */
import { z } from 'zod'
import { variableOf } from './environment.ts'
import { type Alternative, allowedPhrase, alternativesOf, isSecret, keysOf } from './schema-walk.ts'

interface Row {
  readonly path: readonly string[]
  readonly level: readonly Alternative[]
}

const helpOf = (level: readonly Alternative[]): string => level.find(({ meta }) => meta.help)?.meta.help ?? ''

/** The entries of a list of sections, or a section's own members. */
const membersOf = (
  level: readonly Alternative[],
): { readonly suffix: string; readonly level: readonly Alternative[] } => {
  const elements = level.flatMap(({ def }) => (def.type === 'array' && def.element ? alternativesOf(def.element) : []))
  return keysOf(elements).length > 0 ? { suffix: '[]', level: elements } : { suffix: '', level }
}

const rowsBelow = (path: readonly string[], level: readonly Alternative[]): Row[] => {
  const members = membersOf(level)
  const names = keysOf(members.level)
  if (names.length === 0) return [{ path, level }]
  const place = [...path.slice(0, -1), `${path.at(-1) ?? ''}${members.suffix}`]
  return names.flatMap((name) => {
    const children = members.level.flatMap(({ def }) => {
      const child = def.shape && Object.hasOwn(def.shape, name) ? def.shape[name] : undefined
      return child ? alternativesOf(child, isSecret(members.level) ? { secret: true } : {}) : []
    })
    const next = [...place, name]
    const optionalSection = keysOf(membersOf(children).level).length > 0 && helpOf(children) !== ''
    return [...(optionalSection ? [{ path: next, level: children }] : []), ...rowsBelow(next, children)]
  })
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ').replaceAll('<', '&lt;')
const code = (text: string): string => `\`${cell(text)}\``

const defaultOf = (level: readonly Alternative[]): string => {
  const found = level.find(({ meta }) => meta.default !== undefined)
  if (!found) return level.every(({ optional }) => optional) ? '' : 'required'
  const value = found.meta.default
  const empty = typeof value === 'object' && value !== null && Object.keys(value).length === 0
  return empty && !Array.isArray(value) ? '' : code(typeof value === 'string' ? value : JSON.stringify(value))
}

const rowText = ({ path, level }: Row, withVariable: boolean): string => {
  const notes = [helpOf(level), isSecret(level) ? 'Secret.' : ''].filter((note) => note !== '').join(' ')
  const name = path.map((part) => part.replaceAll('|', '\\|')).join('.')
  const cells = [code(name), cell(allowedPhrase(level)), defaultOf(level), cell(notes)]
  return `| ${[...cells, ...(withVariable ? [code(variableOf(path))] : [])].join(' | ')} |`
}

const table = (rows: readonly Row[], withVariable: boolean): string => {
  const headings = ['setting', 'what is allowed', 'default', 'notes', ...(withVariable ? ['environment'] : [])]
  return [
    `| ${headings.join(' | ')} |`,
    `|${headings.map(() => ' --- ').join('|')}|`,
    ...rows.map((row) => rowText(row, withVariable)),
  ].join('\n')
}

interface Section {
  readonly name: string
  readonly level: readonly Alternative[]
  readonly rows: readonly Row[]
}

const sectionText = ({ name, level, rows }: Section, withVariable: boolean): string => {
  const title = level.find(({ meta }) => meta.title)?.meta.title
  const heading = `### ${title ? `${title}: ` : ''}\`${name}\``
  const help = helpOf(level)
  return [heading, ...(help ? [help] : []), table(rows, withVariable)].join('\n\n')
}

const introduction = `# Configuration

Generated from the schema by \`make docs\`; do not edit.

One file, YAML or JSON: \`--config FILE\`, else \`GATEHOUSE_CONFIG\`, else \`./gatehouse.yaml\`, else all defaults.
\`./gatehouse check-config\` tells every mistake at once. For editors: \`docs/gatehouse.schema.json\`
(\`# yaml-language-server: $schema=…\` in the first line).

- Any value may be written \`\${NAME}\` or \`\${NAME:-default}\`; \`$\${\` is a plain \`\${\`. An empty result counts as not written.
- A secret may also be written \`{ file: PATH }\`; the line break at the end of the file does not count.
- Every setting has an environment variable, which wins over the file. Its value is read as YAML (\`[a, b]\`, \`true\`); case and
  underscores inside a name do not count; an empty variable does not either. List entries are numbers:
  \`GATEHOUSE__CLIENTS__0__CLIENT_SECRET\`.
- Relative paths, in the file too, start at the working directory.
- Durations are ISO 8601: \`PT5M\`, \`PT1H\`, \`P90D\`.
- Unknown names are mistakes. So are names of settings that this version does not have yet.
`

const resourceIntroduction = `Lists of records. What the served file declares is read-only elsewhere and gone when it is removed from the file; what
\`./gatehouse apply FILE\` declares is stored. Ids match \`[A-Za-z0-9][A-Za-z0-9._-]{0,63}\`.`

const isList = (level: readonly Alternative[]): boolean => membersOf(level).suffix !== ''

/** The reference page. @param schema of a whole file @param resources the names that are resources */
export const describeConfiguration = (schema: z.ZodType, resources: readonly string[]): string => {
  const shape = alternativesOf(schema)[0]?.def.shape ?? {}
  const sections = Object.entries(shape).map(([name, part]): Section => {
    const level = alternativesOf(part)
    return { name, level, rows: rowsBelow([name], level).filter(({ path }) => path.length > 1 || !isList(level)) }
  })
  const [ours, records] = [false, true].map((wanted) =>
    sections.filter(({ name }) => resources.includes(name) === wanted),
  )
  const single = ours?.filter(({ rows }) => rows.length === 1 && rows[0]?.path.length === 1) ?? []
  const many = ours?.filter((one) => !single.includes(one)) ?? []
  return `${[
    introduction.trimEnd(),
    '## Settings',
    table(
      single.flatMap(({ rows }) => rows),
      true,
    ),
    ...many.map((one) => sectionText(one, true)),
    '## Resources',
    resourceIntroduction,
    ...(records?.map((one) => sectionText(one, false)) ?? []),
  ].join('\n\n')}\n`
}

/** Written as `${NAME}` whatever the type. */
const placeholder = { type: 'string', pattern: '\\$\\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\\}' }
const secretFile = {
  type: 'object',
  properties: { file: { type: 'string' } },
  required: ['file'],
  additionalProperties: false,
}

type Json = Record<string, unknown>

const typed = new Set(['number', 'integer', 'boolean'])

/** What a setting may be besides what its schema says. */
const widen = (json: Json): void => {
  const { secret, help, unit: _, allowed: __, adminOnly: ___, reload: ____, default: standard, ...own } = json
  const others: Json[] = []
  if (secret === true) others.push(secretFile)
  if (typed.has(String(own.type)) || own.enum !== undefined) others.push(placeholder)
  for (const name of Object.keys(json)) delete json[name]
  const notes = {
    ...(help !== undefined && { description: help }),
    ...(standard !== undefined && { default: standard }),
  }
  Object.assign(json, notes, others.length > 0 ? { anyOf: [own, ...others] } : own)
}

/** The JSON Schema of a whole file, for editors. */
export const editorSchema = (schema: z.ZodType): Json =>
  z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    reused: 'inline',
    override: ({ jsonSchema }) => widen(jsonSchema as Json),
  }) as Json
