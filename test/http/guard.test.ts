/** The first look at a request: hosts, forwarded headers, shapes, and the headers of every answer. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { MOST_URL } from '#http/guard.ts'
import { healthRoutes } from '#http/health.ts'
import type { Route } from '#http/route.ts'
import { type Asked, open, says, type World } from './world.ts'

const routes: Route[] = [
  {
    method: 'get',
    path: '/who',
    run: says((ctx) => ({ ip: ctx.ip, host: ctx.host, href: ctx.href, secure: ctx.secure })),
  },
  { method: 'get', path: '/interaction/:uid', run: says(() => 'flow') },
  ...healthRoutes(
    async () => ({}),
    () => false,
  ),
]
const start = (
  t: Parameters<typeof open>[0],
  more: Parameters<typeof open>[2] & { trustProxy?: boolean | string[] } = {},
) => open(t, () => ({ routes, trustProxy: more.trustProxy ?? false }), more)
interface Seen {
  status: number
  ip?: string
  host?: string
  href?: string
  secure?: boolean
}
const who = async (world: World, headers: Asked['headers'] = {}): Promise<Seen> => {
  const answer = await world.ask('/who', { headers })
  return { status: answer.status, ...(answer.status === 200 && (JSON.parse(answer.body) as Omit<Seen, 'status'>)) }
}
/** Writes bytes as they are; answers the status line. */
const raw = (port: number, text: string) =>
  new Promise<string>((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    socket.once('data', (chunk) => {
      resolve(String(chunk).split('\r\n')[0] ?? '')
      socket.destroy()
    })
    socket.once('close', () => resolve('closed'))
    socket.on('error', reject)
  })

test('only the issuer’s host is served', async (t) => {
  const world = await start(t)
  const right = `localhost:${world.port}`
  assert.equal((await who(world)).status, 200)
  assert.equal((await who(world, { host: right.toUpperCase() })).status, 200)
  const wrong = [
    'evil.example',
    'localhost',
    `localhost:${world.port}.evil.example`,
    `evil@${right}`,
    `${right}/x`,
    `${right},evil`,
    '',
    `127.0.0.1:${world.port}`,
    `localhost.:${world.port}`,
  ]
  for (const host of wrong) {
    const answer = await world.ask('/who', { headers: { host } })
    assert.equal(answer.status, 421, host)
    assert.match(answer.headers['content-type'] ?? '', /^text\/plain/)
  }
})

test('the scheme’s default port may be written out or left out', async (t) => {
  const world = await start(t, { issuer: 'https://id.example.org', trustProxy: true })
  for (const host of ['id.example.org', 'id.example.org:443', 'ID.Example.Org'])
    assert.equal((await who(world, { host, 'x-forwarded-proto': 'https' })).status, 200, host)
  assert.equal((await who(world, { host: 'id.example.org:80' })).status, 421)
})

test('two Host headers, foreign targets and unknown methods are refused', async (t) => {
  const world = await start(t)
  const host = `host: localhost:${world.port}\r\n`
  const cases: [text: string, status: RegExp][] = [
    [`GET /who HTTP/1.1\r\n${host}\r\n`, / 200 /],
    [`GET /who HTTP/1.1\r\n${host}Host: evil.example\r\n\r\n`, / 400 /],
    [`GET /who HTTP/1.1\r\n\r\n`, / 400 /],
    [`GET http://evil.example/who HTTP/1.1\r\n${host}\r\n`, / 400 /],
    [`GET //evil.example/who HTTP/1.1\r\n${host}\r\n`, / 400 /],
    [`GET /\\evil.example HTTP/1.1\r\n${host}\r\n`, / 400 /],
    [`OPTIONS * HTTP/1.1\r\n${host}\r\n`, / 400 /],
    [`TRACE /who HTTP/1.1\r\n${host}\r\n`, / 405 /],
    [`PROPFIND /who HTTP/1.1\r\n${host}\r\n`, / 405 /],
    [`GET /who HTTP/1.1\r\n${host}content-length : 1\r\n\r\n`, / 400 /],
    [`POST /who HTTP/1.1\r\n${host}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n`, / 400 /],
  ]
  for (const [text, status] of cases) assert.match(await raw(world.port, text), status, text)
})

test('an address past the limit is 414 with a page, far past it 414 without; headers too many 431', async (t) => {
  const world = await start(t)
  const long = await world.ask(`/who?${'a'.repeat(MOST_URL)}`, { headers: { accept: 'text/html' } })
  assert.equal(long.status, 414)
  assert.match(long.body, /id="page-error"/)
  const host = `host: localhost:${world.port}\r\n`
  assert.match(await raw(world.port, `GET /who?${'a'.repeat(60_000)} HTTP/1.1\r\n${host}\r\n`), / 414 /)
  assert.match(await raw(world.port, `GET /who HTTP/1.1\r\n${host}x: ${'a'.repeat(60_000)}\r\n\r\n`), / 431 /)
  assert.equal((await world.ask(`/who?a=${'a'.repeat(MOST_URL - 100)}`)).status, 200)
})

