/** Whatever is thrown becomes a clear answer, in the words of who asked, and its reason reaches the log only. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPresentation } from '#http/app.ts'
import type { Route } from '#http/route.ts'
import { Fault, type FaultCode, faults } from '#kernel/faults.ts'
import { silentLog } from '#kernel/log.ts'
import { open } from './world.ts'

const throwing = (thrown: unknown): Route[] => [
  {
    method: 'get',
    path: '/throw',
    run: (ctx) => {
      ctx.set('etag', '"half done"')
      ctx.type = 'image/png'
      throw thrown
    },
  },
]
const text = (body: string, id: string) => new RegExp(`<code id="${id}">([^<]*)</code>`).exec(body)?.[1]

test('every fault has its status, its OAuth code, its sentence and a reference that is in the log', async (t) => {
  for (const code of Object.keys(faults) as FaultCode[]) {
    const world = await open(t, () => ({
      routes: throwing(new Fault(code, { secretive: 'inner' }, new Error('cause'))),
    }))
    const { status, body, headers } = await world.ask('/throw', { headers: { accept: 'text/html' } })
    assert.equal(status, faults[code].status, code)
    assert.doesNotMatch(body, /secretive|inner|cause|node_modules|at \w+ \(/, code)
    assert.equal(headers.etag, undefined)
    assert.equal(headers['cache-control'], 'no-store')
    if (code === 'request.host') continue
    assert.equal(text(body, 'error'), faults[code].oauth, code)
    const reference = text(body, 'reference')
    assert.match(reference ?? '', /^[A-Z2-9]{10}$/)
    const line = world.lines.find((entry) => entry.fields.reference === reference && entry.event !== 'request')
    assert.equal(line?.fields.fault, code)
    assert.equal(line?.level, status < 500 ? 'info' : 'error', code)
    assert.deepEqual(line?.fields.detail, { secretive: 'inner' })
    assert.equal(line?.fields.rid, headers['x-request-id'])
  }
})

test('an unknown error is a 500 that says nothing, logged with its cause', async (t) => {
  const cause = new TypeError('cannot read secrets of undefined')
  for (const thrown of [
    cause,
    'a string',
    undefined,
    { status: 200, expose: true },
    Object.assign(new Error('x'), { status: 500 }),
  ]) {
    const world = await open(t, () => ({ routes: throwing(thrown) }))
    const { status, body } = await world.ask('/throw')
    assert.equal(status, 500)
    assert.equal(text(body, 'error'), 'server_error')
    assert.doesNotMatch(body, /secrets of undefined|TypeError|\.ts/)
    assert.equal(world.lines.find(({ event }) => event === 'request.failed')?.fields.cause, thrown)
  }
})

test('what koa throws for bad input stays 4xx', async (t) => {
  const world = await open(t, () => ({
    routes: throwing(Object.assign(new Error('no'), { status: 413, expose: true })),
  }))
  assert.equal((await world.ask('/throw')).status, 413)
})

test('software gets problem+json, people a page', async (t) => {
  const world = await open(t, () => ({ routes: throwing(new Fault('journey.expired')) }))
  const cases: [accept: string | undefined, json: boolean][] = [
    [undefined, false],
    ['*/*', false],
    ['text/html,application/xhtml+xml,*/*;q=0.8', false],
    ['application/json', true],
    ['application/problem+json', true],
    ['application/json, text/html;q=0.5', true],
    ['image/png', false],
  ]
  for (const [accept, json] of cases) {
    const { body, headers } = await world.ask('/throw', { headers: accept === undefined ? {} : { accept } })
    assert.equal(headers['content-type'], json ? 'application/problem+json' : 'text/html; charset=utf-8', accept)
    if (!json) continue
    const problem = JSON.parse(body) as Record<string, unknown>
    assert.equal(problem.status, 410)
    assert.equal(problem.code, 'journey.expired')
    assert.equal(problem.error, 'access_denied')
    assert.match(String(problem.reference), /^[A-Z2-9]{10}$/)
  }
})

test('the OAuth endpoints answer in OAuth’s words, whatever is accepted', async (t) => {
  const world = await open(t, () => ({
    engine: () => {
      throw new Fault('store.unavailable')
    },
  }))
  const { status, body, headers } = await world.ask('/token', { method: 'POST', headers: { accept: 'text/html' } })
  assert.equal(status, 503)
  assert.equal(headers['retry-after'], '5')
  assert.equal(headers['content-type'], 'application/json; charset=utf-8')
  const answer = JSON.parse(body) as Record<string, unknown>
  assert.equal(answer.error, 'temporarily_unavailable')
  assert.match(String(answer.error_description), /not available/)
})

test('pages speak the reader’s language', async (t) => {
  const world = await open(t, () => ({ routes: throwing(new Fault('journey.expired')) }))
  assert.match((await world.ask('/throw', { headers: { 'accept-language': 'de-DE' } })).body, /ist abgelaufen/)
  assert.match((await world.ask('/throw?ui_locales=de')).body, /ist abgelaufen/)
})

test('the login’s own reference, client and ways on are shown', async (t) => {
  const routes: Route[] = [
    {
      method: 'get',
      path: '/throw',
      run: (ctx) => {
        ctx.state.reference = 'ABCDEFGHJK'
        ctx.state.client = { name: 'Harbour' }
        ctx.state.ways = [{ href: '/authorize?x=1&y=2', label: 'way.restart' }]
        throw new Fault('journey.expired')
      },
    },
  ]
  const world = await open(t, () => ({ routes }))
  const { body } = await world.ask('/throw')
  assert.equal(text(body, 'reference'), 'ABCDEFGHJK')
  assert.match(body, /href="\/authorize\?x=1&amp;y=2">Start again</)
})

test('waiting times are told', async (t) => {
  const limited = await open(t, () => ({ routes: throwing(new Fault('login.limited', { retryAfter: 12.3 })) }))
  assert.equal((await limited.ask('/throw')).headers['retry-after'], '13')
})

test('the failure is recorded before the page with its reference is sent; a broken record breaks nothing', async (t) => {
  const recorded: string[] = []
  const record = async (reference: string) => {
    recorded.push(reference)
    throw new Error('store away')
  }
  const world = await open(t, (_, issuer) => ({
    routes: throwing(new Fault('upstream.denied')),
    presentation: createPresentation({
      issuer,
      i18n: { default: 'en', available: ['en'] },
      csrfKey: Buffer.alloc(32),
      log: silentLog,
      record,
    }),
  }))
  const { body, status } = await world.ask('/throw')
  assert.equal(status, 403)
  assert.deepEqual(recorded, [text(body, 'reference')])
})

test('the engine’s errors for people: known codes in words, unknown ones too, the description for the developer', async (t) => {
  const world = await open(t, ({ errors }) => ({
    engine: (ctx) =>
      errors.oauthPage(ctx, { error: String(ctx.query.error), error_description: 'no <b>such</b> client' }, 400),
  }))
  const known = await world.ask('/authorize?error=invalid_client')
  assert.equal(known.status, 400)
  assert.equal(text(known.body, 'error'), 'invalid_client')
  assert.match(known.body, /not known here/)
  assert.match(known.body, /no &lt;b&gt;such&lt;\/b&gt; client/)
  assert.match((await world.ask('/authorize?error=x_custom')).body, /could not be completed/)
})
