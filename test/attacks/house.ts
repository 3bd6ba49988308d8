/** What most attacks begin with: a sign-in, what it left, and what the server wrote down of it. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { APP, alice, authorizationUrl, CALLBACK, type Gatehouse, load, SECRET } from '#test/flows/world.ts'
import { Browser, type Page } from '#test/world/browser.ts'

export const browser = (stopAt: (url: URL) => boolean = () => false): Browser =>
  new Browser({ stopAt: (url) => url.origin === APP || stopAt(url) })

/** Signs in by password, allows what is asked, and stops where the application would be. */
export const signIn = async (
  op: { issuer: string },
  more: Record<string, string> = {},
  { as = alice, by = browser() }: { as?: { username: string; password: string }; by?: Browser } = {},
): Promise<Page> => {
  const login = await by.open(authorizationUrl(op.issuer, { acr_values: 'basic', ...more }))
  if (login.url.origin === APP) return login
  const next = await by.submit(login, '#continue', { username: as.username, password: as.password })
  const page = /id="page-consent"/.test(next.body) ? await by.submit(next, '#allow') : next
  assert.equal(page.url.origin, APP, page.body)
  return page
}

/** The parameters that the application receives, in the query or the fragment. */
export const answerOf = ({ url }: Page): URLSearchParams => new URLSearchParams(url.hash.slice(1) || url.search)

export const codeOf = (page: Page): string => answerOf(page).get('code') ?? assert.fail(`no code: ${page.url}`)

export interface Answered {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown>
}

export const post = async (
  url: string,
  fields: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answered> => {
  const response = await fetch(url, { method: 'POST', body: new URLSearchParams(fields), headers, redirect: 'manual' })
  const text = await response.text()
  const body = response.headers.get('content-type')?.includes('json')
    ? (JSON.parse(text) as Record<string, unknown>)
    : { text }
  return { status: response.status, headers: response.headers, body }
}

/** At the token endpoint, as a client of the world's secret. */
export const askTokens = (op: { issuer: string }, fields: Record<string, string>, as = 'web'): Promise<Answered> =>
  post(
    `${op.issuer}/token`,
    { ...(fields.grant_type === 'authorization_code' && { redirect_uri: CALLBACK }), ...fields },
    {
      authorization: `Basic ${Buffer.from(`${as}:${SECRET}`).toString('base64')}`,
    },
  )

export const userinfo = async (op: { issuer: string }, token: unknown): Promise<number> =>
  (await fetch(`${op.issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } })).status

/** What the server wrote into its audit trail so far. */
export const audits = (op: Gatehouse, type: string): Record<string, unknown>[] =>
  op.log.filter((line) => line.event === 'audit' && line.type === type)

/** The log's lines of one event. */
export const lines = (op: Gatehouse, event: string): Record<string, unknown>[] =>
  op.log.filter((line) => line.event === event)

export const pkce = (): { verifier: string; challenge: string } => {
  const verifier = randomBytes(32).toString('base64url')
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') }
}

export const refused = ({ status, body }: Answered, error: string, expected = 400): void =>
  assert.deepEqual([status, body.error], [expected, error], JSON.stringify(body))

/** Waits for something that another process's change brings about within the bus's poll. */
export const until = async (holds: () => Promise<boolean> | boolean, what = 'it'): Promise<void> => {
  for (let count = 0; count < 200; count++) {
    if (await holds()) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  assert.fail(`${what} never came true`)
}

/** Writes resources into the directory as an administrator's command does; records of the served file stay as they are. */
export const storeResources = async (op: Gatehouse, written: Record<string, unknown>): Promise<void> => {
  const { resources } = load({ issuer: op.issuer, ...written })
  const house = await op.house()
  try {
    for (const each of resources.clients) await house.records.clients.put(each)
    for (const each of resources.identityProviders) await house.records.providers.put(each)
  } finally {
    await house.close()
  }
}
