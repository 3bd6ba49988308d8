/**
 * Names an account's claims after what a provider sent. Pure. Values keep their kind: several stay several, except where
 * a standard claim has exactly one (OIDC Core 5.1) and the provider speaks in lists.
 */
import type { Mapping } from '#kernel/records/provider.ts'
import { standardClaims } from '#kernel/scopes.ts'

type Json = null | boolean | number | string | Json[] | { [name: string]: Json }
type Rule = Mapping['attributes'][string]

/** What has one value. */
const single: ReadonlySet<string> = new Set(['username', ...standardClaims])

const isPresent = (value: unknown): boolean =>
  value !== undefined && value !== null && value !== '' && !(Array.isArray(value) && value.length === 0)

/** The first source that is present; own members only, so that no name reaches a prototype. */
const firstPresent = (claims: Readonly<Record<string, unknown>>, from: string | readonly string[]): unknown =>
  (typeof from === 'string' ? [from] : from)
    .map((name) => (Object.hasOwn(claims, name) ? claims[name] : undefined))
    .find(isPresent)

const eachText = (value: unknown, change: (text: string) => unknown): unknown => {
  if (typeof value === 'string') return change(value)
  return Array.isArray(value) ? value.flatMap((item) => (typeof item === 'string' ? change(item) : item)) : value
}

const pieces = (text: string, separator: string): string[] =>
  text
    .split(separator)
    .map((piece) => piece.trim())
    .filter((piece) => piece !== '')

const apply = (rule: Rule, claims: Readonly<Record<string, unknown>>): unknown => {
  if (typeof rule === 'string' || Array.isArray(rule)) return firstPresent(claims, rule)
  const { split, lowercase, default: otherwise } = rule
  let value = firstPresent(claims, rule.from)
  if (split !== undefined) value = eachText(value, (text) => pieces(text, split))
  if (lowercase) value = eachText(value, (text) => text.toLowerCase())
  return isPresent(value) ? value : otherwise
}

/**
 * @param mapping account claim → where it comes from
 * @param claims everything the provider sent
 * @returns the claims that have a value; absent ones are left out
 */
export const applyMapping = (mapping: Mapping, claims: Readonly<Record<string, unknown>>): Record<string, Json> => {
  const drawn = Object.entries(mapping.attributes).map(([name, rule]): [string, unknown] => {
    const value = apply(rule, claims)
    return [name, single.has(name) && Array.isArray(value) ? value[0] : value]
  })
  // What a provider sends is JSON, and so are defaults.
  return Object.fromEntries(drawn.filter(([, value]) => value !== undefined && value !== null)) as Record<string, Json>
}
