/**
 * The import rule of docs/architecture.md as a function over source texts: which room may import which, one door per
 * package, and what only the kernel or the process edge may touch. Pure, so that its test feeds it invented trees.
 */
import { builtinModules } from 'node:module'
import { posix } from 'node:path'
import { blankComments, blankStrings } from './source.ts'

/** Rooms of one rank do not import each other; a room imports lower ranks only. */
const ranks: readonly (readonly string[])[] = [
  ['kernel'],
  ['config', 'artifacts', 'directory', 'hooks', 'trace'],
  ['connectors', 'methods', 'http'],
  ['federation', 'sessions'],
  ['op', 'interaction', 'passport', 'gateway', 'manage'],
  ['admin', 'account'],
  ['demo'],
  ['stores'],
  ['house'],
  ['wire'],
  ['demo.ts'],
  ['cli'],
  ['main'],
]
const rankOf = new Map(ranks.flatMap((rooms, rank) => rooms.map((room) => [room, rank] as const)))

/** Which rooms import a package; `*` is a vocabulary that every room speaks. Each line has its twin in docs/dependencies.md. */
export const doors: Readonly<Record<string, readonly string[]>> = {
  zod: ['*'],
  'oidc-provider': ['op', 'artifacts'],
  koa: ['http'],
  'koa-router': ['http'],
  ejs: ['http'],
  'intl-messageformat': ['http'],
  'openid-client': ['connectors'],
  otpauth: ['methods'],
  qr: ['methods'],
  jose: ['op', 'connectors', 'demo'],
  pino: ['kernel'],
  undici: ['kernel'],
  yaml: ['config'],
  commander: ['cli'],
  'node:sqlite': ['adapters/sqlite'],
  ioredis: ['adapters/redis'],
  mongodb: ['adapters/mongo'],
  re2js: ['kernel'],
}

export interface SourceFile {
  /** Relative to the repository's root, with forward slashes. */
  readonly path: string
  readonly text: string
}

/**
 * The room of a file of src/ or adapters/, undefined for any other file. A file directly in src/ is a room by itself;
 * src/demo.ts, which composes, is another one than src/demo/.
 */
export const roomOf = (path: string): string | undefined => {
  const [top, second = ''] = path.split('/')
  if (top === 'adapters') return path.split('/').length > 2 ? `adapters/${second}` : 'adapters'
  if (top !== 'src') return undefined
  return second === 'demo.ts' ? second : second.replace(/\.ts$/, '')
}

