/**
 * What a server must say while a store is away, and that everything goes on afterwards: one request of every kind of
 * route, judged by one rule. Whoever was refused may try again: nothing was used up, nothing is called invalid.
 */
import assert from 'node:assert/strict'
import { after } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { createLog } from '#kernel/log.ts'
import { type Running, start } from '#src/wire.ts'
import { answerOf, browser, codeOf, post, signIn } from '#test/attacks/house.ts'
import {
  APP,
  alice,
  asAlice,
  authorizationUrl,
  basicAuth,
  CALLBACK,
  client,
  freePort,
  load,
} from '#test/flows/world.ts'
import type { Browser, Page } from '#test/world/browser.ts'

/** ms that an answer may take: 2 s of patience with a store, and the time of a busy machine. */
const LIMIT = 5000
const basic = { authorization: basicAuth() }
const offline = { scope: 'openid offline_access', prompt: 'consent' }

export interface Server extends Running {
  readonly text: readonly string[]
}

const opened: (() => Promise<void>)[] = []
after(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

/** @param settings stores and master key */
export const startOn = async (settings: Record<string, unknown>): Promise<Server> => {
  const port = await freePort()
  const text: string[] = []
  const loaded = load({
    issuer: `http://localhost:${port}`,
    listen: { port },
    clients: [client({ trusted: true })],
    accounts: [alice],
    keys: { algorithms: ['ES256'], default: 'ES256' },
    egress: { allowPrivate: ['127.0.0.0/8', '::1/128', 'localhost'] },
    identityProviders: [
      { id: 'acme', protocol: 'oidc', oidc: { issuer: 'http://127.0.0.1:9', client_id: 'a', client_secret: 'b' } },
    ],
    ...settings,
  })
  const running = await start(loaded, { log: createLog('debug', (line) => text.push(line)) })
  opened.push(() => running.close().catch(() => undefined))
  return { ...running, text }
}

/** What people and applications hold when the store goes away. */
export interface Held {
  readonly code: string
  readonly refresh: string
  readonly access: string
  /** At the login page. */
  readonly waiting: { readonly by: Browser; readonly page: Page }
  /** Signed in. */
  readonly someone: Browser
}

const tokensFor = async (server: Running, code: string) =>
  post(`${server.issuer}/token`, { grant_type: 'authorization_code', code, redirect_uri: CALLBACK }, basic)

export const prepare = async (server: Running): Promise<Held> => {
  const someone = browser()
  const tokens = await tokensFor(server, codeOf(await signIn(server, offline, { by: someone })))
  assert.equal(tokens.status, 200, JSON.stringify(tokens.body))
  const by = browser()
  return {
    code: codeOf(await signIn(server, {}, { by: someone })),
    refresh: String(tokens.body.refresh_token),
    access: String(tokens.body.access_token),
    waiting: { by, page: await by.open(authorizationUrl(server.issuer, { acr_values: 'basic' })) },
    someone,
  }
}

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}
type Ask = () => Promise<Answer>

const asked = async (url: string, init: RequestInit = {}): Promise<Answer> => {
  const response = await fetch(url, { redirect: 'manual', ...init })
  return { status: response.status, headers: response.headers, text: await response.text() }
}
const paged = ({ status, headers, body, url }: Page): Answer => ({
  // At the application: what it was sent.
  status: url.origin === APP ? 303 : status,
  headers: new Headers(
    url.origin === APP ? { location: url.href } : Object.entries(headers).map(([name, value]) => [name, String(value)]),
  ),
  text: body,
})

/** One request of every kind; none of them changes what is held when it is answered by 503. */
export const asks = (server: Running, held: Held): Readonly<Record<string, Ask>> => {
  const html = { headers: { accept: 'text/html' } }
  const at = (path: string, fields: Record<string, string>) => () =>
    asked(`${server.issuer}${path}`, { method: 'POST', headers: basic, body: new URLSearchParams(fields) })
  return {
    discovery: () => asked(`${server.issuer}/.well-known/openid-configuration`),
    jwks: () => asked(`${server.issuer}/jwks`),
    home: () => asked(`${server.issuer}/`, html),
    'client credentials': at('/token', { grant_type: 'client_credentials' }),
    introspect: at('/introspect', { token: held.access }),
    par: at('/par', { client_id: 'web', response_type: 'code', redirect_uri: CALLBACK, scope: 'openid' }),
    userinfo: () => asked(`${server.issuer}/userinfo`, { headers: { authorization: `Bearer ${held.access}` } }),
    register: () =>
      asked(`${server.issuer}/register`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"redirect_uris":["https://a.example/cb"]}',
      }),
    authorize: async () => paged(await browser().open(authorizationUrl(server.issuer, { acr_values: 'basic' }))),
    'authorize, signed in': async () => paged(await held.someone.open(authorizationUrl(server.issuer))),
    'login page': async () => paged(await held.waiting.by.open(held.waiting.page.url)),
    'end of session': async () => paged(await held.someone.open(`${server.issuer}/session/end`)),
  }
}

