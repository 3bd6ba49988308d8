/** Reads the forms and links of a page, as much of HTML as server-rendered pages need. No script runs. */

export interface Tag {
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
  /** Text between a button's, link's, textarea's or code's tags, without markup. */
  readonly text: string
  /** Index of the form that it stands in, or that its `form` attribute names; -1: none. */
  readonly form: number
}

export interface Document {
  readonly forms: readonly Readonly<Record<string, string>>[]
  readonly tags: readonly Tag[]
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' }

export const decode = (text: string): string =>
  text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, name) => {
    if (hex) return String.fromCodePoint(Number.parseInt(hex, 16))
    if (decimal) return String.fromCodePoint(Number(decimal))
    return entities[name] ?? whole
  })

const attributesOf = (text: string): Record<string, string> =>
  Object.fromEntries(
    Array.from(text.matchAll(/([^\s=/"'>]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+)))?/g), (match) => [
      (match[1] ?? '').toLowerCase(),
      decode(match[2] ?? match[3] ?? match[4] ?? ''),
    ]),
  )

const plain = (html: string): string =>
  decode(html.replace(/<[^>]*>/g, ' '))
    .replace(/\s+/g, ' ')
    .trim()

export const parse = (html: string): Document => {
  const source = html.replace(/<!--[\s\S]*?-->/g, '').replace(/<script\b[\s\S]*?<\/script>/gi, '')
  const forms: Record<string, string>[] = []
  const found: (Omit<Tag, 'form'> & { within: number })[] = []
  let within = -1
  for (const match of source.matchAll(/<(\/?)([a-z][\w-]*)((?:"[^"]*"|'[^']*'|[^>"'])*)>/gi)) {
    const [whole, closing, rawName = '', rest = ''] = match
    const name = rawName.toLowerCase()
    if (name === 'form') within = closing ? -1 : forms.push(attributesOf(rest)) - 1
    if (closing) continue
    const from = match.index + whole.length
    const end = source.slice(from).search(new RegExp(`</${name}\\b`, 'i'))
    found.push({
      name,
      attributes: attributesOf(rest),
      text: end < 0 ? '' : plain(source.slice(from, from + end)),
      within,
    })
  }
  const tags = found.map(({ within: enclosing, ...tag }) => {
    const named = tag.attributes.form
    return { ...tag, form: named === undefined ? enclosing : forms.findIndex((form) => form.id === named) }
  })
  return { forms, tags }
}

/** `#id` or `[attribute=value]` or a tag's name. */
export const find = ({ tags }: Document, selector: string): Tag | undefined => {
  if (selector.startsWith('#')) return tags.find((tag) => tag.attributes.id === selector.slice(1))
  const attribute = /^\[([\w-]+)=["']?(.*?)["']?\]$/.exec(selector)
  if (attribute) return tags.find((tag) => tag.attributes[attribute[1] ?? ''] === attribute[2])
  return tags.find((tag) => tag.name === selector)
}

const isButton = ({ name, attributes }: Tag) =>
  name === 'button' || (name === 'input' && ['submit', 'image', 'button'].includes(attributes.type ?? ''))

/** The form that a tag is, or stands in; -1: none. */
export const formOf = (document: Document, tag: Tag): number =>
  tag.name === 'form' ? document.forms.findIndex((form) => form.id === tag.attributes.id) : tag.form

/** The successful controls of a form (HTML, "constructing the entry list"); of the buttons only the one that is pressed. */
export const fieldsOf = (document: Document, form: number, pressed?: Tag): URLSearchParams => {
  const fields = new URLSearchParams()
  for (const tag of document.tags) {
    const { name, attributes } = tag
    if (tag.form !== form || !attributes.name || 'disabled' in attributes) continue
    if (isButton(tag)) {
      if (tag === pressed) fields.append(attributes.name, attributes.value ?? '')
    } else if (name === 'textarea') fields.append(attributes.name, tag.text)
    else if (name === 'input') {
      const choice = attributes.type === 'checkbox' || attributes.type === 'radio'
      if (!choice || 'checked' in attributes) fields.append(attributes.name, attributes.value ?? (choice ? 'on' : ''))
    }
  }
  return fields
}
