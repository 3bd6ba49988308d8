/** A whole Gatehouse in this process on a free loopback port, with stores of its own; closed after the test file. */
import { createServer } from 'node:net'
import { after } from 'node:test'
import { loadConfiguration } from '#config/load.ts'
import { builtInMappings, protocolSettings } from '#connectors/index.ts'
import type { Clock } from '#kernel/clock.ts'
import { createLog } from '#kernel/log.ts'
import { methodSettings } from '#methods/index.ts'
import { type House, openHouse } from '#src/house.ts'
import { type Running, start } from '#src/wire.ts'
import { emptyPair } from '#test/world/stores.ts'

/** Where the application under test has no server of its own: browsers stop there. */
export const APP = 'http://127.0.0.1:1'
export const CALLBACK = `${APP}/cb`
export const SECRET = 'a-secret-of-an-application-in-tests'

const opened: (() => Promise<void>)[] = []
after(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })

export interface Gatehouse extends Running {
  readonly log: readonly Record<string, unknown>[]
  /** The same stores opened a second time, as a command would. */
  house(clock?: Clock): Promise<House>
}

type Written = Record<string, unknown>

export const client = (more: Written = {}): Written => ({
  client_id: 'web',
  client_secret: SECRET,
  client_name: 'Web Application',
  application_type: 'native',
  redirect_uris: [CALLBACK],
  response_types: ['code', 'id_token', 'code id_token', 'code token', 'code id_token token', 'id_token token'],
  grant_types: ['authorization_code', 'implicit', 'refresh_token', 'client_credentials'],
  ...more,
})

export const alice = {
  username: 'alice',
  password: 'wonderland-1865',
  email: 'alice@example.org',
  email_verified: true,
  claims: { name: 'Alice' },
}

/** What she types. */
export const asAlice = { username: alice.username, password: alice.password }

export const load = (written: Written) =>
  loadConfiguration({
    written,
    env: {},
    protocols: protocolSettings,
    methods: methodSettings,
    mappings: [...builtInMappings.keys()],
  })

/** @param written settings and resources as a file would have them; `issuer`, `listen` and `stores` are made */
export const startGatehouse = async (
  written: Written = {},
  given: { port?: number; clock?: Clock } = {},
): Promise<Gatehouse> => {
  const port = given.port ?? (await freePort())
  const place = await emptyPair()
  const lines: Record<string, unknown>[] = []
  const loaded = load({
    clients: [client()],
    accounts: [alice],
    egress: { allowPrivate: ['127.0.0.0/8', '::1/128', 'localhost'] },
    ...written,
    issuer: `http://localhost:${port}`,
    listen: { port },
    ...place.settings,
  })
  const running = await start(loaded, {
    ...(given.clock && { clock: given.clock }),
    log: createLog('debug', (line) => lines.push(JSON.parse(line) as Record<string, unknown>)),
  }).catch(async (error: unknown) => {
    // What is left open would keep the test's process alive.
    await place.close()
    throw error
  })
  let closed = false
  const close = async () => {
    if (closed) return
    closed = true
    await running.close()
    await place.close()
  }
  opened.push(close)
  return {
    ...running,
    close,
    log: lines,
    house: (clock) => openHouse(loaded, { log: createLog('error', () => undefined), ...(clock && { clock }) }),
  }
}

export const authorizationUrl = (issuer: string, more: Record<string, string> = {}): string =>
  `${issuer}/authorize?${new URLSearchParams({ client_id: 'web', response_type: 'code', scope: 'openid', redirect_uri: CALLBACK, state: 's1', nonce: 'n1', ...more })}`

export const basicAuth = (id = 'web', secret = SECRET): string =>
  `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`

export const redeem = async (
  issuer: string,
  code: string,
  more: Record<string, string> = {},
  as = 'web',
): Promise<{ status: number; body: Record<string, string> }> => {
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: basicAuth(as) },
    body: new URLSearchParams({ grant_type: 'authorization_code', code, redirect_uri: CALLBACK, ...more }),
  })
  return { status: response.status, body: (await response.json()) as Record<string, string> }
}

export const claimsOf = (jwt: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>