/** Whose refusal would be right at any other time: while nobody can know, nothing may be called unknown or invalid. */
export const unknowns = (server: Running, held: Held): Readonly<Record<string, Ask>> => {
  const html = { headers: { accept: 'text/html' } }
  const [state, token] = ['s', 't'].map((letter) => letter.repeat(43))
  return {
    callback: () => asked(`${server.issuer}/federation/acme/callback?state=${state}&code=c`, html),
    'login page elsewhere': () => asked(held.waiting.page.url.href, html),
    'unknown access token': () => asked(`${server.issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } }),
    'unknown code': async () => {
      const { status, headers, body } = await tokensFor(server, token ?? '')
      return { status, headers, text: JSON.stringify(body) }
    },
  }
}

/** What uses something up when it succeeds: asked while the store is away, and again afterwards. */
export const spends = (server: Running, held: Held): Readonly<Record<string, Ask>> => ({
  code: async () => {
    const { status, headers, body } = await tokensFor(server, held.code)
    return { status, headers, text: JSON.stringify(body) }
  },
  refresh: async () => {
    const given = { grant_type: 'refresh_token', refresh_token: held.refresh }
    const { status, headers, body } = await post(`${server.issuer}/token`, given, basic)
    return { status, headers, text: JSON.stringify(body) }
  },
  'login form': async () => paged(await held.waiting.by.submit(held.waiting.page, '#continue', asAlice)),
})

/** 503 with Retry-After in the form that suits the route, or an answer that needed no store; never anything else. */
const honest = (name: string, { status, headers, text }: Answer): 'served' | 'refused' => {
  const said = `${name}: ${status} ${text.slice(0, 300)}`
  if (status === 303) {
    const error = answerOf({ url: new URL(headers.get('location') ?? '', APP) } as Page).get('error')
    assert.ok(error === null || error === 'temporarily_unavailable', `${said} ${error}`)
    return error === null ? 'served' : 'refused'
  }
  if (status < 400) return 'served'
  assert.equal(status, 503, said)
  assert.ok(Number(headers.get('retry-after')) > 0, `${said}: Retry-After`)
  if (headers.get('content-type')?.includes('html')) {
    assert.match(text, /id="page-error"/, name)
    assert.match(text, /<code id="error">temporarily_unavailable</, name)
  } else assert.equal((JSON.parse(text) as { error: string }).error, 'temporarily_unavailable', said)
  return 'refused'
}

/** Asks everything at once; answers what was refused. */
export const judge = async (all: Readonly<Record<string, Ask>>): Promise<string[]> => {
  const refused = await Promise.all(
    Object.entries(all).map(async ([name, ask]) => {
      const began = performance.now()
      const answer = await ask()
      const took = performance.now() - began
      assert.ok(took < LIMIT, `${name} took ${Math.round(took)} ms`)
      return honest(name, answer) === 'refused' ? [name] : []
    }),
  )
  return refused.flat()
}

export const health = (server: Running) => asked(`${server.issuer}/healthz`)
export const readyz = async (server: Running): Promise<{ status: number; away?: string[] }> => {
  const { status, text } = await asked(`${server.issuer}/readyz`)
  return { status, away: (JSON.parse(text) as { away?: string[] }).away ?? [] }
}

/** Looks again and again; what is wrong for good is told by the last look. */
export const until = async (what: string, holds: () => Promise<boolean>, ms = 15_000): Promise<void> => {
  for (const end = performance.now() + ms; !(await holds()); await delay(50))
    assert.ok(performance.now() < end, `${what}: not within ${ms} ms`)
}

/** Nothing was used up: whoever was refused gets what they came for, without a restart of ours. */
export const goesOn = async (server: Server, held: Held, spent: readonly string[]): Promise<void> => {
  await until('ready again', async () => (await readyz(server)).status === 200)
  const { 'login page': page, ...others } = asks(server, held)
  // A sign-in that is finished shows that instead of its page.
  const everything = { ...others, ...(page && !spent.includes('login form') && { page }) }
  assert.deepEqual(await judge(everything), [])
  for (const [name, ask] of Object.entries(spends(server, held))) {
    if (spent.includes(name)) continue
    const { status, headers, text } = await ask()
    const good = name === 'login form' ? /[?&]code=/.test(headers.get('location') ?? '') : status === 200
    assert.ok(good, `${name} afterwards: ${status} ${headers.get('location')} ${text.slice(0, 300)}`)
  }
  assert.doesNotMatch(server.text.join('\n'), /"status":500/)
}
