/** The one way out, as its users meet it: bounded answers, honest faults, a breaker per host, a cache when asked. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { after, describe, test } from 'node:test'
import { Fault } from '#kernel/faults.ts'
import { createLog } from '#kernel/log.ts'
import { freshness } from '#kernel/outbound/cache.ts'
import { createOutbound, type Egress, type Outbound, type OutboundLimits } from '#kernel/outbound.ts'

const closing: (() => Promise<unknown>)[] = []
after(() => Promise.all(closing.map((close) => close())))

const listen = async (server: Server): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}

const serve = async (listener: RequestListener): Promise<string> =>
  `http://127.0.0.1:${await listen(createServer(listener))}`

const time = { at: 1_800_000_000_000, now: () => time.at }
const lines: string[] = []

const open = (limits: Partial<OutboundLimits> = {}, egress: Partial<Egress> = {}): Outbound => {
  const outbound = createOutbound({
    egress: { allowPrivate: ['127.0.0.1', 'localhost'], insecureHosts: [], ...egress },
    clock: time,
    log: createLog('info', (line) => lines.push(line)),
    limits: { failures: 1000, ...limits },
  })
  closing.push(() => outbound.close())
  return outbound
}

const faultOf = async (work: Promise<unknown>): Promise<Fault> => {
  const error = await work.then(
    () => undefined,
    (caught: unknown) => caught,
  )
  assert.ok(error instanceof Fault, `expected a Fault, got ${error}`)
  return error
}
const reason = async (work: Promise<unknown>) => (await faultOf(work)).detail.reason

describe('requests and answers', () => {
  test('method, headers, body of each kind and the answer’s parts come through', async () => {
    const origin = await serve(async (req, res) => {
      const { method, headers } = req
      res.writeHead(201, { 'set-cookie': ['a=1', 'b=2'], 'content-type': 'application/json' })
      res.end(JSON.stringify({ method, type: headers['content-type'], own: headers['x-own'], body: await text(req) }))
    })
    const { fetch } = open()
    const form = await fetch(`${origin}/`, {
      method: 'POST',
      body: new URLSearchParams({ a: 'ä &' }),
      headers: { 'x-own': '1' },
    })
    assert.equal(form.status, 201)
    assert.deepEqual(form.headers.getSetCookie(), ['a=1', 'b=2'])
    assert.deepEqual(await form.json(), {
      method: 'POST',
      type: 'application/x-www-form-urlencoded;charset=UTF-8',
      own: '1',
      body: 'a=%C3%A4+%26',
    })
    const bytes = await fetch(new URL(origin), { method: 'PUT', body: new Uint8Array([104, 105]) })
    assert.equal(((await bytes.json()) as { body: string }).body, 'hi')
    const request = await fetch(new Request(origin, { method: 'DELETE', headers: { 'x-own': '2' } }))
    assert.deepEqual(await request.json(), { method: 'DELETE', own: '2', body: '' })
  })

  test('an answer without a body', async () => {
    const origin = await serve((_req, res) => void res.writeHead(204).end())
    const answer = await open().fetch(origin)
    assert.deepEqual([answer.status, await answer.text()], [204, ''])
  })

  test('a status that HTTP does not have', async () => {
    const origin = await serve((req, res) => void res.writeHead(req.url === '/' ? 599 : 999).end())
    const { fetch } = open()
    assert.equal((await fetch(`${origin}/`)).status, 599)
    assert.equal(await reason(fetch(`${origin}/x`)), 'no such status')
  })

  test('the caller’s own abort is the caller’s', async () => {
    const origin = await serve(() => undefined)
    const stop = new AbortController()
    const pending = open().fetch(origin, { signal: stop.signal })
    const why = new Error('changed my mind')
    setImmediate(() => stop.abort(why))
    await assert.rejects(pending, why)
  })
})

describe('limits', () => {
  test('size: streamed, announced, and exactly at the limit', async () => {
    const origin = await serve((req, res) => {
      const size = Number(req.url?.slice(1))
      if (Number.isNaN(size)) {
        const more = () => {
          while (!res.destroyed && res.write(Buffer.alloc(65_536)));
        }
        res.on('drain', more)
        more()
      } else res.end(Buffer.alloc(size))
    })
    const { fetch } = open({ maxBytes: 100_000 })
    assert.equal((await (await fetch(`${origin}/100000`)).arrayBuffer()).byteLength, 100_000)
    assert.equal(await reason(fetch(`${origin}/100001`)), 'too large')
    assert.equal(await reason(fetch(`${origin}/endless`)), 'too large')
  })

  test('time: no headers, no end, and the caller’s shorter one', async () => {
    const origin = await serve((req, res) => {
      if (req.url === '/dribble') res.write('a')
    })
    const { fetch } = open({ totalMs: 150 })
    assert.equal(await reason(fetch(`${origin}/`)), 'timeout')
    assert.equal(await reason(fetch(`${origin}/dribble`)), 'timeout')
    const longer = open({ totalMs: 60_000 })
    assert.equal(await reason(longer.fetch(`${origin}/`, { signal: AbortSignal.timeout(50) })), 'timeout')
  })

  test('nobody there, nobody of that name, no HTTP', async () => {
    const { fetch } = open()
    const gone = createServer()
    const port = await listen(gone)
    await new Promise((resolve) => gone.close(resolve))
    const refused = await faultOf(fetch(`http://127.0.0.1:${port}/`))
    assert.deepEqual([refused.code, refused.detail.reason], ['outbound.failed', 'ECONNREFUSED'])
    assert.equal((await faultOf(fetch('https://no-such-host.invalid/'))).code, 'outbound.failed')
    const garbage = createServer()
    garbage.on('connection', (socket) => socket.end('SSH-2.0-hello\r\n'))
    assert.equal((await faultOf(fetch(`http://127.0.0.1:${await listen(garbage)}/`))).code, 'outbound.failed')
  })

  test('the log names host and reason, never path, query or body', async () => {
    lines.length = 0
    const origin = await serve((_req, res) => void res.destroy())
    await faultOf(open().fetch(`${origin}/path-secret?query-secret`, { method: 'POST', body: 'body-secret' }))
    const line = lines.find((each) => each.includes('"event":"outbound"'))
    assert.ok(line?.includes(new URL(origin).host))
    assert.ok(!lines.join().includes('-secret'))
  })
})

describe('certificates', async () => {
  const at = (name: string) => new URL(`../world/tls/${name}.pem`, import.meta.url)
  const server = createTlsServer(
    { cert: readFileSync(at('cert')), key: readFileSync(at('key')) },
    (_req, res) => void res.end('tls'),
  )
  const port = await listen(server as unknown as Server)

  test('one that nobody vouches for is refused', async () => {
    assert.equal(await reason(open().fetch(`https://localhost:${port}/`)), 'DEPTH_ZERO_SELF_SIGNED_CERT')
  })
  test('caFile vouches, for the right name only', async () => {
    const { fetch } = open({}, { caFile: at('cert').pathname, allowPrivate: ['127.0.0.1', '127.0.0.2', 'localhost'] })
    assert.equal(await (await fetch(`https://localhost:${port}/`)).text(), 'tls')
    assert.equal(await (await fetch(`https://127.0.0.1:${port}/`)).text(), 'tls')
  })
  test('insecureHosts are not verified, others still are', async () => {
    const { fetch } = open({}, { insecureHosts: ['localhost'] })
    assert.equal(await (await fetch(`https://localhost:${port}/`)).text(), 'tls')
    assert.equal((await faultOf(fetch(`https://127.0.0.1:${port}/`))).code, 'outbound.failed')
  })
})

describe('the breaker', () => {
  test('opens after consecutive failures, lets one probe through, closes on success', async () => {
    let ill = true
    let asked = 0
    const origin = await serve((_req, res) => {
      asked += 1
      if (ill) res.destroy()
      else res.end('well')
    })
    const { fetch } = open({ failures: 3, openMs: 5000 })
    for (let round = 0; round < 3; round += 1) assert.notEqual(await reason(fetch(origin)), 'circuit open')
    assert.equal(await reason(fetch(origin)), 'circuit open')
    assert.equal(asked, 3, 'nobody was asked while open')

    time.at += 5000
    const [probe, other] = await Promise.all([reason(fetch(origin)), reason(fetch(origin))])
    assert.deepEqual([probe === 'circuit open', other === 'circuit open'].sort(), [false, true])
    assert.equal(asked, 4)
    assert.equal(await reason(fetch(origin)), 'circuit open', 'the failed probe opened it again')

    time.at += 5000
    ill = false
    assert.equal(await (await fetch(origin)).text(), 'well')
    assert.equal(await (await fetch(origin)).text(), 'well')
  })

  test('is per host, and neither successes between nor error answers nor refusals open it', async () => {
    let turn = 0
    const origin = await serve((req, res) => {
      turn += 1
      if (req.url === '/error') res.writeHead(500).end()
      else if (turn % 2 === 0) res.destroy()
      else res.end()
    })
    const healthy = await serve((_req, res) => void res.end('other'))
    const { fetch } = open({ failures: 2, maxBytes: 10 })
    for (let round = 0; round < 3; round += 1) {
      await fetch(origin)
      assert.notEqual(await reason(fetch(origin)), 'circuit open')
    }
    for (let round = 0; round < 4; round += 1) assert.equal((await fetch(`${origin}/error`)).status, 500)
    const broken = await serve((_req, res) => void res.destroy())
    for (let round = 0; round < 2; round += 1) await faultOf(fetch(broken))
    assert.equal(await reason(fetch(broken)), 'circuit open', 'control')
    assert.equal(await (await fetch(healthy)).text(), 'other')
    const huge = await serve((_req, res) => void res.end('more than ten bytes'))
    for (let round = 0; round < 4; round += 1) assert.equal(await reason(fetch(huge)), 'too large')
  })
})

describe('the cache', () => {
  const counting = async (cacheControl?: string) => {
    const state = { asked: 0, ill: false, origin: '' }
    state.origin = await serve((_req, res) => {
      state.asked += 1
      if (state.ill) return void res.destroy()
      res.writeHead(200, { 'content-type': 'text/plain', ...(cacheControl && { 'cache-control': cacheControl }) })
      res.end(`answer ${state.asked}`)
    })
    return state
  }
  const get = async (fetch: typeof globalThis.fetch, url: string, cache?: 'default' | 'reload') =>
    (await fetch(url, cache ? { cache } : {})).text()

  test('only when asked, for as long as allowed, and reload asks anew', async () => {
    const state = await counting('public, max-age=60')
    const { fetch } = open()
    assert.equal(await get(fetch, state.origin), 'answer 1')
    assert.equal(await get(fetch, state.origin), 'answer 2')
    assert.equal(await get(fetch, state.origin, 'default'), 'answer 3')
    assert.equal(await get(fetch, state.origin, 'default'), 'answer 3')
    assert.equal(await get(fetch, state.origin, 'reload'), 'answer 4')
    assert.equal(await get(fetch, state.origin, 'default'), 'answer 4')
    time.at += 60_001
    assert.equal(await get(fetch, state.origin, 'default'), 'answer 5')
  })

  test('while the source is away an old answer stands in, for a day', async () => {
    const state = await counting('max-age=60')
    const { fetch } = open()
    assert.equal(await get(fetch, state.origin, 'default'), 'answer 1')
    state.ill = true
    time.at += 3_600_000
    assert.equal(await get(fetch, state.origin, 'default'), 'answer 1')
    time.at += 24 * 3_600_000
    assert.equal((await faultOf(fetch(state.origin, { cache: 'default' }))).code, 'outbound.failed')
  })

  test('what must not be stored is not, nor stands in', async () => {
    const state = await counting('no-store')
    const { fetch } = open()
    assert.equal(await get(fetch, state.origin, 'default'), 'answer 1')
    assert.equal(await get(fetch, state.origin, 'default'), 'answer 2')
    state.ill = true
    await faultOf(fetch(state.origin, { cache: 'default' }))
  })

  for (const [header, ms] of [
    [undefined, 300_000],
    ['max-age=10', 10_000],
    ['Public, Max-Age="10"', 10_000],
    ['max-age=99999999', 86_400_000],
    ['max-age=-5', 300_000],
    ['no-cache', 0],
    ['private, no-store, max-age=10', undefined],
  ] as const)
    test(`Cache-Control ${header ?? 'absent'}`, () => {
      assert.equal(freshness(header === undefined ? [] : [['cache-control', header]]), ms)
    })
})
