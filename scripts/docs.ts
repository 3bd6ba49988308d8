/** `make docs`: the references that are made of the code. `node scripts/docs.ts` writes them; a test compares them. */
import { writeFileSync } from 'node:fs'
import { describeConfiguration, editorSchema } from '#config/describe.ts'
import { configurationSchema } from '#config/load.ts'
import { resourceNames } from '#config/resources.ts'
import { protocolSettings } from '#connectors/index.ts'
import { faults } from '#kernel/faults.ts'
import { methodSettings } from '#methods/index.ts'

const errorsPage = (): string => {
  const rows = Object.entries(faults).map(
    ([code, { status, oauth, say }]) => `| \`${code}\` | ${status} | \`${oauth}\` | ${say.replaceAll('|', '\\|')} |`,
  )
  return [
    '# Errors',
    '',
    'Generated from `src/kernel/faults.ts` by `make docs`; do not edit.',
    '',
    'The code stands in logs, traces and REST answers. Pages show the sentence and a reference that opens the trace:',
    '`./gatehouse trace REFERENCE`. Where the failure goes back to a relying party it carries the OAuth error.',
    '',
    '| code | HTTP status | OAuth error | what a person reads |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n')
}

/** Path → text of every generated file. */
export const generated = (): Record<string, string> => {
  const schema = configurationSchema({ protocols: protocolSettings, methods: methodSettings })
  return {
    'docs/config.md': describeConfiguration(schema, resourceNames),
    'docs/gatehouse.schema.json': `${JSON.stringify(editorSchema(schema), null, 2)}\n`,
    'docs/errors.md': errorsPage(),
  }
}

if (import.meta.main)
  for (const [path, text] of Object.entries(generated())) {
    writeFileSync(new URL(`../${path}`, import.meta.url), text)
    console.log(path)
  }
