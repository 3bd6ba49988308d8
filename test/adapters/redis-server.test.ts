/** A whole Gatehouse whose artifacts are in Redis: how often a login waits for it, what is to be found in it, what happens without it. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
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
  const running = await start(loaded, { log: createLog('error', () => undefined) })
  t.after(async () => {
    await running.close()
    await proxy.close()
    await service.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const [server] = service.servers
  assert.ok(server)
  return { issuer, proxy, server }
}

const someone = () => new Browser({ stopAt: ({ origin }) => origin === APP })

const signIn = async (browser: Browser, issuer: string) => {
  const login = await browser.open(authorizationUrl(issuer, SCOPE))
  return browser.submit(login, '#continue', asAlice)
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
  test('a code flow of someone signed in waits for Redis five times at most', async (t) => {
    const { issuer, proxy } = await open(t)
    const alice = someone()
    await redeem(issuer, codeOf(await signIn(alice, issuer)))
    const flow = async () => {
      const authorization = await timed(() => alice.open(authorizationUrl(issuer, SCOPE)))
      const token = await timed(() => redeem(issuer, codeOf(authorization.result)))
      assert.equal(token.result.status, 200)
      return [authorization.took, token.took]
    }
    await flow()
    await quiet(proxy)
    proxy.slowDown(LATENCY)
    const trips = (await flow()).map((took) => Math.floor(took / LATENCY))
    proxy.slowDown(0)
    t.diagnostic(`round trips: authorization ${trips[0]}, token ${trips[1]}`)
    const all = trips.reduce((sum, one) => sum + one, 0)
    assert.ok(all >= 2 && all <= 5, `${all} round trips`)
  })
})
