/** Golden files of mistakes: `=== name`, a configuration, `>>>`, the exact lines. `UPDATE=1` writes what is said now. */
import { readFileSync, writeFileSync } from 'node:fs'
import { ConfigurationError, type Loaded, loadConfiguration } from '#config/load.ts'
import { readText } from '#config/source-text.ts'
import { builtInMappings, protocolSettings } from '#connectors/index.ts'
import { methodSettings } from '#methods/index.ts'
import { storeMistake } from '#src/stores.ts'

export const rooms = {
  protocols: protocolSettings,
  methods: methodSettings,
  mappings: [...builtInMappings.keys()],
  storeMistake,
}

export const loadText = (text: string, env: Record<string, string> = {}): Loaded => {
  const { value, mistakes } = readText(text, 'gatehouse.yaml', env)
  // What the text itself lacks is told with everything else.
  if (mistakes.length > 0 && value === undefined) throw new ConfigurationError(mistakes)
  const collected = [...mistakes]
  try {
    const loaded = loadConfiguration({ ...rooms, written: value, env })
    if (collected.length === 0) return loaded
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    collected.push(...error.mistakes)
  }
  throw new ConfigurationError(collected)
}

export const mistakesIn = (text: string, env: Record<string, string> = {}): string[] => {
  try {
    loadText(text, env)
    return []
  } catch (error) {
    if (error instanceof ConfigurationError) return error.message.split('\n')
    throw error
  }
}

export interface Golden {
  readonly name: string
  readonly text: string
  readonly expected: readonly string[]
}

const parse = (block: string): Golden => {
  const [head = '', answer = ''] = block.split('\n>>>\n')
  const [name = '', ...text] = head.split('\n')
  return { name: name.trim(), text: text.join('\n'), expected: answer.split('\n').filter((line) => line !== '') }
}

export const readGolden = (path: URL): Golden[] =>
  readFileSync(path, 'utf8')
    .split(/^=== /m)
    .filter((block) => block.trim() !== '')
    .map(parse)

export const writeGolden = (path: URL, cases: readonly Golden[]): void =>
  writeFileSync(
    path,
    cases.map(({ name, text, expected }) => `=== ${name}\n${text.trimEnd()}\n>>>\n${expected.join('\n')}\n`).join('\n'),
  )
