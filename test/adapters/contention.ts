/**
 * Races of two processes for what may be used once, on any store: ten contenders in each for every number, block after
 * block. The other process's end is `contend`, the test's is `assertWonOnce`.
 */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'

/** Numbers that two processes contend for at once. */
const BLOCK = 25
/** In each process, for each number. */
const CONTENDERS = 10
const RACES = 1000

interface Block {
  readonly kind: string
  readonly numbers: readonly number[]
}

export const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

/**
 * Answers each block that comes with the numbers won in it; a process that is told to goes from the block's end, so that
 * both win some. An empty block is the last.
 */
export const contend = async (upwards: boolean, work: (kind: string, i: number) => Promise<boolean>): Promise<void> => {
  for (;;) {
    const [block] = (await once(process, 'message')) as [Block]
    if (block.numbers.length === 0) return
    const order = (upwards ? block.numbers : block.numbers.toReversed()).flatMap((i) =>
      Array.from({ length: CONTENDERS }, () => i),
    )
    const won = await Promise.all(order.map((i) => work(block.kind, i)))
    process.send?.(order.filter((_, nth) => won[nth]))
  }
}

/** Ten contenders of each process for each of 1,000 numbers: each is won once, and both processes win some. */
export const assertWonOnce = async (
  children: readonly ChildProcess[],
  kind: string,
  message: (child: ChildProcess) => Promise<unknown>,
): Promise<void> => {
  const won: number[][] = children.map(() => [])
  for (let from = 0; from < RACES; from += BLOCK) {
    const answers = Promise.all(children.map(message))
    const block = numbers(BLOCK).map((i) => from + i)
    for (const child of children) child.send({ kind, numbers: block } satisfies Block)
    for (const [nth, answer] of (await answers).entries()) won[nth]?.push(...(answer as number[]))
  }
  assert.ok(
    won.every(({ length }) => length > 0),
    'both took part',
  )
  assert.deepEqual(
    won.flat().sort((a, b) => a - b),
    numbers(RACES),
    kind,
  )
}

/** Tells them that there is no more. */
export const endContest = (children: readonly ChildProcess[]): void => {
  // One that was killed hears nothing; without a callback that would be an error of the test.
  for (const child of children) child.send({ kind: '', numbers: [] } satisfies Block, () => undefined)
}
