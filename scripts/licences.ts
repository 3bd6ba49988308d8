/** The licences that Gatehouse may ship with (an allow-list), checked over package-lock.json. */

const permissive = new Set([
  'MIT',
  'MIT-0',
  'ISC',
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'CC0-1.0',
])
/** Never shipped, so file-level copyleft is harmless there. */
const developmentOnly = new Set(['MPL-2.0'])

interface LockedPackage {
  readonly version?: string
  readonly license?: string
  readonly dev?: boolean
}
export interface Lockfile {
  readonly packages: Readonly<Record<string, LockedPackage>>
}

/** SPDX expressions as packages use them: of `A OR B` one must be allowed, of `A AND B` all. */
const allows = (expression: string, allowed: (name: string) => boolean): boolean => {
  const plain = expression.replace(/[()]/g, ' ')
  return plain.split(/\sOR\s/).some((choice) => choice.split(/\sAND\s/).every((name) => allowed(name.trim())))
}

/** @returns one line for each package whose licence is unknown or not on the list */
export const licenceMistakes = (lock: Lockfile): string[] =>
  Object.entries(lock.packages).flatMap(([path, { version, license, dev }]) => {
    if (path === '') return []
    const allowed = (name: string) => permissive.has(name) || (dev === true && developmentOnly.has(name))
    if (license !== undefined && allows(license, allowed)) return []
    return [
      `${path.replace(/^.*node_modules\//, '')}@${version}: licence ${license ?? 'unknown'} is not on the list (scripts/licences.ts)`,
    ]
  })
