/**
 * Regular expressions of administrators, matched against what strangers send: in time linear in the text, whatever the
 * pattern (HAZARDS 1, ENGINE 6). The only place that imports re2js.
 */
import { RE2JS } from 're2js'

const MOST_LENGTH = 200
const CACHED = 1000

export interface Pattern {
  /** Whether the whole text matches. */
  matches(text: string): boolean
}

const compiled = new Map<string, Pattern>()

/** @throws Error when it is no pattern of this kind: look-around, back references, too long, too large */
export const compilePattern = (text: string): Pattern => {
  const known = compiled.get(text)
  if (known) return known
  if (text.length > MOST_LENGTH) throw new Error(`a pattern has at most ${MOST_LENGTH} characters`)
  const pattern = RE2JS.compile(text)
  const made: Pattern = { matches: (subject) => pattern.matches(subject) }
  if (compiled.size >= CACHED) compiled.clear()
  compiled.set(text, made)
  return made
}

export const isPattern = (text: string): boolean => {
  try {
    compilePattern(text)
    return true
  } catch {
    return false
  }
}
