/** Forms from elsewhere are refused, by what the browser says of the sender and by the token; forms of ours always pass. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Csrf } from '#http/csrf.ts'
import type { Route } from '#http/route.ts'
import { form, open, says, type World } from './world.ts'

/** A page bound to an interaction, and one bound to a cookie; each tells its token. */
const routes = (csrf: Csrf): Route[] =>
  ['/flow/:uid', '/plain'].flatMap((path): Route[] => {
    const bind = path.includes(':uid')
      ? { bind: (ctx: { params: Record<string, string> }) => ctx.params.uid ?? '' }
      : {}
    return [
      { method: 'get', path, ...bind, run: says((ctx) => csrf.token(ctx)) },
      { method: 'post', path, ...bind, run: says(() => 'done') },
    ]
  })
const start = (t: Parameters<typeof open>[0]) => open(t, ({ csrf }) => ({ routes: routes(csrf) }))
const cookieOf = (headers: { 'set-cookie'?: string[] | undefined }) => headers['set-cookie']?.[0]?.split(';')[0] ?? ''

const send = (world: World, path: string, csrf: string | undefined, headers: Record<string, string> = {}) =>
  world.ask(path, form(csrf === undefined ? {} : { csrf }, headers))

test('a form bound to an interaction needs no cookie and is good for that interaction only', async (t) => {
  const world = await start(t)
  const page = await world.ask('/flow/one')
  assert.equal(page.headers['set-cookie'], undefined)
  assert.equal((await send(world, '/flow/one', page.body)).body, 'done')
  assert.equal((await send(world, '/flow/one', page.body)).status, 200, 'the back button may send it again')
  assert.equal((await send(world, '/flow/two', page.body)).status, 403)
  assert.notEqual((await world.ask('/flow/one')).body, page.body, 'each page has its own token')
})

test('elsewhere the token is bound to a cookie that scripts and other sites cannot use', async (t) => {
  const world = await start(t)
  const page = await world.ask('/plain')
  assert.match(
    page.headers['set-cookie']?.[0] ?? '',
    /^gatehouse_form_\d+=[\w-]{43}; path=\/; samesite=lax; httponly$/i,
  )
  const cookie = cookieOf(page.headers)
  assert.equal((await send(world, '/plain', page.body, { cookie })).status, 200)
  assert.equal((await send(world, '/plain', page.body)).status, 403, 'no cookie')
  const other = cookieOf((await world.ask('/plain')).headers)
  assert.equal((await send(world, '/plain', page.body, { cookie: other })).status, 403, 'another browser')
  const again = await world.ask('/plain', { headers: { cookie } })
  assert.equal(again.headers['set-cookie'], undefined, 'the cookie stays, so that two tabs work')
  assert.equal((await send(world, '/plain', again.body, { cookie })).status, 200)
})

test('over https the cookie has the host prefix', async (t) => {
  const world = await open(t, ({ csrf }) => ({ routes: routes(csrf), trustProxy: true }), {
    issuer: 'https://id.example.org',
  })
  const page = await world.ask('/plain', { headers: { host: 'id.example.org', 'x-forwarded-proto': 'https' } })
  assert.match(
    page.headers['set-cookie']?.[0] ?? '',
    /^__Host-gatehouse_form=[\w-]+; path=\/; samesite=lax; secure; httponly$/i,
  )
})

test('a wrong, absent, empty or doubled token is refused', async (t) => {
  const world = await start(t)
  const { body } = await world.ask('/flow/one')
  for (const wrong of [
    undefined,
    '',
    '.',
    'x',
    `${body}x`,
    body.slice(1),
    body.split('.')[1],
    `.${body.split('.')[1]}`,
  ])
    assert.equal((await send(world, '/flow/one', wrong)).status, 403, String(wrong))
  const doubled = { ...form({ csrf: body }), body: `csrf=${body}&csrf=${body}` }
  assert.equal((await world.ask('/flow/one', doubled)).status, 400)
})

test('what the browser says of the sender is believed before the token', async (t) => {
  const world = await start(t)
  const { body } = await world.ask('/flow/one')
  const cases: [headers: Record<string, string>, status: number][] = [
    [{}, 200],
    [{ 'sec-fetch-site': 'same-origin' }, 200],
    [{ 'sec-fetch-site': 'none' }, 200],
    [{ 'sec-fetch-site': 'same-site' }, 403],
    [{ 'sec-fetch-site': 'cross-site' }, 403],
    [{ 'sec-fetch-site': 'cross-site', origin: world.issuer }, 403],
    [{ 'sec-fetch-site': 'nonsense' }, 403],
    [{ origin: world.issuer }, 200],
    [{ origin: 'null' }, 403],
    [{ origin: 'https://evil.example' }, 403],
    [{ origin: `${world.issuer}.evil.example` }, 403],
  ]
  for (const [headers, status] of cases)
    assert.equal((await send(world, '/flow/one', body, headers)).status, status, JSON.stringify(headers))
})
