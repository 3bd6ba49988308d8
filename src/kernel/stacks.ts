/**
 * How much an error remembers of where it was made. oidc-provider makes its errors before it knows whether they are
 * needed, three for each request at userinfo, and their stacks are a tenth of what such a request costs. So there are
 * none, until something goes wrong that nobody expected: then errors are made whole for a while.
 */

/** What Node starts with; somebody who starts it with another `--stack-trace-limit` keeps that. */
const ORDINARY = 10
const WHOLE = 30
/** Milliseconds. */
const WHOLE_FOR = 600_000

/**
 * Makes errors without a stack from now on.
 * @returns to be called when something unexpected happened: for ten minutes from then errors have their stacks
 */
export const sparseStacks = (): (() => void) => {
  if (Error.stackTraceLimit !== ORDINARY) return () => undefined
  Error.stackTraceLimit = 0
  let timer: NodeJS.Timeout | undefined
  return () => {
    Error.stackTraceLimit = WHOLE
    clearTimeout(timer)
    timer = setTimeout(() => {
      Error.stackTraceLimit = 0
    }, WHOLE_FOR).unref()
  }
}
