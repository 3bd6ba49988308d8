/**
 * Session Management 1.0, 3.2: answers a relying party's frame whether the session that it knows is still the one of this
 * browser. It compares a hash with a cookie, sends nothing anywhere, and answers only whoever has the embedding page's origin.
 */
const cookieName = document.querySelector('meta[name="browser-state"]').content

/** The browser state: `-` when nobody is signed in or the session's time is over, undefined when the browser hides it. */
const browserState = () => {
  for (const pair of document.cookie.split('; ')) {
    const equals = pair.indexOf('=')
    if (pair.slice(0, equals) !== cookieName) continue
    const [state, end] = pair.slice(equals + 1).split('.')
    return end !== undefined && Number(end) * 1000 <= Date.now() ? '-' : state
  }
  return undefined
}

const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')

const hash = async (text) => {
  const bytes = new TextEncoder().encode(text)
  const { subtle } = globalThis.crypto ?? {}
  return base64url(subtle ? new Uint8Array(await subtle.digest('SHA-256', bytes)) : sha256(bytes))
}

/** The origin of the page around this one, as far as the browser tells. */
const parentOrigin = () => {
  if (globalThis.location.ancestorOrigins?.length) return globalThis.location.ancestorOrigins[0]
  return document.referrer ? new URL(document.referrer).origin : undefined
}

/** @returns unchanged, changed, or error: what cannot be answered must not lead to a new sign-in */
const answer = async (message, origin) => {
  const [clientId, sessionState, ...more] = typeof message === 'string' ? message.split(' ') : []
  const [, salt, ...rest] = (sessionState ?? '').split('.')
  if (!clientId || !salt || more.length > 0 || rest.length > 0) return 'error'
  const state = browserState()
  if (state === undefined) return 'error'
  const expected = `${await hash([clientId, origin, state, salt].join(' '))}.${salt}`
  return expected === sessionState ? 'unchanged' : 'changed'
}

globalThis.addEventListener('message', async ({ data, origin, source }) => {
  if (!source || origin === 'null' || (parentOrigin() ?? origin) !== origin) return
  source.postMessage(await answer(data, origin), origin)
})
