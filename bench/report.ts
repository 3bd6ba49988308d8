/** The table on the screen and bench/result.json (CONTRACT 13). */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Figures, Result } from './measure.ts'

export interface Report {
  /** ms from the start of the process to ready, with an existing database. */
  readonly startMs: number
  /** The very first start, which makes databases and keys. */
  readonly firstStartMs: number
  /** Idle, after the start. */
  readonly rssMb: number
  /** At the end of the run. */
  readonly rssLoadedMb: number
  readonly bare: { readonly startMs: number; readonly rssMb: number; readonly rssLoadedMb: number }
  /** How the run was made. */
  readonly run: {
    readonly node: string
    readonly pinned: boolean
    readonly rounds: number
    readonly roundMs: number
    readonly workers: number
  }
  /** What each store was, with its grade where it stands in for another. */
  readonly stores: Readonly<Record<string, string>>
  readonly operations: readonly Result[]
}

const round = (value: number, digits: number) => Number(value.toFixed(digits))

const tidy = (value: unknown): unknown => {
  if (typeof value === 'number') return round(value, 4)
  if (Array.isArray(value)) return value.map(tidy)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, tidy(inner)]))
}

export const writeReport = (report: Report): string => {
  const path = join(import.meta.dirname, 'result.json')
  writeFileSync(path, `${JSON.stringify(tidy(report), undefined, 2)}\n`)
  return path
}

const ms = (value: number) => (value < 10 ? value.toFixed(3) : value.toFixed(2))
const cells = (figures: Figures | null) =>
  figures
    ? [ms(figures.cpuMs), figures.perSecond.toFixed(0), figures.p50.toFixed(1), figures.p99.toFixed(1)]
    : ['-', '-', '-', '-']

export const exceeds = ({ ratio, limit }: Result): boolean => ratio !== null && limit !== null && ratio > limit

const rowOf = (result: Result): string[] => {
  const verdict = exceeds(result) ? 'over' : ''
  const limit = result.limit === null ? '-' : result.limit.toFixed(2)
  const ratio = result.ratio === null ? '-' : result.ratio.toFixed(2)
  return [result.name, result.store, ...cells(result.gatehouse), ...cells(result.bare), ratio, limit, verdict]
}

const apartRow = ({ apart }: Result): string[] =>
  apart
    ? ['  hash apart', '', ms(apart.gatehouse), '', '', '', ms(apart.bare), '', '', '', apart.ratio.toFixed(2), '', '']
    : []

const HEAD = [
  'operation',
  'store',
  'CPU ms',
  'per s',
  'p50',
  'p99',
  'bare ms',
  'per s',
  'p50',
  'p99',
  'ratio',
  'limit',
  '',
]

/** @returns the table, numbers to the right */
export const table = ({ operations }: Report): string => {
  const rows = [
    HEAD,
    ...operations.flatMap((result) => [rowOf(result), apartRow(result)]).filter((row) => row.length > 0),
  ]
  const widths = HEAD.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const line = (row: string[]) =>
    row
      .map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd()
  return rows.map(line).join('\n')
}
