/** Reads the forms of a page: a scanner for start tags, enough for pages of our own making, quick enough for a load. */

interface Tag {
  readonly name: string
  readonly attributes: ReadonlyMap<string, string>
}

export interface Form {
  readonly action: string
  /** Names and values that are sent whatever button is pressed. */
  readonly fields: URLSearchParams
  /** By id. */
  readonly buttons: Map<string, { readonly name: string; readonly value: string }>
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#34': '"', '#39': "'" }

const decode = (text: string): string => {
  let decoded = ''
  let from = 0
  for (;;) {
    const at = text.indexOf('&', from)
    if (at === -1) return decoded + text.slice(from)
    const end = text.indexOf(';', at)
    const character = end === -1 ? undefined : entities[text.slice(at + 1, end)]
    decoded += text.slice(from, at) + (character ?? '&')
    from = character === undefined ? at + 1 : end + 1
  }
}

const isSpace = (code: number) => code === 32 || code === 9 || code === 10 || code === 13
const isEnd = (code: number) => Number.isNaN(code) || isSpace(code) || code === 62 || code === 47
const isValueEnd = (code: number, quote: number | undefined) =>
  Number.isNaN(code) || (quote === undefined ? isSpace(code) || code === 62 : code === quote)

/** The start tag whose name begins at `from`. */
const readTag = (html: string, from: number): { readonly tag: Tag; readonly end: number } => {
  let at = from
  const word = (stop: (code: number) => boolean): string => {
    const start = at
    while (!stop(html.charCodeAt(at))) at++
    return html.slice(start, at)
  }
  const name = word(isEnd).toLowerCase()
  const attributes = new Map<string, string>()
  while (at < html.length && html[at] !== '>') {
    const code = html.charCodeAt(at)
    if (isSpace(code) || code === 47) {
      at++
      continue
    }
    const key = word((character) => isEnd(character) || character === 61).toLowerCase()
    if (html[at] !== '=') {
      attributes.set(key, '')
      continue
    }
    at++
    const quote = html[at] === '"' || html[at] === "'" ? html.charCodeAt(at) : undefined
    if (quote !== undefined) at++
    const value = word((character) => isValueEnd(character, quote))
    if (quote !== undefined) at++
    attributes.set(key, decode(value))
  }
  return { tag: { name, attributes }, end: at + 1 }
}

/** Start tags of forms and what is in them, in order. */
function* formTags(html: string): Generator<Tag> {
  for (let at = html.indexOf('<'); at !== -1; at = html.indexOf('<', at + 1)) {
    const letter = html[at + 1]
    if (letter !== 'f' && letter !== 'i' && letter !== 'b') continue
    const { tag, end } = readTag(html, at + 1)
    at = end - 1
    if (tag.name === 'form' || tag.name === 'input' || tag.name === 'button') yield tag
  }
}

const addInput = (fields: URLSearchParams, attributes: ReadonlyMap<string, string>): void => {
  const name = attributes.get('name')
  const type = attributes.get('type')
  const unticked = (type === 'checkbox' || type === 'radio') && !attributes.has('checked')
  if (name !== undefined && !unticked) fields.append(name, attributes.get('value') ?? '')
}

/** The first form of a page that `wanted` accepts. Throws with the page's beginning when there is none. */
export const findForm = (html: string, wanted: (form: Form) => boolean): Form => {
  let form: Form | undefined
  for (const { name, attributes } of formTags(html)) {
    if (name === 'form') {
      if (form && wanted(form)) return form
      form = { action: attributes.get('action') ?? '', fields: new URLSearchParams(), buttons: new Map() }
    } else if (name === 'input' && form) addInput(form.fields, attributes)
    else if (name === 'button' && form) {
      const [id = '', own = '', value = ''] = ['id', 'name', 'value'].map((key) => attributes.get(key))
      form.buttons.set(id, { name: own, value })
    }
  }
  if (form && wanted(form)) return form
  throw new Error(`no such form on the page: ${html.slice(0, 1500)}`)
}
