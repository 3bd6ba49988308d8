/** `trace`: what happened in one login, by the reference of its error page or log. */
import { withStores } from './configuration.ts'
import { instant, printJson } from './print.ts'
import { CliError, type Shell } from './seams.ts'

export const showTrace = (
  shell: Shell,
  reference: string,
  flags: { config?: string; json?: boolean },
): Promise<number> =>
  withStores(shell, flags.config, async ({ trace }) => {
    const steps = await trace.read(reference)
    if (steps.length === 0)
      throw new CliError(`Nothing is known of ${reference}: check the reference; traces are kept for 14 days.`)
    if (flags.json)
      printJson(shell.io, { reference, steps: steps.map(({ at, ...step }) => ({ at: instant(at), ...step })) })
    else
      for (const { at, step, detail } of steps)
        shell.io.out(`${instant(at)}  ${step}${detail ? `  ${JSON.stringify(detail)}` : ''}\n`)
    return 0
  })