const importForms = [
  /^[ \t]*(?:import|export)\b[^'"`;]*?\bfrom\s*(['"])([^'"\n]+)\1/gm,
  /^[ \t]*import\s*(['"])([^'"\n]+)\1/gm,
  /\bimport\s*\(\s*(['"])([^'"\n]+)\1/g,
  /\brequire\s*\(\s*(['"])([^'"\n]+)\1/g,
]

/** The module specifiers of a source text, type imports and dynamic ones included. */
export const specifiersOf = (text: string): string[] => {
  const code = blankComments(text)
  return importForms.flatMap((form) => Array.from(code.matchAll(form), (match) => match[2] ?? ''))
}

const mayImport = (from: string, to: string): boolean => {
  if (from.startsWith('adapters')) return to === 'kernel'
  if (to.startsWith('adapters')) return from === 'stores'
  const [source, target] = [rankOf.get(from), rankOf.get(to)]
  return source !== undefined && target !== undefined && target < source
}

const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')

/** Where a process begins: the server's, and the one that hook files run in. */
const isEdge = (room: string, path: string): boolean =>
  room === 'main' || /^src\/hooks\/(child|lifeline)\.ts$/.test(path)

const isBuiltin = (specifier: string) => specifier.startsWith('node:') || builtinModules.includes(specifier)

/** What is wrong with one import, or undefined. */
const importMistake = (path: string, room: string, specifier: string): string | undefined => {
  if (specifier.startsWith('.')) {
    const target = posix.join(posix.dirname(path), specifier)
    if (/^(messages\/.+|package)\.json$/.test(target)) return undefined
    const targetRoom = roomOf(target)
    if (targetRoom === room) return undefined
    const besides = posix.dirname(path) === 'src' && posix.dirname(target) === 'src'
    if (besides && targetRoom !== undefined && mayImport(room, targetRoom)) return undefined
    return `imports ${specifier}: write an import of another room as #room/file.ts`
  }
  if (specifier.startsWith('#')) {
    const target = specifier.startsWith('#adapters/')
      ? specifier.slice(1)
      : `src/${specifier.replace(/^#(src\/)?/, '')}`
    const targetRoom = roomOf(target) ?? ''
    if (!target.endsWith('.ts')) return `imports ${specifier}: name the file, with .ts`
    if (targetRoom === room) return `imports ${specifier}: write an import inside the room as ./file.ts`
    return mayImport(room, targetRoom) ? undefined : `imports ${specifier}: ${room} may not import ${targetRoom}`
  }
  if (/^(node:)?process$/.test(specifier) && !isEdge(room, path)) return `imports ${specifier}: only src/main.ts may`
  const name = isBuiltin(specifier) ? specifier : packageOf(specifier)
  if (isBuiltin(specifier) && !specifier.startsWith('node:')) return `imports ${specifier}: write node:${specifier}`
  const door = doors[name]
  if (!door) return isBuiltin(specifier) ? undefined : `imports ${name}: no room is its door (scripts/imports.ts)`
  return door.includes('*') || door.includes(room) ? undefined : `imports ${name}: its door is ${door.join(', ')}`
}

/** `fetch` handed in under its own name is not the global one. */
const bindsFetch = /[({,]\s*fetch\s*[?:,}=)]|\bconst fetch\b/

const reserved: readonly {
  readonly uses: RegExp
  readonly allowed: (room: string, path: string) => boolean
  readonly say: string
}[] = [
  {
    uses: /(?<![.\w$#])process\s*[.[]|globalThis\.process\b/,
    allowed: isEdge,
    say: 'reads process: only src/main.ts may',
  },
  {
    uses: /(?<![\w$#])Date\.now\b|\bnew Date\(\s*\)/,
    allowed: (room) => room === 'kernel',
    say: 'reads the time: take a Clock of the kernel',
  },
  {
    uses: /(?<![\w$#])Math\.random\b/,
    allowed: (room) => room === 'kernel',
    say: 'uses Math.random: take #kernel/random.ts',
  },
  {
    uses: /(?<!typeof )globalThis\.fetch\b/,
    allowed: (room) => room === 'kernel',
    say: "uses the global fetch: take the kernel's outbound client",
  },
]

const reservedMistakes = (room: string, path: string, text: string): string[] => {
  const code = blankStrings(text)
  const mistakes = reserved.filter((rule) => !rule.allowed(room, path) && rule.uses.test(code)).map((rule) => rule.say)
  const bare = /(?<![.\w$#])fetch\s*\(/.test(code) && !bindsFetch.test(code)
  if (bare && room !== 'kernel') mistakes.push("uses the global fetch: take the kernel's outbound client")
  return mistakes
}

/**
 * Every breach of the import rule among the files of src/ and adapters/; other files are ignored.
 * @returns one line each: `path: what is wrong`
 */
export const importMistakes = (files: readonly SourceFile[]): string[] =>
  files.flatMap(({ path, text }) => {
    const room = roomOf(path)
    if (room === undefined || !path.endsWith('.ts')) return []
    if (!room.startsWith('adapters') && !rankOf.has(room)) return [`${path}: ${room} is no room of scripts/imports.ts`]
    const imports = specifiersOf(text).map((specifier) => importMistake(path, room, specifier))
    const mistakes = [...imports.filter((mistake) => mistake !== undefined), ...reservedMistakes(room, path, text)]
    return [...new Set(mistakes)].map((mistake) => `${path}: ${mistake}`)
  })
