/** Other processes at work on a store: started with a task, ready when they say so, then told to begin. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import type { TestContext } from 'node:test'

/** @param script beside this file; the process ends with the test */
export const startProcess = (
  t: TestContext,
  script: string,
  args: readonly string[],
  execPath = process.execPath,
): ChildProcess => {
  const child = fork(new URL(script, import.meta.url), args, { execPath, stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  t.after(() => child.kill('SIGKILL'))
  return child
}

/** What it says next; a process that ends first says nothing any more. */
export const message = async (child: ChildProcess): Promise<unknown> => {
  const over = new AbortController()
  const { signal } = over
  const ended = once(child, 'exit', { signal }).then(([code]) => {
    throw new Error(`the other process ended with ${code}`)
  })
  try {
    return (await Promise.race([once(child, 'message', { signal }), ended]))[0]
  } finally {
    over.abort()
    ended.catch(() => undefined)
  }
}

/** Tells all at once to begin. @param go what each is told: its number, unless said otherwise */
export const begin = (children: readonly ChildProcess[], go: (nth: number) => string = String): void => {
  for (const [nth, child] of children.entries()) child.send(go(nth))
}

/** As `begin`; answers what each said. */
export const goAll = (children: readonly ChildProcess[], go?: (nth: number) => string): Promise<unknown[]> => {
  const answers = Promise.all(children.map(message))
  begin(children, go)
  return answers
}

/** Begins when all have said that they are ready; answers what each said then. */
export const together = async (children: readonly ChildProcess[]): Promise<unknown[]> => {
  await Promise.all(children.map(message))
  return goAll(children)
}
