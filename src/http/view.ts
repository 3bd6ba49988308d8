/**
 * Pages: EJS templates of views/, compiled at start, strict, and typed by `Pages`. Templates get the page's data, the
 * language's texts and the few functions below; they decide nothing. What comes from outside (names, logos, links of
 * relying parties and providers) passes `plain`, `link` or `image` before it is shown.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import ejs, { type TemplateFunction } from 'ejs'
import { type FaultCode, faults } from '#kernel/faults.ts'
import type { Ctx } from './context.ts'
import type { Csrf } from './csrf.ts'
import { textsFor } from './language.ts'
import { faultSentence, type Messages, type Texts } from './messages.ts'
import type { PageName, Pages } from './pages.ts'
import type { Assets } from './static.ts'

/** Renders a page as the answer; sets no status except through `status`. */
export type View = <N extends PageName>(ctx: Ctx, name: N, page: Pages[N], status?: number) => void

export interface ViewOptions {
  readonly directory: string
  readonly issuer: string
  readonly messages: Messages
  readonly assets: Assets
  readonly csrf: Csrf
}

const LOCALS = [
  'page',
  't',
  'csrf',
  'asset',
  'home',
  'host',
  'link',
  'target',
  'image',
  'plain',
  'monogram',
  'hue',
  'sentence',
  'include',
]
const MOST_NAME = 80
/** How many tints the stylesheet has for monograms. */
const HUES = 8

/** A foreign name as one short line: no control characters, no bidirectional overrides that would turn the text around it. */
export const plain = (text: string, most = MOST_NAME): string => {
  const line = text
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim()
  const letters = Array.from(line)
  return letters.length > most ? `${letters.slice(0, most - 1).join('')}…` : line
}

/** A foreign address that may be linked to: http or https only, so never `javascript:`. */
export const link = (url: string | undefined): string | undefined => {
  const parsed = url !== undefined && URL.canParse(url) ? new URL(url) : undefined
  return parsed && (parsed.protocol === 'https:' || parsed.protocol === 'http:') ? parsed.href : undefined
}

/** Where a way on leads: a path of ours, or a foreign address that may be linked to. */
export const target = (href: string): string | undefined => (/^\/(?![/\\])/.test(href) ? href : link(href))

/** A foreign picture: a web address or an embedded bitmap or drawing. */
export const image = (url: string | undefined): string | undefined =>
  url !== undefined && /^data:image\/(?:png|jpeg|gif|webp|svg\+xml)[;,]/.test(url) ? url : link(url)

/** The letter that stands for a name without a logo. */
export const monogram = (name: string): string =>
  (Array.from(name.normalize('NFC')).find((letter) => /[\p{L}\p{N}]/u.test(letter)) ?? '•').toUpperCase()

/** The same tint for the same name, everywhere. */
export const hue = (name: string): number => {
  let sum = 0
  for (const letter of name) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 9973
  return sum % HUES
}

const sentenceFor =
  (t: Texts) =>
  (fault: string): string =>
    Object.hasOwn(faults, fault) ? faultSentence(t, fault as FaultCode) : fault

interface Template {
  readonly folder: string
  readonly run: TemplateFunction
}

/** By file. */
const templates = new Map<string, Template>()

const load = (filename: string): Template => {
  const known = templates.get(filename)
  if (known) return known
  const options = { filename, strict: true, rmWhitespace: true, destructuredLocals: LOCALS }
  const template = { folder: dirname(filename), run: ejs.compile(readFileSync(filename, 'utf8'), options) }
  templates.set(filename, template)
  return template
}

/** The templates of a folder, by their names. */
const loadAll = (folder: string): ReadonlyMap<string, Template> => {
  const files = readdirSync(folder).filter((file) => file.endsWith('.ejs'))
  return new Map(files.map((file) => [basename(file, '.ejs'), load(join(folder, file))]))
}

/**
 * What a template includes is named from where it lies. EJS's own `include` looks for the file anew at each rendering,
 * which costs more than all else of a page.
 */
const render = ({ folder, run }: Template, locals: Readonly<Record<string, unknown>>): string =>
  run({
    ...locals,
    include: (name: string, more: Readonly<Record<string, unknown>> = {}) =>
      render(load(join(folder, `${name}.ejs`)), { ...locals, ...more }),
  })

/** Compiles every page and part; a template that does not compile stops the start. */
export const createView = ({ directory, issuer, messages, assets, csrf }: ViewOptions): View => {
  const { host, pathname } = new URL(issuer)
  const base = pathname.replace(/\/$/, '')
  const pages = loadAll(directory)
  loadAll(join(directory, 'parts'))
  const shared = {
    home: `${base}/`,
    host,
    link,
    target,
    image,
    plain,
    monogram,
    hue,
    asset: (name: string) => base + assets.path(name),
  }

  return (ctx, name, page, status) => {
    const template = pages.get(name)
    if (!template) throw new TypeError(`views/${name}.ejs does not exist`)
    const t = textsFor(ctx, messages)
    let token: string | undefined
    const form = () => {
      token ??= csrf.token(ctx)
      return token
    }
    const html = render(template, { ...shared, page, t, csrf: form, sentence: sentenceFor(t) })
    if (status !== undefined) ctx.status = status
    ctx.set('cache-control', 'no-store')
    ctx.set('content-language', t.lang)
    ctx.vary('accept-language')
    ctx.type = 'text/html; charset=utf-8'
    ctx.body = html
  }
}
