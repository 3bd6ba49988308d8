/** Reads TypeScript as far as a check needs it: where comments, strings and regular expressions begin and end. */

type Kind = 'comment' | 'string' | 'regex'
interface Span {
  readonly kind: Kind
  readonly start: number
  readonly end: number
}

const endOf = (text: string, needle: string, from: number): number => {
  const at = text.indexOf(needle, from)
  return at < 0 ? text.length : at + needle.length
}

/** The index after a quoted string that opens at `start`. */
const endOfQuoted = (text: string, start: number): number => {
  let at = start + 1
  while (at < text.length && text[at] !== text[start] && text[at] !== '\n') at += text[at] === '\\' ? 2 : 1
  return at + 1
}

const endOfRegex = (text: string, start: number): number => {
  let at = start + 1
  let inClass = false
  while (at < text.length && text[at] !== '\n' && (inClass || text[at] !== '/')) {
    if (text[at] === '[') inClass = true
    if (text[at] === ']') inClass = false
    at += text[at] === '\\' ? 2 : 1
  }
  return at + 1
}

/** A slash begins a regular expression where no value can have ended before it. */
const beginsRegex = (before: string): boolean => {
  const last = before.trimEnd()
  return last === '' || /[(,=:[!&|?{};+\-*%<>~^]$/.test(last) || /\b(?:return|typeof|case|in|of|void)$/.test(last)
}

/** Comments, strings, regular expressions and the text parts of templates, in order. */
const spansOf = (text: string): Span[] => {
  const spans: Span[] = []
  // How deep in braces each open `${` is; the last one is the innermost template.
  const templates: number[] = []
  let depth = 0
  let at = 0
  const take = (kind: Kind, end: number) => {
    spans.push({ kind, start: at, end })
    at = end
  }
  const takeTemplate = () => {
    let end = at + 1
    while (end < text.length && text[end] !== '`' && !text.startsWith('${', end)) end += text[end] === '\\' ? 2 : 1
    if (text.startsWith('${', end)) {
      templates.push(depth)
      take('string', end + 2)
    } else take('string', end + 1)
  }
  while (at < text.length) {
    const char = text[at]
    if (text.startsWith('//', at)) take('comment', endOf(text, '\n', at))
    else if (text.startsWith('/*', at)) take('comment', endOf(text, '*/', at + 2))
    else if (char === "'" || char === '"') take('string', endOfQuoted(text, at))
    else if (char === '`') takeTemplate()
    else if (char === '}' && templates.at(-1) === depth) {
      templates.pop()
      takeTemplate()
    } else if (char === '/' && beginsRegex(text.slice(Math.max(0, at - 40), at))) take('regex', endOfRegex(text, at))
    else {
      if (char === '{') depth++
      if (char === '}') depth--
      at++
    }
  }
  return spans
}

const blank = (text: string, kinds: readonly Kind[]): string => {
  let out = ''
  let from = 0
  for (const span of spansOf(text)) {
    if (!kinds.includes(span.kind)) continue
    out += text.slice(from, span.start) + text.slice(span.start, span.end).replace(/[^\n]/g, ' ')
    from = span.end
  }
  return out + text.slice(from)
}

/** The text with its comments turned into spaces; lines stay where they are. */
export const blankComments = (text: string): string => blank(text, ['comment'])

/** The text with comments, strings and regular expressions turned into spaces: only code is left. */
export const blankStrings = (text: string): string => blank(text, ['comment', 'string', 'regex'])