test('forwarded headers count only from trusted proxies', async (t) => {
  const forwarded = {
    'x-forwarded-for': '203.0.113.9',
    'x-forwarded-host': 'evil.example',
    'x-forwarded-proto': 'https',
  }
  const closed = await start(t)
  const ignored = await who(closed, forwarded)
  assert.deepEqual([ignored.status, ignored.ip, ignored.secure], [200, '127.0.0.1', false])
  const trusting = await start(t, { trustProxy: ['127.0.0.0/8'] })
  assert.equal((await who(trusting, forwarded)).status, 421, 'a believed host that is not ours')
  assert.equal((await who(trusting, { 'x-forwarded-for': '203.0.113.9' })).ip, '203.0.113.9')
  assert.equal((await who(trusting, { 'x-forwarded-for': 'a' })).ip, '127.0.0.1')
  assert.equal((await who(trusting, { 'x-forwarded-host': 'a, b' })).status, 421)
  const right = `localhost:${trusting.port}`
  assert.equal((await who(trusting, { host: 'internal:8080', 'x-forwarded-host': right })).host, right)
})

test('behind a proxy an https issuer refuses plain http, and speaks of itself as https', async (t) => {
  const world = await start(t, { issuer: 'https://id.example.org', trustProxy: ['127.0.0.1'] })
  const host = 'id.example.org'
  const secure = await who(world, { host, 'x-forwarded-proto': 'https' })
  assert.deepEqual([secure.status, secure.secure, secure.href], [200, true, 'https://id.example.org/who'])
  assert.equal((await who(world, { host })).secure, true, 'a proxy that does not say is believed to be the https one')
  for (const proto of ['http', 'HTTP', 'x', 'http, https'])
    assert.equal((await who(world, { host, 'x-forwarded-proto': proto })).status, 421, proto)
  const direct = await start(t, { issuer: 'https://id.example.org' })
  assert.equal((await who(direct, { host, 'x-forwarded-proto': 'https' })).status, 421, 'nobody is trusted')
})

test('a provider’s host is answered by its own handler only', async (t) => {
  const hosts = new Set(['acme.id.example.org'])
  const world = await open(
    t,
    () => ({
      routes,
      trustProxy: true,
      providerHosts: {
        hosts: () => hosts,
        answer: (ctx, next) => (ctx.path === '/authorize' ? ctx.redirect('/x') : next()),
      },
    }),
    { issuer: 'https://id.example.org' },
  )
  const headers = { host: 'acme.id.example.org' }
  assert.equal((await world.ask('/authorize', { headers })).status, 302)
  assert.equal((await world.ask('/who', { headers })).status, 421)
  assert.equal((await world.ask('/assets/gatehouse.css', { headers })).status, 421)
  hosts.clear()
  assert.equal((await world.ask('/authorize', { headers })).status, 421)
})

test('probes come by address', async (t) => {
  const world = await start(t)
  for (const path of ['/healthz', '/readyz'])
    assert.equal((await world.ask(path, { headers: { host: '10.1.2.3:3000' } })).status, 200)
})

test('every answer carries the security headers', async (t) => {
  const world = await open(t, () => ({ routes, trustProxy: true }), { issuer: 'https://id.example.org' })
  const headers = { host: 'id.example.org' }
  for (const path of ['/who', '/nowhere', '/assets/gatehouse.css', '/interaction/x']) {
    const answer = await world.ask(path, { headers })
    const csp = String(answer.headers['content-security-policy'])
    for (const part of [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "frame-ancestors 'none'",
      "base-uri 'none'",
      "object-src 'none'",
      "require-trusted-types-for 'script'",
    ])
      assert.ok(csp.split(';').includes(part), `${path}: ${part}`)
    assert.doesNotMatch(csp, /unsafe|form-action/)
    assert.equal(answer.headers['x-content-type-options'], 'nosniff')
    assert.equal(answer.headers['x-frame-options'], 'DENY')
    assert.equal(answer.headers['referrer-policy'], 'strict-origin')
    assert.equal(answer.headers['strict-transport-security'], 'max-age=31536000; includeSubDomains')
    assert.match(String(answer.headers['x-request-id']), /^[\w-]{36}$/)
    assert.equal(answer.headers['x-powered-by'], undefined)
    assert.equal(answer.headers.server, undefined)
  }
})

test('no HSTS without https', async (t) => {
  const world = await start(t)
  assert.equal((await world.ask('/who')).headers['strict-transport-security'], undefined)
})

test('pages of a running sign-in keep the tie to the window that opened them, all others cut it', async (t) => {
  const world = await start(t)
  assert.equal((await world.ask('/who')).headers['cross-origin-opener-policy'], 'same-origin')
  assert.equal((await world.ask('/interaction/x')).headers['cross-origin-opener-policy'], undefined)
  assert.equal((await world.ask('/interactions')).headers['cross-origin-opener-policy'], 'same-origin')
})
