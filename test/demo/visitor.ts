/** What tests read on the relying party's pages, and how a response gets home without JavaScript. */
import { Browser, type Page } from '#test/world/browser.ts'
import { decode, find, parse } from '#test/world/html.ts'

export { Browser, type Page }

/** The text of the element with this id, its markup removed; undefined when it is not on the page. */
export const textOf = ({ body }: Page, id: string): string | undefined => {
  const found = new RegExp(`<(\\w+)\\b[^>]*\\sid="${id}"[^>]*>([\\s\\S]*?)</\\1>`).exec(body)?.[2]
  return found === undefined
    ? undefined
    : decode(found.replaceAll(/<[^>]*>/g, ''))
        .trim()
        .replaceAll(/\s+/g, ' ')
}

/** Every check on the page with what became of it. */
export const checksOf = ({ document }: Page): Record<string, string> =>
  Object.fromEntries(
    document.tags.flatMap(({ attributes: { id, 'data-outcome': outcome } }) =>
      id?.startsWith('check-') && outcome ? [[id.slice(6), outcome]] : [],
    ),
  )

/** What became of a check: passed, failed, skipped; undefined when it was not made. */
export const outcomeOf = (page: Page, check: string): string | undefined => checksOf(page)[check]

export const failedOf = (page: Page): string[] =>
  Object.entries(checksOf(page))
    .filter(([, outcome]) => outcome === 'failed')
    .map(([id]) => id)
    .sort()

/** Whether the section with this id (`summary`, `outcome`) reports success; undefined when it is absent. */
export const successOf = ({ document }: Page, id: string): boolean | undefined => {
  const ok = find(document, `#${id}`)?.attributes['data-ok']
  return ok === undefined ? undefined : ok === 'true'
}

/** The page with a checkbox cleared. */
export const untick = (page: Page, id: string): Page => {
  const body = page.body.replace(new RegExp(`(<input\\b[^>]*\\sid="${id}"[^>]*) checked`), '$1')
  if (body === page.body) throw new Error(`#${id} is not ticked`)
  return { ...page, body, document: parse(body) }
}

/** Takes a response home, however it came: pastes a fragment, sends a form_post. The trail keeps the way so far. */
export const arrive = async (browser: Browser, page: Page, home: string): Promise<Page> => {
  const onwards = async () => {
    if (find(page.document, '#page-fragment'))
      return browser.submit(page, '#submit-fragment', { fragment: page.url.hash.slice(1) })
    const index = page.document.forms.findIndex((form) => form.action?.startsWith(home))
    return index === 0 ? browser.submit(page, 'form') : undefined
  }
  const next = await onwards()
  return next ? { ...next, trail: [...page.trail, ...next.trail] } : page
}
