/** How answers look: aligned columns for people, JSON for programs. */
import type { Io } from './seams.ts'

export const printJson = (io: Io, value: unknown): void => io.out(`${JSON.stringify(value, null, 2)}\n`)

/** Rows under their headings; columns as wide as their widest cell. */
export const printTable = (io: Io, headings: readonly string[], rows: readonly (readonly string[])[]): void => {
  const lines = [headings, ...rows]
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => (line[column] ?? '').length)))
  for (const line of lines)
    io.out(
      `${line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd()}\n`,
    )
}

/** A time as people read and sort it; nothing for none. */
export const instant = (at: number | undefined): string => (at === undefined ? '' : new Date(at).toISOString())
