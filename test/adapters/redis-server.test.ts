/** A whole Gatehouse whose artifacts are in Redis: how often a login waits for it, what is to be found in it, what happens without it. */
import assert from 'node:assert/strict'
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { createLog } from '#kernel/log.ts'
import { start } from '#src/wire.ts'
import { APP, alice, asAlice, authorizationUrl, client, freePort, load, redeem } from '#test/flows/world.ts'
import { Browser } from '#test/world/browser.ts'
import { startRedis } from '../../scripts/redis.ts'
import { startProxy } from './redis-proxy.ts'
import { missing } from './redis-world.ts'

const SCOPE = { scope: 'openid profile email' }
/** With a refresh token. */
const OFFLINE = { scope: 'openid profile email offline_access', prompt: 'consent' }
/** ms that everything takes to Redis while round trips are counted: far more than all else of a login takes. */
const LATENCY = 400

const open = async (t: TestContext) => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-redis-'))
  const service = await startRedis()
  const proxy = await startProxy(service.url)
  const port = await freePort()
  const issuer = `http://localhost:${port}`
  const stores = { artifacts: proxy.url, directory: `sqlite:${folder}/directory.db` }
  const loaded = load({ issuer, listen: { port }, stores, clients: [client({ trusted: true })], accounts: [alice] })
  const begin = () => start(loaded, { log: createLog('error', () => undefined) })
  let running = await begin()
  t.after(async () => {
    await running.close()
    await proxy.close()
    await service.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const [server] = service.servers
  assert.ok(server)
  const restart = async () => {
    await running.close()
    running = await begin()
  }
  return { issuer, proxy, server, restart }
}

const someone = () => new Browser({ stopAt: ({ origin }) => origin === APP })

const signIn = async (browser: Browser, issuer: string, scope: Record<string, string> = SCOPE) => {
  const login = await browser.open(authorizationUrl(issuer, scope))
  const page = await browser.submit(login, '#continue', asAlice)
  return page.url.origin === APP ? page : browser.submit(page, '#allow')
}

const codeOf = ({ url }: { url: URL }): string => url.searchParams.get('code') ?? ''

/** Until nothing is sent any more: what a request leaves to be done after it waits for nobody. */
const quiet = async (proxy: Awaited<ReturnType<typeof startProxy>>) => {
  for (let before = -1; before !== proxy.sent(); await delay(300)) before = proxy.sent()
}

const timed = async <T>(work: () => Promise<T>): Promise<{ took: number; result: T }> => {
  const began = performance.now()
  const result = await work()
  return { took: performance.now() - began, result }
}

describe('redis: a whole server', { skip: missing }, () => {
  test('a code flow of someone signed in waits for Redis five times at most, eight times at a new node', async (t) => {
    const { issuer, proxy, restart } = await open(t)
    const alice = someone()
    await redeem(issuer, codeOf(await signIn(alice, issuer)))
    const flow = async () => {
      const authorization = await timed(() => alice.open(authorizationUrl(issuer, SCOPE)))
      const token = await timed(() => redeem(issuer, codeOf(authorization.result)))
      assert.equal(token.result.status, 200)
      return [authorization.took, token.took]
    }
    const trips = async () => {
      await quiet(proxy)
      proxy.slowDown(LATENCY)
      const [authorization = 0, token = 0] = (await flow()).map((took) => Math.floor(took / LATENCY))
      proxy.slowDown(0)
      t.diagnostic(`round trips: authorization ${authorization}, token ${token}`)
      return authorization + token
    }
    await flow()
    const known = await trips()
    assert.ok(known >= 2 && known <= 5, `${known} round trips`)
    // As on a node that the person meets for the first time.
    await restart()
    await fetch(`${issuer}/.well-known/openid-configuration`)
    const unknown = await trips()
    assert.ok(unknown > known && unknown <= 8, `${unknown} round trips`)
  })

  test('what a session takes up in Redis stays small', async (t) => {
    const { issuer, proxy, server } = await open(t)
    const logins = 8
    for (let i = 0; i < logins; i++) await redeem(issuer, codeOf(await signIn(someone(), issuer, OFFLINE)))
    await quiet(proxy)
    const bytes: Record<string, number> = {}
    for (const key of (await server.ask('KEYS *')).match(/gh1:\S+/g) ?? []) {
      const [, kind = '', model = ''] = key.split(':')
      const name = kind === 'g' ? 'g' : `${kind}:${model}`
      bytes[name] = (bytes[name] ?? 0) + Number((await server.ask(`MEMORY USAGE ${key} SAMPLES 0`)).slice(1))
    }
    const each = (...names: string[]) => Math.round(names.reduce((sum, name) => sum + (bytes[name] ?? 0), 0) / logins)
    const lasting = each('a:Session', 'u:Session', 't:Session', 'a:Grant', 't:Grant', 'g')
    const refresh = each('a:RefreshToken')
    t.diagnostic(
      `session and grant ${lasting} bytes, refresh token ${refresh}, everything ${each(...Object.keys(bytes))}`,
    )
    assert.ok(lasting > 1000 && lasting < 4000, `${lasting} bytes`)
    assert.ok(refresh > 300 && refresh < 1500, `${refresh} bytes`)
  })

  test('nothing that was issued or typed is in what Redis writes to its disk', async (t) => {
    const { issuer, proxy, server } = await open(t)
    const browser = someone()
    const cookies: string[] = []
    const store = browser.cookies.store.bind(browser.cookies)
    browser.cookies.store = (url, lines) => {
      cookies.push(...lines.map((line) => /=([^;]*)/.exec(line)?.[1] ?? ''))
      store(url, lines)
    }
    const back = await signIn(browser, issuer, OFFLINE)
    const { body } = await redeem(issuer, codeOf(back))
    const again = await browser.open(authorizationUrl(issuer, SCOPE))
    await quiet(proxy)
    const { access_token, refresh_token, id_token } = body
    const secrets = [codeOf(back), codeOf(again), access_token, refresh_token, id_token, alice.password, ...cookies]
    const known = secrets.filter((secret): secret is string => secret !== undefined && secret.length >= 8)
    assert.ok(known.length >= 8, String(known.length))
    const folder = /\r\n(\/[^\r]+)/.exec(await server.ask('CONFIG GET dir'))?.[1] ?? ''
    const files = globSync(`${folder}/**/*.aof`).map((path) => readFileSync(path, 'latin1'))
    assert.ok(files.join('').includes(':Session:'), 'what was written is there')
    for (const secret of known) for (const text of files) assert.ok(!text.includes(secret), secret)
  })
})
