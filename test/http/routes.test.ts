/** Where requests go: our routes, the engine's endpoints, nothing else; and that machine endpoints pay for nothing. */
import assert from 'node:assert/strict'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import type { Middleware } from '#http/context.ts'
import { endpoints } from '#http/endpoints.ts'
import { type Route, seeOther } from '#http/route.ts'
import { Fault } from '#kernel/faults.ts'
import { open, says } from './world.ts'

const routes: Route[] = [
  { method: 'get', path: '/', run: says(() => 'home') },
  {
    method: 'get',
    path: '/interaction/:uid',
    run: says((ctx, query) => `${ctx.params.uid} ${query.get('q') ?? ''}`),
  },
  { method: 'post', path: '/interaction/:uid', crossSite: true, run: (ctx) => seeOther(ctx, '/next') },
  { method: 'get', path: '/silent', run: () => undefined },
]
const engine: Middleware = async (ctx) => {
  ctx.body = { engine: ctx.path, sent: ctx.method === 'POST' ? await text(ctx.req) : '' }
}

test('our routes, by path and method', async (t) => {
  const world = await open(t, () => ({ routes, engine }))
  assert.equal((await world.ask('/')).body, 'home')
  assert.equal((await world.ask('/interaction/abc?q=1')).body, 'abc 1')
  assert.equal((await world.ask('/interaction/abc', { method: 'HEAD' })).status, 200)
  const moved = await world.ask('/interaction/abc', {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: '',
  })
  assert.deepEqual([moved.status, moved.headers.location, moved.headers['cache-control']], [303, '/next', 'no-store'])
})

test('unknown addresses are 404 with a page, also below known ones and where nothing was answered', async (t) => {
  const world = await open(t, () => ({ routes, engine }))
  for (const path of [
    '/nowhere',
    '/interaction',
    '/interaction/',
    '/interaction/a/b/c',
    '/Interaction/a',
    '/token/',
    '/token/x',
    '/.env',
    '/silent',
    '/interaction/%E0%A4%A/x',
    '/register/a/b',
    '/authorize/',
  ]) {
    const answer = await world.ask(path)
    assert.equal(answer.status, 404, path)
    assert.match(answer.body, /id="page-error"/, path)
  }
})

test('a known address with another method is 405 and says which it takes', async (t) => {
  const world = await open(t, () => ({ routes, engine }))
  const cases: [method: string, path: string, allow: string][] = [
    ['PUT', '/', 'HEAD, GET'],
    ['POST', '/', 'HEAD, GET'],
    ['DELETE', '/interaction/abc', 'HEAD, GET, POST'],
    ['GET', '/token', 'POST, OPTIONS'],
    ['DELETE', '/authorize', 'GET, HEAD, POST'],
    ['POST', '/register/abc', 'GET, HEAD, PUT, DELETE, OPTIONS'],
    ['POST', '/assets/gatehouse.css', 'GET, HEAD'],
  ]
  for (const [method, path, allow] of cases) {
    const answer = await world.ask(path, { method })
    assert.deepEqual([answer.status, answer.headers.allow], [405, allow], `${method} ${path}`)
  }
})

test('every endpoint reaches the engine by each of its methods', async (t) => {
  const world = await open(t, () => ({ routes, engine }))
  for (const { path, methods, below = [] } of endpoints) {
    for (const method of methods) assert.equal((await world.ask(path, { method })).status, 200, `${method} ${path}`)
    for (const method of below)
      assert.equal((await world.ask(`${path}/x`, { method })).status, 200, `${method} ${path}/x`)
  }
})

test('machine endpoints get the body untouched, no cookie, no page, no middleware of ours', async (t) => {
  const world = await open(t, () => ({
    routes,
    engine,
    before: [
      () => {
        throw new Error('before must not run')
      },
    ],
  }))
  const { status, body, headers } = await world.ask('/token', {
    method: 'POST',
    body: 'a=1&a=2',
    headers: { cookie: 'x=y' },
  })
  assert.equal(status, 200)
  assert.deepEqual(JSON.parse(body), { engine: '/token', sent: 'a=1&a=2' })
  assert.equal(headers['set-cookie'], undefined)
  assert.deepEqual(Object.keys(headers).sort(), [
    'connection',
    'content-length',
    'content-security-policy',
    'content-type',
    'date',
    'x-content-type-options',
    'x-request-id',
  ])
})

test('what runs before may answer or pass on, in order', async (t) => {
  const seen: string[] = []
  const world = await open(t, () => ({
    routes,
    engine,
    before: [
      (_, next) => {
        seen.push('one')
        return next()
      },
      (ctx, next) => {
        seen.push('two')
        return ctx.path === '/acme/authorize' ? seeOther(ctx, '/authorize') : next()
      },
    ],
  }))
  assert.equal((await world.ask('/acme/authorize')).status, 303)
  assert.equal((await world.ask('/')).body, 'home')
  assert.equal((await world.ask('/authorize')).status, 200)
  assert.deepEqual(seen, ['one', 'two', 'one', 'two', 'one', 'two'])
})

test('an issuer with a path: everything lives below it, links and assets too', async (t) => {
  const world = await open(
    t,
    ({ view }) => ({
      trustProxy: true,
      engine,
      routes: [{ method: 'get', path: '/', run: (ctx) => view(ctx, 'home', { issuer: 'https://example.org/op' }) }],
    }),
    { issuer: 'https://example.org/op' },
  )
  const headers = { host: 'example.org' }
  const page = await world.ask('/op/', { headers })
  assert.equal(page.status, 200)
  const asset = /href="(\/op\/assets\/[^"]+\.css)"/.exec(page.body)?.[1] ?? ''
  assert.equal((await world.ask(asset, { headers })).status, 200)
  assert.equal((await world.ask('/op', { headers })).status, 200)
  assert.deepEqual(JSON.parse((await world.ask('/op/jwks', { headers })).body), { engine: '/jwks', sent: '' })
  for (const path of ['/', '/jwks', '/opx/jwks', '/op2'])
    assert.equal((await world.ask(path, { headers })).status, 404, path)
})

test('below a path too, software that comes too often gets JSON', async (t) => {
  const limit = async () => {
    throw new Fault('request.limited', { retryAfter: 3 })
  }
  const world = await open(t, () => ({ routes: [], limit, trustProxy: true }), { issuer: 'https://example.org/op' })
  const { status, headers, body } = await world.ask('/op/jwks', { headers: { host: 'example.org' } })
  assert.deepEqual([status, headers['retry-after']], [429, '3'])
  assert.match(String(headers['content-type']), /^application\/json/)
  assert.equal(typeof JSON.parse(body).error, 'string')
})
