/** The files of the repository as a check sees them: tracked ones, and new ones that git does not ignore. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

export const root = dirname(import.meta.dirname)

/** Paths relative to the root, with forward slashes. */
export const trackedPaths = (): string[] =>
  execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8' })
    .split('\0')
    .filter((path) => path !== '' && existsSync(join(root, path)))

export const readText = (path: string): string => readFileSync(join(root, path), 'utf8')
