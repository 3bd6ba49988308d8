/** Hook files made for one test, and the hooks opened over them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { type HooksOptions, type OpenHooks, openHooks } from '#hooks/hooks.ts'
import { systemClock } from '#kernel/clock.ts'
import { silentLog } from '#kernel/log.ts'

const endings: (() => Promise<void> | void)[] = []
after(async () => {
  for (const end of endings.splice(0).reverse()) await end()
})

/** Writes files of this text; @returns the pattern that names them */
export const hookFolder = (files: Readonly<Record<string, string>>): string => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-hooks-'))
  endings.push(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return join(folder, '*.ts')
}

export interface Opened extends OpenHooks {
  readonly lines: { event: string; fields: Record<string, unknown> }[]
  readonly steps: { reference: string; detail: Readonly<Record<string, unknown>> }[]
}

export const open = async (
  files: Readonly<Record<string, string>>,
  over: Partial<HooksOptions> = {},
): Promise<Opened> => {
  const lines: Opened['lines'] = []
  const steps: Opened['steps'] = []
  const keep = (event: string, fields: Record<string, unknown> = {}) => void lines.push({ event, fields })
  const hooks = await openHooks({
    patterns: [hookFolder(files)],
    clock: systemClock,
    log: { ...silentLog, info: keep, warn: keep, error: keep },
    trace: (reference, detail) => void steps.push({ reference, detail }),
    ...over,
  })
  endings.push(hooks.close)
  return { ...hooks, lines, steps }
}

export const person = { id: 'a', username: 'alice', email_verified: false, claims: {}, roles: [] }
export const app = { client_id: 'web' }
