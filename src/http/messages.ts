/** Message catalogues: messages/<language>.json, ICU MessageFormat. The only place that imports intl-messageformat. */
import { readFileSync } from 'node:fs'
import { IntlMessageFormat } from 'intl-messageformat'
import { type FaultCode, faults } from '#kernel/faults.ts'
import type english from '../../messages/en.json'

export type MessageKey = keyof typeof english
export type Values = Readonly<Record<string, string | number | Date>>

/** The texts of one language. */
export interface Texts {
  /** BCP 47 tag, for `lang` attributes. */
  readonly lang: string
  readonly dir: 'ltr' | 'rtl'
  (key: MessageKey, values?: Values): string
  /** Whether the catalogue has the key: for keys made of data, such as scope names. */
  has(key: string): key is MessageKey
}

export interface Messages {
  readonly available: readonly string[]
  readonly fallback: string
  /** The texts of an available language; of the default one for any other word. */
  texts(lang: string): Texts
}

const RTL = new Set(['ar', 'fa', 'he', 'ur'])

const createTexts = (
  lang: string,
  catalogue: Readonly<Record<string, string>>,
  english: Readonly<Record<string, string>>,
): Texts => {
  const compiled = new Map<string, IntlMessageFormat>()
  const find = (key: string) => (Object.hasOwn(catalogue, key) ? catalogue[key] : english[key])
  const text = (key: MessageKey, values?: Values): string => {
    const source = find(key) ?? key
    if (!source.includes('{') && !source.includes("'")) return source
    const format = compiled.get(key) ?? new IntlMessageFormat(source, lang, undefined, { ignoreTag: true })
    compiled.set(key, format)
    return String(format.format(values as Record<string, string>))
  }
  const has = (key: string): key is MessageKey => Object.hasOwn(catalogue, key)
  return Object.assign(text, {
    lang,
    dir: RTL.has(lang.split('-')[0] ?? '') ? ('rtl' as const) : ('ltr' as const),
    has,
  })
}

/**
 * Reads the catalogues.
 * @param directory the folder `messages/`
 * @param i18n the settings of that name; every language needs its catalogue
 * @throws Error when a catalogue is missing or unreadable
 */
export const createMessages = (
  directory: string,
  i18n: { readonly default: string; readonly available: readonly string[] },
): Messages => {
  const read = (lang: string) =>
    JSON.parse(readFileSync(`${directory}/${lang}.json`, 'utf8')) as Readonly<Record<string, string>>
  const english = read('en')
  const available = [...new Set([i18n.default, ...i18n.available])]
  const all = new Map(available.map((lang) => [lang, createTexts(lang, lang === 'en' ? english : read(lang), english)]))
  const fallback = all.get(i18n.default)
  if (!fallback) throw new TypeError('no default language')
  return { available, fallback: i18n.default, texts: (lang) => all.get(lang) ?? fallback }
}

/** The sentence for a person about a failure. */
export const faultSentence = (t: Texts, code: FaultCode): string => {
  const key = `fault.${code}`
  return t.has(key) ? t(key) : faults[code].say
}

/** How a scope is named on the consent page: the catalogue's words for the standard ones, else its own name. */
export const scopeTexts = (t: Texts, name: string): { displayName: string; description?: string } => {
  const [title, more] = [`scope.${name}`, `scope.${name}.more`]
  return { displayName: t.has(title) ? t(title) : name, ...(t.has(more) && { description: t(more) }) }
}

/** How a claim is named on the consent page. */
export const claimText = (t: Texts, name: string): string => {
  const key = `claim.${name}`
  return t.has(key) ? t(key) : name
}
