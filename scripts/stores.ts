/**
 * Which stores a test run is about. `STORES=sqlite,redis` leaves MongoDB out, also in CI (the summary says so);
 * `ON_STORES=redis+mongo` runs the tiers that start whole servers on those stores in place of SQLite.
 */
const names = ['sqlite', 'redis', 'mongo'] as const
export type StoreName = (typeof names)[number]

/** What holds the artifacts, and what the directory, where that is not the same. */
export const pairNames = ['sqlite', 'redis+sqlite', 'redis+mongo', 'mongo'] as const
export type PairName = (typeof pairNames)[number]

const oneOf = <T extends string>(variable: string, allowed: readonly T[], text: string): T => {
  const found = allowed.find((one) => one === text)
  if (found === undefined) throw new Error(`${variable}: found "${text}", must be one of ${allowed.join(', ')}`)
  return found
}

const wanted: readonly StoreName[] = process.env.STORES
  ? process.env.STORES.split(',').map((text) => oneOf('STORES', names, text.trim().replace(/^mongodb$/, 'mongo')))
  : names

/** Why a store is left out, or undefined. */
export const leftOut = (name: StoreName): string | undefined =>
  wanted.includes(name) ? undefined : `left out by STORES=${process.env.STORES}`

/** What whole servers run on. */
export const chosenPair: PairName = oneOf('ON_STORES', pairNames, process.env.ON_STORES || 'sqlite')

/** The files that start whole servers, on whatever stores they are told. */
export const houses = ['test/engine/*.test.ts', 'test/flows/*.test.ts']

/** What depends on the stores most: races, sessions and their end, accounts from outside, what is remembered. */
const sensitive =
  /\/(redemption|sessions|rows|tokens|openid-client|federated|newcomers|logout|consent|one-time-codes|recovery|rotation)\.test/

/**
 * Which of them `make test` runs once more: all on what is recommended for many nodes, those that depend on the stores most
 * on the other pairs.
 */
export const jobsElsewhere = (files: readonly string[]): { file: string; pair: PairName }[] => [
  ...files.map((file) => ({ file, pair: 'redis+mongo' as const })),
  ...(['mongo', 'redis+sqlite'] as const).flatMap((pair) =>
    files.filter((file) => sensitive.test(file)).map((file) => ({ file, pair })),
  ),
]
