/** A command as an administrator types it, on the stores of a Gatehouse that is running. */
import assert from 'node:assert/strict'
import { run } from '#cli/cli.ts'
import type { Gatehouse } from './world.ts'

const never = () => assert.fail('no command of these tests starts anything')

/** @returns the exit code, and what was written to standard output and error */
export const command = async (op: Gatehouse, ...argv: string[]): Promise<{ code: number; text: string }> => {
  const said: string[] = []
  const say = (text: string) => void said.push(text)
  const io = { out: say, err: say, read: async () => '' }
  const code = await run(argv, {}, io, { open: () => op.house(), serve: never, stores: never })
  return { code, text: said.join('') }
}
